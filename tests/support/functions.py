"""Elementwise functions in NumPy, with their derivatives and errors."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Array = np.ndarray

_erf = np.vectorize(math.erf, otypes=[np.float64])


def itself(x: Array) -> Array:
    return x


def least(dtype: np.dtype) -> float:
    """The smallest float that is not 0 on every device: subnormals may be flushed, but for those of float16."""
    limits = np.finfo(dtype)
    return float(limits.smallest_subnormal if dtype == np.float16 else limits.tiny)


def from_whole(x: Array) -> Array:
    """How far x is from the nearest whole number."""
    return x - np.round(x)


# Each elementwise function of floats: its value, its derivative from x and the result, and its error in units of
# rounding: relative to the result, and absolute (where its terms may cancel).
UNARY: dict[str, tuple[Callable[[Array], Array], Callable[[Array, Array], Array], float, float]] = {
    "acosh": (np.arccosh, lambda x, y: 1 / np.sqrt((x - 1) * (x + 1)), 6, 0),
    "asinh": (np.arcsinh, lambda x, y: 1 / np.sqrt(x * x + 1), 6, 0),
    "atan": (np.arctan, lambda x, y: 1 / (1 + x * x), 6, 0),
    "atanh": (np.arctanh, lambda x, y: 1 / (1 - x * x), 6, 0),
    "asin": (np.arcsin, lambda x, y: 1 / np.sqrt(1 - x * x), 6, 0),
    "acos": (np.arccos, lambda x, y: -1 / np.sqrt(1 - x * x), 6, 0),
    "cos": (np.cos, lambda x, y: -np.sin(x), 6, 0),
    "cosh": (np.cosh, lambda x, y: np.sinh(x), 6, 0),
    "erf": (_erf, lambda x, y: 2 / math.sqrt(math.pi) * np.exp(-x * x), 16, 0),
    "exp": (np.exp, lambda x, y: y, 6, 0),
    "expm1": (np.expm1, lambda x, y: y + 1, 6, 0),
    "gelu": (
        lambda x: np.where(np.isneginf(x), 0, x * 0.5 * (1 + _erf(x / math.sqrt(2)))),
        lambda x, y: 0.5 + 0.5 * _erf(x / math.sqrt(2)) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
        16,
        16,
    ),
    "log": (np.log, lambda x, y: 1 / x, 6, 0),
    "log10": (np.log10, lambda x, y: 1 / (x * math.log(10)), 6, 0),
    "log1p": (np.log1p, lambda x, y: 1 / (1 + x), 6, 0),
    "log2": (np.log2, lambda x, y: 1 / (x * math.log(2)), 6, 0),
    "reciprocal": (np.reciprocal, lambda x, y: -y * y, 3, 0),
    "rsqrt": (lambda x: 1 / np.sqrt(x), lambda x, y: -0.5 * y / x, 4, 0),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), lambda x, y: y * (1 - y), 8, 0),
    "silu": (
        lambda x: np.where(np.isneginf(x), 0, x / (1 + np.exp(-x))),
        lambda x, y: (1 + x * (1 - sigmoid(x))) * sigmoid(x),
        8,
        8,
    ),
    "sin": (np.sin, lambda x, y: np.cos(x), 6, 0),
    "sinh": (np.sinh, lambda x, y: np.cosh(x), 6, 0),
    "softplus": (lambda x: np.logaddexp(x, 0), lambda x, y: sigmoid(x), 8, 0),
    "sqrt": (np.sqrt, lambda x, y: 0.5 / y, 4, 0),
    "square": (np.square, lambda x, y: 2 * x, 1, 0),
    "tan": (np.tan, lambda x, y: 1 + y * y, 8, 0),
    "tanh": (np.tanh, lambda x, y: 1 - y * y, 8, 1),
}

#: Exact functions of any number, their derivatives, and how far x is from where they jump or bend (None: nowhere).
EXACT: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array], Callable[[Array], Array] | None]] = {
    "abs": (np.abs, np.sign, itself),
    "negative": (np.negative, lambda x: np.full_like(x, -1), None),
    "positive": (np.positive, np.ones_like, None),
    "relu": (lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0, itself),
    "sign": (np.sign, np.zeros_like, itself),
    "floor": (np.floor, np.zeros_like, from_whole),
    "ceil": (np.ceil, np.zeros_like, from_whole),
    "trunc": (np.trunc, np.zeros_like, from_whole),
    "round": (np.round, np.zeros_like, lambda x: from_whole(x + 0.5)),
}

COMPARE = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
LOGICAL = ("logical_and", "logical_or", "logical_xor")
BITWISE = ("bitwise_and", "bitwise_or", "bitwise_xor")
SHIFTS = ("bitwise_left_shift", "bitwise_right_shift")


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def shifted(x: Array, y: Array, left: bool) -> Array:
    """Shifts as the Array API leaves and needle defines them: by too much, or by a negative count, all bits go."""
    bits = 8 * x.dtype.itemsize
    out = (y < 0) | (y >= bits)
    by = np.where(out, 0, y).astype(x.dtype)
    if left:
        return np.where(out, 0, np.left_shift(x, by)).astype(x.dtype)
    empty = -(x < 0).astype(np.int8)
    return np.where(out, empty.astype(x.dtype), np.right_shift(x, by))  # int8 would make doubles of uint64
