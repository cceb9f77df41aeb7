"""Borders around arrays: constant, mirrored, repeated or wrapped around."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array import NDArray, recording
from needle.autograd import Op
from needle.checks import one_of
from needle.ops.base import takes_tensor
from needle.ops.indexing.access import getitem
from needle.ops.shape import broadcast_to, concat, flip

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["pad"]

#: Places before and after an axis.
Pair = tuple[int, int]


class PadConstant(Op):
    """x with so many places of `value` before and after each axis."""

    name = "pad"

    def __init__(self, pads: tuple[Pair, ...], value: float) -> None:
        self.pads = pads
        self.value = value

    def compute(self, x: NDArray) -> NDArray:
        shape = tuple(n + before + after for n, (before, after) in zip(x.shape, self.pads, strict=True))
        result = recording.constant(shape, self.value, x.dtype, x.device)
        result[self._inside(x)] = x
        return result

    def _inside(self, x: Any) -> tuple[slice, ...]:
        return tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, self.pads, strict=True))

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return grad[self._inside(x)]


def pad_constant(x: Tensor, pads: tuple[Pair, ...], value: float = 0) -> Tensor:
    """x with places of `value` before and after each axis; negative numbers cut places off."""
    cut = tuple(slice(max(0, -b), n - max(0, -a)) for n, (b, a) in zip(x.shape, pads, strict=True))
    if any(before < 0 or after < 0 for before, after in pads):
        x = getitem(x, cut)
    grown = tuple((max(0, before), max(0, after)) for before, after in pads)
    return PadConstant(grown, value)(x) if any(map(any, grown)) else x


def pad_from_itself(x: Tensor, axis: int, pads: Pair, mode: str) -> Tensor:
    """x with places before and after an axis that come from x: by "reflect", "symmetric", "replicate" or "circular"."""
    before, after = pads
    size = x.shape[axis]
    lead = (slice(None),) * axis

    def part(start: int, stop: int) -> Tensor:
        return getitem(x, (*lead, slice(start, stop)))

    if mode == "reflect":
        ends = flip(part(1, before + 1), axis), flip(part(size - 1 - after, size - 1), axis)
    elif mode == "symmetric":
        ends = flip(part(0, before), axis), flip(part(size - after, size), axis)
    elif mode == "circular":
        ends = part(size - before, size), part(0, after)
    else:
        shapes = [(*x.shape[:axis], n, *x.shape[axis + 1 :]) for n in pads]
        ends = broadcast_to(part(0, 1), shapes[0]), broadcast_to(part(size - 1, size), shapes[1])
    parts = [ends[0]] * (before > 0) + [x] + [ends[1]] * (after > 0)
    return concat(parts, axis) if len(parts) > 1 else x


#: NumPy's names of modes, with ours.
MODES = {"reflect": "reflect", "symmetric": "symmetric", "edge": "replicate", "wrap": "circular"}


@takes_tensor
def pad(
    x: Tensor, pad_width: int | Sequence[int] | Sequence[Pair], mode: str = "constant", constant_values: float = 0
) -> Tensor:
    """x with borders (NumPy): `nn.functional.pad` is PyTorch's function.

    `pad_width` is a number of places, a pair of those before and after, or a pair for each axis. `mode` is "constant",
    with `constant_values`, "edge" for copies of the elements at the ends, "reflect" without them and "symmetric" with
    them, or "wrap". Raises ValueError for another mode, for widths that do not fit the axes or are negative, and for
    borders larger than there are places to take them from.
    """
    one_of("mode", mode, ("constant", *MODES))
    try:
        widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    except ValueError:
        raise ValueError(f"pad: pad_width={pad_width} does not fit the axes of x, of shape {x.shape}") from None
    for axis, (before, after) in enumerate(widths):
        size = x.shape[axis]
        most = {"constant": before + after, "reflect": size - 1, "edge": (before + after) * size}.get(mode, size)
        if min(before, after) < 0 or max(before, after) > most:
            raise ValueError(f"pad: pad_width={pad_width} of axis {axis} must be from 0 to {most} in mode={mode!r}")
    if mode == "constant":
        return pad_constant(x, tuple(map(tuple, widths)), constant_values)
    for axis, (before, after) in enumerate(widths):
        if before or after:
            x = pad_from_itself(x, axis, (before, after), MODES[mode])
    return x
