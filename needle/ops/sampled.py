"""Functions given by samples: interpolation, slopes, areas, convolution; and percentiles, bins and powers."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array.views import normalize_axes, normalize_axis
from needle.checks import one_of
from needle.dtypes import float_for
from needle.ops.arithmetic import abs, clip
from needle.ops.arranging import diff, moveaxis
from needle.ops.base import method, takes_tensor
from needle.ops.comparison import where
from needle.ops.creation import arange, asarray
from needle.ops.indexing.taking import take
from needle.ops.matmul import matmul
from needle.ops.padding import pad_constant
from needle.ops.reductions import max, mean, min, sum
from needle.ops.searching import searchsorted
from needle.ops.shape import astype, concat, expand_dims, flip, reshape
from needle.ops.sorting import quantile

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = [
    "average", "bucketize", "cdist", "convolve", "correlate", "digitize", "gradient", "interp", "percentile", "ptp",
    "trapezoid", "unfold", "vander",
]  # fmt: skip

Axes = int | Sequence[int] | None


# -- windows ----------------------------------------------------------------------------------------


@takes_tensor
@method
def unfold(x: Tensor, dimension: int, size: int, step: int = 1) -> Tensor:
    """All windows of `size` elements along an axis, `step` apart, copied along a new last axis (PyTorch's method).

    Gradients of windows that overlap add up. Raises ValueError unless 1 <= size <= the axis' size and step >= 1.
    """
    place = normalize_axis(dimension, x.ndim)
    if not 1 <= size <= x.shape[place] or step < 1:
        raise ValueError(f"unfold: windows of size={size} with step={step} do not fit axis {place} of x {x.shape}")
    starts = np.arange(0, x.shape[place] - size + 1, step)
    positions = asarray(starts[:, None] + np.arange(size), device=x.device)
    return moveaxis(take(x, positions, place), place + 1, -1)


@takes_tensor
def convolve(x: Tensor, v: Tensor, mode: str = "full") -> Tensor:
    """The sums of products of vector x with vector v read backwards and moved along it (NumPy).

    `mode` is "full", every overlap; "same", the middle part, of the longer one's length; "valid", where the shorter
    lies within the longer. Raises ValueError for other modes, for empty vectors and for more axes.
    """
    one_of("mode", mode, ("full", "same", "valid"))
    if x.ndim != 1 or v.ndim != 1 or not x.size or not v.size:
        raise ValueError(f"convolve: x of shape {x.shape} and v of shape {v.shape} must be vectors with elements")
    long, short = (x, v) if x.size >= v.size else (v, x)
    reach = short.size - 1
    before = {"full": reach, "same": reach // 2 + reach % 2, "valid": 0}[mode]
    after = {"full": reach, "same": reach // 2, "valid": 0}[mode]
    return matmul(unfold(pad_constant(long, ((before, after),)), 0, int(short.size)), flip(short))


@takes_tensor
def correlate(x: Tensor, v: Tensor, mode: str = "valid") -> Tensor:
    """`convolve` with v read forwards (NumPy)."""
    return convolve(x, flip(v), mode)


# -- interpolation and slopes -----------------------------------------------------------------------


@takes_tensor
def interp(x: Tensor, xp: Tensor, fp: Tensor, left: float | None = None, right: float | None = None) -> Tensor:
    """The values at x of the lines through the points (xp, fp), of ascending `xp` (NumPy).

    Outside the points they are `left` and `right`, by default the first and the last of `fp`. Raises ValueError unless
    `xp` and `fp` are vectors of one length.
    """
    if xp.ndim != 1 or xp.shape != fp.shape or not xp.size:
        raise ValueError(f"interp: xp of shape {xp.shape} and fp of shape {fp.shape} must be vectors of one length")
    place = clip(searchsorted(xp, x, side="right"), 1, xp.size - 1) if xp.size > 1 else searchsorted(xp, x) * 0
    low = clip(place - 1, 0, None)
    start, value = take(xp, low), take(fp, low)
    run = take(xp, place) - start
    found = value + (take(fp, place) - value) * (x - start) / where(run == 0, 1, run)
    found = where(x < xp[0], fp[0] if left is None else left, found)
    return where(x > xp[-1], fp[-1] if right is None else right, where(x == xp[-1], fp[-1], found))


@takes_tensor
def gradient(x: Tensor, *spacing: Any, axis: Axes = None) -> Any:
    """The slope at each element from its neighbours on both sides, at the ends from one (NumPy).

    A tensor for one axis, a list for several; all axes by default. `spacing` is a number, 1 by default, or a vector of
    places, one for all axes or one for each. Raises ValueError for an axis of fewer than two elements.
    """
    axes = normalize_axes(axis, x.ndim)
    given = spacing or (1.0,)
    if len(given) not in (1, len(axes)):
        raise ValueError(f"gradient: {len(given)} spacings were given for {len(axes)} axes")
    steps = given * len(axes) if len(given) == 1 else given
    found = [_slope(astype(x, float_for(x.dtype)), a, step) for a, step in zip(axes, steps, strict=True)]
    return found[0] if len(found) == 1 else found


def _slope(x: Tensor, axis: int, spacing: Any) -> Tensor:
    if x.shape[axis] < 2:
        raise ValueError(f"gradient: axis {axis} of x {x.shape} has fewer than two elements")
    rows = moveaxis(x, axis, -1)
    widths = diff(asarray(spacing, device=x.device)) if np.ndim(spacing) or getattr(spacing, "ndim", 0) else None
    rises = diff(rows, axis=-1)
    if widths is None:
        inner, ends = (rises[..., 1:] + rises[..., :-1]) / (2 * spacing), rises / spacing
    else:
        before, after = widths[:-1], widths[1:]
        inner = (rises[..., :-1] * after / before + rises[..., 1:] * before / after) / (before + after)
        ends = rises / widths
    return moveaxis(concat([ends[..., :1], inner, ends[..., -1:]], -1), -1, axis)


@takes_tensor
def trapezoid(y: Tensor, x: Any = None, dx: float = 1.0, axis: int = -1) -> Tensor:
    """The area under samples y along `axis`, by trapezoids: at places x, or `dx` apart (NumPy)."""
    rows = moveaxis(y, axis, -1)
    middle = (rows[..., 1:] + rows[..., :-1]) * 0.5
    if x is None:
        return sum(middle, -1) * dx
    places = asarray(x, device=y.device)
    return sum(middle * diff(places if places.ndim == 1 else moveaxis(places, axis, -1), axis=-1), -1)


# -- statistics -------------------------------------------------------------------------------------


@takes_tensor
def percentile(x: Tensor, q: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """`quantile` with q in percent, from 0 to 100."""
    return quantile(x, np.asarray(q, np.float64) / 100, axis, keepdims)


@takes_tensor
def average(x: Tensor, axis: Axes = None, weights: Any = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis`, weighted by `weights`: of the shape of x, or a vector along the one axis (NumPy)."""
    if weights is None:
        return mean(x, axis, keepdims)
    shares = asarray(weights, device=x.device)
    if shares.shape != x.shape and isinstance(axis, int):
        place = normalize_axis(axis, x.ndim)
        shares = reshape(shares, tuple(n if a == place else 1 for a, n in enumerate(x.shape)))
    return sum(x * shares, axis, keepdims) / sum(shares + x * 0, axis, keepdims)


@takes_tensor
def ptp(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The largest element over `axis` less the smallest."""
    return max(x, axis, keepdims) - min(x, axis, keepdims)


@takes_tensor
def digitize(x: Tensor, bins: Any, right: bool = False) -> Tensor:
    """For each element the int64 number of ascending `bins` at most as large; with `right` of smaller ones (NumPy)."""
    return searchsorted(asarray(bins, device=x.device), x, side="left" if right else "right")


@takes_tensor
def bucketize(x: Tensor, boundaries: Any, right: bool = False) -> Tensor:
    """For each element the int64 number of ascending `boundaries` below it; with `right`, of those at most as large.

    PyTorch's function, whose `right` is the opposite of NumPy's in `digitize`.
    """
    return searchsorted(asarray(boundaries, device=x.device), x, side="right" if right else "left")


@takes_tensor
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers 0 to N - 1 of each element of vector x along a new last axis, falling unless `increasing`."""
    if x.ndim != 1:
        raise ValueError(f"vander: x has shape {x.shape}; one axis is expected")
    powers = arange(x.size if N is None else N, dtype=x.dtype, device=x.device)
    return expand_dims(x, 1) ** (powers if increasing else flip(powers))


@takes_tensor
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0) -> Tensor:
    """The distances (..., m, n) between the rows of x1 (..., m, d) and those of x2 (..., n, d), by the p-norm.

    PyTorch's function; it is computed from the differences, which loses no digits where rows are close
    together. The gradient of a distance of 0 is 0. Raises ValueError for rows of different lengths.
    """
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ValueError(f"cdist: x1 of shape {x1.shape} and x2 of shape {x2.shape} must be rows of one length")
    apart = expand_dims(x1, -2) - expand_dims(x2, -3)
    if p == inf:
        return max(abs(apart), -1)
    if p == 1:
        return sum(abs(apart), -1)
    total = sum(apart * apart if p == 2 else abs(apart) ** p, -1)
    positive = total > 0
    return where(positive, where(positive, total, 1) ** (1 / p), 0)
