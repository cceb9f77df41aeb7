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
from needle.ops.shape import broadcast_to, reshape

__all__: list[str] = []

if TYPE_CHECKING:
    from needle.tensor import Tensor

Signature = tuple[tuple[Shape, DType], ...]


@dataclass(frozen=True)
class Windows:
    """The windows along one axis of `places`: places starts[i], starts[i] + step, ... before ends[i]."""

    places: int
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    step: int = 1

    @property
    def tiles(self) -> bool:
        """Whether the windows are of one size, one after another from the first place to the last."""
        size = self.ends[0] - self.starts[0] if self.starts else 0
        count = len(self.starts)
        return (
            self.step == 1
            and size * count == self.places > 0
            and self.starts == tuple(range(0, self.places, size))
            and self.ends == tuple(range(size, self.places + 1, size))
        )

    def transposed(self) -> Windows:
        """For each place, the windows that have it: a window again, if the step is 1 and windows do not move back."""
        starts = np.searchsorted(np.array(self.ends), np.arange(self.places), side="right")
        ends = np.searchsorted(np.array(self.starts), np.arange(self.places), side="right")
        return Windows(len(self.starts), tuple(starts.tolist()), tuple(np.maximum(starts, ends).tolist()))


@lru_cache(maxsize=1024)
def sliding(places: int, size: int, stride: int, padding: int, dilation: int, outputs: int) -> Windows:
    """Windows of `size` places, `dilation` apart, at every `stride`-th place, cut off at the borders."""
    first = [i * stride - padding for i in range(outputs)]
    starts = tuple(s if s >= 0 else s + -(s // dilation) * dilation for s in first)
    return Windows(places, starts, tuple(min(s + (size - 1) * dilation + 1, places) for s in first), dilation)


@lru_cache(maxsize=1024)
def adaptive(places: int, outputs: int) -> Windows:
    """Windows that divide the places as evenly as can be; some overlap where they do not divide."""
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


def _sum_reference(x: np.ndarray, *, windows: tuple[Windows, ...]) -> np.ndarray:
    result = x.astype(compute_dtype(x.dtype), copy=False)
    for axis, w in enumerate(windows, x.ndim - len(windows)):
        shape = (*result.shape[:axis], len(w.starts), *result.shape[axis + 1 :])
        summed = np.zeros(shape, result.dtype)
        for i, (start, end) in enumerate(zip(w.starts, w.ends, strict=True)):
            np.moveaxis(summed, axis, 0)[i] = np.moveaxis(result, axis, 0)[start : end : w.step].sum(0)
        result = summed
    return result.astype(x.dtype)


def _max_signature(x: Any, *, windows: tuple[Windows, ...]) -> Signature:
    shape = _outputs(x, windows)
    return ((shape, x.dtype), (shape, int32))


def _sum_signature(x: Any, *, windows: tuple[Windows, ...]) -> Signature:
    return ((_outputs(x, windows), x.dtype),)


def _taps(x: Any, *, windows: tuple[Windows, ...]) -> int:
    return prod(_outputs(x, windows)) * prod(max(1, -(-(w.ends[-1] - w.starts[-1]) // w.step)) for w in windows)


_EXAMPLES = (
    Example((Operand((2, 3, 11)),), {"windows": (sliding(11, 3, 2, 1, 1, 6),)}),
    Example((Operand((2, 3, 9, 70)),), {"windows": (sliding(9, 2, 2, 0, 1, 4), sliding(70, 2, 2, 0, 1, 35))}),
    Example((Operand((1, 2, 13, 37)),), {"windows": (sliding(13, 3, 1, 1, 2, 11), sliding(37, 5, 1, 2, 1, 37))}),
    Example((Operand((2, 1, 7, 10)),), {"windows": (adaptive(7, 3), adaptive(10, 4))}),
    Example((Operand((1, 2, 4, 5, 33)),), {"windows": tuple(sliding(n, 2, 3, 0, 1, (n + 1) // 3) for n in (4, 5, 33))}),
    Example((Operand((0, 2, 7, 5)),), {"windows": (adaptive(7, 3), adaptive(5, 5))}),
)

POOL_MAX = Primitive(
    "pool_max", _max_reference, _max_signature, strided=True, kinds="f", examples=_EXAMPLES, family="pooling"
)
POOL_SUM = Primitive(
    "pool_sum", _sum_reference, _sum_signature, _taps, strided=True, kinds="f", examples=_EXAMPLES, family="pooling"
)


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
        by_maximum, places = grad[0], tuple(w.places for w in self.windows)
        return scatter_planes(by_maximum, output[1], places)


class PoolSum(Op):
    """The sums of windows over the last axes."""

    name = "pool_sum"

    def __init__(self, windows: tuple[Windows, ...]) -> None:
        self.windows = windows

    def compute(self, x: NDArray) -> NDArray:
        return x.run(POOL_SUM, windows=self.windows)

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        if all(w.tiles for w in self.windows):
            return _repeated(grad, self.windows)
        if all(w.step == 1 for w in self.windows):
            return PoolSum(transposed(self.windows))(grad)
        raise NotImplementedError("sums of windows with gaps have no gradient")


def _repeated(grad: Any, windows: tuple[Windows, ...]) -> Any:
    """Each element for all places of its window, of windows that tile the places: a copy, without a look at a table."""
    lead, sizes = grad.shape[: -len(windows)], [w.places // len(w.starts) for w in windows]
    outputs = [len(w.starts) for w in windows]
    boxed = reshape(grad, (*lead, *(m for n in outputs for m in (n, 1))))
    spread = broadcast_to(boxed, (*lead, *(m for pair in zip(outputs, sizes, strict=True) for m in pair)))
    return reshape(spread, (*lead, *(w.places for w in windows)))


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


def pool_sum(x: Tensor, windows: tuple[Windows, ...]) -> Tensor:
    """The sum of each window over the last axes of `x`."""
    return PoolSum(windows)(x)
