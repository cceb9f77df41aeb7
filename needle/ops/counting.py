"""Counting: how often integers occur, and how many elements fall into intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array import NDArray
from needle.autograd import Op, Value
from needle.backend.records import Example, Operand, Primitive
from needle.checks import integer
from needle.dtypes import DType, Shape, float_for, int32, int64, is_float, is_integer, uint64
from needle.ops.base import data_of, takes_tensor
from needle.ops.comparison import equal, where
from needle.ops.creation import as_tensor
from needle.ops.indexing.taking import ScatterAdd
from needle.ops.reductions import max as largest_of
from needle.ops.reductions import min as smallest_of
from needle.ops.reductions import sum as sum_of
from needle.ops.searching import SearchSorted
from needle.ops.shape import astype, flatten, stack

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["bincount", "histogram"]

Signature = tuple[tuple[Shape, DType], ...]


def _bincount_reference(x: np.ndarray, *, bins: int) -> np.ndarray:
    """How often each of 0 to bins - 1 occurs in x; other elements are left out."""
    return np.bincount(x[(x >= 0) & (x < bins)].astype(np.int64), minlength=bins)[:bins]


BINCOUNT = Primitive(
    "bincount", _bincount_reference, lambda x, *, bins: (((bins,), int64),),
    examples=tuple(
        Example((Operand(shape, dtype, low=-2, high=9),), {"bins": bins})
        for shape, dtype, bins in (
            ((7,), int64, 7), ((3, 5), int32, 1), ((23, 29), int64, 11), ((0, 3), int32, 5), ((3, 2), int64, 0),
            ((130, 131), int64, 8), ((31,), np.dtype(np.int8), 9), ((3, 31), np.dtype(np.uint16), 9),
        )
    ),
    family="counting",
)  # fmt: skip


class Bincount(Op):
    name = "bincount"

    def __init__(self, bins: int) -> None:
        self.bins = bins

    def compute(self, x: NDArray) -> NDArray:
        return x.run(BINCOUNT, bins=self.bins)


def _largest(x: NDArray) -> int:
    """The largest of integers that must not be negative, where the host does not know it read back from the device."""
    bounds = x.host_bounds
    if bounds is not None:
        low, high = bounds
    else:  # a negative one is larger than any other in an unsigned dtype
        high = int(largest_of(astype(x, uint64)).item())  # type: ignore[arg-type]
        low = 0 if high < 1 << 63 else high - (1 << 64)
    if low < 0:
        raise ValueError(f"bincount: x has an element of {low}; expected none below 0")
    return high


@takes_tensor
def bincount(x: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, ... up to the largest element occurs in x, integers of one axis, in int64 (NumPy).

    With `weights`, of the shape of x, it is the sum of the weights of those elements, in their dtype, and has a
    gradient with respect to them. The result has at least `minlength` elements. The largest element is read back from
    the device where the host does not know it. Raises TypeError for a dtype other than integers, ValueError for an
    element below 0 and for shapes that do not fit.
    """
    least = integer("minlength", minlength, least=0)
    if not is_integer(x.dtype):
        raise TypeError(f"bincount is not defined for dtype {x.dtype}; expected integers")
    if x.ndim != 1:
        raise ValueError(f"bincount: x of shape {x.shape} must have one axis")
    if weights is not None and weights.shape != x.shape:
        raise ValueError(f"bincount: weights of shape {weights.shape} and x of shape {x.shape} differ")
    bins = max(least, _largest(data_of(x)) + 1) if data_of(x).size else least
    return _counted(x, weights, bins)


def _counted(x: Any, weights: Any, bins: int) -> Any:
    """The counts, or sums of weights, of the numbers from 0 to bins - 1; larger ones are left out."""
    if weights is None:
        return Bincount(bins)(x)
    indices = x if x.dtype in (int32, int64) else astype(x, int64)
    return ScatterAdd(0, bins)(indices, astype(weights, float_for(weights.dtype)))


def _edges(x: Any, bins: Any, limits: tuple[float, float] | None) -> Any:
    """The edges of the intervals on the host, in the dtype of x."""
    if not isinstance(bins, (int, np.integer)):
        given: Any = bins.cached_data if isinstance(bins, Value) else bins
        edges = np.asarray(given.numpy() if isinstance(given, NDArray) else given)
        if edges.ndim != 1 or edges.size < 2 or np.any(edges[1:] < edges[:-1]):
            raise ValueError(f"histogram: bins of shape {edges.shape} must be a number, or two or more ascending edges")
        return edges.astype(x.dtype)
    count = integer("bins", bins)
    if limits is not None:
        low, high = (float(limit) for limit in limits)
    elif x.size:
        low, high = (float(v) for v in stack([smallest_of(x), largest_of(x)]).numpy())
    else:
        low, high = 0.0, 1.0
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise ValueError(f"histogram: the range from {low} to {high} must be finite and ascending")
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, count + 1).astype(x.dtype)


@takes_tensor
def histogram(
    x: Tensor,
    bins: Any = 10,
    range: tuple[float, float] | None = None,
    weights: Tensor | None = None,
    density: bool = False,
) -> tuple[Tensor, Tensor]:
    """How many elements of x lie in each interval, in int64, and the edges of the intervals (NumPy).

    `bins` is the number of intervals of one length, or their edges, ascending. An interval includes its lower edge; the
    last one includes its upper edge too. `range` says from where to where the intervals reach, by default from the
    smallest to the largest element, which are read back from the device; what lies outside is left out, and so is NaN.
    With `weights`, of the shape of x, their sums are given in their dtype; with `density` the share of an interval
    divided by its length. Raises ValueError for edges that do not ascend and a range that is not finite.
    """
    floats = flatten(astype(x, float_for(x.dtype)))
    if weights is not None and weights.shape != x.shape:
        raise ValueError(f"histogram: weights of shape {weights.shape} and x of shape {x.shape} differ")
    host = _edges(floats, bins, range)
    edges: Any = NDArray.from_numpy(host, x.device)
    edges = as_tensor(edges) if isinstance(x, Value) else edges
    count = len(host) - 1
    place = SearchSorted(True)(edges, floats) - 1
    place = where(equal(floats, float(host[-1])), count - 1, place)
    place = where(place < 0, count, place)  # left out, as is what lies above
    counts = _counted(place, None if weights is None else flatten(weights), count)
    if density:
        shares = astype(counts, floats.dtype) if not is_float(counts.dtype) else counts
        counts = shares / sum_of(shares) / (edges[1:] - edges[:-1])
    return counts, edges
