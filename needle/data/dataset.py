"""`Dataset`: items found by their number; `TensorDataset`: the rows of arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from needle import ops
from needle.dtypes import promote
from needle.tensor import Tensor

__all__ = ["Dataset", "NDArrayDataset", "TensorDataset"]

Transform = Callable[[Any], Any]


class Dataset:
    """A data set of items numbered from 0. Subclass it and define `__getitem__` and `__len__`.

    Args:
        transforms: functions that `apply_transforms` applies one after the other, as in the course.
    """

    #: What `apply_transforms` applies; empty too where a subclass does not call `super().__init__()`.
    transforms: Sequence[Transform] = ()

    def __init__(self, transforms: Sequence[Transform] | None = None) -> None:
        self.transforms = list(transforms or ())

    def __getitem__(self, index: int) -> Any:
        """Item `index`: an array, a number, a string, or a tuple or dict of those. IndexError beyond the last."""
        raise NotImplementedError(f"{type(self).__name__} defines no __getitem__")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} defines no __len__")

    def batch(self, indices: np.ndarray) -> Any:
        """The items at `indices` stacked along a new first axis, as `stack` does it.

        `DataLoader` calls it. Override it where a batch can be had faster than item by item.
        """
        return stack([self[int(i)] for i in indices])

    def apply_transforms(self, x: Any) -> Any:
        """`x` after all the transforms, in order."""
        for transform in self.transforms:
            x = transform(x)
        return x


class TensorDataset(Dataset):
    """The rows of arrays: item i is the tuple of `array[i]` for each array.

    A batch of NumPy arrays is cut out on the host; one of tensors on their device, without a copy through the
    host. Integer arrays, such as labels, keep their dtype.

    Args:
        arrays: tensors, NumPy arrays or nested sequences with equally many rows.

    Raises:
        ValueError: for no array, one without rows to number (0-d), or arrays of different lengths.
    """

    def __init__(self, *arrays: Any) -> None:
        super().__init__()
        if not arrays:
            raise ValueError("TensorDataset needs at least one array")
        self.arrays = tuple(a.detach() if isinstance(a, Tensor) else _as_host(a) for a in arrays)
        for i, array in enumerate(self.arrays):
            if array.ndim == 0:
                raise ValueError(f"array {i} of a TensorDataset is 0-d: it has no rows")
        lengths = [len(array) for array in self.arrays]
        if len(set(lengths)) > 1:
            raise ValueError(f"the arrays of a TensorDataset have different lengths: {', '.join(map(str, lengths))}")

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(array[index] for array in self.arrays)

    def __len__(self) -> int:
        return len(self.arrays[0])

    def batch(self, indices: np.ndarray) -> tuple[Any, ...]:
        return tuple(ops.take(a, indices, axis=0) if isinstance(a, Tensor) else a[indices] for a in self.arrays)


def stack(items: Sequence[Any]) -> Any:
    """Items of one form stacked along a new first axis.

    Arrays, numbers and lists of numbers give an array: Python's ints become int64, its floats float32. Tuples give a
    tuple and dicts a dict, each element stacked by itself; they may be nested. Strings give a list of strings.
    Raises ValueError where the items' shapes, lengths or keys differ.
    """
    first = items[0]
    if isinstance(first, Mapping):
        if any(not isinstance(item, Mapping) or item.keys() != first.keys() for item in items):
            raise ValueError(f"the items of a batch are dicts of different keys; the first has {list(first)}")
        return {key: stack([item[key] for item in items]) for key in first}
    if isinstance(first, tuple):
        if any(not isinstance(item, tuple) or len(item) != len(first) for item in items):
            raise ValueError("the items of a batch are tuples of different lengths")
        columns = (stack(column) for column in zip(*items, strict=True))
        return type(first)(*columns) if hasattr(first, "_fields") else tuple(columns)
    if isinstance(first, (str, bytes)):
        return list(items)
    return _stack_arrays(items)


def map_arrays(function: Callable[[Any], Any], batch: Any) -> Any:
    """`batch` with `function` applied to each array in its tuples and dicts; strings and lists of them stay."""
    if isinstance(batch, Mapping):
        return {key: map_arrays(function, value) for key, value in batch.items()}
    if isinstance(batch, tuple):
        values = (map_arrays(function, value) for value in batch)
        return type(batch)(*values) if hasattr(batch, "_fields") else tuple(values)
    if isinstance(batch, (str, bytes)) or (isinstance(batch, list) and batch and isinstance(batch[0], (str, bytes))):
        return batch
    return function(batch)


def _stack_arrays(items: Sequence[Any]) -> np.ndarray:
    rows = [_as_host(item) for item in items]
    shapes = {row.shape for row in rows}
    if len(shapes) > 1:
        raise ValueError(
            f"items of different shapes, {' and '.join(map(str, sorted(shapes)))}, cannot be stacked into a batch; "
            "give the loader a `collate` that makes them fit"
        )
    dtype = reduce(promote, {row.dtype for row in rows})
    return np.stack([row.astype(dtype, copy=False) for row in rows])


def _as_host(data: Any) -> np.ndarray:
    """`data` as a NumPy array, Python floats in float32."""
    if isinstance(data, np.ndarray):
        return data
    host = np.asarray(data)
    if host.dtype == np.float64 and not hasattr(data, "dtype"):
        host = host.astype(np.float32)
    return host


#: The course's name.
NDArrayDataset = TensorDataset
