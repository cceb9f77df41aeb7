"""Comparison, classification, logical and bitwise operations, and the choice between two tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from needle.ops.base import elementwise

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = [
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "equal",
    "greater", "greater_equal", "isfinite", "isinf", "isnan", "less", "less_equal", "logical_and", "logical_not",
    "logical_or", "logical_xor", "not_equal",
]  # fmt: skip


@elementwise(cl="x == y", reference=np.equal, typing="compare")
def equal(x: Tensor, y: Tensor | float) -> Tensor:
    """Whether x == y, as bool; NaN equals nothing."""


@elementwise(cl="x != y", reference=np.not_equal, typing="compare")
def not_equal(x: Tensor, y: Tensor | float) -> Tensor:
    """Whether x != y, as bool."""


@elementwise(cl="x < y", reference=np.less, typing="compare")
def less(x: Tensor, y: Tensor | float) -> Tensor:
    """Whether x < y, as bool."""


@elementwise(cl="x <= y", reference=np.less_equal, typing="compare")
def less_equal(x: Tensor, y: Tensor | float) -> Tensor:
    """Whether x <= y, as bool."""


@elementwise(cl="x > y", reference=np.greater, typing="compare")
def greater(x: Tensor, y: Tensor | float) -> Tensor:
    """Whether x > y, as bool."""


@elementwise(cl="x >= y", reference=np.greater_equal, typing="compare")
def greater_equal(x: Tensor, y: Tensor | float) -> Tensor:
    """Whether x >= y, as bool."""


@elementwise(cl={"f": "x != x", "biu": "x != x"}, reference=np.isnan, typing="compare", method=True)
def isnan(x: Tensor) -> Tensor:
    """Whether x is NaN, as bool."""


@elementwise(
    cl={"f": "fabs(x) == LIT(T, INFINITY)", "biu": "x != x"}, reference=np.isinf, typing="compare", method=True
)
def isinf(x: Tensor) -> Tensor:
    """Whether x is positive or negative infinity, as bool."""


@elementwise(
    cl={"f": "fabs(x) < LIT(T, INFINITY)", "biu": "x == x"}, reference=np.isfinite, typing="compare", method=True
)
def isfinite(x: Tensor) -> Tensor:
    """Whether x is neither infinite nor NaN, as bool."""


@elementwise(cl="x & y", reference=np.logical_and, typing="logical")
def logical_and(x: Tensor, y: Tensor | bool) -> Tensor:
    """Whether both x and y are true (not zero)."""


@elementwise(cl="x | y", reference=np.logical_or, typing="logical")
def logical_or(x: Tensor, y: Tensor | bool) -> Tensor:
    """Whether x or y is true (not zero)."""


@elementwise(cl="x ^ y", reference=np.logical_xor, typing="logical")
def logical_xor(x: Tensor, y: Tensor | bool) -> Tensor:
    """Whether exactly one of x and y is true (not zero)."""


@elementwise(cl="x ^ LIT(T, 1)", reference=np.logical_not, typing="logical", method=True)
def logical_not(x: Tensor) -> Tensor:
    """Whether x is false (zero)."""


@elementwise(cl="x & y", reference=np.bitwise_and, kinds="biu")
def bitwise_and(x: Tensor, y: Tensor | int) -> Tensor:
    """Bits set in both x and y."""


@elementwise(cl="x | y", reference=np.bitwise_or, kinds="biu")
def bitwise_or(x: Tensor, y: Tensor | int) -> Tensor:
    """Bits set in x or y."""


@elementwise(cl="x ^ y", reference=np.bitwise_xor, kinds="biu")
def bitwise_xor(x: Tensor, y: Tensor | int) -> Tensor:
    """Bits set in exactly one of x and y."""


@elementwise(cl={"b": "x ^ LIT(T, 1)", "iu": "~x"}, reference=np.invert, kinds="biu")
def bitwise_invert(x: Tensor) -> Tensor:
    """The bits of x turned over; for bool the logical not."""


@elementwise(
    cl="((y < LIT(T, 0)) | (y >= LIT(T, 8 * sizeof(T)))) ? LIT(T, 0) : x << (y & LIT(T, 8 * sizeof(T) - 1))",
    reference=np.left_shift,
    kinds="iu",
    sample=((-9, 9), (0, 5)),
)
def bitwise_left_shift(x: Tensor, y: Tensor | int) -> Tensor:
    """x shifted left by y bits; 0 once all bits have left."""


@elementwise(
    cl={
        "i": "x >> (((y < LIT(T, 0)) | (y >= LIT(T, 8 * sizeof(T)))) ? LIT(T, 8 * sizeof(T) - 1) : y)",
        "u": "(y >= LIT(T, 8 * sizeof(T))) ? LIT(T, 0) : x >> (y & LIT(T, 8 * sizeof(T) - 1))",
    },
    reference=np.right_shift,
    kinds="iu",
    sample=((-9, 9), (0, 5)),
)
def bitwise_right_shift(x: Tensor, y: Tensor | int) -> Tensor:
    """x shifted right by y bits, keeping its sign."""


@elementwise(
    cl="SELECT(T, x, y, z)",
    reference=np.where,
    typing="select",
    sample=((0, 1), (-3, 3), (-3, 3)),
    gradient=(
        lambda g, r, c, x, y: None,
        lambda g, r, c, x, y: where(c, g, 0),
        lambda g, r, c, x, y: where(c, 0, g),
    ),
)
def where(condition: Tensor, x: Tensor | float, y: Tensor | float) -> Tensor:
    """x where `condition` is true (not zero), else y."""
