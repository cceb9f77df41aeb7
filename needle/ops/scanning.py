"""Scans: sums, products, maxima and minima of all beginnings of a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array import NDArray, evaluation
from needle.array.views import normalize_axis
from needle.autograd import Op, Value
from needle.backend.records import Scan
from needle.dtypes import DType, DTypeLike, accumulator_for, as_dtype, int64, is_float
from needle.ops.base import method, takes_tensor
from needle.ops.comparison import equal, where
from needle.ops.creation import arange, zeros_like
from needle.ops.indexing.taking import ScatterAddAlongAxis
from needle.ops.shape import astype, concat, flatten, reshape

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "cumulative_prod", "cumulative_sum"]


def _wide(x: np.ndarray) -> DType:
    """The dtype in which the reference accumulates: floats in float64."""
    return np.dtype(np.float64) if is_float(x.dtype) else x.dtype


SUMS = Scan("cumulative_sum", "b + a", "0", lambda x, axis: np.cumsum(x, axis, _wide(x)), wraps=True, kinds="iuf")
PRODS = Scan("cumulative_prod", "b * a", "1", lambda x, axis: np.cumprod(x, axis, _wide(x)), wraps=True, kinds="iuf")
MAXIMA = Scan("cummax", "(a != a) ? a : ((a > b) ? a : b)", "LOWEST(T)", np.maximum.accumulate)
MINIMA = Scan("cummin", "(a != a) ? a : ((a < b) ? a : b)", "HIGHEST(T)", np.minimum.accumulate)


def _along(axis: int, span: slice) -> tuple[slice, ...]:
    """The index of a stretch along `axis`."""
    return (*(slice(None),) * axis, span)


def _scanned(record: Scan, x: NDArray, axis: int, initial: int | None = None) -> NDArray:
    """The scan of x along `axis`; with `initial`, after a first element of that value."""
    first = int(initial is not None)
    shape = tuple(n + first if a == axis else n for a, n in enumerate(x.shape))
    result = NDArray.empty(shape, x.dtype, x.device)
    if initial is not None and result.size:
        result[_along(axis, slice(1))] = initial
    evaluation.scan(record, x, axis, result[_along(axis, slice(first, None))] if first else result)
    return result


class _Cumulative(Op):
    """A scan along one axis, counted from the front, perhaps after a first element that folds nothing."""

    record: Scan
    initial: int

    def __init__(self, axis: int, include_initial: bool = False) -> None:
        self.axis = axis
        self.include_initial = include_initial

    def compute(self, x: NDArray) -> NDArray:
        return _scanned(self.record, x, self.axis, self.initial if self.include_initial else None)

    def _without_initial(self, y: Any) -> Any:
        return y[_along(self.axis, slice(1, None))] if self.include_initial else y

    def _sums_of_ends(self, x: Any) -> Any:
        """For each element the sum of it and all that follow."""
        return CumulativeSum(self.axis)(x.flip((self.axis,))).flip((self.axis,))

    def __repr__(self) -> str:
        return f"{self.name}(axis={self.axis})"


class CumulativeSum(_Cumulative):
    name = "cumulative_sum"
    record = SUMS
    initial = 0

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return self._sums_of_ends(self._without_initial(grad))


class CumulativeProd(_Cumulative):
    name = "cumulative_prod"
    record = PRODS
    initial = 1

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        """The gradient, without dividing by elements that are zero.

        Before the first zero of a sequence it is the sum of grad * y over what follows, divided by x. At that zero it
        is the same sum of products from which the zero is left out. After it all products contain the zero. To be
        differentiated again, it is computed in another way: this one takes for constant what a zero makes 0.
        """
        grad, output = self._without_initial(grad), self._without_initial(output)
        if isinstance(grad, Value) or isinstance(x, Value):
            return self._differentiable(grad, x)
        x.realize()  # several launches are to find the same zeros
        zero = equal(x, 0)
        zeros = CumulativeSum(self.axis)(astype(zero, int64)).realize()
        first = zero & equal(zeros, 1)
        nonzero = where(zero, 1, x)
        others = CumulativeProd(self.axis)(where(first, 1, x))
        before = self._sums_of_ends(grad * output) / nonzero
        return where(equal(zeros, 0), before, where(first, self._sums_of_ends(grad * others), 0))

    def _differentiable(self, grad: Any, x: Any) -> Any:
        """The product of the elements before k, times s[k] = grad[k] + x[k + 1] s[k + 1].

        The recurrence is solved by doubling: after each step an element has covered twice as many that follow.
        """
        axis, length = self.axis, x.shape[self.axis]
        if not length:
            return grad
        factor = self._shifted(x, 1, length)
        total = grad
        step = 1
        while step < length:
            total = total + factor * self._shifted(total, step, length)
            factor = factor * self._shifted(factor, step, length)
            step *= 2
        return CumulativeProd(axis, True)(x)[_along(axis, slice(length))] * total

    def _shifted(self, x: Any, by: int, length: int) -> Any:
        """For each element the one that lies `by` further along the axis; zeros at the end."""
        rest = x[_along(self.axis, slice(by, None))]
        return concat([rest, zeros_like(x[_along(self.axis, slice(by))])], self.axis)


class CumulativeExtremum(Op):
    """The largest or smallest element so far, and its position, the last one of equals."""

    def __init__(self, record: Scan, axis: int) -> None:
        self.record = record
        self.name = record.name
        self.axis = axis

    def compute(self, x: Any) -> tuple[NDArray, NDArray]:
        x.realize()  # to be found equal to what the scan wrote
        values: Any = _scanned(self.record, x, self.axis)
        here: Any = arange(x.shape[self.axis], device=x.device).cached_data
        here = here.reshape((-1, *(1,) * (x.ndim - self.axis - 1)))
        hit: Any = equal(x, values)
        if is_float(x.dtype):
            hit = hit | ~equal(x, x)
        places: Any = where(hit, here, 0)
        return values, _scanned(MAXIMA, places, self.axis)

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        if grad[0] is None:
            return None
        return ScatterAddAlongAxis(self.axis, x.shape[self.axis])(output[1], grad[0])


def _prepared(x: Any, axis: int | None, dtype: DTypeLike) -> tuple[Any, int]:
    """x in the dtype to accumulate and the axis from the front; without an axis x is flattened."""
    if axis is None:
        x, axis = flatten(x), 0
    return astype(x, accumulator_for(x.dtype) if dtype is None else as_dtype(dtype)), normalize_axis(axis, x.ndim)


def _check_axis(function: str, x: Any, axis: int | None) -> int:
    if axis is None and x.ndim != 1:
        raise ValueError(f"{function}: axis=None needs x of one axis; this one has shape {x.shape}")
    return 0 if axis is None else axis


@takes_tensor
def cumulative_sum(
    x: Tensor, *, axis: int | None = None, dtype: DTypeLike = None, include_initial: bool = False
) -> Tensor:
    """The sums of all beginnings of x along `axis` (Array API); integers and bools are summed in 64 bits.

    With `include_initial` the result begins with 0, and is longer by one element. Halves are accumulated in float32.
    Raises ValueError for an axis that x does not have, and where none is given of several.
    """
    wide, place = _prepared(x, _check_axis("cumulative_sum", x, axis), dtype)
    return CumulativeSum(place, include_initial)(wide)


@takes_tensor
def cumulative_prod(
    x: Tensor, *, axis: int | None = None, dtype: DTypeLike = None, include_initial: bool = False
) -> Tensor:
    """The products of all beginnings of x along `axis` (Array API); integers and bools are multiplied in 64 bits.

    With `include_initial` the result begins with 1, and is longer by one element. Errors are as for `cumulative_sum`.
    """
    wide, place = _prepared(x, _check_axis("cumulative_prod", x, axis), dtype)
    return CumulativeProd(place, include_initial)(wide)


@takes_tensor
@method
def cumsum(x: Tensor, axis: int | None = None, dtype: DTypeLike = None) -> Tensor:
    """The sums of all beginnings of x along `axis`, or of x flattened (NumPy); see `cumulative_sum`."""
    wide, place = _prepared(x, axis, dtype)
    return CumulativeSum(place)(wide)


@takes_tensor
@method
def cumprod(x: Tensor, axis: int | None = None, dtype: DTypeLike = None) -> Tensor:
    """The products of all beginnings of x along `axis`, or of x flattened (NumPy); see `cumulative_prod`."""
    wide, place = _prepared(x, axis, dtype)
    return CumulativeProd(place)(wide)


def _extrema(record: Scan, x: Any, axis: int) -> tuple[Any, Any]:
    if x.ndim == 0:
        values, positions = CumulativeExtremum(record, 0)(reshape(x, (1,)))
        return reshape(values, ()), reshape(positions, ())
    return CumulativeExtremum(record, normalize_axis(axis, x.ndim))(x)


@takes_tensor
@method
def cummax(x: Tensor, axis: int = -1) -> tuple[Tensor, Tensor]:
    """The largest element so far along `axis`, and its int64 position, of equals the last (PyTorch).

    From a NaN on the result is NaN. Raises ValueError for an axis that x does not have.
    """
    return _extrema(MAXIMA, x, axis)


@takes_tensor
@method
def cummin(x: Tensor, axis: int = -1) -> tuple[Tensor, Tensor]:
    """The smallest element so far along `axis`, and its int64 position; the rest is as for `cummax`."""
    return _extrema(MINIMA, x, axis)
