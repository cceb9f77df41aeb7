"""Reading, adding and writing at arrays of indices, one for each of some axes: three ops, and what they compute.

The arrays become one array of indices of an axis that stands for all of theirs (`needle.array.views.join_axes`), by
NumPy where the host has them, else by one launch. Then one launch gathers, adds or writes. An index that only the
device knows to be out of range takes NaN (0 of integers), adds nothing and writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from needle.array import NDArray, evaluation, recording
from needle.array.ndarray import cast
from needle.array.views import Geometry, Joined, join_axes
from needle.array.writing import fitted, run_into, source
from needle.autograd import Op
from needle.backend.protocol import Device
from needle.backend.records import Elementwise, Example, Operand, Primitive
from needle.dtypes import Shape, int64
from needle.ops.base import data_of
from needle.ops.comparison import where
from needle.ops.indexing.parsing import as_index_array
from needle.ops.indexing.taking import SCATTER_ADD, TAKE, resolve_indices
from needle.strides import broadcast_shapes, contiguous_strides


def _put_reference(x: np.ndarray, indices: np.ndarray, updates: np.ndarray) -> np.ndarray:
    counted, valid = resolve_indices(indices.reshape(-1), len(x))
    result = x.copy()
    result[counted[valid]] = updates.reshape(indices.size, *x.shape[1:])[valid]
    return result


def _put_signature(x: Any, indices: Any, updates: Any) -> Any:
    return ((x.shape, x.dtype),)


#: Arguments: x, indices of its first axis, updates of the indices' axes and x's other axes. Of several updates at one
#: index the last remains. The kernel also writes into x itself (`needle.array.writing.run_into`).
PUT = Primitive(
    "put", _put_reference, _put_signature,
    strided=True,
    examples=tuple(
        Example((Operand(x), Operand(taken, int64, -x[0] - 2, x[0] + 2), Operand((*taken, *x[1:]))))
        for x, taken in (
            *(((7,), (19,)), ((7, 5), (4,)), ((37, 53), (2, 3)), ((3, 7, 5), (4,))),
            *(((4, 5), (0,)), ((4, 0), (3,))),
        )
    ),
    family="gathering",
)  # fmt: skip


def _distance_reference(index: Any, size: Any, weight: Any) -> Any:
    outside = np.array(_OUTSIDE).astype(np.result_type(index))
    return np.where((index < size) & (index >= -size), np.where(index < 0, index + size, index) * weight, outside)


#: Added to any distances of indices in range, and to itself a few times, it is negative and out of range.
_OUTSIDE = -(1 << 57)


#: An index of an axis, counted from the front, times a weight; far below 0 if it is out of range. The operands are the
#: indices, the axis's size and the weight.
DISTANCE = Elementwise(
    "distance", f"((x < y) & (x >= -y)) ? ((x < LIT(T, 0)) ? x + y : x) * z : LIT(T, {_OUTSIDE}L)", _distance_reference,
    arity=3,
    kinds="i",
)  # fmt: skip


# -- arrays ------------------------------------------------------------------------------------------


def joined_index(joined: Joined, sizes: Sequence[int], indices: Sequence[Any], device: Device) -> NDArray:
    """Arrays of indices of axes with these `sizes` as one array of indices of the joined axis."""
    total: Any
    if all(isinstance(i, np.ndarray) for i in indices):
        total = joined.shift
        for index, size, weight in zip(indices, sizes, joined.weights, strict=True):
            total = total + np.where(index < 0, index + size, index) * weight
        return as_index_array(np.asarray(total), device)
    total = None
    for index, size, weight in zip(indices, sizes, joined.weights, strict=True):
        array = cast(as_index_array(index, device), int64)
        distance = recording.elementwise(DISTANCE, (array, size, weight))
        total = distance if total is None else total + distance
    return total + joined.shift if joined.shift else total


def gather_at(x: NDArray, axes: Sequence[int], at: int, indices: Sequence[Any]) -> NDArray:
    """What `indices` select along `axes` of x; their axes stand at position `at` of the result."""
    x.realize()
    if len(axes) == 1:
        order = [a for a in range(x.ndim) if a != axes[0]]
        order.insert(at, axes[0])
        rows = x if order == sorted(order) else x.permute(order)
        index = as_index_array(indices[0], x.device)
    else:
        joined = join_axes(x.geometry, axes, at)
        rows = x.window(joined.geometry)
        index = joined_index(joined, [x.shape[a] for a in axes], indices, x.device)
    result: NDArray = rows.run(TAKE, index, axis=at)
    return result


def add_at(shape: Shape, axes: Sequence[int], at: int, updates: NDArray, indices: Sequence[Any]) -> NDArray:
    """Zeros of `shape`, plus `updates` where `indices` select along `axes`: what undoes `gather_at`."""
    sizes = [shape[a] for a in axes]
    others = [a for a in range(len(shape)) if a not in axes]
    order = [*others[:at], *axes, *others[at:]]
    arranged = tuple(shape[a] for a in order)
    if len(axes) == 1:
        index = as_index_array(indices[0], updates.device)
    else:
        joined = join_axes(Geometry(tuple(sizes), contiguous_strides(tuple(sizes)), 0), range(len(axes)), 0)
        index = joined_index(joined, sizes, indices, updates.device)
    sums: NDArray = index.run(SCATTER_ADD, updates, axis=at, size=prod(sizes))
    return sums.reshape(arranged).permute(sorted(range(len(order)), key=order.__getitem__))


def put_at(x: NDArray, axes: Sequence[int], at: int, values: Any, indices: Sequence[Any]) -> None:
    """Write `values`, broadcast and cast, into the realized view x where `indices` select along `axes`."""
    common = broadcast_shapes(*(i.shape for i in indices))
    others = [a for a in range(x.ndim) if a not in axes]
    rest = [x.shape[a] for a in others]
    updates = fitted(source(values, x).realize(), (*rest[:at], *common, *rest[at:]))
    if not updates.size:
        return
    width = len(common)
    updates = updates.permute([*range(at, at + width), *range(at), *range(at + width, updates.ndim)])
    joined = join_axes(x.geometry, axes, 0)
    if joined.overlaps:  # every axis gets an array of indices
        indices = [_spread(i, len(rest)) for i in indices]
        indices += [np.arange(n).reshape(n, *(1,) * (len(rest) - 1 - k)) for k, n in enumerate(rest)]
        axes = [*axes, *others]
        joined = join_axes(x.geometry, axes, 0)
    if len(axes) == 1 and joined.weights == (1,):
        index = as_index_array(indices[0], x.device)
    else:
        index = joined_index(joined, [x.shape[a] for a in axes], indices, x.device)
    run_into(PUT, x.window(joined.geometry), index, updates)


def _spread(indices: Any, axes: int) -> Any:
    """`indices` with so many further axes of size 1."""
    return (indices if isinstance(indices, np.ndarray) else data_of(indices)).reshape((*indices.shape, *(1,) * axes))


def remaining(shape: Shape, axes: Sequence[int], indices: Sequence[Any], device: Device) -> NDArray:
    """Of each place of `indices`, whether what is put there remains, for no later place has the same indices."""
    common = broadcast_shapes(*(i.shape for i in indices))
    numbers = NDArray.from_numpy(np.arange(1, prod(common) + 1).reshape(common), device)
    table = recording.constant(tuple(shape[a] for a in axes), 0, int64, device).realize()
    every = range(len(axes))
    put_at(table, every, 0, numbers, indices)
    result: NDArray = gather_at(table, every, 0, indices) == numbers
    return result


# -- the graph ---------------------------------------------------------------------------------------


class _At(Op):
    """An op whose last arguments are arrays of indices of `axes`, whose own axes stand at `at`."""

    def __init__(self, axes: Sequence[int], at: int) -> None:
        self.axes = tuple(axes)
        self.at = at

    def __repr__(self) -> str:
        return f"{self.name}(axes={self.axes}, at={self.at})"


class GatherAt(_At):
    """Arguments: x, indices."""

    name = "getitem"

    def compute(self, x: NDArray, *indices: Any) -> NDArray:
        return gather_at(x, self.axes, self.at, indices)

    def vjp(self, index: int, grad: Any, output: Any, x: Any, *indices: Any) -> Any:
        return AddAt(self.axes, self.at, x.shape)(grad, *indices) if index == 0 else None


class AddAt(_At):
    """Arguments: updates, indices. Zeros of `shape` plus the updates at the indices."""

    name = "add_at"

    def __init__(self, axes: Sequence[int], at: int, shape: Shape) -> None:
        super().__init__(axes, at)
        self.shape = shape

    def compute(self, updates: NDArray, *indices: Any) -> NDArray:
        return add_at(self.shape, self.axes, self.at, updates, indices)

    def vjp(self, index: int, grad: Any, output: Any, updates: Any, *indices: Any) -> Any:
        return GatherAt(self.axes, self.at)(grad, *indices) if index == 0 else None


class PutAt(_At):
    """Arguments: x, values, indices. A copy of x with the values at the indices; the last of several remains."""

    name = "put"

    def compute(self, x: NDArray, values: Any, *indices: Any) -> NDArray:
        result = evaluation.copy(x).realize()
        put_at(result, self.axes, self.at, values, indices)
        return result

    def vjp(self, index: int, grad: Any, output: Any, x: Any, values: Any, *indices: Any) -> Any:
        if index == 0:
            return PutAt(self.axes, self.at)(grad, 0, *indices)
        if index > 1:
            return None
        arrays = [i if isinstance(i, np.ndarray) else data_of(i) for i in indices]
        kept: Any = remaining(x.shape, self.axes, arrays, x.device)
        after = len(x.shape) - len(self.axes) - self.at
        return where(kept.reshape((*kept.shape, *(1,) * after)), GatherAt(self.axes, self.at)(grad, *indices), 0)


class PutInto(PutAt):
    """The same, into x itself."""

    def compute(self, x: NDArray, values: Any, *indices: Any) -> NDArray:
        put_at(x.realize(), self.axes, self.at, values, indices)
        return x
