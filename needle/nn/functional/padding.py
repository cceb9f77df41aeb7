"""Borders around images."""

from __future__ import annotations

from collections.abc import Sequence

from needle.checks import one_of
from needle.ops.base import takes_tensor
from needle.ops.padding import pad_constant, pad_from_itself
from needle.tensor import Tensor

__all__ = ["pad"]


@takes_tensor
def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """`input` with borders: `pad` has two numbers for each axis, before and after, the last axis first.

    `mode` is "constant" (with `value`, 0 by default; negative numbers cut places off), "reflect" (without the edge),
    "replicate" or "circular". Raises ValueError for another mode, for numbers that do not fit the axes, and for borders
    larger than there are places to take them from.
    """
    one_of("mode", mode, ("constant", "reflect", "replicate", "circular"))
    numbers = tuple(int(n) for n in pad)
    if len(numbers) % 2 or len(numbers) > 2 * input.ndim:
        raise ValueError(f"pad={tuple(pad)} must have two numbers for each padded axis of input {input.shape}")
    pairs = [(0, 0)] * input.ndim
    for i in range(0, len(numbers), 2):
        pairs[input.ndim - 1 - i // 2] = (numbers[i], numbers[i + 1])
    if mode == "constant":
        for n, (before, after) in zip(input.shape, pairs, strict=True):
            if n + before + after < 0 or -min(before, 0) > n or -min(after, 0) > n:
                raise ValueError(f"pad={numbers} cuts off more than input {input.shape} has")
        return pad_constant(input, tuple(pairs), 0.0 if value is None else value)
    if value is not None and value != 0:
        raise ValueError(f"value={value} is for mode='constant' alone")
    for axis, pair in enumerate(pairs):
        if not any(pair):
            continue
        most = {"reflect": input.shape[axis] - 1, "circular": input.shape[axis], "replicate": 1 << 62}[mode]
        if min(pair) < 0 or max(pair) > most or input.shape[axis] == 0:
            raise ValueError(f"pad={numbers} of axis {axis} must be from 0 to {most}: mode={mode!r} takes borders from "
                             f"input {input.shape}")  # fmt: skip
        input = pad_from_itself(input, axis, pair, mode)
    return input
