"""Trigonometric and hyperbolic functions and their inverses. Angles are in radians."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from needle.ops.base import elementwise
from needle.ops.comparison import equal, where

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "sin", "sinh", "tan", "tanh"]


def _near_zero(series: str, function: str) -> str:
    """`function`, but a series within 1/64 of zero, where three further terms are beyond double precision.

    In PoCL's float vectors an angle beyond 4e6 spoils the lanes below 1/128: sin(1e-3) becomes 8e-3.
    """
    return f"(fabs(x) < LIT(T, 0.015625)) ? {series} : {function}"


_SIN = "x * (1 - x * x / 6 * (1 - x * x / 20 * (1 - x * x / 42)))"
_COS = "1 - x * x / 2 * (1 - x * x / 12 * (1 - x * x / 30))"
_TAN = "x * (1 + x * x / 3 * (1 + x * x * 2 / 5 * (1 + x * x * 17 / 42)))"


@elementwise(
    cl=_near_zero(_SIN, "sin(x)"), reference=np.sin, typing="float", gradient=lambda g, y, x: g * cos(x), method=True
)
def sin(x: Tensor) -> Tensor:
    """Sine."""


# The sine's gradient: beside it a cosine of the same x would be computed together with it, and otherwise than alone.
@elementwise(
    cl=_near_zero(_COS, "cos(UNKNOWN_REAL(T, x))"),
    reference=np.cos,
    typing="float",
    gradient=lambda g, y, x: -g * sin(x),
    method=True,
)
def cos(x: Tensor) -> Tensor:
    """Cosine."""


@elementwise(
    cl=_near_zero(_TAN, "tan(x)"),
    reference=np.tan,
    typing="float",
    sample=(-1.2, 1.2),
    gradient=lambda g, y, x: g * (1 + y * y),
    method=True,
)
def tan(x: Tensor) -> Tensor:
    """Tangent."""


@elementwise(
    cl="asin(x)",
    reference=np.arcsin,
    typing="float",
    sample=(-0.9, 0.9),
    gradient=lambda g, y, x: g / (1 - x * x).sqrt(),
    method=True,
)
def asin(x: Tensor) -> Tensor:
    """Inverse sine, in [-pi/2, pi/2]; NaN outside [-1, 1]."""


@elementwise(
    cl="acos(x)",
    reference=np.arccos,
    typing="float",
    sample=(-0.9, 0.9),
    gradient=lambda g, y, x: -g / (1 - x * x).sqrt(),
    method=True,
)
def acos(x: Tensor) -> Tensor:
    """Inverse cosine, in [0, pi]; NaN outside [-1, 1]."""


def _folded(x: Any) -> tuple[Any, Any]:
    """Whether |x| > 1, and then 1 / x, else x: its square does not overflow, as in float16 x * x does from 256 on."""
    large = abs(x) > 1
    return large, where(large, 1 / where(large, x, 1), x)


def _atan_gradient(g: Any, x: Any) -> Any:
    large, r = _folded(x)
    return g * where(large, r * r, 1) / (1 + r * r)


def _asinh_gradient(g: Any, x: Any) -> Any:
    large, r = _folded(x)
    return g * where(large, abs(r), 1) / (1 + r * r).sqrt()


@elementwise(
    cl="atan(x)", reference=np.arctan, typing="float", gradient=lambda g, y, x: _atan_gradient(g, x), method=True
)
def atan(x: Tensor) -> Tensor:
    """Inverse tangent, in [-pi/2, pi/2]."""


def _atan2_gradient(g: Any, along: Any, other: Any) -> Any:
    """g * other / (along^2 + other^2), without squares, which overflow in float16 from 256 on; 0 where both are 0."""
    steep = abs(along) > abs(other)
    larger, smaller = where(steep, along, other), where(steep, other, along)
    origin = equal(abs(along) + abs(other), 0)  # not where one is 0 and the other NaN
    safe = where(origin, 1, larger)
    ratio = smaller / safe
    return where(origin, 0, g * where(steep, ratio, 1) / (safe + smaller * ratio))


@elementwise(
    cl="atan2(x, y)",
    reference=np.arctan2,
    typing="float",
    sample=((0.5, 3), (0.5, 3)),
    gradient=(lambda g, z, x, y: _atan2_gradient(g, x, y), lambda g, z, x, y: -_atan2_gradient(g, y, x)),
)
def atan2(x: Tensor, y: Tensor | float) -> Tensor:
    """The angle of the point (y, x) against the first axis, in [-pi, pi]."""


@elementwise(cl="sinh(x)", reference=np.sinh, typing="float", gradient=lambda g, y, x: g * cosh(x), method=True)
def sinh(x: Tensor) -> Tensor:
    """Hyperbolic sine."""


@elementwise(cl="cosh(x)", reference=np.cosh, typing="float", gradient=lambda g, y, x: g * sinh(x), method=True)
def cosh(x: Tensor) -> Tensor:
    """Hyperbolic cosine."""


@elementwise(
    cl="TANH(T, x)", reference=np.tanh, typing="float", gradient=lambda g, y, x: g * ((1 - y) * (1 + y)), method=True
)
def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent."""


@elementwise(
    cl="asinh(x)", reference=np.arcsinh, typing="float", gradient=lambda g, y, x: _asinh_gradient(g, x), method=True
)
def asinh(x: Tensor) -> Tensor:
    """Inverse hyperbolic sine."""


@elementwise(
    cl="acosh(x)",
    reference=np.arccosh,
    typing="float",
    sample=(1.2, 4),
    gradient=lambda g, y, x: g / ((x - 1).sqrt() * (x + 1).sqrt()),
    method=True,
)
def acosh(x: Tensor) -> Tensor:
    """Inverse hyperbolic cosine; NaN below 1."""


@elementwise(
    cl="atanh(x)",
    reference=np.arctanh,
    typing="float",
    sample=(-0.9, 0.9),
    gradient=lambda g, y, x: g / (1 - x * x),
    method=True,
)
def atanh(x: Tensor) -> Tensor:
    """Inverse hyperbolic tangent; NaN outside [-1, 1]."""
