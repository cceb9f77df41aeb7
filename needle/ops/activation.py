"""Activation functions of neural networks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.ops.base import elementwise, takes_tensor
from needle.ops.comparison import where
from needle.ops.exponential import erf, exp, numpy_erf

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["gelu", "gelu_tanh", "relu", "sigmoid", "silu", "softplus"]

_SQRT_HALF = math.sqrt(0.5)
_DENSITY = 1 / math.sqrt(2 * math.pi)
_TANH_SCALE = math.sqrt(2 / math.pi)


@elementwise(
    cl={"f": "((x > 0) | (x != x)) ? x : LIT(T, 0)", "iu": "(x > LIT(T, 0)) ? x : LIT(T, 0)"},
    reference=lambda x: np.maximum(x, 0),
    kinds="iuf",
    gradient=lambda g, y, x: where(y <= 0, 0, g),
    method=True,
)
def relu(x: Tensor) -> Tensor:
    """max(x, 0); NaN stays NaN. The gradient at 0 is 0."""


@elementwise(
    cl="1 / (1 + exp(-x))",
    reference=lambda x: 1 / (1 + np.exp(-x)),
    typing="float",
    gradient=lambda g, y, x: g * (y * (1 - y)),
    method=True,
)
def sigmoid(x: Tensor) -> Tensor:
    """The logistic function 1 / (1 + exp(-x))."""


@elementwise(
    cl="x / (1 + exp(-x))",
    reference=lambda x: x / (1 + np.exp(-x)),
    typing="float",
    gradient=lambda g, y, x: _silu_gradient(g, x),
)
def silu(x: Tensor) -> Tensor:
    """x * sigmoid(x) (Elfwing et al. 2017), also called swish."""


def _silu_gradient(g: Any, x: Any) -> Any:
    s = sigmoid(x)
    return g * (s * (1 + x * (1 - s)))


@elementwise(
    cl="log1p(exp(-fabs(x))) + ((x > 0) ? x : LIT(T, 0))",
    reference=lambda x: np.logaddexp(x, x.dtype.type(0)),
    typing="float",
    gradient=lambda g, y, x: g * sigmoid(x),
)
def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), without overflow."""


@elementwise(
    cl="x * REAL(T, 0.5) * (1 + erf(x * REAL(T, 0.70710678118654752)))",
    reference=lambda x: x * 0.5 * (1 + numpy_erf(x * _SQRT_HALF)),
    typing="float",
    gradient=lambda g, y, x: g * (0.5 + 0.5 * erf(x * _SQRT_HALF) + x * (exp(x * x * -0.5) * _DENSITY)),
)
def gelu(x: Tensor) -> Tensor:
    """x * Phi(x), Phi the normal distribution function (Hendrycks and Gimpel 2016)."""


@takes_tensor
def gelu_tanh(x: Tensor) -> Tensor:
    """0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), close to `gelu` (Hendrycks and Gimpel 2016)."""
    return 0.5 * x * (1 + (_TANH_SCALE * (x + 0.044715 * (x * x * x))).tanh())
