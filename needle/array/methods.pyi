# Written by `python tools/generate.py` from the declarations in needle/ops/.
# fmt: off
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from needle.dtypes import DTypeLike

Result = TypeVar("Result")

Axes = int | Sequence[int] | None

class Methods(Generic[Result]):
    def abs(self) -> Result:
        """The absolute value; the most negative integer stays as it is, as in NumPy."""

    def acos(self) -> Result:
        """Inverse cosine, in [0, pi]; NaN outside [-1, 1]."""

    def acosh(self) -> Result:
        """Inverse hyperbolic cosine; NaN below 1."""

    def all(self, axis: Axes = None, keepdims: bool = False, *, dim: Axes = None, dims: Axes = None, axes: Axes = None, keepdim: bool = False) -> Result:
        """Whether all elements over `axis` are true (not zero)."""

    def any(self, axis: Axes = None, keepdims: bool = False, *, dim: Axes = None, dims: Axes = None, axes: Axes = None, keepdim: bool = False) -> Result:
        """Whether any element over `axis` is true (not zero)."""

    def argmax(self, axis: int | None = None, keepdims: bool = False, *, dim: int | None = None, dims: int | None = None, axes: int | None = None, keepdim: bool = False) -> Result:
        """The int64 position of the first largest element along `axis`, or in the flattened tensor."""

    def argmin(self, axis: int | None = None, keepdims: bool = False, *, dim: int | None = None, dims: int | None = None, axes: int | None = None, keepdim: bool = False) -> Result:
        """The int64 position of the first smallest element along `axis`, or in the flattened tensor."""

    def asin(self) -> Result:
        """Inverse sine, in [-pi/2, pi/2]; NaN outside [-1, 1]."""

    def asinh(self) -> Result:
        """Inverse hyperbolic sine."""

    def atan(self) -> Result:
        """Inverse tangent, in [-pi/2, pi/2]."""

    def atanh(self) -> Result:
        """Inverse hyperbolic tangent; NaN outside [-1, 1]."""

    def ceil(self) -> Result:
        """The smallest whole number not below x."""

    def cos(self) -> Result:
        """Cosine."""

    def cosh(self) -> Result:
        """Hyperbolic cosine."""

    def erf(self) -> Result:
        """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x (DLMF 7.2.1)."""

    def exp(self) -> Result:
        """e to the power x."""

    def expand_dims(self, axis: int = 0, *, dim: int = 0, dims: int = 0, axes: int = 0) -> Result:
        """A view of x with a new axis of size 1 at position `axis` of the result."""

    def expm1(self) -> Result:
        """exp(x) - 1, accurate near zero."""

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Result:
        """x with the axes from `start_dim` to `end_dim` (inclusive) joined into one."""

    def floor(self) -> Result:
        """The largest whole number not above x."""

    def isfinite(self) -> Result:
        """Whether x is neither infinite nor NaN, as bool."""

    def isinf(self) -> Result:
        """Whether x is positive or negative infinity, as bool."""

    def isnan(self) -> Result:
        """Whether x is NaN, as bool."""

    def log(self) -> Result:
        """The natural logarithm; -inf at 0, NaN below."""

    def log10(self) -> Result:
        """The logarithm to base 10."""

    def log1p(self) -> Result:
        """log(1 + x), accurate near zero."""

    def log2(self) -> Result:
        """The logarithm to base 2."""

    def logical_not(self) -> Result:
        """Whether x is false (zero)."""

    def max(self, axis: Axes = None, keepdims: bool = False, *, dim: Axes = None, dims: Axes = None, axes: Axes = None, keepdim: bool = False) -> Result:
        """The largest element over `axis`; NaN if there is a NaN. Raises ValueError over an empty axis."""

    def mean(self, axis: Axes = None, keepdims: bool = False, *, dim: Axes = None, dims: Axes = None, axes: Axes = None, keepdim: bool = False) -> Result:
        """The arithmetic mean over `axis`; NaN of no elements. Integers become the default float first."""

    def min(self, axis: Axes = None, keepdims: bool = False, *, dim: Axes = None, dims: Axes = None, axes: Axes = None, keepdim: bool = False) -> Result:
        """The smallest element over `axis`; NaN if there is a NaN. Raises ValueError over an empty axis."""

    def negative(self) -> Result:
        """-x; an unsigned integer wraps around."""

    def positive(self) -> Result:
        """x itself, as a new tensor."""

    def prod(self, axis: Axes = None, keepdims: bool = False, *, dtype: DTypeLike = None, dim: Axes = None, dims: Axes = None, axes: Axes = None, keepdim: bool = False) -> Result:
        """The product over `axis`. Integers and bools are multiplied in 64 bits; `dtype` is as for `sum`."""

    def reciprocal(self) -> Result:
        """1 / x."""

    def relu(self) -> Result:
        """max(x, 0); NaN stays NaN. The gradient at 0 is 0."""

    def round(self) -> Result:
        """The nearest whole number, halves to the even one (IEEE 754, NumPy, PyTorch)."""

    def rsqrt(self) -> Result:
        """1 / sqrt(x)."""

    def sigmoid(self) -> Result:
        """The logistic function 1 / (1 + exp(-x))."""

    def sign(self) -> Result:
        """-1, 0 or 1 with the sign of x; NaN stays NaN."""

    def sin(self) -> Result:
        """Sine."""

    def sinh(self) -> Result:
        """Hyperbolic sine."""

    def sqrt(self) -> Result:
        """The square root; NaN below 0."""

    def square(self) -> Result:
        """x * x."""

    def squeeze(self, axis: int | Sequence[int] | None = None, *, dim: int | Sequence[int] | None = None, dims: int | Sequence[int] | None = None, axes: int | Sequence[int] | None = None) -> Result:
        """A view of x without the given axes, which must have size 1; by default without all of that size."""

    def std(self, axis: Axes = None, keepdims: bool = False, correction: float = 0, *, dim: Axes = None, dims: Axes = None, axes: Axes = None, keepdim: bool = False, unbiased: float = 0, ddof: float = 0) -> Result:
        """The standard deviation over `axis`, the square root of `var`."""

    def sum(self, axis: Axes = None, keepdims: bool = False, *, dtype: DTypeLike = None, dim: Axes = None, dims: Axes = None, axes: Axes = None, keepdim: bool = False) -> Result:
        """The sum over `axis` (an int, several, or None for all). Integers and bools are summed in 64 bits."""

    def swapaxes(self, axis1: int = -2, axis2: int = -1) -> Result:
        """A view of x with two axes exchanged, by default the last two."""

    def tan(self) -> Result:
        """Tangent."""

    def tanh(self) -> Result:
        """Hyperbolic tangent."""

    def transpose(self, axes: int | Sequence[int] | None = None, dim1: int | None = None, *others: int, dim0: int | None = None, dims: int | Sequence[int] | None = None, axis: int | Sequence[int] | None = None) -> Result:
        """A view of x with axes exchanged: by default the last two (the course's `transpose`), or the two that are named."""

    def trunc(self) -> Result:
        """x without its fraction."""

    def var(self, axis: Axes = None, keepdims: bool = False, correction: float = 0, *, dim: Axes = None, dims: Axes = None, axes: Axes = None, keepdim: bool = False, unbiased: float = 0, ddof: float = 0) -> Result:
        """The variance over `axis`: squared deviations from the mean, summed and divided by n - correction."""
