"""Small functions of PyTorch and NumPy, each a few operations that fuse: no kernel is theirs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from needle.array.views import normalize_axis
from needle.dtypes import float_for
from needle.ops.arithmetic import clip, pow
from needle.ops.base import method, takes_tensor
from needle.ops.comparison import equal, isnan, where
from needle.ops.indexing.access import getitem
from needle.ops.linalg.norms import vector_norm
from needle.ops.linalg.products import addmm
from needle.ops.matmul import matmul
from needle.ops.reductions import max, mean, min, sum
from needle.ops.shape import Copy, astype, expand_dims, flip, reshape, swapaxes
from needle.ops.triangles import diagonal

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = [
    "addcdiv", "addcmul", "aminmax", "baddbmm", "clamp_max", "clamp_min", "clone", "corrcoef", "cov", "deg2rad", "dist",
    "exp2", "fliplr", "flipud", "isneginf", "isposinf", "logit", "nanmean", "nansum", "rad2deg", "select", "t", "xlogy",
]  # fmt: skip

Axes = int | Sequence[int] | None


# -- views and copies -------------------------------------------------------------------------------


@takes_tensor
def clone(x: Tensor) -> Tensor:
    """A copy of x in memory of its own, through which gradients flow back."""
    return Copy()(x)


@takes_tensor
@method
def t(x: Tensor) -> Tensor:
    """A view of a matrix with its axes exchanged; of a vector itself. Raises ValueError for more than two axes."""
    if x.ndim > 2:
        raise ValueError(f"t: x has shape {x.shape}; at most two axes are expected, and mT exchanges the last two")
    return swapaxes(x) if x.ndim == 2 else x


@takes_tensor
@method
def select(x: Tensor, dim: int = 0, index: int = 0) -> Tensor:
    """The view of x at one index of an axis, without that axis. Raises IndexError for an index out of range."""
    return getitem(x, (*(slice(None),) * normalize_axis(dim, x.ndim), index))


@takes_tensor
@method
def fliplr(x: Tensor) -> Tensor:
    """A view with axis 1 read backwards."""
    return flip(x, normalize_axis(1, x.ndim))


@takes_tensor
@method
def flipud(x: Tensor) -> Tensor:
    """A view with axis 0 read backwards."""
    return flip(x, normalize_axis(0, x.ndim))


# -- products and quotients -------------------------------------------------------------------------


@takes_tensor
def addcmul(x: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """x + value * tensor1 * tensor2."""
    return x + (tensor1 * tensor2 if value == 1 else value * tensor1 * tensor2)


@takes_tensor
def addcdiv(x: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """x + value * tensor1 / tensor2."""
    return x + (tensor1 / tensor2 if value == 1 else value * tensor1 / tensor2)


@takes_tensor
def baddbmm(x: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * x + alpha * (batch1 @ batch2) of stacks of matrices."""
    return addmm(x, batch1, batch2, beta=beta, alpha=alpha)


# -- element by element -----------------------------------------------------------------------------


@takes_tensor
@method
def clamp_min(x: Tensor, min: Any = None) -> Tensor:
    """x, but not below `min`."""
    return clip(x, min, None)


@takes_tensor
@method
def clamp_max(x: Tensor, max: Any = None) -> Tensor:
    """x, but not above `max`."""
    return clip(x, None, max)


@takes_tensor
def exp2(x: Tensor) -> Tensor:
    """2 to the power x."""
    return pow(2.0, astype(x, float_for(x.dtype)))  # type: ignore[arg-type]


@takes_tensor
def xlogy(x: Tensor, y: Any) -> Tensor:
    """x * log(y), but 0 where x is 0 and y is not NaN."""
    zero = equal(x, 0)
    if not hasattr(y, "dtype"):
        return where(
            zero, math.nan if y != y else 0.0, x * (math.log(y) if y > 0 else -math.inf if y == 0 else math.nan)
        )
    return where(zero, where(isnan(y), math.nan, 0.0), x * where(zero, 1, y).log())


@takes_tensor
def logit(x: Tensor, eps: float | None = None) -> Tensor:
    """log(x / (1 - x)), the inverse of `sigmoid`; with `eps` of x limited to [eps, 1 - eps]."""
    p = x if eps is None else clip(x, eps, 1 - eps)
    return (p / (1 - p)).log()


@takes_tensor
def deg2rad(x: Tensor) -> Tensor:
    """Degrees as radians."""
    return x * (math.pi / 180)


@takes_tensor
def rad2deg(x: Tensor) -> Tensor:
    """Radians as degrees."""
    return x * (180 / math.pi)


@takes_tensor
def isposinf(x: Tensor) -> Tensor:
    """Whether x is infinite and positive, as bool."""
    return equal(astype(x, float_for(x.dtype)), math.inf)


@takes_tensor
def isneginf(x: Tensor) -> Tensor:
    """Whether x is infinite and negative, as bool."""
    return equal(astype(x, float_for(x.dtype)), -math.inf)


# -- over axes --------------------------------------------------------------------------------------


class AMinMaxResult(NamedTuple):
    """What `aminmax` returns."""

    min: Any
    max: Any


@takes_tensor
def aminmax(x: Tensor, axis: Axes = None, keepdims: bool = False) -> AMinMaxResult:
    """The smallest and the largest element over `axis`."""
    return AMinMaxResult(min(x, axis, keepdims), max(x, axis, keepdims))


@takes_tensor
def nansum(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The sum over `axis` of what is not NaN."""
    return sum(where(isnan(x), 0, x), axis, keepdims)


@takes_tensor
def nanmean(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis` of what is not NaN; NaN where there is nothing else."""
    x = astype(x, float_for(x.dtype))
    count = sum(where(isnan(x), 0.0, 1.0), axis, keepdims)
    return nansum(x, axis, keepdims) / astype(count, x.dtype)


@takes_tensor
def dist(x: Tensor, y: Tensor, p: float = 2) -> Tensor:
    """The p-norm of x - y, as one vector."""
    return vector_norm(x - y, ord=p)


@takes_tensor
def cov(x: Tensor, *, rowvar: bool = True, correction: float = 1) -> Tensor:
    """The covariances of the rows of x, (variables, observations), divided by their number less `correction`.

    A vector is one variable, and its variance has no axes. Without `rowvar` the columns are the variables. Raises
    ValueError for more than two axes.
    """
    x = x if rowvar or x.ndim < 2 else swapaxes(x)
    if x.ndim > 2:
        raise ValueError(f"cov: x has shape {x.shape}; variables and observations are its only axes")
    rows = reshape(astype(x, float_for(x.dtype)), (1, -1)) if x.ndim < 2 else astype(x, float_for(x.dtype))
    apart = rows - mean(rows, 1, keepdims=True)
    found = matmul(apart, swapaxes(apart)) * (1 / (rows.shape[1] - correction))
    return reshape(found, ()) if x.ndim < 2 else found


@takes_tensor
def corrcoef(x: Tensor, rowvar: bool = True) -> Tensor:
    """The correlation coefficients of the rows of x, or without `rowvar` of its columns, from -1 to 1."""
    found = cov(x, rowvar=rowvar)
    if found.ndim == 0:
        return found / found
    size = diagonal(found).sqrt()
    return clip(found / expand_dims(size, 1) / expand_dims(size, 0), -1.0, 1.0)
