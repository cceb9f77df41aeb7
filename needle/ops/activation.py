"""Activation functions of neural networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.ops.arithmetic import clip
from needle.ops.base import elementwise
from needle.ops.comparison import where
from needle.ops.exponential import exp

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["gelu", "gelu_tanh", "ndtr", "relu", "sigmoid", "silu", "softplus"]

_DENSITY = 1 / math.sqrt(2 * math.pi)
_TANH_SCALE = 2 * math.sqrt(2 / math.pi)


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
    cl="SIGMOID(T, x)",
    reference=lambda x: _in_double(_numpy_sigmoid)(x),
    typing="float",
    gradient=lambda g, y, x: g * (y * sigmoid(-x)),  # 1 - y would cancel
    method=True,
)
def sigmoid(x: Tensor) -> Tensor:
    """The logistic function 1 / (1 + exp(-x))."""


def _in_double(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """A NumPy function that computes in float64, and whose result is rounded to the dtype of its operand."""
    return lambda x: np.asarray(function(np.asarray(x, np.float64))).astype(np.asarray(x).dtype)


def _numpy_sigmoid(x: np.ndarray) -> np.ndarray:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


@elementwise(
    cl="SILU(T, x)",
    reference=lambda x: _in_double(_numpy_silu)(x),
    typing="float",
    gradient=lambda g, y, x: _silu_gradient(g, x),
)
def silu(x: Tensor) -> Tensor:
    """x * sigmoid(x) (Elfwing et al. 2017), also called swish."""


def _numpy_silu(x: np.ndarray) -> np.ndarray:
    root = np.exp(x * 0.5)
    negative = np.where(x < -760, -0.0, x * root * root)
    return np.where(x >= 0, x, negative) / (1 + np.exp(-np.abs(x)))


def _silu_gradient(g: Any, x: Any) -> Any:
    s = sigmoid(x)
    return g * (s + clip(x, -1000, 1000) * (s * sigmoid(-x)))  # infinity times 0 would be NaN


@elementwise(
    cl="log1p(exp(-fabs(x))) + ((x > 0) ? x : LIT(T, 0))",
    reference=lambda x: np.logaddexp(x, x.dtype.type(0)),
    typing="float",
    gradient=lambda g, y, x: g * sigmoid(x),
)
def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), without overflow."""


@elementwise(
    cl="NDTR(T, x)",
    reference=lambda x: _in_double(_numpy_ndtr)(x),
    typing="float",
    gradient=lambda g, y, x: g * (exp(x * x * -0.5) * _DENSITY),
)
def ndtr(x: Tensor) -> Tensor:
    """The normal distribution function: the probability that a standard normal variable is at most x (SciPy's name)."""


def _numpy_ndtr(x: np.ndarray) -> np.ndarray:
    """By the C library's erfc. The rounding of its argument, which the tail magnifies, is made up for."""
    exact = np.clip(x, -40, 40).astype(np.longdouble) * -np.sqrt(np.longdouble(0.5))
    z = exact.astype(np.float64)
    tail = np.array([math.erfc(v) for v in z.ravel().tolist()]).reshape(z.shape)
    slope = np.exp(-z * z) * (2 / math.sqrt(math.pi))
    return 0.5 * (tail - (exact - z).astype(np.float64) * slope)


def _numpy_gelu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, np.maximum(x, -40)) * _numpy_ndtr(x)


@elementwise(
    cl="GELU(T, x)",
    reference=lambda x: _in_double(_numpy_gelu)(x),
    typing="float",
    gradient=lambda g, y, x: _gelu_gradient(g, x),
)
def gelu(x: Tensor) -> Tensor:
    """x * Phi(x), Phi the normal distribution function (Hendrycks and Gimpel 2016)."""


def _gelu_gradient(g: Any, x: Any) -> Any:
    near = clip(x, -40, 40)  # further out the density is 0, and infinity times it would be NaN
    return g * (ndtr(x) + near * (exp(near * near * -0.5) * _DENSITY))


@elementwise(
    cl="((x < LIT(T, -40)) ? LIT(T, -40) : x) * "
    "SIGMOID(T, (x * REAL(T, 1.5957691216057308) * (1 + REAL(T, 0.044715) * x * x)))",
    reference=lambda x: _in_double(_numpy_gelu_tanh)(x),
    typing="float",
    gradient=lambda g, y, x: _gelu_tanh_gradient(g, x),
)
def gelu_tanh(x: Tensor) -> Tensor:
    """0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), close to `gelu` (Hendrycks and Gimpel 2016).

    Computed as x * sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)), which is the same and whose tail does not cancel.
    """


def _numpy_gelu_tanh(x: np.ndarray) -> np.ndarray:
    return np.where(x < -40, -40, x) * _numpy_sigmoid(_TANH_SCALE * x * (1 + 0.044715 * x * x))


def _gelu_tanh_gradient(g: Any, x: Any) -> Any:
    near = clip(x, -40, 40)
    square = near * near
    inner = _TANH_SCALE * near * (1 + 0.044715 * square)
    s = sigmoid(inner)
    return g * (s + near * (_TANH_SCALE * (1 + 3 * 0.044715 * square)) * (s * sigmoid(-inner)))
