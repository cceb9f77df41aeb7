"""Reductions over any set of axes: sum, prod, max, min, mean, var, std, any, all, argmax, argmin."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod as product
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array import NDArray
from needle.array.evaluation import reduce
from needle.array.operators import TABLE
from needle.array.views import normalize_axes, normalize_axis
from needle.autograd import Op, Value, is_grad_enabled
from needle.backend.records import Reduction
from needle.dtypes import (
    DEFAULT_FLOAT,
    DType,
    DTypeLike,
    accumulator_for,
    bool_,
    compute_dtype,
    float64,
    float_for,
    int64,
    is_float,
    uint64,
)
from needle.ops.base import method, takes_tensor
from needle.ops.comparison import equal, where
from needle.ops.precision import as_exact_floats, is_long, widened
from needle.ops.shape import astype

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["all", "any", "argmax", "argmin", "max", "mean", "min", "prod", "std", "sum", "summation", "var"]

Axes = int | Sequence[int] | None


def _same(dtype: DType) -> DType:
    return dtype


def numpy_sum(x: np.ndarray, axis: int | tuple[int, ...], keepdims: bool) -> np.ndarray:
    """np.sum, of floats in float64: along any axis but the last it adds one by one, and its errors grow like that."""
    return np.asarray(np.sum(x, axis=axis, keepdims=keepdims, dtype=np.float64 if is_float(x.dtype) else None))


def _numpy_prod(x: np.ndarray, axis: int | tuple[int, ...], keepdims: bool) -> np.ndarray:
    """np.prod in the dtype that kernels multiply in."""
    return np.asarray(np.prod(x, axis=axis, keepdims=keepdims, dtype=compute_dtype(accumulator_for(x.dtype))))


def _numpy_mean(x: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> np.ndarray:
    """np.mean in float64, but that of no elements is NaN without a warning."""
    return numpy_sum(x, axis, keepdims) / np.float64(product(x.shape[a] for a in axis))


SUM = Reduction("sum", "b + a", "0", numpy_sum, accumulator_for, compensated=True, wraps=True)
PROD = Reduction("prod", "b * a", "1", _numpy_prod, accumulator_for, wraps=True)
MEAN = Reduction("mean", "b + a", "0", _numpy_mean, _same, "r / (T)n", compensated=True, kinds="f")
MAX = Reduction("max", "(a != a) ? a : ((a > b) ? a : b)", "LOWEST(T)", np.max, _same, quick="(a > b) ? a : b")
MIN = Reduction("min", "(a != a) ? a : ((a < b) ? a : b)", "HIGHEST(T)", np.min, _same, quick="(a < b) ? a : b")
ANY = Reduction("any", "b | a", "0", np.any, lambda _: bool_, kinds="b")
ALL = Reduction("all", "b & a", "1", np.all, lambda _: bool_, kinds="b")
ARGMAX = Reduction("argmax", "(a > b) | ((a != a) & (b == b))", "LOWEST(T)", np.argmax, lambda _: int64, index=True)
ARGMIN = Reduction("argmin", "(a < b) | ((a != a) & (b == b))", "HIGHEST(T)", np.argmin, lambda _: int64, index=True)


class Fold(Op):
    """A reduction of one argument over given axes: the common part of the operations below."""

    record: Reduction

    def __init__(self, axes: tuple[int, ...], keepdims: bool) -> None:
        self.axes = axes
        self.keepdims = keepdims

    def compute(self, x: NDArray) -> NDArray:
        return reduce(self.record, x, self.axes, self.keepdims)

    def kept(self, y: Any, x: Any) -> Any:
        """`y`, of the result's shape, with size-1 axes where `x` was folded."""
        return y.reshape(tuple(1 if a in self.axes else n for a, n in enumerate(x.shape)))

    def spread(self, y: Any, x: Any) -> Any:
        """`y`, of the result's shape, repeated to the shape of `x`."""
        return self.kept(y, x).broadcast_to(x.shape)

    def __repr__(self) -> str:
        return f"{self.name}(axis={self.axes})"


class Sum(Fold):
    name = "sum"
    record = SUM

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return self.spread(grad, x)


class Mean(Fold):
    name = "mean"
    record = MEAN

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        count = product(x.shape[a] for a in self.axes)
        return self.spread(widened(grad) * (1 / (count or 1)), x)


class Prod(Fold):
    name = "prod"
    record = PROD

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        # The product of the other elements, without dividing by one that is zero. `zero` is 0 but depends on the
        # elements that are, so that the second derivative is right as well; a third is not where three are zero.
        x.realize()  # several launches are to find the same zeros
        x, grad = widened(x), widened(grad)
        zeros = equal(x, 0)
        nonzero = where(zeros, 1, x)
        count = sum(astype(zeros, x.dtype), self.axes, keepdims=True)
        zero = sum(where(zeros, x, 0), self.axes, keepdims=True)
        others = prod(nonzero, self.axes, keepdims=True)
        of_zeros = where(count == 1, others, where(count == 2, others * (zero - x), 0))
        of_nonzeros = where(count == 0, others, where(count == 1, others * zero, 0)) / nonzero
        return self.kept(grad, x) * where(zeros, of_zeros, of_nonzeros)


class Extremum(Fold):
    """max and min: elements that are equal to the result share its gradient evenly, as in torch.amax."""

    def __call__(self, x: Any) -> Any:
        if isinstance(x, Value) and x.requires_grad and is_grad_enabled():
            x.cached_data.realize()  # computed anew, an element may be rounded otherwise than the result, and be missed
        return super().__call__(x)

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        chosen = astype(equal(x, self.kept(output, x)), compute_dtype(x.dtype))
        return self.kept(widened(grad), x) * (chosen / sum(chosen, self.axes, keepdims=True))


class Max(Extremum):
    name = "max"
    record = MAX


class Min(Extremum):
    name = "min"
    record = MIN


class Plain(Fold):
    """A reduction without a gradient."""

    def __init__(self, record: Reduction, axes: tuple[int, ...], keepdims: bool) -> None:
        super().__init__(axes, keepdims)
        self.record = record
        self.name = record.name


@takes_tensor
@method
def sum(x: Tensor, axis: Axes = None, keepdims: bool = False, *, dtype: DTypeLike = None) -> Tensor:
    """The sum over `axis` (an int, several, or None for all). Integers and bools are summed in 64 bits.

    With `dtype`, x is converted to it first, and that is the dtype of the sum.

    Floats are summed block-wise, with an error that grows like NumPy's pairwise summation.
    Raises ValueError for an axis that does not exist or is named twice; so do all reductions here.
    """
    total = Sum(normalize_axes(axis, x.ndim), keepdims)(_converted(x, dtype))
    return total if dtype is None else astype(total, dtype)


def _converted(x: Tensor, dtype: DTypeLike) -> Tensor:
    return x if dtype is None else astype(x, dtype)


@takes_tensor
def summation(x: Tensor, axes: Axes = None, keepdims: bool = False) -> Tensor:
    """`sum` under the course's name, and with the course's name of its argument."""
    return sum(x, axes, keepdims)


@takes_tensor
@method
def prod(x: Tensor, axis: Axes = None, keepdims: bool = False, *, dtype: DTypeLike = None) -> Tensor:
    """The product over `axis`. Integers and bools are multiplied in 64 bits; `dtype` is as for `sum`."""
    product_of = Prod(normalize_axes(axis, x.ndim), keepdims)(_converted(x, dtype))
    return product_of if dtype is None else astype(product_of, dtype)


@takes_tensor
@method
def mean(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The arithmetic mean over `axis`; NaN of no elements.

    That of integers and bools has the default float dtype; they are not rounded to it before.
    """
    axes = normalize_axes(axis, x.ndim)
    if is_float(x.dtype):
        return Mean(axes, keepdims)(x)
    if _needs_shift(x):
        floats, shift = _about_a_shift(x, axes)
        found = Mean(axes, keepdims)(floats)
        return found + shift.reshape(found.shape)
    return astype(Mean(axes, keepdims)(as_exact_floats(x)), float_for(x.dtype))


def _needs_shift(x: Tensor) -> bool:
    return is_long(x.dtype) and not x.device.supports(float64)


def _about_a_shift(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """x less a number near its mean over `axes`, as floats, and that number: for devices without float64.

    Of integers with more digits than a float32 has, their differences would be lost in it. So each is taken as the
    nearest float32 and the rest.
    """
    nearest = astype(x, DEFAULT_FLOAT)
    shift = Mean(axes, keepdims=True)(nearest)
    wide = x if x.dtype == uint64 else astype(x, int64)
    rest = astype(wide - astype(nearest, wide.dtype), int64)  # of uint64 it has wrapped around, and comes back here
    return (nearest - shift) + astype(rest, DEFAULT_FLOAT), shift


@takes_tensor
@method
def var(x: Tensor, axis: Axes = None, keepdims: bool = False, correction: float = 0) -> Tensor:
    """The variance over `axis`: squared deviations from the mean, summed and divided by n - correction.

    PyTorch's `unbiased=True` and NumPy's `ddof=1` are other spellings of `correction=1`.
    Computed in two passes, so that a large mean costs no accuracy; halves are rounded at the end alone, and integers,
    whose variance has the default float dtype, not before.
    """
    return astype(_variance(x, normalize_axes(axis, x.ndim), keepdims, correction), float_for(x.dtype))


def _variance(x: Tensor, axes: tuple[int, ...], keepdims: bool, correction: float) -> Tensor:
    """The variance, not yet rounded to the result's dtype."""
    floats = _about_a_shift(x, axes)[0] if _needs_shift(x) else widened(as_exact_floats(x))
    deviation = floats - Mean(axes, keepdims=True)(floats)
    squares = deviation * deviation
    if correction == 0:
        return Mean(axes, keepdims)(squares)
    count = product(x.shape[a] for a in axes)
    divisor = count - correction
    return sum(squares, axes, keepdims) / (divisor if divisor > 0 else 0.0)


@takes_tensor
@method
def std(x: Tensor, axis: Axes = None, keepdims: bool = False, correction: float = 0) -> Tensor:
    """The standard deviation over `axis`, the square root of `var`.

    Where it is 0 its gradient is taken to be 0, as in PyTorch.
    """
    variance = _variance(x, normalize_axes(axis, x.ndim), keepdims, correction)
    zero = equal(variance, 0)
    return astype(where(zero, 0, where(zero, 1, variance).sqrt()), float_for(x.dtype))


def _check_not_empty(what: str, x: Tensor, axes: tuple[int, ...]) -> None:
    if 0 in [x.shape[a] for a in axes]:
        raise ValueError(f"{what} over no elements: axis {axes} of shape {x.shape} is empty")


@takes_tensor
@method
def max(x: Tensor, axis: Axes | Tensor = None, keepdims: bool = False) -> Tensor:
    """The largest element over `axis`; NaN if there is a NaN. Raises ValueError over an empty axis.

    With a tensor in the place of the axis it is `maximum`, as in PyTorch.
    """
    if isinstance(axis, (Value, NDArray)):
        result: Tensor = TABLE["maximum"](x, axis)
        return result
    axes = normalize_axes(axis, x.ndim)
    _check_not_empty("max", x, axes)
    return Max(axes, keepdims)(x)


@takes_tensor
@method
def min(x: Tensor, axis: Axes | Tensor = None, keepdims: bool = False) -> Tensor:
    """The smallest element over `axis`; NaN if there is a NaN. Raises ValueError over an empty axis.

    With a tensor in the place of the axis it is `minimum`, as in PyTorch.
    """
    if isinstance(axis, (Value, NDArray)):
        result: Tensor = TABLE["minimum"](x, axis)
        return result
    axes = normalize_axes(axis, x.ndim)
    _check_not_empty("min", x, axes)
    return Min(axes, keepdims)(x)


@takes_tensor
@method
def any(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Whether any element over `axis` is true (not zero)."""
    return Plain(ANY, normalize_axes(axis, x.ndim), keepdims)(astype(x, bool_))


@takes_tensor
@method
def all(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Whether all elements over `axis` are true (not zero)."""
    return Plain(ALL, normalize_axes(axis, x.ndim), keepdims)(astype(x, bool_))


def _arg(record: Reduction, x: Tensor, axis: int | None, keepdims: bool) -> Tensor:
    if axis is None:
        _check_not_empty(record.name, x, tuple(range(x.ndim)))
        found = Plain(record, (0,), False)(x.reshape((-1,)))
        return found.reshape((1,) * x.ndim) if keepdims else found
    axes = (normalize_axis(axis, x.ndim),)
    _check_not_empty(record.name, x, axes)
    return Plain(record, axes, keepdims)(x)


@takes_tensor
@method
def argmax(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The int64 position of the first largest element along `axis`, or in the flattened tensor.

    A NaN counts as largest, as in NumPy. Raises ValueError over an empty axis.
    """
    return _arg(ARGMAX, x, axis, keepdims)


@takes_tensor
@method
def argmin(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The int64 position of the first smallest element along `axis`, or in the flattened tensor.

    A NaN counts as smallest, as in NumPy. Raises ValueError over an empty axis.
    """
    return _arg(ARGMIN, x, axis, keepdims)
