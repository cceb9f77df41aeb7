"""Pooling by sliding windows: maxima, averages, norms, and the inverse of maxima."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from needle import ops
from needle.array import NDArray
from needle.nn.functional.sizes import Sizes, batched, check_floating, per_axis
from needle.ops.base import takes_tensor
from needle.ops.indexing.taking import check_index_bounds
from needle.ops.pooling import Windows, pool_max, pool_sum, scatter_planes, sliding
from needle.tensor import Tensor

__all__ = [
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d", "max_pool1d", "max_pool2d",
    "max_pool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d",
]  # fmt: skip


def _outputs(name: str, places: int, size: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """The number of windows along an axis. Raises ValueError if not even one fits."""
    reach = dilation * (size - 1) + 1
    if padding > size // 2:
        raise ValueError(f"{name}: padding={padding} must be at most half of kernel_size={size}")
    if reach > places + 2 * padding and not (ceil_mode and reach <= places + 2 * padding + stride - 1):
        raise ValueError(f"{name}: kernel_size={size} with dilation={dilation} reaches over {reach} places; the padded "
                         f"input has {places + 2 * padding}")  # fmt: skip
    free = places + 2 * padding - reach
    count = (-(-free // stride) if ceil_mode else free // stride) + 1
    # A window that begins in the padding at the end would have nothing.
    return count - 1 if ceil_mode and (count - 1) * stride >= places + padding else count


def _windows(
    name: str, input: Tensor, axes: int, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, dilation: Sizes,
    ceil_mode: bool,
) -> tuple[tuple[Windows, ...], list[tuple[int, ...]]]:  # fmt: skip
    """The windows along each axis; and places, kernel size, stride and padding of each axis."""
    check_floating(name, input)
    sizes = per_axis("kernel_size", kernel_size, axes)
    steps = sizes if stride is None else per_axis("stride", stride, axes)
    zeros, gaps = per_axis("padding", padding, axes, 0), per_axis("dilation", dilation, axes)
    along = list(zip(input.shape[-axes:], sizes, steps, zeros, gaps, strict=True))
    windows = tuple(sliding(n, k, s, p, d, _outputs(name, n, k, s, p, d, ceil_mode)) for n, k, s, p, d in along)
    return windows, [a[:4] for a in along]


def _max_pool(
    axes: int, input: Tensor, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, dilation: Sizes,
    ceil_mode: bool, return_indices: bool,
) -> Any:  # fmt: skip
    name = f"max_pool{axes}d"

    def pooled(x: Tensor) -> Any:
        windows, _ = _windows(name, x, axes, kernel_size, stride, padding, dilation, ceil_mode)
        if any(start >= end for w in windows for start, end in zip(w.starts, w.ends, strict=True)):
            raise ValueError(f"{name}: with padding={padding} and dilation={dilation} a window has only padding")
        maxima, positions = pool_max(x, windows)
        return (maxima, ops.astype(positions, "int64")) if return_indices else maxima

    return batched(name, input, axes, pooled)


@lru_cache(maxsize=256)
def _shares(windows: tuple[Windows, ...], axes: tuple[tuple[int, ...], ...], include_pad: bool) -> np.ndarray:
    """One over the number of places of each window; in the padding they count if `include_pad`."""
    counts = []
    for w, (places, size, stride, padding) in zip(windows, axes, strict=True):
        starts = np.arange(len(w.starts)) * stride - padding
        padded = np.minimum(starts + size, places + padding) - starts
        counts.append(padded if include_pad else np.array(w.ends) - np.array(w.starts))
    total = counts[0]
    for count in counts[1:]:
        total = total[..., None] * count
    return 1 / np.maximum(total, 1)


def _avg_pool(
    axes: int, input: Tensor, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None,
) -> Any:  # fmt: skip
    name = f"avg_pool{axes}d"
    if divisor_override == 0:
        raise ValueError("divisor_override=0 must not be zero")

    def pooled(x: Tensor) -> Tensor:
        windows, along = _windows(name, x, axes, kernel_size, stride, padding, 1, ceil_mode)
        if divisor_override is not None:
            return pool_sum(x, windows, 1 / divisor_override)
        return pool_sum_shared(x, windows, _shares(windows, tuple(along), count_include_pad))

    return batched(name, input, axes, pooled)


def pool_sum_shared(x: Tensor, windows: tuple[Windows, ...], shares: np.ndarray) -> Tensor:
    """The sums of windows, times `shares`, which broadcast to them."""
    if shares.size and (shares == shares.flat[0]).all():
        return pool_sum(x, windows, float(shares.flat[0]))
    return pool_sum(x, windows) * NDArray.from_numpy(shares.astype(x.dtype), x.device)


def _lp_pool(
    axes: int, input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None, ceil_mode: bool
) -> Any:
    """(sum of x ** p over each window) ** (1 / p)."""
    name = f"lp_pool{axes}d"

    def pooled(x: Tensor) -> Tensor:
        windows, _ = _windows(name, x, axes, kernel_size, stride, 0, 1, ceil_mode)
        powers = pool_sum(x**norm_type, windows)
        return (ops.sign(powers) * ops.relu(abs(powers))) ** (1 / norm_type)

    return batched(name, input, axes, pooled)


def _max_unpool(
    axes: int, input: Tensor, indices: Tensor, kernel_size: Sizes, stride: Sizes | None, padding: Sizes,
    output_size: Sequence[int] | None,
) -> Any:  # fmt: skip
    name = f"max_unpool{axes}d"
    check_floating(name, input)
    if indices.shape != input.shape:
        raise ValueError(f"{name}: indices of shape {indices.shape} must have the shape of input, {input.shape}")
    sizes = per_axis("kernel_size", kernel_size, axes)
    steps = sizes if stride is None else per_axis("stride", stride, axes)
    zeros = per_axis("padding", padding, axes, 0)
    along = zip(input.shape[-axes:], sizes, steps, zeros, strict=True)
    places = tuple((n - 1) * s - 2 * p + k for n, k, s, p in along)
    if output_size is not None:
        wanted = per_axis("output_size", tuple(output_size)[-axes:], axes)
        if any(abs(w - n) >= s for w, n, s in zip(wanted, places, steps, strict=True)):
            raise ValueError(
                f"{name}: output_size={tuple(output_size)} must differ from {places} by less than the stride"
            )
        places = wanted
    check_index_bounds(indices, prod(places), f"{name}: index")
    if input.ndim == axes + 1:
        unpooled = scatter_planes(ops.expand_dims(input, 0), ops.expand_dims(indices, 0), places)
        return ops.squeeze(unpooled, 0)
    return batched(name, input, axes, lambda x: scatter_planes(x, indices, places))


@takes_tensor
def max_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window of `input` (N, C, L); a NaN is larger than any number.

    The stride is the window's size by default. With `return_indices` the result is (maxima, indices), each index the
    int64 position of the maximum in the plane of its channel. Raises ValueError where sizes do not fit.
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@takes_tensor
def max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window of `input` (N, C, H, W); a NaN is larger than any number.

    The stride is the window's size by default. With `return_indices` the result is (maxima, indices), each index the
    int64 position of the maximum in the plane of its channel. Raises ValueError where sizes do not fit.
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@takes_tensor
def max_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window of `input` (N, C, D, H, W); a NaN is larger than any number.

    The stride is the window's size by default. With `return_indices` the result is (maxima, indices), each index the
    int64 position of the maximum in the plane of its channel. Raises ValueError where sizes do not fit.
    """
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@takes_tensor
def avg_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The average of each window of `input` (N, C, L).

    The sum is divided by the places of the window, those in the padding included if `count_include_pad`.
    Raises ValueError where sizes do not fit.
    """
    result: Tensor = _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)
    return result


@takes_tensor
def avg_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The average of each window of `input` (N, C, H, W).

    The sum is divided by the places of the window, those in the padding included if `count_include_pad`, or is
    divided by `divisor_override`.
    Raises ValueError where sizes do not fit.
    """
    result: Tensor = _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return result


@takes_tensor
def avg_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The average of each window of `input` (N, C, D, H, W).

    The sum is divided by the places of the window, those in the padding included if `count_include_pad`, or is
    divided by `divisor_override`.
    Raises ValueError where sizes do not fit.
    """
    result: Tensor = _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return result


@takes_tensor
def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """The `norm_type`-norm of each window of `input` (N, C, L): (sum of x ** p) ** (1 / p)."""
    result: Tensor = _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)
    return result


@takes_tensor
def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """The `norm_type`-norm of each window of `input` (N, C, H, W): (sum of x ** p) ** (1 / p)."""
    result: Tensor = _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)
    return result


@takes_tensor
def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """The `norm_type`-norm of each window of `input` (N, C, D, H, W): (sum of x ** p) ** (1 / p)."""
    result: Tensor = _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)
    return result


@takes_tensor
def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Zeros but for the maxima that `max_pool1d` took: `input` (N, C, L) at the places that `indices` name.

    Where an index comes twice, the values are added. Raises ValueError for sizes that do not fit, IndexError for an
    index known on the host that is out of range.
    """
    result: Tensor = _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)
    return result


@takes_tensor
def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Zeros but for the maxima that `max_pool2d` took: `input` (N, C, H, W) at the places that `indices` name.

    Where an index comes twice, the values are added. Raises ValueError for sizes that do not fit, IndexError for an
    index known on the host that is out of range.
    """
    result: Tensor = _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)
    return result


@takes_tensor
def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Zeros but for the maxima that `max_pool3d` took: `input` (N, C, D, H, W) at the places that `indices` name.

    Where an index comes twice, the values are added. Raises ValueError for sizes that do not fit, IndexError for an
    index known on the host that is out of range.
    """
    result: Tensor = _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)
    return result
