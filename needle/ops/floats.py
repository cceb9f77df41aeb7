"""Functions of signs, neighbours and distances: of what floats are made of, and of how close they lie."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.backend.records import Elementwise
from needle.dtypes import float16, float_for, is_float
from needle.ops.activation import sigmoid
from needle.ops.base import SCALARS, ElementwiseOp, data_of, elementwise, method, takes_tensor
from needle.ops.comparison import equal, isfinite, isnan, logical_and, logical_or, where
from needle.ops.creation import zeros_like
from needle.ops.reductions import all as all_of
from needle.ops.shape import astype

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = [
    "allclose", "array_equal", "copysign", "frac", "hypot", "isclose", "lerp", "logaddexp", "nan_to_num", "nextafter",
    "signbit",
]  # fmt: skip


@elementwise(
    cl={"f": "copysign(LIT(T, 1), x) < LIT(T, 0)", "i": "x < LIT(T, 0)", "u": "x != x"},
    reference=np.signbit,
    typing="compare",
    kinds="iuf",
    method=True,
)
def signbit(x: Tensor) -> Tensor:
    """Whether the sign of x is negative, as bool; true of -0.0 and of a NaN with its sign set."""


def _negative(x: Any) -> Any:
    return math.copysign(1, x) < 0 if isinstance(x, SCALARS) else signbit(x)


def _same_sign(g: Any, x: Any, y: Any) -> Any:
    """The gradient of `copysign` by its first operand: that of |x|, 0 at 0, with the sign of y."""
    turned = where(_negative(x) == _negative(y), g, -g)
    return zeros_like(g) if isinstance(x, SCALARS) else where(equal(x, 0), 0, turned)


@elementwise(
    cl="copysign(x, y)",
    reference=np.copysign,
    typing="float",
    sample=((0.5, 3), (0.5, 3)),
    gradient=(lambda g, z, x, y: _same_sign(g, x, y), lambda g, z, x, y: zeros_like(g)),
)
def copysign(x: Tensor, y: Tensor | float) -> Tensor:
    """|x| with the sign of y, that of a zero or a NaN too. The gradient at x = 0 is 0."""


def _along(g: Any, z: Any, x: Any) -> Any:
    """g * x / z, but 0 at the origin, where the length has no gradient."""
    return where(equal(z, 0), 0, g * (x / where(equal(z, 0), 1, z)))


@elementwise(
    cl="hypot(x, y)",
    reference=np.hypot,
    typing="float",
    sample=((0.5, 3), (0.5, 3)),
    gradient=(lambda g, z, x, y: _along(g, z, x), lambda g, z, x, y: _along(g, z, y)),
)
def hypot(x: Tensor, y: Tensor | float) -> Tensor:
    """sqrt(x^2 + y^2) without overflow on the way; infinite if x or y is, even beside a NaN (IEEE 754)."""


@elementwise(
    cl="(x == y) ? x + REAL(T, 0.693147180559945309) : ((x > y) ? x : y) + log1p(exp(-fabs(x - y)))",
    reference=np.logaddexp,
    typing="float",
    gradient=(
        lambda g, z, x, y: g * where(equal(x, y), 0.5, sigmoid(x - y)),
        lambda g, z, x, y: g * where(equal(x, y), 0.5, sigmoid(y - x)),
    ),
)
def logaddexp(x: Tensor, y: Tensor | float) -> Tensor:
    """log(exp(x) + exp(y)) without overflow on the way."""


#: Not in the registry, whose tests compare with float64: there the next number is another one.
_nextafter = ElementwiseOp(Elementwise("nextafter", "nextafter(x, y)", np.nextafter, 2, "float"), ())


@takes_tensor
def nextafter(x: Tensor, y: Tensor | float) -> Tensor:
    """The next number of the dtype after x towards y; y where they are equal. It has no gradient.

    Raises TypeError for float16, which devices compute in float32.
    """
    found: Tensor = _nextafter(x, y)
    if found.dtype == float16:
        raise TypeError("nextafter is not defined for dtype float16; cast with astype")
    return found


# -- compositions -----------------------------------------------------------------------------------


@takes_tensor
@method
def frac(x: Tensor) -> Tensor:
    """The fraction of x, with its sign: x - trunc(x)."""
    return x - x.trunc()


@takes_tensor
def lerp(x: Tensor, end: Tensor | float, weight: Tensor | float) -> Tensor:
    """x + weight * (end - x): from x at weight 0 to `end` at weight 1."""
    return x + weight * (end - x)


@takes_tensor
@method
def nan_to_num(
    x: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None, copy: bool = True
) -> Tensor:
    """x with `nan` for NaN, `posinf` for infinity and `neginf` for -infinity, by default the dtype's extremes.

    `copy`, NumPy's argument, makes no difference: the result is a new tensor.
    """
    if not is_float(x.dtype):
        return x
    extreme = float(np.finfo(x.dtype).max)
    result = where(equal(x, math.inf), extreme if posinf is None else posinf, x)
    result = where(equal(x, -math.inf), -extreme if neginf is None else neginf, result)
    return where(isnan(x), nan, result)


@takes_tensor
@method
def isclose(
    x: Tensor, y: Tensor | float = 0.0, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Whether |x - y| <= atol + rtol * |y|, as bool. Infinities are close if equal, NaNs with `equal_nan` alone."""
    x = astype(x, float_for(x.dtype))
    other: Any = y if isinstance(y, SCALARS) else astype(y, float_for(y.dtype))
    near = logical_and(isfinite(x), abs(x - other) <= atol + rtol * abs(other))
    if not isinstance(y, SCALARS):
        near = logical_and(isfinite(other), near)
    near = logical_or(near, equal(x, other))
    if not equal_nan:
        return near
    both = logical_and(isnan(x), isnan(other)) if not isinstance(y, SCALARS) else isnan(x) if y != y else False
    return logical_or(near, both)


@takes_tensor
@method
def allclose(
    x: Tensor, y: Tensor | float = 0.0, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether `isclose` holds of all elements: a Python bool, for which the host waits for the device."""
    return bool(all_of(isclose(x, y, rtol, atol, equal_nan)))


@takes_tensor
def array_equal(x: Tensor, y: Tensor) -> bool:
    """Whether x and y have one shape and equal elements: a Python bool. PyTorch's `equal` is this."""
    return x.shape == y.shape and (not data_of(x).size or bool(all_of(equal(x, y))))
