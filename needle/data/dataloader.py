"""`DataLoader`: a data set in mini-batches on a device."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from needle.backend.protocol import Device
from needle.checks import integer
from needle.data.combining import IterableDataset
from needle.data.dataset import Dataset, map_arrays, stack
from needle.data.samplers import Sampler
from needle.data.workers import Fetch, WorkerPool
from needle.ops.creation import as_device, asarray
from needle.ops.random import default_generator

__all__ = ["DataLoader"]


class DataLoader:
    """Goes through a data set in batches: tuples of tensors, one for each element of an item.

    Items that are dicts give batches that are dicts; tuples and dicts may be nested. The tensors require no gradient
    and keep the dtype of the data; strings stay on the host, in a list. A batch is copied to the device at once.

    Args:
        dataset: a `Dataset`, or anything with `__getitem__` and `__len__`, such as a list of (x, y); or an
            `IterableDataset`, whose items are taken as they come.
        batch_size: items in a batch; the last one may have fewer.
        shuffle: whether to go through the items in a new random order each time.
        seed: what the orders depend on: with it, every run sees the same sequence of them. Without it each
            iteration takes a number from needle's generator, which `ndl.manual_seed` sets.
        drop_last: whether to leave out a last batch that is not full.
        device: where the batches go; by default the default device at the time of iteration.
        collate: makes an array, or a tuple or dict of arrays, of a list of items; by default they are stacked.
        collate_fn: PyTorch's name of `collate`.
        sampler: gives the numbers of the items in the order in which they are taken, instead of `shuffle`.
        batch_sampler: gives lists of numbers, a batch each, instead of `batch_size`, `shuffle`, `drop_last` and
            `sampler`.
        num_workers: processes that make batches ahead of their use; 0 makes each when it is asked for. They start
            at the first iteration, by 'spawn': the data set and `collate` must be picklable, and a script must do
            its work under `if __name__ == "__main__":`. Order and batches are the same as without. Python's, NumPy's
            and needle's random numbers depend in a worker on the seed, the epoch and the worker. An error in a
            worker is raised here. The processes end with the loader, or by `close()`.
        prefetch: how many batches are on the device ahead of the one in use; each takes its memory there. A batch is
            then copied while the device still computes with those before it.

    Raises:
        TypeError: for a data set without length or items, a number that is no int, and, at iteration, for a data set
            that cannot be pickled.
        ValueError: for a batch size below 1, a negative number of workers or of batches ahead, and for two arguments
            that say the same thing: `shuffle` and `sampler`, `collate` and `collate_fn`, or an order and an
            `IterableDataset`.
    """

    #: How often the data has been gone through, finished or not: with the seed it determines the next order.
    epoch: int

    def __init__(
        self,
        dataset: Dataset | IterableDataset | Sequence[Any],
        batch_size: int = 1,
        shuffle: bool = False,
        seed: int | None = None,
        drop_last: bool = False,
        device: Device | str | None = None,
        collate: Callable[[list[Any]], Any] | None = None,
        num_workers: int = 0,
        *,
        sampler: Sampler | None = None,
        batch_sampler: Iterable[Sequence[int]] | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        prefetch: int = 0,
    ) -> None:
        streams = isinstance(dataset, IterableDataset)
        if not streams and (not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__")):
            raise TypeError(f"a data set needs __getitem__ and __len__; {type(dataset).__name__} has not both")
        _check_one(shuffle=shuffle, sampler=sampler, batch_sampler=batch_sampler)
        _check_one(collate=collate, collate_fn=collate_fn)
        if streams:
            _check_one(
                dataset=dataset, shuffle=shuffle, sampler=sampler, batch_sampler=batch_sampler, workers=num_workers
            )
        elif batch_sampler is not None and (batch_size != 1 or drop_last):
            raise ValueError("batch_sampler makes the batches: leave out batch_size and drop_last")
        self.dataset: Any = dataset
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.batch_size = integer("batch_size", batch_size)
        self.shuffle = shuffle
        self.seed: int | None = None if seed is None else integer("seed", seed, 0)
        self.drop_last = drop_last
        self.device = device
        self.collate = collate if collate_fn is None else collate_fn
        self.num_workers = integer("num_workers", num_workers, 0)
        self.prefetch = integer("prefetch", prefetch, 0)
        self.epoch = 0
        self._pool: WorkerPool | None = None

    def __len__(self) -> int:
        """The number of batches."""
        if self.batch_sampler is not None:
            return len(self.batch_sampler)  # type: ignore[arg-type]
        full, rest = divmod(len(self.dataset if self.sampler is None else self.sampler), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        if isinstance(self.dataset, IterableDataset):
            return self._ahead(map(self._on_device, self._streamed()))
        seed, epoch = self._entropy()
        self.epoch += 1
        if self.batch_sampler is not None:
            chunks = [np.asarray(chunk, np.int64) for chunk in self.batch_sampler]
        else:
            order = np.arange(len(self.dataset)) if self.sampler is None else np.array([*self.sampler], np.int64)
            if self.shuffle:
                order = np.random.default_rng([seed, epoch]).permutation(order)
            starts = range(0, len(self) * self.batch_size, self.batch_size)
            chunks = [order[start : start + self.batch_size] for start in starts]
        return self._batches(chunks, (seed, epoch + 1))

    def _streamed(self) -> Iterator[Any]:
        """The batches of an `IterableDataset`, on the host."""
        items = iter(self.dataset)
        while batch := list(islice(items, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield stack(batch) if self.collate is None else self.collate(batch)

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
        yield from self._ahead(map(self._on_device, made))

    def _ahead(self, batches: Iterator[Any]) -> Iterator[Any]:
        """`batches`, each handed out when `prefetch` more of them have been made."""
        waiting = deque(islice(batches, self.prefetch))
        for batch in batches:
            waiting.append(batch)
            yield waiting.popleft()
        yield from waiting

    def _on_device(self, batch: Any) -> Any:
        to_device = partial(asarray, device=as_device(self.device))
        return map_arrays(to_device, batch if isinstance(batch, (tuple, Mapping)) else (batch,))

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


def _check_one(**arguments: Any) -> None:
    """Raise ValueError, naming them, if two of the arguments are given that exclude each other."""
    given = [name for name, value in arguments.items() if value is not None and value is not False and value != 0]
    if len(given) > 1:
        raise ValueError(f"{given[0]} and {given[1]} exclude each other; give one of them")


def _fetch(dataset: Any, collate: Callable[[list[Any]], Any] | None, indices: np.ndarray) -> Any:
    """The items at `indices` as a batch on the host: an array, or a tuple or dict of arrays."""
    if collate is not None:
        return collate([dataset[int(i)] for i in indices])
    if hasattr(dataset, "batch"):
        return dataset.batch(indices)
    return stack([dataset[int(i)] for i in indices])
