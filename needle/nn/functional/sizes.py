"""Sizes that functions on images take: one number for all axes, or one for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from needle import ops
from needle.checks import integer
from needle.tensor import Tensor

#: A number for all axes of places, or one for each.
Sizes = int | Sequence[int]


def per_axis(name: str, value: Any, axes: int, least: int = 1) -> tuple[int, ...]:
    """`value` as a number for each of `axes` axes. Raises TypeError or ValueError, naming it, for other things."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    if len(values) == 1:
        values *= axes
    if len(values) != axes:
        raise ValueError(f"{name}={value!r} must be one number, or {axes}, one for each axis")
    return tuple(integer(name, v, least) for v in values)


def batched(name: str, input: Tensor, axes: int, function: Callable[[Tensor], Any]) -> Any:
    """`function` of (N, C, ...) with `axes` axes of places, applied to such an input or to one without the batch.

    Raises ValueError for an input of another rank.
    """
    if input.ndim == axes + 2:
        return function(input)
    if input.ndim != axes + 1:
        expected = "(N, C, " + ", ".join(f"d{i + 1}" for i in range(axes)) + ")"
        raise ValueError(f"{name}: input must be {expected}, or that without N; its shape is {input.shape}")
    result = function(ops.expand_dims(input, 0))
    return tuple(ops.squeeze(r, 0) for r in result) if isinstance(result, tuple) else ops.squeeze(result, 0)


def check_floating(name: str, input: Tensor) -> None:
    """Raise TypeError unless `input` has a floating dtype."""
    if input.dtype.kind != "f":
        raise TypeError(
            f"{name}: input must have a floating dtype, not {input.dtype}; convert it by .astype('float32')"
        )
