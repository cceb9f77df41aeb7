# Written by `python tools/generate.py` from the declarations in needle/ops/.
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")

Axes = int | Sequence[int] | None

class Methods(Generic[Result]):
    def abs(self) -> Result:
        """The absolute value; the most negative integer stays as it is, as in NumPy."""

    def acos(self) -> Result:
        """Inverse cosine, in [0, pi]; NaN outside [-1, 1]."""

    def acosh(self) -> Result:
        """Inverse hyperbolic cosine; NaN below 1."""

    def all(self, axis: Axes = None, keepdims: bool = False) -> Result:
        """Whether all elements over `axis` are true (not zero)."""

    def any(self, axis: Axes = None, keepdims: bool = False) -> Result:
        """Whether any element over `axis` is true (not zero)."""

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Result:
        """The int64 position of the first largest element along `axis`, or in the flattened tensor."""

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Result:
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

    def expm1(self) -> Result:
        """exp(x) - 1, accurate near zero."""

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Result:
        """x with the axes from `start_dim` to `end_dim` (inclusive) joined into one."""

    def floor(self) -> Result:
        """The largest whole number not above x."""

    def gather(self, dim: int, index: Result) -> Result:
        """For each place of `index` the element of x there, but along `dim` at the index; PyTorch's function."""

    def index_add(self, dim: int, index: Result, source: Result, alpha: float = 1) -> Result:
        """x plus `alpha` times the slices of `source`, each added at its `index` along `dim`; PyTorch's function."""

    def index_select(self, dim: int, index: Result) -> Result:
        """The slices of x at a 1-D `index` along `dim`; PyTorch's function. See `take`."""

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

    def masked_fill(self, mask: Result, value: Result | float) -> Result:
        """x with `value` where `mask` is true; PyTorch's function."""

    def masked_select(self, mask: Result) -> Result:
        """The elements of x where `mask` is true, in C order, after both are broadcast together. PyTorch's function."""

    def max(self, axis: Axes = None, keepdims: bool = False) -> Result:
        """The largest element over `axis`; NaN if there is a NaN. Raises ValueError over an empty axis."""

    def mean(self, axis: Axes = None, keepdims: bool = False) -> Result:
        """The arithmetic mean over `axis`; NaN of no elements. Integers become the default float first."""

    def min(self, axis: Axes = None, keepdims: bool = False) -> Result:
        """The smallest element over `axis`; NaN if there is a NaN. Raises ValueError over an empty axis."""

    def negative(self) -> Result:
        """-x; an unsigned integer wraps around."""

    def nonzero(self, as_tuple: bool = True) -> tuple[Result, ...] | Result:
        """For each axis the int64 indices of the elements of x that are not zero, in C order."""

    def positive(self) -> Result:
        """x itself, as a new tensor."""

    def prod(self, axis: Axes = None, keepdims: bool = False) -> Result:
        """The product over `axis`. Integers and bools are multiplied in 64 bits."""

    def reciprocal(self) -> Result:
        """1 / x."""

    def relu(self) -> Result:
        """max(x, 0); NaN stays NaN. The gradient at 0 is 0."""

    def round(self) -> Result:
        """The nearest whole number, halves to the even one (IEEE 754, NumPy, PyTorch)."""

    def rsqrt(self) -> Result:
        """1 / sqrt(x)."""

    def scatter(self, dim: int, index: Result, src: Result | float) -> Result:
        """A copy of x with the elements of `src` written where `gather` would read; PyTorch's function."""

    def scatter_add(self, dim: int, index: Result, src: Result) -> Result:
        """x plus the elements of `src`, each added where `gather` would read; PyTorch's function."""

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

    def squeeze(self, axis: int | Sequence[int] | None = None) -> Result:
        """A view of x without the given axes, which must have size 1; by default without all of that size."""

    def std(self, axis: Axes = None, keepdims: bool = False, correction: float = 0) -> Result:
        """The standard deviation over `axis`, the square root of `var`."""

    def sum(self, axis: Axes = None, keepdims: bool = False) -> Result:
        """The sum over `axis` (an int, several, or None for all). Integers and bools are summed in 64 bits."""

    def take(self, indices: Any, axis: int | None = None) -> Result:
        """The elements, or slices, of x at `indices` along `axis`; NumPy's `take`."""

    def tan(self) -> Result:
        """Tangent."""

    def tanh(self) -> Result:
        """Hyperbolic tangent."""

    def transpose(self, axes: tuple[int, int] | None = None) -> Result:
        """A view of x with two axes exchanged, by default the last two (the course's `transpose`)."""

    def trunc(self) -> Result:
        """x without its fraction."""

    def var(self, axis: Axes = None, keepdims: bool = False, correction: float = 0) -> Result:
        """The variance over `axis`: squared deviations from the mean, summed and divided by n - correction."""
