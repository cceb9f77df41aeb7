"""Sorting and what rests on it: sort, argsort, topk, kthvalue, median, quantile.

All of them count NaN as larger than any number, as PyTorch does: last in ascending order and first in descending order.
-0 and 0 are equal. Every sort is stable: equals keep their order, in either direction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from needle.array import NDArray
from needle.array.views import normalize_axis
from needle.autograd import Op, Value, is_grad_enabled
from needle.backend.records import Example, Operand, Primitive
from needle.checks import integer
from needle.dtypes import DType, Shape, float_for, int64
from needle.ops.base import method, takes_tensor
from needle.ops.comparison import equal, where
from needle.ops.indexing.taking import ScatterAddAlongAxis
from needle.ops.shape import astype, permute_dims, reshape, squeeze, stack

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["RankedResult", "argsort", "kthvalue", "median", "quantile", "sort", "topk"]

Signature = tuple[tuple[Shape, DType], ...]

#: The longest row: positions are carried in 32 bits.
LONGEST = (1 << 32) - 1

# -- the primitives: they sort along the last axis --------------------------------------------------


def _order(x: np.ndarray, descending: bool) -> np.ndarray:
    """The positions that sort x."""
    if not descending:
        return np.argsort(x, axis=-1, kind="stable")
    return x.shape[-1] - 1 - np.argsort(x[..., ::-1], axis=-1, kind="stable")[..., ::-1]


def _sort_reference(x: np.ndarray, *, descending: bool) -> tuple[np.ndarray, np.ndarray]:
    order = _order(x, descending)
    return np.take_along_axis(x, order, -1), order


def _topk_reference(x: np.ndarray, *, k: int, largest: bool) -> tuple[np.ndarray, np.ndarray]:
    order = _order(x, largest)[..., :k]
    return np.take_along_axis(x, order, -1), order


def _sort_signature(x: Any, *, descending: bool) -> Signature:
    return (x.shape, x.dtype), (x.shape, int64)


def _values_signature(x: Any, *, descending: bool) -> Signature:
    return ((x.shape, x.dtype),)


def _argsort_signature(x: Any, *, descending: bool) -> Signature:
    return ((x.shape, int64),)


def _topk_signature(x: Any, *, k: int, largest: bool) -> Signature:
    shape = (*x.shape[:-1], k)
    return (shape, x.dtype), (shape, int64)


#: Rows that are sorted by insertion, by one work-group, and by several.
_SHAPES: tuple[Shape, ...] = ((1,), (7,), (19, 5), (3, 37), (2, 3, 40), (201,), (3, 0), (0, 4))
_LONG_SHAPES: tuple[Shape, ...] = ((20011,), (3, 9001))


def _examples(*shapes: Shape, descending: tuple[bool, ...] = (False, True)) -> tuple[Example, ...]:
    return tuple(Example((Operand(shape),), {"descending": way}) for shape in shapes for way in descending)


SORT = Primitive(
    "sort", _sort_reference, _sort_signature, examples=_examples(*_SHAPES, *_LONG_SHAPES), family="sorting"
)
SORT_VALUES = Primitive(
    "sort_values", lambda x, *, descending: _sort_reference(x, descending=descending)[0], _values_signature,
    examples=_examples((3, 5), (3, 37), (3, 0), descending=(False,)), family="sorting",
)  # fmt: skip
ARGSORT = Primitive(
    "argsort", lambda x, *, descending: _order(x, descending), _argsort_signature,
    examples=_examples((3, 5), (3, 37), (3, 0), descending=(True,)), family="sorting",
)  # fmt: skip
TOPK = Primitive(
    "topk", _topk_reference, _topk_signature,
    examples=tuple(
        Example((Operand(shape),), {"k": k, "largest": largest})
        for shape, k in (((7,), 3), ((3, 5), 5), ((3, 57), 4), ((3, 37), 20), ((3, 0), 0), ((20011,), 100))
        for largest in (True, False)
    ),
    family="sorting",
)  # fmt: skip


# -- the operations ---------------------------------------------------------------------------------


class Sort(Op):
    """The sorted elements and their positions, along the last axis."""

    name = "sort"

    def __init__(self, descending: bool) -> None:
        self.descending = descending

    def compute(self, x: NDArray) -> tuple[NDArray, NDArray]:
        return x.run(SORT, descending=self.descending)

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return None if grad[0] is None else _placed(output[1], grad[0], x.shape[-1])


class TopK(Op):
    """The k largest or smallest elements in their order and their positions, along the last axis."""

    name = "topk"

    def __init__(self, k: int, largest: bool) -> None:
        self.k = k
        self.largest = largest

    def compute(self, x: NDArray) -> tuple[NDArray, NDArray]:
        return x.run(TOPK, k=self.k, largest=self.largest)

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return None if grad[0] is None else _placed(output[1], grad[0], x.shape[-1])


class _Plain(Op):
    """A primitive of one output that has no gradient, or is given none."""

    def __init__(self, primitive: Primitive, descending: bool) -> None:
        self.primitive = primitive
        self.name = primitive.name
        self.descending = descending

    def compute(self, x: NDArray) -> NDArray:
        return x.run(self.primitive, descending=self.descending)


def _placed(positions: Any, grad: Any, length: int) -> Any:
    """Zeros, `length` of them along the last axis, with the gradients where they came from."""
    return ScatterAddAlongAxis(positions.ndim - 1, length)(positions, grad)


# -- the functions ----------------------------------------------------------------------------------


class RankedResult(NamedTuple):
    """What `topk` and `kthvalue` return, as PyTorch names it."""

    values: Any
    indices: Any


def _last(x: Any, axis: int, what: str) -> tuple[Any, int]:
    """x with `axis` moved to the end, and the axis from the front. A single element has one axis to sort along."""
    place = normalize_axis(axis, max(x.ndim, 1))
    if x.ndim == 0:
        x = reshape(x, (1,))
    if x.shape[place] > LONGEST:
        raise ValueError(f"{what}: axis={axis} of shape {x.shape} has more than {LONGEST} elements")
    return _moved(x, place, x.ndim - 1), place


def _moved(x: Any, source: int, target: int) -> Any:
    """x with the axis at `source` moved to `target`."""
    if source == target:
        return x
    order = [a for a in range(x.ndim) if a != source]
    order.insert(target, source)
    return permute_dims(x, order)


def _back(result: Any, axis: int, x: Any) -> Any:
    """A result along the last axis with that axis where it was in x."""
    return _moved(result, result.ndim - 1, axis) if x.ndim else reshape(result, ())


@takes_tensor
@method
def sort(x: Tensor, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The elements of x in order along `axis` (Array API); NaN counts as the largest.

    Equals keep their order whatever `stable` says. The gradient goes to the places that the elements came from.
    Raises ValueError for an axis that x does not have.
    """
    last, place = _last(x, axis, "sort")
    if isinstance(x, Value) and x.requires_grad and is_grad_enabled():
        return _back(Sort(bool(descending))(last)[0], place, x)
    return _back(_Plain(SORT_VALUES, bool(descending))(last), place, x)


@takes_tensor
@method
def argsort(x: Tensor, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The int64 positions that sort x along `axis` (Array API); see `sort`."""
    last, place = _last(x, axis, "argsort")
    return _back(_Plain(ARGSORT, bool(descending))(last), place, x)


@takes_tensor
@method
def topk(x: Tensor, k: int, axis: int = -1, largest: bool = True, sorted: bool = True) -> RankedResult:
    """The `k` largest elements along `axis`, or the smallest, and their int64 positions (PyTorch).

    They are in order whatever `sorted` says, of equals the first ones first; NaN counts as the largest. Raises
    ValueError for an axis that x does not have, and unless 0 <= k <= the size of that axis.
    """
    count = integer("k", k, least=0)
    last, place = _last(x, axis, "topk")
    if count > last.shape[-1]:
        raise ValueError(f"topk: k={count} is more than the {last.shape[-1]} elements of axis {axis}")
    if x.ndim == 0 and count == 0:
        raise ValueError("topk: k=0 of a single element; expected k=1")
    values, positions = TopK(count, bool(largest))(last)
    return RankedResult(_back(values, place, x), _back(positions, place, x))


def _kept(result: Any, place: int, keepdims: bool, x: Any) -> Any:
    """A result with one element along the last axis: without the axis, or with it where it was in x."""
    if keepdims or x.ndim == 0:
        return _back(result, place, x)
    return squeeze(result, result.ndim - 1)


def _ranked(x: Any, rank: int) -> tuple[Any, Any]:
    """The element of each row that has so many before it in ascending order, and its position."""
    length = x.shape[-1]
    if rank < length - rank:
        values, positions = TopK(rank + 1, False)(x) if 8 * (rank + 1) <= length else Sort(False)(x)
        return values[..., rank : rank + 1], positions[..., rank : rank + 1]
    values, positions = Sort(False)(x)
    return values[..., rank : rank + 1], positions[..., rank : rank + 1]


@takes_tensor
@method
def kthvalue(x: Tensor, k: int, axis: int = -1, keepdims: bool = False) -> RankedResult:
    """The k-th smallest element along `axis`, counted from 1, and its int64 position (PyTorch).

    NaN counts as the largest. Raises ValueError for an axis that x does not have, and unless k is from 1 to its size.
    """
    count = integer("k", k)
    last, place = _last(x, axis, "kthvalue")
    if count > last.shape[-1]:
        raise ValueError(f"kthvalue: k={count} is more than the {last.shape[-1]} elements of axis {axis}")
    values, positions = _ranked(last, count - 1)
    return RankedResult(_kept(values, place, keepdims, x), _kept(positions, place, keepdims, x))


@takes_tensor
@method
def median(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The median along `axis`, or of all elements; of an even number the mean of the two in the middle (NumPy).

    NaN where there is a NaN. Integers become the default float. `kthvalue` gives PyTorch's median, which is the lower
    of the two. Raises ValueError over an empty axis.
    """
    return quantile(x, 0.5, axis, keepdims)


@takes_tensor
@method
def quantile(x: Tensor, q: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The q-quantile along `axis`, or of all elements, between two elements by linear interpolation (NumPy).

    `q` is a number from 0 to 1, or a sequence of them, which become the first axis of the result. NaN where there is a
    NaN. Integers become the default float. Raises ValueError for a q outside 0 to 1, and over an empty axis.
    """
    shares = np.asarray(q, np.float64)
    if not np.all((shares >= 0) & (shares <= 1)):
        raise ValueError(f"quantile: q={q!r} must be from 0 to 1")
    if shares.ndim > 1:
        raise ValueError(f"quantile: q={q!r} must be a number or a sequence of numbers")
    floats = astype(x, float_for(x.dtype))
    rows = reshape(floats, (-1,)) if axis is None else floats
    last, place = _last(rows, -1 if axis is None else axis, "quantile")
    if last.shape[-1] == 0:
        raise ValueError(f"quantile over no elements: axis {axis} of shape {x.shape} is empty")
    ordered = Sort(False)(last)[0]
    missing = ~equal(ordered[..., -1:], ordered[..., -1:])  # NaN is the largest
    found = [_between(ordered, share, missing) for share in shares.reshape(-1).tolist()]
    results = [_shaped(value, place, axis, keepdims, x) for value in found]
    return stack(results, 0) if shares.ndim else results[0]


def _between(ordered: Any, share: float, missing: Any) -> Any:
    """The quantile of sorted rows, with one element along the last axis."""
    place = share * (ordered.shape[-1] - 1)
    low = int(place)
    high = min(low + 1, ordered.shape[-1] - 1)
    first, second, weight = ordered[..., low : low + 1], ordered[..., high : high + 1], place - low
    if weight == 0:
        return where(missing, float("nan"), first)
    step = second - first
    value = first + step * weight if weight < 0.5 else second - step * (1 - weight)
    value = where(equal(first, second), first, value)  # of infinities, whose difference is NaN
    return where(missing, float("nan"), value)


def _shaped(value: Any, place: int, axis: int | None, keepdims: bool, x: Any) -> Any:
    if axis is None:
        return reshape(value, (1,) * x.ndim if keepdims else ())
    return _kept(value, place, keepdims, x)
