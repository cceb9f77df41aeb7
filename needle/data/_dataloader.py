"""`DataLoader`: a data set in mini-batches on a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import index
from typing import Any

import numpy as np

from needle.backend.protocol import Device
from needle.data._dataset import Dataset, stack
from needle.ops.creation import as_device
from needle.tensor import Tensor, asarray


class DataLoader:
    """Goes through a data set in batches: tuples of tensors, one for each element of an item.

    The tensors require no gradient and keep the dtype of the data. A batch is copied to the device at once.

    Args:
        dataset: a `Dataset`, or anything with `__getitem__` and `__len__`, such as a list of (x, y).
        batch_size: items in a batch; the last one may have fewer.
        shuffle: whether to go through the items in a new random order each time.
        seed: what the orders depend on: with it, every run sees the same sequence of them.
        drop_last: whether to leave out a last batch that is not full.
        device: where the batches go; by default the default device at the time of iteration.
        collate: makes an array, or a tuple of arrays, of a list of items; by default they are stacked.

    Raises:
        TypeError: for a data set without length or items.
        ValueError: for a batch size below 1.
    """

    #: How often the data has been gone through, finished or not: with the seed it determines the next order.
    epoch: int

    def __init__(
        self,
        dataset: Dataset | Sequence[Any],
        batch_size: int = 1,
        shuffle: bool = False,
        seed: int | None = None,
        drop_last: bool = False,
        device: Device | str | None = None,
        collate: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise TypeError(f"a data set needs __getitem__ and __len__; {type(dataset).__name__} has not both")
        if index(batch_size) < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1")
        if seed is not None and index(seed) < 0:
            raise ValueError(f"seed={seed} must not be negative")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed: int = np.random.SeedSequence().entropy if seed is None else seed  # type: ignore[assignment]
        self.drop_last = drop_last
        self.device = device
        self.collate = collate
        self.epoch = 0

    def __len__(self) -> int:
        """The number of batches."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        order = np.arange(len(self.dataset))
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(order)
        self.epoch += 1
        return self._batches(order, len(self))

    def _batches(self, order: np.ndarray, count: int) -> Iterator[tuple[Tensor, ...]]:
        for start in range(0, count * self.batch_size, self.batch_size):
            batch = self._fetch(order[start : start + self.batch_size])
            device = as_device(self.device)
            yield tuple(asarray(array, device=device) for array in (batch if isinstance(batch, tuple) else (batch,)))

    def _fetch(self, indices: np.ndarray) -> Any:
        """The items at `indices` as an array or a tuple of arrays."""
        if self.collate is not None:
            return self.collate([self.dataset[int(i)] for i in indices])
        if hasattr(self.dataset, "batch"):
            return self.dataset.batch(indices)
        return stack([self.dataset[int(i)] for i in indices])
