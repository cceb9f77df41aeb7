"""Arithmetic, rounding, minimum and maximum."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array.operators import operator
from needle.backend.records import Elementwise
from needle.dtypes import DType, integer_limits, is_bool, is_float, is_integer, is_signed
from needle.ops.base import SCALARS, ElementwiseOp, elementwise, takes_tensor, written
from needle.ops.comparison import (
    equal,
    greater,
    greater_equal,
    isfinite,
    isnan,
    less,
    logical_and,
    logical_not,
    logical_or,
    where,
)
from needle.ops.creation import zeros_like

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = [
    "abs", "add", "ceil", "clip", "conj", "divide", "floor", "floor_divide", "imag", "maximum", "minimum",
    "multiply", "negative", "positive", "pow", "real", "remainder", "round", "sign", "square", "subtract", "trunc",
]  # fmt: skip

NUMBERS = "iuf"


@elementwise(
    cl={"f": "x + y", "iu": "WRAP(T, x, +, y)"},
    reference=np.add,
    kinds=NUMBERS,
    gradient=(lambda g, z, x, y: g, lambda g, z, x, y: g),
)
def add(x: Tensor, y: Tensor | float) -> Tensor:
    """The sum x + y; integers wrap around."""


@elementwise(
    cl={"f": "x - y", "iu": "WRAP(T, x, -, y)"},
    reference=np.subtract,
    kinds=NUMBERS,
    gradient=(lambda g, z, x, y: g, lambda g, z, x, y: -g),
)
def subtract(x: Tensor, y: Tensor | float) -> Tensor:
    """The difference x - y; integers wrap around."""


@elementwise(
    cl={"f": "x * y", "iu": "WRAP(T, x, *, y)"},
    reference=np.multiply,
    kinds=NUMBERS,
    gradient=(lambda g, z, x, y: g * y, lambda g, z, x, y: g * x),
)
def multiply(x: Tensor, y: Tensor | float) -> Tensor:
    """The product x * y; integers wrap around."""


@elementwise(
    cl="x / y",
    reference=np.divide,
    typing="float",
    sample=((-3, 3), (0.5, 3)),
    gradient=(lambda g, z, x, y: g / y, lambda g, z, x, y: -g * z / y),
)
def divide(x: Tensor, y: Tensor | float) -> Tensor:
    """The quotient x / y, in floating point also for integers."""


@elementwise(
    cl={"f": "CAT(floor_divide_, T)(x, y)", "iu": "CAT(floor_divide_, T)(x, y)"},
    reference=np.floor_divide,
    kinds=NUMBERS,
    sample=((-9, 9), (0.5, 3)),
)
def floor_divide(x: Tensor, y: Tensor | float) -> Tensor:
    """The largest whole number not above x / y. An integer divided by zero gives 0, as in NumPy."""


@elementwise(
    cl="CAT(remainder_, T)(x, y)",
    reference=np.remainder,
    kinds=NUMBERS,
    sample=((-9, 9), (0.5, 3)),
    gradient=(lambda g, z, x, y: g, lambda g, z, x, y: g * ((z - x) / y).round()),
)
def remainder(x: Tensor, y: Tensor | float) -> Tensor:
    """x - y * floor(x / y), with the sign of y. An integer modulo zero gives 0, as in NumPy."""


@elementwise(
    cl={"f": "POW(T, x, y)", "iu": "CAT(power_, T)(x, y)"},
    reference=lambda x, y: _numpy_power(x, y),
    kinds=NUMBERS,
    sample=((0.3, 3), (-2, 3)),
    gradient=(
        lambda g, z, x, y: _power_gradient(g, x, y),
        lambda g, z, x, y: g * z * (_log(x) if isinstance(x, SCALARS) else _log_of_base(x, y)),
    ),
)
def power(x: Tensor, y: Tensor | float) -> Tensor:
    """x raised to the power y. Integers wrap around and take no negative exponents (those give 0 or 1)."""


def _numpy_power(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """np.power, but for integers with negative exponents: NumPy refuses them, here 1 / x is cut to an integer."""
    if not is_signed(x.dtype) or not np.any(y < 0):
        return np.power(x, y)
    inverse = np.where(np.abs(x) == 1, np.power(x, y & 1), 0)
    return np.where(y < 0, inverse, np.power(x, np.where(y < 0, 0, y)))


def _power_gradient(g: Any, x: Any, y: Any) -> Any:
    """The gradient of x ** y with respect to x: 0 where y is 0, whatever x and g are."""
    if isinstance(y, SCALARS):
        return g * (y * _power(x, y - 1)) if y else zeros_like(g)
    # Only what would be undefined is cut to 0: the derivative by y is not 0 at y = 0.
    slope = _power(x, y - 1)
    defined = logical_and(isfinite(slope), isfinite(g))
    return where(logical_and(equal(y, 0), logical_not(defined)), 0, g * (y * slope))


def _log_of_base(x: Any, y: Any) -> Any:
    """log x, but 0 where x is 0 and y is not negative: there 0 ** y is taken to be constant, as in PyTorch."""
    return where(logical_and(equal(x, 0), greater_equal(y, 0)), 1, x).log()


def _log(x: float) -> float:
    return float(np.log(x)) if x > 0 else float("nan") if x < 0 else 0.0


def _power(x: Any, y: Any) -> Any:
    """x ** y, by multiplication for the exponents that people write most."""
    if isinstance(y, SCALARS) and not isinstance(x, SCALARS) and not is_bool(x.dtype):
        if y == 2 and (isinstance(y, int) or is_float(x.dtype)):
            return square(x)
        if y == 1:
            return positive(x) if isinstance(y, int) or is_float(x.dtype) else x * 1.0
        if y == 0.5:
            return x.sqrt()
        if y in _PRODUCTS and is_float(x.dtype):
            return _PRODUCTS[y](x)
    return power(x, y)


def _product(exponent: float) -> ElementwiseOp:
    """x ** exponent for a whole or half exponent, by multiplications and a square root: pow takes 20 times as long.

    They are one operation, so that halves are rounded once. At -inf a half exponent gives NaN, as `sqrt` does.
    """
    size = exponent if exponent > 0 else -exponent
    whole, half = int(size), bool(size % 1)
    x = "(x + 0)" if half else "x"  # the root of -0 counts as that of +0
    squares = [f"({x} * {x})"] * (whole // 2)
    product = " * ".join([*squares, *[x] * (whole % 2), *[f"sqrt({x})"] * half])

    def reference(x: np.ndarray) -> np.ndarray:
        found = np.power(x + 0, whole) * np.sqrt(x + 0) if half else np.power(x, whole)
        return found if exponent > 0 else np.divide(1, found, dtype=found.dtype)

    return ElementwiseOp(
        Elementwise(f"power {exponent:g}", product if exponent > 0 else f"1 / ({product})", reference, 1, "same", "f"),
        [lambda g, z, x: _power_gradient(g, x, exponent)],
    )


#: The operations for the exponents from -4 to 8 that no operation of its own stands for.
_PRODUCTS = {n / 2: _product(n / 2) for n in range(-8, 17) if n not in (0, 1, 2, 4)}


@operator
def pow(x: Tensor, y: Tensor | float) -> Tensor:
    """x ** y; squares, roots and first powers are done without `pow`."""
    return _power(x, y)


@elementwise(
    cl={"f": "x * x", "iu": "WRAP(T, x, *, x)"},
    reference=np.square,
    kinds=NUMBERS,
    gradient=lambda g, y, x: g * (2 * x),
    method=True,
)
def square(x: Tensor) -> Tensor:
    """x * x."""


@elementwise(
    cl={"f": "-x", "iu": "WRAP(T, LIT(T, 0), -, x)"},
    reference=np.negative,
    kinds=NUMBERS,
    gradient=lambda g, y, x: -g,
    method=True,
)
def negative(x: Tensor) -> Tensor:
    """-x; an unsigned integer wraps around."""


@elementwise(cl="x", reference=lambda x: x, kinds=NUMBERS, gradient=lambda g, y, x: g, method=True)
def positive(x: Tensor) -> Tensor:
    """x itself, as a new tensor."""


@elementwise(
    cl={"f": "fabs(x)", "i": "(x < LIT(T, 0)) ? WRAP(T, LIT(T, 0), -, x) : x", "bu": "x"},
    reference=np.abs,
    gradient=lambda g, y, x: g * sign(x),
    method=True,
)
def abs(x: Tensor) -> Tensor:
    """The absolute value; the most negative integer stays as it is, as in NumPy."""


@elementwise(
    cl={
        "f": "(x > LIT(T, 0)) ? LIT(T, 1) : ((x < LIT(T, 0)) ? LIT(T, -1) : fabs(x))",  # -0 gives 0, NaN itself
        "i": "(x > LIT(T, 0)) ? LIT(T, 1) : ((x < LIT(T, 0)) ? LIT(T, -1) : LIT(T, 0))",
        "u": "(x != LIT(T, 0)) ? LIT(T, 1) : LIT(T, 0)",
    },
    reference=np.sign,
    kinds=NUMBERS,
    gradient=lambda g, y, x: zeros_like(g),
    method=True,
)
def sign(x: Tensor) -> Tensor:
    """-1, 0 or 1 with the sign of x; NaN stays NaN."""


@elementwise(
    cl={"f": "floor(x)", "iu": "x"},
    reference=np.floor,
    kinds=NUMBERS,
    gradient=lambda g, y, x: zeros_like(g),
    method=True,
)
def floor(x: Tensor) -> Tensor:
    """The largest whole number not above x."""


@elementwise(
    cl={"f": "ceil(x)", "iu": "x"},
    reference=np.ceil,
    kinds=NUMBERS,
    gradient=lambda g, y, x: zeros_like(g),
    method=True,
)
def ceil(x: Tensor) -> Tensor:
    """The smallest whole number not below x."""


@elementwise(
    cl={"f": "trunc(x)", "iu": "x"},
    reference=np.trunc,
    kinds=NUMBERS,
    gradient=lambda g, y, x: zeros_like(g),
    method=True,
)
def trunc(x: Tensor) -> Tensor:
    """x without its fraction."""


@elementwise(
    cl={"f": "rint(x)", "iu": "x"},
    reference=np.round,
    kinds=NUMBERS,
    gradient=lambda g, y, x: zeros_like(g),
    method=True,
)
def round(x: Tensor) -> Tensor:
    """The nearest whole number, halves to the even one (IEEE 754, NumPy, PyTorch)."""


def _share(g: Any, mine: Any, other: Any, taken: Callable[[Any, Any], Any]) -> Any:
    """The gradient of a minimum or maximum: to the operand it took, in halves where they are equal, at NaN to neither.

    The operands are not compared with the result: they may be computed anew, and a compiler may round them otherwise.
    """
    share = taken(mine, other).astype(g.dtype) + 0.5 * equal(mine, other).astype(g.dtype)
    return where(equal(share, 0), 0, g * share)  # even of an infinite gradient the other gets none


@elementwise(
    cl="((x > y) | (x != x)) ? x : y",
    reference=np.maximum,
    kinds="biuf",
    gradient=(lambda g, z, x, y: _share(g, x, y, greater), lambda g, z, x, y: _share(g, y, x, greater)),
)
def maximum(x: Tensor, y: Tensor | float) -> Tensor:
    """The larger of x and y; NaN if either is NaN. Equal operands share the gradient, as in PyTorch."""


@elementwise(
    cl="((x < y) | (x != x)) ? x : y",
    reference=np.minimum,
    kinds="biuf",
    gradient=(lambda g, z, x, y: _share(g, x, y, less), lambda g, z, x, y: _share(g, y, x, less)),
)
def minimum(x: Tensor, y: Tensor | float) -> Tensor:
    """The smaller of x and y; NaN if either is NaN. Equal operands share the gradient, as in PyTorch."""


def _is_below(limit: Any, dtype: DType) -> bool:
    """Whether `limit` is an integer below all of `dtype`, which would not hold it."""
    return isinstance(limit, (int, np.integer)) and is_integer(dtype) and int(limit) < integer_limits(dtype)[0]


def _is_above(limit: Any, dtype: DType) -> bool:
    """Whether `limit` is an integer above all of `dtype`, which would not hold it."""
    return isinstance(limit, (int, np.integer)) and is_integer(dtype) and int(limit) > integer_limits(dtype)[1]


@takes_tensor
def clip(
    x: Tensor, min: Tensor | float | None = None, max: Tensor | float | None = None, *, out: Tensor | None = None
) -> Tensor:
    """x limited to [min, max], either of which may be None; NaN if x or a limit is NaN. It may be written into `out`.

    The gradient is that of x inside the limits and on them (and at NaN), and zero outside.
    """
    result = x
    if min is not None and not _is_below(min, x.dtype):
        result = where(logical_or(result >= min, isnan(result)), result, min)
    if max is not None and not _is_above(max, x.dtype):
        result = where(logical_or(result <= max, isnan(result)), result, max)
    limited: Tensor = written(result, out)
    return limited


@takes_tensor
def conj(x: Tensor) -> Tensor:
    """The complex conjugate, which of real numbers is x itself."""
    return x


@takes_tensor
def real(x: Tensor) -> Tensor:
    """The real part, which of real numbers is x itself."""
    return x


@takes_tensor
def imag(x: Tensor) -> Tensor:
    """The imaginary part: zeros, since there are no complex dtypes."""
    return zeros_like(x)
