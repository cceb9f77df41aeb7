# Written by `python tools/generate.py` from the declarations in needle/ops/.
# fmt: off
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from needle.dtypes import DTypeLike
from needle.ops.sorting import RankedResult

Result = TypeVar("Result")

Axes = int | Sequence[int] | None

class Methods(Generic[Result]):
    def abs(self) -> Result:
        """The absolute value; the most negative integer stays as it is, as in NumPy."""

    def absolute(self) -> Result:
        """The absolute value; the most negative integer stays as it is, as in NumPy."""

    def acos(self) -> Result:
        """Inverse cosine, in [0, pi]; NaN outside [-1, 1]."""

    def acosh(self) -> Result:
        """Inverse hyperbolic cosine; NaN below 1."""

    def add(self, y: Result | float) -> Result:
        """The sum x + y; integers wrap around."""

    def all(self, axis: Axes = None, keepdims: bool = False, *, dim: Axes = None, dims: Axes = None, axes: Axes = None, keepdim: bool = False) -> Result:
        """Whether all elements over `axis` are true (not zero)."""

    def allclose(self, y: Result | float = 0.0, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
        """Whether `isclose` holds of all elements: a Python bool, for which the host waits for the device."""

    def amax(self, axis: Axes | Result = None, keepdims: bool = False, *, dim: Axes | Result = None, dims: Axes | Result = None, axes: Axes | Result = None, keepdim: bool = False) -> Result:
        """The largest element over `axis`; NaN if there is a NaN. Raises ValueError over an empty axis."""

    def amin(self, axis: Axes | Result = None, keepdims: bool = False, *, dim: Axes | Result = None, dims: Axes | Result = None, axes: Axes | Result = None, keepdim: bool = False) -> Result:
        """The smallest element over `axis`; NaN if there is a NaN. Raises ValueError over an empty axis."""

    def any(self, axis: Axes = None, keepdims: bool = False, *, dim: Axes = None, dims: Axes = None, axes: Axes = None, keepdim: bool = False) -> Result:
        """Whether any element over `axis` is true (not zero)."""

    def arccos(self) -> Result:
        """Inverse cosine, in [0, pi]; NaN outside [-1, 1]."""

    def arccosh(self) -> Result:
        """Inverse hyperbolic cosine; NaN below 1."""

    def arcsin(self) -> Result:
        """Inverse sine, in [-pi/2, pi/2]; NaN outside [-1, 1]."""

    def arcsinh(self) -> Result:
        """Inverse hyperbolic sine."""

    def arctan(self) -> Result:
        """Inverse tangent, in [-pi/2, pi/2]."""

    def arctan2(self, y: Result | float) -> Result:
        """The angle of the point (y, x) against the first axis, in [-pi, pi]."""

    def arctanh(self) -> Result:
        """Inverse hyperbolic tangent; NaN outside [-1, 1]."""

    def argmax(self, axis: int | None = None, keepdims: bool = False, *, dim: int | None = None, dims: int | None = None, axes: int | None = None, keepdim: bool = False) -> Result:
        """The int64 position of the first largest element along `axis`, or in the flattened tensor."""

    def argmin(self, axis: int | None = None, keepdims: bool = False, *, dim: int | None = None, dims: int | None = None, axes: int | None = None, keepdim: bool = False) -> Result:
        """The int64 position of the first smallest element along `axis`, or in the flattened tensor."""

    def argsort(self, axis: int = -1, descending: bool = False, stable: bool = True, *, dim: int = -1, dims: int = -1, axes: int = -1) -> Result:
        """The int64 positions that sort x along `axis` (Array API); see `sort`."""

    def asin(self) -> Result:
        """Inverse sine, in [-pi/2, pi/2]; NaN outside [-1, 1]."""

    def asinh(self) -> Result:
        """Inverse hyperbolic sine."""

    def atan(self) -> Result:
        """Inverse tangent, in [-pi/2, pi/2]."""

    def atan2(self, y: Result | float) -> Result:
        """The angle of the point (y, x) against the first axis, in [-pi, pi]."""

    def atanh(self) -> Result:
        """Inverse hyperbolic tangent; NaN outside [-1, 1]."""

    def bitwise_and(self, y: Result | int) -> Result:
        """Bits set in both x and y."""

    def bitwise_left_shift(self, y: Result | int) -> Result:
        """x shifted left by y bits; 0 once all bits have left."""

    def bitwise_not(self) -> Result:
        """The bits of x turned over; for bool the logical not."""

    def bitwise_or(self, y: Result | int) -> Result:
        """Bits set in x or y."""

    def bitwise_right_shift(self, y: Result | int) -> Result:
        """x shifted right by y bits, keeping its sign."""

    def bitwise_xor(self, y: Result | int) -> Result:
        """Bits set in exactly one of x and y."""

    def bmm(self, b: Result) -> Result:
        """The matrix product of `a` (..., M, K) and `b` (..., K, N), as NumPy's `matmul`."""

    def ceil(self) -> Result:
        """The smallest whole number not below x."""

    def chunk(self, chunks: int = 1, axis: int = 0, *, dim: int = 0, dims: int = 0, axes: int = 0) -> list[Result]:
        """At most `chunks` views of x along `axis`, all of one size but the last, which may be smaller; as PyTorch's."""

    def clamp(self, min: Result | float | None = None, max: Result | float | None = None, *, out: Result | None = None) -> Result:
        """x limited to [min, max], either of which may be None; NaN if x or a limit is NaN. It may be written into `out`."""

    def clamp_max(self, max: Any = None) -> Result:
        """x, but not above `max`."""

    def clamp_min(self, min: Any = None) -> Result:
        """x, but not below `min`."""

    def clip(self, min: Result | float | None = None, max: Result | float | None = None, *, out: Result | None = None) -> Result:
        """x limited to [min, max], either of which may be None; NaN if x or a limit is NaN. It may be written into `out`."""

    def copysign(self, y: Result | float) -> Result:
        """|x| with the sign of y, that of a zero or a NaN too. The gradient at x = 0 is 0."""

    def cos(self) -> Result:
        """Cosine."""

    def cosh(self) -> Result:
        """Hyperbolic cosine."""

    def cummax(self, axis: int = -1, *, dim: int = -1, dims: int = -1, axes: int = -1) -> tuple[Result, Result]:
        """The largest element so far along `axis`, and its int64 position, of equals the last (PyTorch)."""

    def cummin(self, axis: int = -1, *, dim: int = -1, dims: int = -1, axes: int = -1) -> tuple[Result, Result]:
        """The smallest element so far along `axis`, and its int64 position; the rest is as for `cummax`."""

    def cumprod(self, axis: int | None = None, dtype: DTypeLike = None, *, dim: int | None = None, dims: int | None = None, axes: int | None = None) -> Result:
        """The products of all beginnings of x along `axis`, or of x flattened (NumPy); see `cumulative_prod`."""

    def cumsum(self, axis: int | None = None, dtype: DTypeLike = None, *, dim: int | None = None, dims: int | None = None, axes: int | None = None) -> Result:
        """The sums of all beginnings of x along `axis`, or of x flattened (NumPy); see `cumulative_sum`."""

    def diag(self, k: int = 0, *, diagonal: int = 0) -> Result:
        """The k-th diagonal of a matrix, or the matrix with the vector x on that diagonal and zeros elsewhere."""

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Result:
        """A view of the elements x[..., i, ..., i + offset, ...], which stand along a new last axis, as in NumPy."""

    def diff(self, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None, *, dim: int = -1, dims: int = -1, axes: int = -1) -> Result:
        """The n-th difference along `axis`: x[i + 1] - x[i], n times over. Bools differ by `!=`."""

    def div(self, y: Result | float) -> Result:
        """The quotient x / y, in floating point also for integers."""

    def divide(self, y: Result | float) -> Result:
        """The quotient x / y, in floating point also for integers."""

    def dot(self, y: Result) -> Result:
        """The product of two vectors, x · y, or of matrices, where NumPy's `dot` is `matmul`; a tensor without axes scales."""

    def eq(self, y: Result | float) -> Result:
        """Whether x == y, as bool; NaN equals nothing."""

    def equal(self, y: Result | float) -> Result:
        """Whether x == y, as bool; NaN equals nothing."""

    def erf(self) -> Result:
        """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x (DLMF 7.2.1)."""

    def exp(self) -> Result:
        """e to the power x."""

    def expand(self, *sizes: Any) -> Result:
        """A view of x repeated to `sizes`, given as a shape or as arguments; -1 keeps the size that an axis has."""

    def expand_dims(self, axis: int = 0, *, dim: int = 0, dims: int = 0, axes: int = 0) -> Result:
        """A view of x with a new axis of size 1 at position `axis` of the result."""

    def expm1(self) -> Result:
        """exp(x) - 1, accurate near zero."""

    def fix(self) -> Result:
        """x without its fraction."""

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Result:
        """x with the axes from `start_dim` to `end_dim` (inclusive) joined into one."""

    def fliplr(self) -> Result:
        """A view with axis 1 read backwards."""

    def flipud(self) -> Result:
        """A view with axis 0 read backwards."""

    def floor(self) -> Result:
        """The largest whole number not above x."""

    def floor_divide(self, y: Result | float) -> Result:
        """The largest whole number not above x / y. An integer divided by zero gives 0, as in NumPy."""

    def frac(self) -> Result:
        """The fraction of x, with its sign: x - trunc(x)."""

    def gather(self, dim: int, index: Result) -> Result:
        """For each place of `index` the element of x there, but along `dim` at the index; PyTorch's function."""

    def ge(self, y: Result | float) -> Result:
        """Whether x >= y, as bool."""

    def greater(self, y: Result | float) -> Result:
        """Whether x > y, as bool."""

    def greater_equal(self, y: Result | float) -> Result:
        """Whether x >= y, as bool."""

    def gt(self, y: Result | float) -> Result:
        """Whether x > y, as bool."""

    def hypot(self, y: Result | float) -> Result:
        """sqrt(x^2 + y^2) without overflow on the way; infinite if x or y is, even beside a NaN (IEEE 754)."""

    def index_add(self, dim: int, index: Result, source: Result, *, alpha: float = 1) -> Result:
        """x plus `alpha` times the slices of `source`, each added at its `index` along `dim`; PyTorch's function."""

    def index_select(self, dim: int, index: Result) -> Result:
        """The slices of x at a 1-D `index` along `dim`; PyTorch's function. See `take`."""

    def inner(self, y: Result) -> Result:
        """Sums of products over the last axes of x and y; a tensor without axes scales."""

    def isclose(self, y: Result | float = 0.0, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Result:
        """Whether |x - y| <= atol + rtol * |y|, as bool. Infinities are close if equal, NaNs with `equal_nan` alone."""

    def isfinite(self) -> Result:
        """Whether x is neither infinite nor NaN, as bool."""

    def isinf(self) -> Result:
        """Whether x is positive or negative infinity, as bool."""

    def isnan(self) -> Result:
        """Whether x is NaN, as bool."""

    def kthvalue(self, k: int, axis: int = -1, keepdims: bool = False, *, diagonal: int, dim: int = -1, dims: int = -1, axes: int = -1, keepdim: bool = False) -> RankedResult:
        """The k-th smallest element along `axis`, counted from 1, and its int64 position (PyTorch)."""

    def le(self, y: Result | float) -> Result:
        """Whether x <= y, as bool."""

    def lerp(self, end: Result | float, weight: Result | float) -> Result:
        """x + weight * (end - x): from x at weight 0 to `end` at weight 1."""

    def less(self, y: Result | float) -> Result:
        """Whether x < y, as bool."""

    def less_equal(self, y: Result | float) -> Result:
        """Whether x <= y, as bool."""

    def log(self) -> Result:
        """The natural logarithm; -inf at 0, NaN below."""

    def log10(self) -> Result:
        """The logarithm to base 10."""

    def log1p(self) -> Result:
        """log(1 + x), accurate near zero."""

    def log2(self) -> Result:
        """The logarithm to base 2."""

    def log_softmax(self, axis: int = -1, *, dim: int = -1, dims: int = -1, axes: int = -1) -> Result:
        """The logarithm of `softmax(x, axis)`, exact also where the softmax itself would round to 0."""

    def logaddexp(self, y: Result | float) -> Result:
        """log(exp(x) + exp(y)) without overflow on the way."""

    def logical_and(self, y: Result | bool) -> Result:
        """Whether both x and y are true (not zero)."""

    def logical_not(self) -> Result:
        """Whether x is false (zero)."""

    def logical_or(self, y: Result | bool) -> Result:
        """Whether x or y is true (not zero)."""

    def logical_xor(self, y: Result | bool) -> Result:
        """Whether exactly one of x and y is true (not zero)."""

    def logsumexp(self, axis: int | Sequence[int] | None = None, keepdims: bool = False, *, dim: int | Sequence[int] | None = None, dims: int | Sequence[int] | None = None, axes: int | Sequence[int] | None = None, keepdim: bool = False) -> Result:
        """log(sum(exp(x))) over `axis` (an int, several, or None for all), without overflow."""

    def lt(self, y: Result | float) -> Result:
        """Whether x < y, as bool."""

    def masked_fill(self, mask: Result, value: Result | float) -> Result:
        """x with `value` where `mask` is true; PyTorch's function."""

    def masked_select(self, mask: Result) -> Result:
        """The elements of x where `mask` is true, in C order, after both are broadcast together. PyTorch's function."""

    def matmul(self, b: Result) -> Result:
        """The matrix product of `a` (..., M, K) and `b` (..., K, N), as NumPy's `matmul`."""

    def max(self, axis: Axes | Result = None, keepdims: bool = False, *, dim: Axes | Result = None, dims: Axes | Result = None, axes: Axes | Result = None, keepdim: bool = False) -> Result:
        """The largest element over `axis`; NaN if there is a NaN. Raises ValueError over an empty axis."""

    def maximum(self, y: Result | float) -> Result:
        """The larger of x and y; NaN if either is NaN. Equal operands share the gradient, as in PyTorch."""

    def mean(self, axis: Axes = None, keepdims: bool = False, *, dim: Axes = None, dims: Axes = None, axes: Axes = None, keepdim: bool = False) -> Result:
        """The arithmetic mean over `axis`; NaN of no elements."""

    def median(self, axis: int | None = None, keepdims: bool = False, *, dim: int | None = None, dims: int | None = None, axes: int | None = None, keepdim: bool = False) -> Result:
        """The median along `axis`, or of all elements; of an even number the mean of the two in the middle (NumPy)."""

    def min(self, axis: Axes | Result = None, keepdims: bool = False, *, dim: Axes | Result = None, dims: Axes | Result = None, axes: Axes | Result = None, keepdim: bool = False) -> Result:
        """The smallest element over `axis`; NaN if there is a NaN. Raises ValueError over an empty axis."""

    def minimum(self, y: Result | float) -> Result:
        """The smaller of x and y; NaN if either is NaN. Equal operands share the gradient, as in PyTorch."""

    def mm(self, b: Result) -> Result:
        """The matrix product of `a` (..., M, K) and `b` (..., K, N), as NumPy's `matmul`."""

    def moveaxis(self, source: int | Sequence[int] = 0, destination: int | Sequence[int] = 0) -> Result:
        """A view of x with the axes `source` moved to the positions `destination`, the others keeping their order."""

    def movedim(self, source: int | Sequence[int] = 0, destination: int | Sequence[int] = 0) -> Result:
        """A view of x with the axes `source` moved to the positions `destination`, the others keeping their order."""

    def mul(self, y: Result | float) -> Result:
        """The product x * y; integers wrap around."""

    def multiply(self, y: Result | float) -> Result:
        """The product x * y; integers wrap around."""

    def mv(self, y: Result) -> Result:
        """The product of a matrix and a vector. Raises ValueError for other shapes."""

    def nan_to_num(self, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None, copy: bool = True) -> Result:
        """x with `nan` for NaN, `posinf` for infinity and `neginf` for -infinity, by default the dtype's extremes."""

    def narrow(self, dim: int = 0, start: int = 0, length: int | None = None) -> Result:
        """A view of `length` elements of x along `dim`, from `start` on; all that remain by default."""

    def ne(self, y: Result | float) -> Result:
        """Whether x != y, as bool."""

    def neg(self) -> Result:
        """-x; an unsigned integer wraps around."""

    def negative(self) -> Result:
        """-x; an unsigned integer wraps around."""

    def nextafter(self, y: Result | float) -> Result:
        """The next number of the dtype after x towards y; y where they are equal. It has no gradient."""

    def nonzero(self, as_tuple: bool = True) -> tuple[Result, ...] | Result:
        """For each axis the int64 indices of the elements of x that are not zero, in C order."""

    def norm(self, ord: Any = None, axis: Axes = None, keepdims: bool = False, *, p: Any = None, dim: Axes = None, dims: Axes = None, axes: Axes = None, keepdim: bool = False) -> Result:
        """`vector_norm` over one axis or over all, `matrix_norm` over two: NumPy's and PyTorch's `norm`."""

    def not_equal(self, y: Result | float) -> Result:
        """Whether x != y, as bool."""

    def outer(self, y: Result) -> Result:
        """Every element of x times every one of y: (n,) and (m,) give (n, m). Other shapes are flattened first."""

    def positive(self) -> Result:
        """x itself, as a new tensor."""

    def pow(self, y: Result | float) -> Result:
        """x ** y; squares, roots and first powers are done without `pow`."""

    def prod(self, axis: Axes = None, keepdims: bool = False, *, dtype: DTypeLike = None, dim: Axes = None, dims: Axes = None, axes: Axes = None, keepdim: bool = False) -> Result:
        """The product over `axis`. Integers and bools are multiplied in 64 bits; `dtype` is as for `sum`."""

    def quantile(self, q: Any, axis: int | None = None, keepdims: bool = False, *, dim: int | None = None, dims: int | None = None, axes: int | None = None, keepdim: bool = False) -> Result:
        """The q-quantile along `axis`, or of all elements, between two elements by linear interpolation (NumPy)."""

    def ravel(self) -> Result:
        """x with one axis: its elements in C order, as a view where possible."""

    def reciprocal(self) -> Result:
        """1 / x."""

    def relu(self) -> Result:
        """max(x, 0); NaN stays NaN. The gradient at 0 is 0."""

    def remainder(self, y: Result | float) -> Result:
        """x - y * floor(x / y), with the sign of y. An integer modulo zero gives 0, as in NumPy."""

    def repeat_interleave(self, repeats: int | Sequence[int] | Any = 1, axis: int | None = None, *, dim: int | None = None, dims: int | None = None, axes: int | None = None) -> Result:
        """`repeat` under PyTorch's name."""

    def roll(self, shift: int | Sequence[int] = 1, axis: int | Sequence[int] | None = None, *, shifts: int | Sequence[int] = 1, dim: int | Sequence[int] | None = None, dims: int | Sequence[int] | None = None, axes: int | Sequence[int] | None = None) -> Result:
        """x with its elements moved on by `shift` along `axis`; what leaves at the end comes back at the beginning."""

    def round(self) -> Result:
        """The nearest whole number, halves to the even one (IEEE 754, NumPy, PyTorch)."""

    def rsqrt(self) -> Result:
        """1 / sqrt(x)."""

    def scatter(self, dim: int, index: Result, src: Result | float) -> Result:
        """A copy of x with the elements of `src` written where `gather` would read; PyTorch's function."""

    def scatter_add(self, dim: int, index: Result, src: Result) -> Result:
        """x plus the elements of `src`, each added where `gather` would read; PyTorch's function."""

    def select(self, dim: int = 0, index: int = 0) -> Result:
        """The view of x at one index of an axis, without that axis. Raises IndexError for an index out of range."""

    def sigmoid(self) -> Result:
        """The logistic function 1 / (1 + exp(-x))."""

    def sign(self) -> Result:
        """-1, 0 or 1 with the sign of x; NaN stays NaN."""

    def signbit(self) -> Result:
        """Whether the sign of x is negative, as bool; true of -0.0 and of a NaN with its sign set."""

    def sin(self) -> Result:
        """Sine."""

    def sinh(self) -> Result:
        """Hyperbolic sine."""

    def softmax(self, axis: int = -1, *, dim: int = -1, dims: int = -1, axes: int = -1) -> Result:
        """exp(x) / sum(exp(x)) along `axis`, computed so that no exponential overflows."""

    def sort(self, axis: int = -1, descending: bool = False, stable: bool = True, *, dim: int = -1, dims: int = -1, axes: int = -1) -> Result:
        """The elements of x in order along `axis` (Array API); NaN counts as the largest."""

    def split(self, sections: int | Sequence[int], axis: int = 0, *, dim: int = 0, dims: int = 0, axes: int = 0) -> list[Result]:
        """Views of x along `axis`: `sections` equal ones, or cut at the given positions (NumPy's `split`)."""

    def sqrt(self) -> Result:
        """The square root; NaN below 0."""

    def square(self) -> Result:
        """x * x."""

    def squeeze(self, axis: int | Sequence[int] | None = None, *, dim: int | Sequence[int] | None = None, dims: int | Sequence[int] | None = None, axes: int | Sequence[int] | None = None) -> Result:
        """A view of x without the given axes, which must have size 1; by default without all of that size."""

    def std(self, axis: Axes = None, keepdims: bool = False, correction: float = 0, *, dim: Axes = None, dims: Axes = None, axes: Axes = None, keepdim: bool = False, unbiased: float = 0, ddof: float = 0) -> Result:
        """The standard deviation over `axis`, the square root of `var`."""

    def sub(self, y: Result | float) -> Result:
        """The difference x - y; integers wrap around."""

    def subtract(self, y: Result | float) -> Result:
        """The difference x - y; integers wrap around."""

    def sum(self, axis: Axes = None, keepdims: bool = False, *, dtype: DTypeLike = None, dim: Axes = None, dims: Axes = None, axes: Axes = None, keepdim: bool = False) -> Result:
        """The sum over `axis` (an int, several, or None for all). Integers and bools are summed in 64 bits."""

    def swapaxes(self, axis1: int = -2, axis2: int = -1) -> Result:
        """A view of x with two axes exchanged, by default the last two."""

    def swapdims(self, axis1: int = -2, axis2: int = -1) -> Result:
        """A view of x with two axes exchanged, by default the last two."""

    def t(self) -> Result:
        """A view of a matrix with its axes exchanged; of a vector itself. Raises ValueError for more than two axes."""

    def take(self, indices: Any, axis: int | None = None, *, dim: int | None = None, dims: int | None = None, axes: int | None = None) -> Result:
        """The elements, or slices, of x at `indices` along `axis`; NumPy's `take`."""

    def tan(self) -> Result:
        """Tangent."""

    def tanh(self) -> Result:
        """Hyperbolic tangent."""

    def tensor_split(self, sections: int | Sequence[int], axis: int = 0, *, dim: int = 0, dims: int = 0, axes: int = 0) -> list[Result]:
        """`split` that need not be even: the first views along `axis` are longer by one element (NumPy, `tensor_split`)."""

    def tile(self, *repetitions: Any) -> Result:
        """x repeated as a whole, so many times along each axis: `tile(x, (2, 3))` or `tile(x, 2, 3)`."""

    def topk(self, k: int, axis: int = -1, largest: bool = True, sorted: bool = True, *, diagonal: int, dim: int = -1, dims: int = -1, axes: int = -1) -> RankedResult:
        """The `k` largest elements along `axis`, or the smallest, and their int64 positions (PyTorch)."""

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1, *, dtype: DTypeLike = None) -> Result:
        """The sum along a diagonal, of the first two axes by default as in NumPy; `linalg.trace` takes the last two."""

    def transpose(self, axes: int | Sequence[int] | None = None, dim1: int | None = None, *others: int, dim0: int | None = None, dims: int | Sequence[int] | None = None, axis: int | Sequence[int] | None = None) -> Result:
        """A view of x with axes exchanged: by default the last two (the course's `transpose`), or the two that are named."""

    def tril(self, k: int = 0, *, diagonal: int = 0) -> Result:
        """x with zeros above the k-th diagonal of its last two axes. Raises ValueError for fewer axes."""

    def triu(self, k: int = 0, *, diagonal: int = 0) -> Result:
        """x with zeros below the k-th diagonal of its last two axes. Raises ValueError for fewer axes."""

    def true_divide(self, y: Result | float) -> Result:
        """The quotient x / y, in floating point also for integers."""

    def trunc(self) -> Result:
        """x without its fraction."""

    def unbind(self, axis: int = 0, *, dim: int = 0, dims: int = 0, axes: int = 0) -> tuple[Result, ...]:
        """The views of x at each index of `axis`, which they lack; a tuple. PyTorch calls this `unbind`."""

    def unflatten(self, dim: int = 0, sizes: Sequence[int] = (-1,)) -> Result:
        """x with axis `dim` cut into axes of `sizes`, one of which may be -1; the inverse of `flatten`."""

    def unfold(self, dimension: int, size: int, step: int = 1) -> Result:
        """All windows of `size` elements along an axis, `step` apart, copied along a new last axis (PyTorch's method)."""

    def unsqueeze(self, dim: int = 0) -> Result:
        """`expand_dims` under PyTorch's name: a view with a new axis of size 1 at `dim` of the result."""

    def unstack(self, axis: int = 0, *, dim: int = 0, dims: int = 0, axes: int = 0) -> tuple[Result, ...]:
        """The views of x at each index of `axis`, which they lack; a tuple. PyTorch calls this `unbind`."""

    def var(self, axis: Axes = None, keepdims: bool = False, correction: float = 0, *, dim: Axes = None, dims: Axes = None, axes: Axes = None, keepdim: bool = False, unbiased: float = 0, ddof: float = 0) -> Result:
        """The variance over `axis`: squared deviations from the mean, summed and divided by n - correction."""

    def vdot(self, y: Result) -> Result:
        """The product of x and y, flattened, as vectors."""
