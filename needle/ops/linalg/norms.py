"""Norms of vectors and of matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from needle.array.views import normalize_axes, normalize_axis
from needle.dtypes import float_for
from needle.ops.arithmetic import abs
from needle.ops.base import method, takes_tensor
from needle.ops.comparison import equal, not_equal, where
from needle.ops.linalg.spectral import svdvals
from needle.ops.reductions import max, min, sum
from needle.ops.shape import astype, permute_dims, reshape

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["cond", "matrix_norm", "norm", "vector_norm"]

Axes = int | Sequence[int] | None


def _root(total: Tensor, order: float) -> Tensor:
    """total ** (1 / order), but with gradient 0 where the total is 0, as PyTorch has it."""
    zero = equal(total, 0)
    safe = where(zero, 1, total)
    return where(zero, 0 if order > 0 else math.inf, safe.sqrt() if order == 2 else safe ** (1 / order))


@takes_tensor
def vector_norm(x: Tensor, axis: Axes = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """The norm of x over `axis` (an int, several, or None for all) as a vector: (sum of |x|^ord)^(1 / ord).

    `ord` inf and -inf give the largest and the smallest |x|, 0 the number of elements that are not 0. The gradient at
    the vector 0 is 0. Integers become the default float.
    """
    axes = normalize_axes(axis, x.ndim)
    x = astype(x, float_for(x.dtype))
    if ord == 2:
        return _root(sum(x * x, axes, keepdims), 2)
    if ord == 0:
        return sum(astype(not_equal(x, 0), x.dtype), axes, keepdims)
    size = abs(x)
    if ord in (math.inf, -math.inf):
        return (max if ord > 0 else min)(size, axes, keepdims)
    if ord == 1:
        return sum(size, axes, keepdims)
    return _root(sum(size**ord, axes, keepdims), ord)


@takes_tensor
def matrix_norm(x: Tensor, keepdims: bool = False, ord: float | str | None = "fro") -> Tensor:
    """The norm of matrices, (..., m, n), over their two axes.

    `ord`: "fro" the root of the sum of squares; 1 and -1 the largest and smallest sum of |x| down a column; inf and
    -inf along a row; 2, -2 and "nuc" the largest, the smallest and the sum of the singular values, which are computed
    on the host. Raises ValueError for another `ord`, or for a tensor of fewer than two axes.
    """
    if x.ndim < 2:
        raise ValueError(f"matrix_norm: x has shape {x.shape}; a matrix or a stack of matrices is needed")
    if ord in ("fro", None):
        return vector_norm(x, (-2, -1), keepdims)
    if ord in (1, -1, math.inf, -math.inf):
        first = -2 if ord in (1, -1) else -1
        sums = sum(abs(astype(x, float_for(x.dtype))), first, keepdims=True)
        found = (max if ord > 0 else min)(sums, (-2, -1), keepdims=True)
    elif ord in (2, -2, "nuc"):
        values = svdvals(x)
        found = sum(values, -1) if ord == "nuc" else (max if ord == 2 else min)(values, -1)
    else:
        raise ValueError(f'matrix_norm: ord={ord!r} must be "fro", "nuc", 1, -1, 2, -2, inf or -inf')
    return reshape(found, (*x.shape[:-2], *((1, 1) if keepdims else ())))


@takes_tensor
@method
def norm(x: Tensor, ord: Any = None, axis: Axes = None, keepdims: bool = False, *, p: Any = None) -> Tensor:
    """`vector_norm` over one axis or over all, `matrix_norm` over two: NumPy's and PyTorch's `norm`.

    Without `ord` (PyTorch's `p`) it is the root of the sum of squares over any axes. Raises ValueError as they do.
    """
    ord = p if ord is None else ord
    if ord in (None, "fro") and (ord is None or axis is None):
        return vector_norm(x, axis, keepdims)
    if axis is None and p is None and x.ndim == 2:
        return matrix_norm(x, keepdims, ord)
    if isinstance(axis, Sequence) and len(axis) == 2:
        places = [normalize_axis(a, x.ndim) for a in axis]
        others = [a for a in range(x.ndim) if a not in places]
        found = matrix_norm(permute_dims(x, (*others, *places)), False, ord)
        return reshape(found, [1 if a in places else n for a, n in enumerate(x.shape)]) if keepdims else found
    return vector_norm(x, axis, keepdims, ord)


@takes_tensor
def cond(x: Tensor, p: Any = None) -> Tensor:
    """The condition number of matrices, by their singular values: the largest over the smallest. On the host.

    Raises ValueError for a norm `p` other than 2.
    """
    if p not in (None, 2):
        raise ValueError(f"cond: p={p!r} must be None or 2")
    values = svdvals(x)
    return max(values, -1) / min(values, -1)
