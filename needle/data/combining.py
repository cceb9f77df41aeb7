"""Data sets made of others: parts, and several one after the other."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from math import floor
from typing import Any

import numpy as np

from needle.checks import integer
from needle.data.dataset import Dataset, Transform
from needle.ops.random import default_generator

__all__ = ["ConcatDataset", "IterableDataset", "Subset", "TransformedDataset", "random_split"]


class Subset(Dataset):
    """The items of `dataset` at `indices`, in that order."""

    def __init__(self, dataset: Any, indices: Sequence[int] | np.ndarray) -> None:
        super().__init__()
        self.dataset = dataset
        self.indices = np.asarray(indices, np.int64)
        size = len(dataset)
        if self.indices.size and not (-size <= self.indices.min() and self.indices.max() < size):
            worst = self.indices[(self.indices < -size) | (self.indices >= size)][0]
            raise IndexError(f"index {worst} of a Subset is out of range: the data set has {size} items")

    def __getitem__(self, index: int) -> Any:
        return self.dataset[int(self.indices[index])]

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, indices: np.ndarray) -> Any:
        chosen = self.indices[indices]
        return self.dataset.batch(chosen) if hasattr(self.dataset, "batch") else super().batch(indices)


class ConcatDataset(Dataset):
    """The items of several data sets, one set after the other. Raises ValueError for none."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        super().__init__()
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset needs at least one data set")
        self.cumulative_sizes = list(accumulate(map(len, self.datasets)))

    def __getitem__(self, index: int) -> Any:
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"index {index} is out of range: the data sets have {len(self)} items together")
        which = bisect.bisect_right(self.cumulative_sizes, position)
        return self.datasets[which][position - (self.cumulative_sizes[which - 1] if which else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class TransformedDataset(Dataset):
    """`dataset` with `transform` applied to each item, or to the first element of each tuple."""

    def __init__(self, dataset: Any, transform: Transform) -> None:
        super().__init__([transform])
        self.dataset = dataset

    def __getitem__(self, index: int) -> Any:
        item = self.dataset[index]
        return (self.apply_transforms(item[0]), *item[1:]) if isinstance(item, tuple) else self.apply_transforms(item)

    def __len__(self) -> int:
        return len(self.dataset)


class IterableDataset:
    """A data set that can only be gone through: subclass it and define `__iter__`.

    A `DataLoader` takes batches of it as they come, without an order of its own and without workers.
    """

    def __iter__(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no __iter__")


def random_split(dataset: Any, lengths: Sequence[float], seed: int | None = None) -> list[Subset]:
    """The items of `dataset` in random order, divided into subsets.

    `lengths` are numbers of items that add up to all, or shares that add up to 1; what is left of shares goes to the
    first subsets. Without a `seed` the order comes from needle's generator. Raises ValueError for other sums.
    """
    size = len(dataset)
    counts = [float(n) for n in lengths]
    if abs(sum(counts) - 1) < 1e-6 and all(0 <= n <= 1 for n in counts) and size != 1:
        whole = [floor(n * size) for n in counts]
        for i in range(size - sum(whole)):
            whole[i % len(whole)] += 1
    else:
        whole = [integer("lengths", int(n) if n == int(n) else n, 0) for n in counts]
    if sum(whole) != size:
        raise ValueError(f"lengths={list(lengths)} must add up to the {size} items of the data set, or to 1")
    entropy = default_generator.reserve(1) if seed is None else [integer("seed", seed, 0)]
    order = np.random.default_rng(entropy).permutation(size)
    bounds = [0, *accumulate(whole)]
    return [Subset(dataset, order[a:b]) for a, b in pairwise(bounds)]
