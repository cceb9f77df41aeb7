"""Exponentials, logarithms, roots and the error function."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from needle.ops.base import elementwise

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["erf", "exp", "expm1", "log", "log1p", "log2", "log10", "reciprocal", "rsqrt", "sqrt"]


def numpy_erf(x: np.ndarray) -> np.ndarray:
    """The error function of a NumPy array, from the C library's."""
    x = np.asarray(x)
    return np.array([math.erf(v) for v in x.ravel().tolist()], dtype=x.dtype).reshape(x.shape)


@elementwise(cl="exp(x)", reference=np.exp, typing="float", gradient=lambda g, y, x: g * y, method=True)
def exp(x: Tensor) -> Tensor:
    """e to the power x."""


@elementwise(cl="expm1(x)", reference=np.expm1, typing="float", gradient=lambda g, y, x: g * exp(x), method=True)
def expm1(x: Tensor) -> Tensor:
    """exp(x) - 1, accurate near zero."""


@elementwise(
    cl="log(x)", reference=np.log, typing="float", sample=(0.2, 5), gradient=lambda g, y, x: g / x, method=True
)
def log(x: Tensor) -> Tensor:
    """The natural logarithm; -inf at 0, NaN below."""


@elementwise(
    cl="log2(x)",
    reference=np.log2,
    typing="float",
    sample=(0.2, 5),
    gradient=lambda g, y, x: g / (x * math.log(2)),
    method=True,
)
def log2(x: Tensor) -> Tensor:
    """The logarithm to base 2."""


@elementwise(
    cl="log10(x)",
    reference=np.log10,
    typing="float",
    sample=(0.2, 5),
    gradient=lambda g, y, x: g / (x * math.log(10)),
    method=True,
)
def log10(x: Tensor) -> Tensor:
    """The logarithm to base 10."""


@elementwise(
    cl="log1p(x)",
    reference=np.log1p,
    typing="float",
    sample=(-0.8, 4),
    gradient=lambda g, y, x: g / (1 + x),
    method=True,
)
def log1p(x: Tensor) -> Tensor:
    """log(1 + x), accurate near zero."""


@elementwise(
    cl="sqrt(x)", reference=np.sqrt, typing="float", sample=(0.2, 5), gradient=lambda g, y, x: g * 0.5 / y, method=True
)
def sqrt(x: Tensor) -> Tensor:
    """The square root; NaN below 0."""


@elementwise(
    cl="1 / sqrt(x)",
    reference=lambda x: 1 / np.sqrt(x),
    typing="float",
    sample=(0.2, 5),
    gradient=lambda g, y, x: g * -0.5 * y / x,
    method=True,
)
def rsqrt(x: Tensor) -> Tensor:
    """1 / sqrt(x)."""


@elementwise(
    cl="1 / x",
    reference=np.reciprocal,
    typing="float",
    sample=(0.3, 3),
    gradient=lambda g, y, x: -g * y * y,
    method=True,
)
def reciprocal(x: Tensor) -> Tensor:
    """1 / x."""


@elementwise(
    cl="ERF(T, x)",
    reference=numpy_erf,
    typing="float",
    gradient=lambda g, y, x: g * (2 / math.sqrt(math.pi)) * (-x * x).exp(),
    method=True,
)
def erf(x: Tensor) -> Tensor:
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x (DLMF 7.2.1)."""
