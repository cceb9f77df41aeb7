"""Pooling to a given size: the windows divide each axis as evenly as can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from needle import ops
from needle.nn.functional.pooling import pool_sum_shared
from needle.nn.functional.sizes import batched, check_floating
from needle.ops.base import takes_tensor
from needle.ops.pooling import Windows, adaptive, pool_max
from needle.tensor import Tensor

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "adaptive_max_pool3d",
]  # fmt: skip

#: One size for all axes or one for each; None keeps the input's.
OutputSize = int | None | Sequence[int | None]


def _windows(name: str, input: Tensor, axes: int, output_size: OutputSize) -> tuple[Windows, ...]:
    check_floating(name, input)
    wanted: Any = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * axes
    if len(wanted) != axes or any(w is not None and (not isinstance(w, (int, np.integer)) or w < 1) for w in wanted):
        raise ValueError(f"{name}: output_size={output_size!r} must be a positive number or None, or {axes} of them")
    places = input.shape[-axes:]
    if 0 in places:
        raise ValueError(f"{name}: input of shape {input.shape} has no places to pool")
    return tuple(adaptive(n, n if w is None else int(w)) for n, w in zip(places, wanted, strict=True))


def _max(axes: int, input: Tensor, output_size: OutputSize, return_indices: bool) -> Any:
    name = f"adaptive_max_pool{axes}d"

    def pooled(x: Tensor) -> Any:
        maxima, positions = pool_max(x, _windows(name, x, axes, output_size))
        return (maxima, ops.astype(positions, "int64")) if return_indices else maxima

    return batched(name, input, axes, pooled)


def _average(axes: int, input: Tensor, output_size: OutputSize) -> Any:
    name = f"adaptive_avg_pool{axes}d"

    def pooled(x: Tensor) -> Tensor:
        windows = _windows(name, x, axes, output_size)
        if all(len(w.starts) == 1 for w in windows):
            return ops.mean(x, tuple(range(x.ndim - axes, x.ndim)), keepdims=True)
        shares: Any = np.ones(())
        for w in windows:
            shares = shares[..., None] / (np.array(w.ends) - np.array(w.starts))
        return pool_sum_shared(x, windows, shares)

    return batched(name, input, axes, pooled)


@takes_tensor
def adaptive_avg_pool1d(input: Tensor, output_size: OutputSize) -> Tensor:
    """The averages of `output_size` windows of `input` (N, C, L), a number for each axis or one for all.

    None keeps the size of the input. Raises ValueError for other sizes.
    """
    result: Tensor = _average(1, input, output_size)
    return result


@takes_tensor
def adaptive_max_pool1d(input: Tensor, output_size: OutputSize, return_indices: bool = False) -> Any:
    """The maxima of `output_size` windows of `input` (N, C, L); with `return_indices` (maxima, indices).

    The rest is as for `adaptive_avg_pool1d` and `max_pool1d`.
    """
    return _max(1, input, output_size, return_indices)


@takes_tensor
def adaptive_avg_pool2d(input: Tensor, output_size: OutputSize) -> Tensor:
    """The averages of `output_size` windows of `input` (N, C, H, W), a number for each axis or one for all.

    None keeps the size of the input. Raises ValueError for other sizes.
    """
    result: Tensor = _average(2, input, output_size)
    return result


@takes_tensor
def adaptive_max_pool2d(input: Tensor, output_size: OutputSize, return_indices: bool = False) -> Any:
    """The maxima of `output_size` windows of `input` (N, C, H, W); with `return_indices` (maxima, indices).

    The rest is as for `adaptive_avg_pool2d` and `max_pool2d`.
    """
    return _max(2, input, output_size, return_indices)


@takes_tensor
def adaptive_avg_pool3d(input: Tensor, output_size: OutputSize) -> Tensor:
    """The averages of `output_size` windows of `input` (N, C, D, H, W), a number for each axis or one for all.

    None keeps the size of the input. Raises ValueError for other sizes.
    """
    result: Tensor = _average(3, input, output_size)
    return result


@takes_tensor
def adaptive_max_pool3d(input: Tensor, output_size: OutputSize, return_indices: bool = False) -> Any:
    """The maxima of `output_size` windows of `input` (N, C, D, H, W); with `return_indices` (maxima, indices).

    The rest is as for `adaptive_avg_pool3d` and `max_pool3d`.
    """
    return _max(3, input, output_size, return_indices)
