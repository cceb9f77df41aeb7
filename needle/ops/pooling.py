"""Pooling over windows of up to three axes: maxima with their positions, and sums."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array import NDArray
from needle.autograd import Op
from needle.backend.records import Example, Operand, Primitive
from needle.dtypes import DType, Shape, compute_dtype, int32
from needle.ops.indexing.taking import ScatterAddAlongAxis, TakeAlongAxis
from needle.ops.shape import reshape

__all__: list[str] = []

if TYPE_CHECKING:
    from needle.tensor import Tensor

Signature = tuple[tuple[Shape, DType], ...]


@dataclass(frozen=True)
class Pattern:
    """A rule that windows along an axis follow, for kernels that make several windows at once.

    With p = len(firsts) phases, window p * j + r, where r < p, has taps[r] places, from j * stride + firsts[r] on.
    Those outside the axis do not count.
    """

    stride: int
    firsts: tuple[int, ...]
    taps: tuple[int, ...]

    def transposed(self) -> Pattern | None:
        """The rule of the windows that have each place, where the taps of windows are neighbours."""
        if len(self.firsts) > 1:
            return None
        stride, first, taps = self.stride, self.firsts[0], self.taps[0]
        ends = [(place - first) // stride + 1 for place in range(stride)]
        starts = [(place - first - taps) // stride + 1 for place in range(stride)]
        return Pattern(1, tuple(starts), tuple(end - start for start, end in zip(starts, ends, strict=True)))


@dataclass(frozen=True)
class Windows:
    """The windows along one axis of `places`: places starts[i], starts[i] + step, ... before ends[i]."""

    places: int
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    step: int = 1
    pattern: Pattern | None = None

    @property
    def covers(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """For each place, the first window that may have it, and the end of those that may.

        Windows do not move back, and reach over all that have the place. Where the step is 1 all of them have it.
        """
        begins = self.starts
        if (
            self.pattern is not None and len(self.pattern.firsts) == 1
        ):  # a start moved into the axis may lie after the next
            begins = tuple(self.pattern.firsts[0] + i * self.pattern.stride for i in range(len(self.starts)))
        starts = np.searchsorted(np.array(self.ends), np.arange(self.places), side="right")
        ends = np.searchsorted(np.array(begins), np.arange(self.places), side="right")
        return tuple(starts.tolist()), tuple(np.maximum(starts, ends).tolist())

    def transposed(self) -> Windows:
        """For each place, the windows that have it: a window again, if the step is 1 and windows do not move back."""
        pattern = None if self.pattern is None else self.pattern.transposed()
        return Windows(len(self.starts), *self.covers, pattern=pattern)


@lru_cache(maxsize=1024)
def sliding(places: int, size: int, stride: int, padding: int, dilation: int, outputs: int) -> Windows:
    """Windows of `size` places, `dilation` apart, at every `stride`-th place, cut off at the borders."""
    first = [i * stride - padding for i in range(outputs)]
    starts = tuple(s if s >= 0 else s + -(s // dilation) * dilation for s in first)
    ends = tuple(min(s + (size - 1) * dilation + 1, places) for s in first)
    return Windows(places, starts, ends, dilation, Pattern(stride, (-padding,), (size,)))


@lru_cache(maxsize=1024)
def adaptive(places: int, outputs: int) -> Windows:
    """Windows that divide the places as evenly as can be; some overlap where they do not divide."""
    if places % outputs == 0:
        return sliding(places, places // outputs, places // outputs, 0, 1, outputs)
    return Windows(
        places, tuple(i * places // outputs for i in range(outputs)),
        tuple(-(-(i + 1) * places // outputs) for i in range(outputs)),
    )  # fmt: skip


@lru_cache(maxsize=1024)
def transposed(windows: tuple[Windows, ...]) -> tuple[Windows, ...]:
    """The windows of the gradient of a sum."""
    return tuple(w.transposed() for w in windows)


# -- the primitives ---------------------------------------------------------------------------------


def _outputs(x: Any, windows: tuple[Windows, ...]) -> Shape:
    return (*x.shape[: -len(windows)], *(len(w.starts) for w in windows))


def _max_reference(x: np.ndarray, *, windows: tuple[Windows, ...]) -> tuple[np.ndarray, np.ndarray]:
    shape, axes = _outputs(x, windows), len(windows)
    result, positions = np.empty(shape, x.dtype), np.zeros(shape, np.int32)
    places = np.arange(prod(x.shape[-axes:]), dtype=np.int32).reshape(x.shape[-axes:])
    for at in product(*map(range, shape[-axes:])):
        window = tuple(slice(w.starts[i], w.ends[i], w.step) for i, w in zip(at, windows, strict=True))
        index: Any = (Ellipsis, *window)
        part = x[index].reshape((*x.shape[:-axes], prod(len(range(*s.indices(1 << 40))) for s in window)))
        best = _last_largest(part)
        target: Any = (Ellipsis, *at)
        result[target] = np.take_along_axis(part, best[..., None], -1)[..., 0]
        positions[target] = places[window].reshape(-1)[best]
    return result, positions


def _last_largest(part: np.ndarray) -> np.ndarray:
    """The position of the first largest element along the last axis, or of the last NaN."""
    nan = np.isnan(part)
    last = part.shape[-1] - 1 - np.argmax(nan[..., ::-1], axis=-1)
    return np.where(nan.any(-1), last, np.argmax(part, axis=-1))


def _sum_reference(x: np.ndarray, *, windows: tuple[Windows, ...], factor: float) -> np.ndarray:
    result = x.astype(compute_dtype(x.dtype), copy=False)
    for axis, w in enumerate(windows, x.ndim - len(windows)):
        shape = (*result.shape[:axis], len(w.starts), *result.shape[axis + 1 :])
        summed = np.zeros(shape, result.dtype)
        for i, (start, end) in enumerate(zip(w.starts, w.ends, strict=True)):
            np.moveaxis(summed, axis, 0)[i] = np.moveaxis(result, axis, 0)[start : end : w.step].sum(0)
        result = summed
    return (result * result.dtype.type(factor)).astype(x.dtype)


def _gradient_reference(grad: np.ndarray, positions: np.ndarray, *, windows: tuple[Windows, ...]) -> np.ndarray:
    axes, places = len(windows), tuple(w.places for w in windows)
    lead = grad.shape[:-axes]
    flat = (prod(lead), prod(grad.shape[-axes:]))
    sums = np.zeros((flat[0], prod(places)), compute_dtype(grad.dtype))
    np.add.at(sums, (np.arange(flat[0])[:, None], positions.reshape(flat)), grad.reshape(flat))
    return sums.astype(grad.dtype).reshape(*lead, *places)


def _max_signature(x: Any, *, windows: tuple[Windows, ...]) -> Signature:
    shape = _outputs(x, windows)
    return ((shape, x.dtype), (shape, int32))


def _sum_signature(x: Any, *, windows: tuple[Windows, ...], factor: float) -> Signature:
    return ((_outputs(x, windows), x.dtype),)


def _gradient_signature(grad: Any, positions: Any, *, windows: tuple[Windows, ...]) -> Signature:
    return (((*grad.shape[: -len(windows)], *(w.places for w in windows)), grad.dtype),)


def _taps(x: Any, *, windows: tuple[Windows, ...], factor: float) -> int:
    return prod(_outputs(x, windows)) * prod(max(1, -(-(w.ends[-1] - w.starts[-1]) // w.step)) for w in windows)


#: Shapes of x and windows over its last axes.
_EXAMPLES: tuple[tuple[Shape, tuple[Windows, ...]], ...] = (
    ((2, 3, 11), (sliding(11, 3, 2, 1, 1, 6),)),
    ((2, 3, 9, 70), (sliding(9, 2, 2, 0, 1, 4), sliding(70, 2, 2, 0, 1, 35))),
    ((1, 2, 13, 37), (sliding(13, 3, 1, 1, 2, 11), sliding(37, 5, 1, 2, 1, 37))),
    ((2, 1, 7, 10), (adaptive(7, 3), adaptive(10, 4))),
    ((2, 2, 3, 35), (sliding(6, 2, 2, 0, 1, 3).transposed(), sliding(69, 3, 2, 1, 1, 35).transposed())),
    ((1, 2, 4, 5, 33), tuple(sliding(n, 2, 3, 0, 1, (n + 1) // 3) for n in (4, 5, 33))),
    ((1, 1, 2, 2500), (sliding(2, 2, 2, 0, 1, 1), sliding(2500, 3, 2, 1, 1, 1250))),
    ((1, 1, 3, 150), (adaptive(3, 2), adaptive(150, 4))),
    ((0, 2, 7, 5), (adaptive(7, 3), adaptive(5, 5))),
)


#: The gradient of windows that leave gaps: places that no window has.
_WITH_GAPS = (sliding(7, 1, 3, 0, 1, 3).transposed(), sliding(33, 2, 4, 1, 1, 9).transposed())


def _everywhere(outputs: Shape, places: Shape) -> Example:
    """An example of windows that all have all places, so that positions may be any."""
    windows = tuple(Windows(n, (0,) * m, (n,) * m) for m, n in zip(outputs, places, strict=True))
    shape = (2, 3, *outputs)
    return Example((Operand(shape), Operand(shape, int32, 0, prod(places))), {"windows": windows})


POOL_MAX = Primitive(
    "pool_max", _max_reference, _max_signature, strided=True, kinds="f", family="pooling",
    examples=(
        *(Example((Operand(shape),), {"windows": windows}) for shape, windows in _EXAMPLES),
        Example((Operand((1, 1, 2300)),), {"windows": (adaptive(2300, 1),)}),
    ),
)  # fmt: skip
POOL_SUM = Primitive(
    "pool_sum", _sum_reference, _sum_signature, _taps, strided=True, kinds="f", family="pooling",
    examples=(
        *(Example((Operand(shape),), {"windows": windows, "factor": 0.5}) for shape, windows in _EXAMPLES),
        Example((Operand((1, 2, 3, 9)),), {"windows": _WITH_GAPS, "factor": 3.0}),
    ),
)  # fmt: skip
POOL_MAX_GRADIENT = Primitive(
    "pool_max_gradient", _gradient_reference, _gradient_signature, kinds="f", family="pooling",
    examples=(
        _everywhere((3,), (5,)), _everywhere((3, 7), (5, 9)), _everywhere((2, 1, 3), (3, 2, 4)),
        _everywhere((2, 1), (1, 6)), _everywhere((0, 2), (3, 4)),
    ),
)  # fmt: skip


# -- the operations ---------------------------------------------------------------------------------


class PoolMax(Op):
    """The maxima of windows over the last axes, and their positions in the plane of these axes, as int32."""

    name = "pool_max"

    def __init__(self, windows: tuple[Windows, ...]) -> None:
        self.windows = windows

    def compute(self, x: NDArray) -> tuple[NDArray, NDArray]:
        result: tuple[NDArray, NDArray] = x.run(POOL_MAX, windows=self.windows)
        return result

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return PoolMaxGradient(self.windows)(grad[0], output[1])


class PoolMaxGradient(Op):
    """The gradient of maxima (N, C, *outputs) for each place, and their `positions`, as `PoolMax` makes them.

    A position is one of its window; others get nothing, or their gradient.
    """

    name = "pool_max_gradient"

    def __init__(self, windows: tuple[Windows, ...]) -> None:
        self.windows = windows

    def compute(self, grad: NDArray, positions: NDArray) -> NDArray:
        return grad.run(POOL_MAX_GRADIENT, positions, windows=self.windows)

    def vjp(self, index: int, grad: Any, output: Any, by_maximum: Any, positions: Any) -> Any:
        return gather_planes(grad, positions)


class PoolSum(Op):
    """The sums of windows over the last axes, times a factor."""

    name = "pool_sum"

    def __init__(self, windows: tuple[Windows, ...], factor: float = 1.0) -> None:
        self.windows, self.factor = windows, factor

    def compute(self, x: NDArray) -> NDArray:
        return x.run(POOL_SUM, windows=self.windows, factor=self.factor)

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        if all(w.step == 1 for w in self.windows):
            return PoolSum(transposed(self.windows), self.factor)(grad)
        raise NotImplementedError("sums of windows with gaps have no gradient")


def scatter_planes(values: Any, positions: Any, places: Shape) -> Any:
    """Planes of `places` of zeros, plus `values` (N, C, ...) at their `positions` in the plane."""
    axes = len(places)
    lead, size = values.shape[:-axes], prod(values.shape[-axes:])
    flat = (prod(lead), size)
    planes = ScatterAddAlongAxis(1, prod(places))(reshape(positions, flat), reshape(values, flat))
    return reshape(planes, (*lead, *places))


def gather_planes(x: Any, positions: Any) -> Any:
    """The elements of x (N, C, *places) at `positions` (N, C, *outputs) of its planes."""
    shape, lead = positions.shape, x.shape[:2]
    flat = reshape(x, (prod(lead), prod(x.shape[2:])))
    return reshape(TakeAlongAxis(1)(flat, reshape(positions, (prod(lead), prod(shape[2:])))), shape)


def pool_max(x: Tensor, windows: tuple[Windows, ...]) -> tuple[Tensor, Tensor]:
    """The maximum of each window over the last axes of `x`, and its position in the plane of these axes, as int32.

    A NaN is larger than any number; of equal elements the first counts, which then gets the gradient.
    """
    maxima, positions = PoolMax(windows)(x)
    return maxima, positions


def pool_sum(x: Tensor, windows: tuple[Windows, ...], factor: float = 1.0) -> Tensor:
    """`factor` times the sum of each window over the last axes of `x`, rounded once."""
    return PoolSum(windows, factor)(x)
