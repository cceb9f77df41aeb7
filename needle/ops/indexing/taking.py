"""Taking elements by arrays of indices, and one-hot vectors.

An index below 0 counts from the end of its axis. An index outside its axis raises IndexError where the indices
are known on the host: given as Python or NumPy data, or in a tensor made from such. Where only the device
knows them, nobody waits to look: such an index takes NaN (0 of integers), its gradient is dropped, and no
memory outside the array is touched.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array import NDArray
from needle.array.views import normalize_axis
from needle.autograd import Op, Value
from needle.backend.records import Example, Operand, Primitive
from needle.dtypes import (
    DEFAULT_FLOAT,
    DType,
    DTypeLike,
    Shape,
    as_dtype,
    compute_dtype,
    int32,
    int64,
    is_float,
    is_integer,
)
from needle.ops.base import data_of, method, takes_tensor
from needle.ops.comparison import equal
from needle.ops.creation import DeviceLike, as_device, as_tensor
from needle.ops.shape import astype, broadcast_to, expand_dims, reshape
from needle.strides import broadcast_shapes

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["one_hot", "take", "take_along_axis"]

Signature = tuple[tuple[Shape, DType], ...]

# -- the primitives ---------------------------------------------------------------------------------


def resolve_indices(indices: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The indices counted from the front, 0 where they are out of range, and where they are in range."""
    counted = np.where(indices < 0, indices + size, indices)
    valid = (counted >= 0) & (counted < size)
    return np.where(valid, counted, 0), valid


def _missing(dtype: DType) -> Any:
    return dtype.type(np.nan if is_float(dtype) else 0)


def _take_reference(x: np.ndarray, indices: np.ndarray, *, axis: int) -> np.ndarray:
    counted, valid = resolve_indices(indices, x.shape[axis])
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    if x.shape[axis] == 0:
        return np.full(shape, _missing(x.dtype))
    mask = valid.reshape((*valid.shape, *(1,) * (x.ndim - axis - 1)))
    return np.where(mask, np.take(x, counted, axis), _missing(x.dtype))


def _along_reference(x: np.ndarray, indices: np.ndarray, *, axis: int) -> np.ndarray:
    counted, valid = resolve_indices(indices, x.shape[axis])
    if x.shape[axis] == 0:
        return np.full(indices.shape, _missing(x.dtype))
    return np.where(valid, np.take_along_axis(x, counted, axis), _missing(x.dtype))


def _scatter_reference(indices: np.ndarray, updates: np.ndarray, *, axis: int, size: int) -> np.ndarray:
    counted, valid = resolve_indices(indices.reshape(-1), size)
    outer, inner = updates.shape[:axis], updates.shape[axis + indices.ndim :]
    sums = np.zeros((size, *outer, *inner), compute_dtype(updates.dtype))
    rows = np.moveaxis(updates.reshape(*outer, indices.size, *inner), axis, 0)
    np.add.at(sums, counted[valid], rows[valid])
    return np.moveaxis(sums, 0, axis).astype(updates.dtype)


def _scatter_along_reference(indices: np.ndarray, updates: np.ndarray, *, axis: int, size: int) -> np.ndarray:
    counted, valid = resolve_indices(indices, size)
    shape = (*updates.shape[:axis], size, *updates.shape[axis + 1 :])
    sums = np.zeros(shape, compute_dtype(updates.dtype))
    places: list[Any] = list(np.indices(updates.shape, sparse=True))
    places[axis] = counted
    np.add.at(sums, tuple(np.broadcast_to(p, updates.shape)[valid] for p in places), updates[valid])
    return sums.astype(updates.dtype)


def _take_signature(x: Any, indices: Any, *, axis: int) -> Signature:
    return (((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype),)


def _along_signature(x: Any, indices: Any, *, axis: int) -> Signature:
    return ((indices.shape, x.dtype),)


def _scatter_signature(indices: Any, updates: Any, *, axis: int, size: int) -> Signature:
    inner = updates.shape[axis + len(indices.shape) :]
    return (((*updates.shape[:axis], size, *inner), updates.dtype),)


def _scatter_along_signature(indices: Any, updates: Any, *, axis: int, size: int) -> Signature:
    return (((*updates.shape[:axis], size, *updates.shape[axis + 1 :]), updates.dtype),)


def _elements_taken(x: Any, indices: Any, *, axis: int) -> int:
    return prod(_take_signature(x, indices, axis=axis)[0][0])


def _elements_taken_along(x: Any, indices: Any, *, axis: int) -> int:
    return prod(indices.shape)


def _additions(indices: Any, updates: Any, *, axis: int, size: int) -> int:
    return prod(updates.shape)


#: Shapes of x, each with the shape of indices and the axis that they are along.
_TAKES: tuple[tuple[Shape, Shape, int], ...] = (
    *(((7,), (19,), 0), ((7, 5), (4,), 0), ((7, 5), (4,), 1), ((7, 5), (2, 3), 1), ((7, 5), (), 0)),
    *(((37, 53), (19,), 0), ((37, 53), (19,), 1)),
    *(((3, 70, 33), (19,), axis) for axis in range(3)),
    *(((4, 5), (0,), 0), ((0, 5), (3,), 0), ((4, 0), (3,), 0)),
)


def _replaced(shape: Shape, axis: int, by: Shape) -> Shape:
    return (*shape[:axis], *by, *shape[axis + 1 :])


def _indices(shape: Shape, size: int, dtype: DType = int64) -> Operand:
    """Indices of an axis of `size` elements, counted from either end; a few are out of range."""
    return Operand(shape, dtype, -size - 2, size + 2)


TAKE = Primitive(
    "take", _take_reference, _take_signature, reads=_elements_taken,
    strided=True,
    examples=(
        *(Example((Operand(x), _indices(taken, x[axis])), {"axis": axis}) for x, taken, axis in _TAKES),
        Example((Operand((7, 5)), _indices((4,), 7, int32)), {"axis": 0}),
    ),
    family="gathering",
)  # fmt: skip
TAKE_ALONG_AXIS = Primitive(
    "take_along_axis", _along_reference, _along_signature, reads=_elements_taken_along,
    strided=True,
    examples=(
        *(Example((Operand(x), _indices(x, x[axis])), {"axis": axis}) for x, _, axis in _TAKES),
        Example((Operand((37, 53)), _indices((37, 3), 53)), {"axis": 1}),
        Example((Operand((0, 5)), _indices((3, 5), 0)), {"axis": 0}),
    ),
    family="gathering",
)  # fmt: skip
SCATTER_ADD = Primitive(
    "scatter_add", _scatter_reference, _scatter_signature, _additions,
    strided=True,
    kinds="iuf",
    examples=tuple(
        Example((_indices(taken, x[axis]), Operand(_replaced(x, axis, taken))), {"axis": axis, "size": x[axis]})
        for x, taken, axis in _TAKES
    ),
    family="gathering",
)  # fmt: skip
SCATTER_ADD_ALONG_AXIS = Primitive(
    "scatter_add_along_axis", _scatter_along_reference, _scatter_along_signature, _additions,
    strided=True,
    kinds="iuf",
    examples=(
        *(Example((_indices(x, x[axis]), Operand(x)), {"axis": axis, "size": x[axis]}) for x, _, axis in _TAKES),
        Example((_indices((37, 53), 3), Operand((37, 53))), {"axis": 1, "size": 3}),
        Example((_indices((0, 5), 3), Operand((0, 5))), {"axis": 0, "size": 3}),
    ),
    family="gathering",
)  # fmt: skip


# -- the operations ---------------------------------------------------------------------------------


class Take(Op):
    """Arguments: x, indices. The indices' axes stand in the result where `axis` was."""

    name = "take"
    primitive = TAKE

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def compute(self, x: NDArray, indices: NDArray) -> NDArray:
        return x.run(self.primitive, indices, axis=self.axis)

    def vjp(self, index: int, grad: Any, output: Any, x: Any, indices: Any) -> Any:
        return ScatterAdd(self.axis, x.shape[self.axis])(indices, grad) if index == 0 else None

    def __repr__(self) -> str:
        return f"{self.name}(axis={self.axis})"


class ScatterAdd(Op):
    """Arguments: indices, updates. Zeros, `size` of them along `axis`, plus the updates at the indices."""

    name = "scatter_add"
    primitive = SCATTER_ADD

    def __init__(self, axis: int, size: int) -> None:
        self.axis = axis
        self.size = size

    def compute(self, indices: NDArray, updates: NDArray) -> NDArray:
        return indices.run(self.primitive, updates, axis=self.axis, size=self.size)

    def vjp(self, index: int, grad: Any, output: Any, indices: Any, updates: Any) -> Any:
        return Take(self.axis)(grad, indices) if index == 1 else None

    def __repr__(self) -> str:
        return f"{self.name}(axis={self.axis}, size={self.size})"


class TakeAlongAxis(Take):
    """Arguments: x, indices, of one shape but for `axis`."""

    name = "take_along_axis"
    primitive = TAKE_ALONG_AXIS

    def vjp(self, index: int, grad: Any, output: Any, x: Any, indices: Any) -> Any:
        return ScatterAddAlongAxis(self.axis, x.shape[self.axis])(indices, grad) if index == 0 else None


class ScatterAddAlongAxis(ScatterAdd):
    """Arguments: indices, updates, of one shape."""

    name = "scatter_add_along_axis"
    primitive = SCATTER_ADD_ALONG_AXIS

    def vjp(self, index: int, grad: Any, output: Any, indices: Any, updates: Any) -> Any:
        return TakeAlongAxis(self.axis)(grad, indices) if index == 1 else None


# -- indices ----------------------------------------------------------------------------------------


def check_index_bounds(indices: Any, size: int, what: str, *, from_end: bool = False) -> None:
    """Raise IndexError, naming the index and the range, if a host-known index lies outside [0, size).

    `what` names the index in the message ("label", "take: index"). With `from_end` an index may also count
    from the end, down to -size. Indices that only the device knows pass.
    """
    if isinstance(indices, np.ndarray):
        bounds = (int(indices.min()), int(indices.max())) if indices.size else ()
    else:
        bounds = getattr(data_of(indices), "host_bounds", None) or ()
    check_in_range(bounds, size, what, from_end=from_end)


def check_in_range(indices: Iterable[int], size: int, what: str, *, from_end: bool = False) -> None:
    """Raise IndexError as `check_index_bounds` does, for one of a few indices outside its range."""
    lowest = -size if from_end else 0
    for index in indices:
        if not lowest <= index < size:
            valid = f"it must be from {lowest} to {size - 1}" if size else "there is nothing to choose from"
            raise IndexError(f"{what} {index} is out of range: {valid}")


def as_indices(indices: Any, size: int, what: str, device: DeviceLike = None, *, from_end: bool = False) -> Any:
    """`indices` (tensor, array, NumPy array, int or nested list) as a tensor or array of int32 or int64.

    What comes from the host goes to `device`. Raises TypeError for other than integers, IndexError as
    `check_index_bounds` does.
    """
    if not isinstance(indices, (Value, NDArray)):
        host = np.asarray(indices)
        if host.size == 0 and not isinstance(indices, np.ndarray):
            host = host.astype(int64)  # NumPy takes an empty list for floats
        _check_integer(host.dtype, what)
        check_index_bounds(host, size, what, from_end=from_end)
        return NDArray.from_numpy(host.astype(int64, copy=False), as_device(device))
    dtype = data_of(indices).dtype
    _check_integer(dtype, what)
    check_index_bounds(indices, size, what, from_end=from_end)
    if dtype in (int32, int64):
        return indices
    return astype(indices, int64 if dtype.itemsize >= 4 else int32)  # type: ignore[arg-type]


def _check_integer(dtype: DType, what: str) -> None:
    if not is_integer(dtype):
        raise TypeError(f"{what} must be an integer; the dtype is {dtype}")


# -- the functions ----------------------------------------------------------------------------------


@takes_tensor
@method
def take(x: Tensor, indices: Any, axis: int | None = None) -> Tensor:
    """The elements, or slices, of x at `indices` along `axis`; NumPy's `take`.

    `indices` is an integer tensor, NumPy array, nested list or int, of any shape; its axes stand in the result
    where `axis` was: x.shape[:axis] + indices.shape + x.shape[axis + 1:]. Without an axis, x is flattened
    first. Negative indices count from the end. The gradient of an element taken several times is the sum.

    Raises IndexError for a host-known index out of range (one known on the device alone takes NaN, of
    integers 0), TypeError for indices that are not integers, ValueError for an axis that x does not have.
    """
    if axis is None:
        x, axis = reshape(x, (data_of(x).size,)), 0
    axis = normalize_axis(axis, x.ndim)
    found = as_indices(indices, x.shape[axis], "take: index", x.device, from_end=True)
    return Take(axis)(x, found)


@takes_tensor
def take_along_axis(x: Tensor, indices: Any, axis: int = -1) -> Tensor:
    """For each place of `indices`, the element of x there, but along `axis` at the index; NumPy's function.

    x and `indices` have equally many axes and broadcast together except along `axis`, where the result has as
    many elements as `indices`. The rest is as for `take`. Raises ValueError where the shapes do not fit.
    """
    axis = normalize_axis(axis, x.ndim)
    found = as_indices(indices, x.shape[axis], "take_along_axis: index", x.device, from_end=True)
    if found.ndim != x.ndim:
        raise ValueError(f"take_along_axis: indices of shape {found.shape} and x of shape {x.shape} differ in axes")
    others = broadcast_shapes(*((*t.shape[:axis], 1, *t.shape[axis + 1 :]) for t in (x, found)))
    spread, found = (
        broadcast_to(t, (*others[:axis], t.shape[axis], *others[axis + 1 :])) for t in (x, found)
    )  # fmt: skip
    return TakeAlongAxis(axis)(spread, found)


def one_hot(indices: Any, num_classes: int, dtype: DTypeLike = DEFAULT_FLOAT, device: DeviceLike = None) -> Tensor:
    """For each index a vector of `num_classes` zeros with a one at the index, along a new last axis.

    `indices` is an integer tensor, array, NumPy array, nested list or int; an array gives an array. The vectors are
    computed where they are used, in the same kernel. Host data goes to `device`, by default the default device. An
    index that is out of range (here a negative one is, too) raises IndexError where it is known on the host, else
    its vector is all zeros. Raises TypeError for other than integers, in `num_classes` too.
    """
    num_classes = operator.index(num_classes)
    found = as_indices(indices, num_classes, "one_hot: index", device)
    if not isinstance(indices, (Value, NDArray)):
        found = as_tensor(found)
    classes: Any = NDArray.from_numpy(np.arange(num_classes, dtype=found.dtype), found.device)
    return astype(equal(expand_dims(found, -1), classes), as_dtype(dtype))
