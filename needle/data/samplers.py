"""Samplers: the order in which a `DataLoader` takes the items of a data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from needle.checks import integer
from needle.ops.random import default_generator

__all__ = [
    "BatchSampler", "RandomSampler", "Sampler", "SequentialSampler", "SubsetRandomSampler", "WeightedRandomSampler",
]  # fmt: skip


class Sampler(Protocol):
    """Anything that gives the numbers of items, and knows how many."""

    def __iter__(self) -> Iterator[int]: ...

    def __len__(self) -> int: ...


class SequentialSampler:
    """Every item of `data_source` in its order."""

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class _Random:
    """A sampler whose order depends on a seed and on how often it was asked, or on needle's generator."""

    def __init__(self, seed: int | None) -> None:
        self.seed: int | None = None if seed is None else integer("seed", seed, 0)
        self.epoch = 0

    def _random(self) -> np.random.Generator:
        entropy = default_generator.reserve(1) if self.seed is None else (self.seed, self.epoch)
        self.epoch += 1
        return np.random.default_rng(list(entropy))


class RandomSampler(_Random):
    """The items of `data_source` in random order; with `replacement`, `num_samples` of them drawn independently."""

    def __init__(
        self, data_source: Any, replacement: bool = False, num_samples: int | None = None, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.data_source = data_source
        self.replacement = replacement
        self.num_samples = len(data_source) if num_samples is None else integer("num_samples", num_samples)

    def __iter__(self) -> Iterator[int]:
        random, size = self._random(), len(self.data_source)
        if self.replacement:
            return iter(random.integers(0, size, self.num_samples).tolist())
        rounds = [random.permutation(size) for _ in range(-(-self.num_samples // max(size, 1)))]
        order = np.concatenate(rounds) if rounds else np.arange(0)
        return iter(order[: self.num_samples].tolist())

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(_Random):
    """The items at `indices`, in random order."""

    def __init__(self, indices: Sequence[int], seed: int | None = None) -> None:
        super().__init__(seed)
        self.indices = np.asarray(indices, np.int64)

    def __iter__(self) -> Iterator[int]:
        return iter(self._random().permutation(self.indices).tolist())

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(_Random):
    """`num_samples` items drawn in proportion to their `weights`, which need not add up to 1.

    Raises ValueError for weights that are negative, not finite or all zero, and, without `replacement`, for more
    samples than there are items of a positive weight.
    """

    def __init__(
        self, weights: Sequence[float], num_samples: int, replacement: bool = True, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.weights = np.asarray(weights, np.float64)
        self.num_samples = integer("num_samples", num_samples)
        self.replacement = replacement
        if self.weights.ndim != 1 or not np.isfinite(self.weights).all() or (self.weights < 0).any():
            raise ValueError("weights must be one number for each item, finite and not negative")
        positive = np.count_nonzero(self.weights)
        if not positive or (not replacement and self.num_samples > positive):
            raise ValueError(f"num_samples={num_samples} cannot be drawn: {positive} items have a positive weight")

    def __iter__(self) -> Iterator[int]:
        shares = self.weights / self.weights.sum()
        drawn = self._random().choice(len(shares), self.num_samples, self.replacement, shares)
        return iter(drawn.tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler:
    """Lists of `batch_size` numbers of a `sampler`; the last may be shorter, or is left out if `drop_last`."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool = False) -> None:
        self.sampler = sampler
        self.batch_size = integer("batch_size", batch_size)
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        full, rest = divmod(len(self.sampler), self.batch_size)  # type: ignore[arg-type]
        return full + (rest > 0 and not self.drop_last)
