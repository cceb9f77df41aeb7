"""`DataLoader`: a data set in mini-batches on a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from needle.backend.protocol import Device
from needle.checks import integer
from needle.data.dataset import Dataset, map_arrays, stack
from needle.data.workers import Fetch, WorkerPool
from needle.ops.creation import as_device, asarray
from needle.ops.random import default_generator

__all__ = ["DataLoader"]


class DataLoader:
    """Goes through a data set in batches: tuples of tensors, one for each element of an item.

    Items that are dicts give batches that are dicts; tuples and dicts may be nested. The tensors require no gradient
    and keep the dtype of the data; strings stay on the host, in a list. A batch is copied to the device at once.

    Args:
        dataset: a `Dataset`, or anything with `__getitem__` and `__len__`, such as a list of (x, y).
        batch_size: items in a batch; the last one may have fewer.
        shuffle: whether to go through the items in a new random order each time.
        seed: what the orders depend on: with it, every run sees the same sequence of them. Without it each
            iteration takes a number from needle's generator, which `ndl.manual_seed` sets.
        drop_last: whether to leave out a last batch that is not full.
        device: where the batches go; by default the default device at the time of iteration.
        collate: makes an array, or a tuple or dict of arrays, of a list of items; by default they are stacked.
        num_workers: processes that make batches ahead of their use; 0 makes each when it is asked for. They start
            at the first iteration, by 'spawn': the data set and `collate` must be picklable, and a script must do
            its work under `if __name__ == "__main__":`. Order and batches are the same as without. Python's, NumPy's
            and needle's random numbers depend in a worker on the seed, the epoch and the worker. An error in a
            worker is raised here. The processes end with the loader, or by `close()`.

    Raises:
        TypeError: for a data set without length or items, a number that is no int, and, at iteration, for a data set
            that cannot be pickled.
        ValueError: for a batch size below 1, or a negative number of workers.
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
        num_workers: int = 0,
    ) -> None:
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise TypeError(f"a data set needs __getitem__ and __len__; {type(dataset).__name__} has not both")
        self.dataset = dataset
        self.batch_size = integer("batch_size", batch_size)
        self.shuffle = shuffle
        self.seed: int | None = None if seed is None else integer("seed", seed, 0)
        self.drop_last = drop_last
        self.device = device
        self.collate = collate
        self.num_workers = integer("num_workers", num_workers, 0)
        self.epoch = 0
        self._pool: WorkerPool | None = None

    def __len__(self) -> int:
        """The number of batches."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        seed, epoch = self._entropy()
        order = np.arange(len(self.dataset))
        if self.shuffle:
            order = np.random.default_rng([seed, epoch]).permutation(order)
        self.epoch += 1
        starts = range(0, len(self) * self.batch_size, self.batch_size)
        return self._batches([order[start : start + self.batch_size] for start in starts], (seed, epoch + 1))

    def _entropy(self) -> tuple[int, int]:
        """What this iteration's random choices depend on: the seed and the epoch, or a draw of needle's generator."""
        if self.seed is not None:
            return self.seed, self.epoch
        if self.shuffle or self.num_workers:
            return default_generator.reserve(1)
        return 0, self.epoch

    def close(self) -> None:
        """End the worker processes, if there are any; another iteration would start new ones."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _batches(self, chunks: list[np.ndarray], seed: tuple[int, int]) -> Iterator[Any]:
        fetch = partial(_fetch, self.dataset, self.collate)
        made = self._pool_for(fetch).batches(chunks, seed) if self.num_workers else map(fetch, chunks)
        for batch in made:
            to_device = partial(asarray, device=as_device(self.device))
            yield map_arrays(to_device, batch if isinstance(batch, (tuple, Mapping)) else (batch,))

    def _pool_for(self, fetch: Fetch) -> WorkerPool:
        """Workers that no other iteration is using."""
        pool = self._pool
        if pool is None or not pool.close.alive or not pool.idle:
            pool = WorkerPool(self.num_workers, fetch)
            if self._pool is None or not self._pool.close.alive:
                self._pool = pool
        return pool

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pool": None}


def _fetch(dataset: Any, collate: Callable[[list[Any]], Any] | None, indices: np.ndarray) -> Any:
    """The items at `indices` as a batch on the host: an array, or a tuple or dict of arrays."""
    if collate is not None:
        return collate([dataset[int(i)] for i in indices])
    if hasattr(dataset, "batch"):
        return dataset.batch(indices)
    return stack([dataset[int(i)] for i in indices])
