"""Patches of images as columns, and back; channels as pixels, and back."""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np

from needle import ops
from needle.array import NDArray
from needle.checks import integer
from needle.nn.functional.sizes import Sizes, batched, check_floating, per_axis
from needle.ops.base import takes_tensor
from needle.ops.indexing.access import getitem
from needle.ops.indexing.taking import ScatterAdd, Take
from needle.ops.padding import pad_constant
from needle.tensor import Tensor

__all__ = ["channel_shuffle", "fold", "pixel_shuffle", "pixel_unshuffle", "unfold"]


@lru_cache(maxsize=256)
def _patches(
    padded: tuple[int, int], size: tuple[int, ...], dilation: tuple[int, ...], stride: tuple[int, ...]
) -> np.ndarray:
    """The positions in a padded plane of each tap of each patch: (taps, patches)."""
    rows, columns = (
        np.arange(k)[:, None] * d + np.arange((n - d * (k - 1) - 1) // s + 1) * s
        for n, k, d, s in zip(padded, size, dilation, stride, strict=True)
    )
    return (rows[:, None, :, None] * padded[1] + columns[None, :, None, :]).reshape(prod(size), -1)


def _geometry(
    name: str, places: tuple[int, ...], kernel_size: Sizes, dilation: Sizes, padding: Sizes, stride: Sizes
) -> tuple[np.ndarray, tuple[int, ...], tuple[int, int]]:
    """The positions of the patches, the padding, and the padded size. Raises ValueError if no patch fits."""
    size, gaps = per_axis("kernel_size", kernel_size, 2), per_axis("dilation", dilation, 2)
    zeros, steps = per_axis("padding", padding, 2, 0), per_axis("stride", stride, 2)
    padded = (places[0] + 2 * zeros[0], places[1] + 2 * zeros[1])
    if any(d * (k - 1) + 1 > n for n, k, d in zip(padded, size, gaps, strict=True)):
        raise ValueError(f"{name}: kernel_size={size} with dilation={gaps} reaches beyond the padded size {padded}")
    return _patches(padded, size, gaps, steps), zeros, padded


@takes_tensor
def unfold(input: Tensor, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> Tensor:
    """The patches of `input` (N, C, H, W) as columns: (N, C * R * S, patches). Raises ValueError if none fits."""
    check_floating("unfold", input)

    def unfolded(x: Tensor) -> Tensor:
        patches, zeros, padded = _geometry("unfold", x.shape[2:], kernel_size, dilation, padding, stride)
        around = pad_constant(x, ((0, 0), (0, 0), *((p, p) for p in zeros)))
        flat = ops.reshape(around, (*x.shape[:2], prod(padded)))
        found = Take(2)(flat, NDArray.from_numpy(patches, x.device))
        return ops.reshape(found, (x.shape[0], x.shape[1] * patches.shape[0], patches.shape[1]))

    result: Tensor = batched("unfold", input, 2, unfolded)
    return result


@takes_tensor
def fold(
    input: Tensor, output_size: Sizes, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
) -> Tensor:
    """What `unfold` took apart: the sum of patches (N, C * R * S, patches) in images (N, C, *output_size).

    Raises ValueError for numbers of rows or columns that such images do not have.
    """
    check_floating("fold", input)
    places = per_axis("output_size", output_size, 2)
    patches, zeros, padded = _geometry("fold", places, kernel_size, dilation, padding, stride)

    def folded(x: Tensor) -> Tensor:
        batch, rows, columns = x.shape
        if rows % patches.shape[0] or columns != patches.shape[1]:
            raise ValueError(f"fold: input {input.shape} must have a multiple of {patches.shape[0]} rows and "
                             f"{patches.shape[1]} columns, the patches of output_size={places}")  # fmt: skip
        channels = rows // patches.shape[0]
        taps = ops.reshape(x, (batch, channels, *patches.shape))
        flat = ScatterAdd(2, prod(padded))(NDArray.from_numpy(patches, x.device), taps)
        planes = ops.reshape(flat, (batch, channels, *padded))
        inside = tuple(slice(p, p + n) for p, n in zip(zeros, places, strict=True))
        return getitem(planes, (slice(None), slice(None), *inside))

    result: Tensor = batched("fold", input, 1, folded)
    return result


@takes_tensor
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Channels as pixels: (..., C * r * r, H, W) becomes (..., C, H * r, W * r) (Shi et al. 2016)."""
    r = integer("upscale_factor", upscale_factor)
    _check_planes("pixel_shuffle", input)
    *lead, channels, height, width = input.shape
    if channels % (r * r):
        raise ValueError(
            f"pixel_shuffle: upscale_factor={r} needs channels divisible by {r * r}; input is {input.shape}"
        )
    n = len(lead)
    taken = ops.reshape(input, (*lead, channels // (r * r), r, r, height, width))
    turned = ops.permute_dims(taken, (*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return ops.reshape(turned, (*lead, channels // (r * r), height * r, width * r))


@takes_tensor
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Pixels as channels, the inverse of `pixel_shuffle`."""
    r = integer("downscale_factor", downscale_factor)
    _check_planes("pixel_unshuffle", input)
    *lead, channels, height, width = input.shape
    if height % r or width % r:
        raise ValueError(
            f"pixel_unshuffle: downscale_factor={r} must divide the height and width of input {input.shape}"
        )
    n = len(lead)
    taken = ops.reshape(input, (*lead, channels, height // r, r, width // r, r))
    turned = ops.permute_dims(taken, (*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return ops.reshape(turned, (*lead, channels * r * r, height // r, width // r))


@takes_tensor
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels, axis 1, dealt out anew among `groups`: channel g * n + i comes to i * groups + g."""
    groups = integer("groups", groups)
    if input.ndim < 3 or input.shape[1] % groups:
        raise ValueError(f"channel_shuffle: groups={groups} must divide the channels of input {input.shape}")
    batch, channels, *places = input.shape
    taken = ops.reshape(input, (batch, groups, channels // groups, *places))
    turned = ops.permute_dims(taken, (0, 2, 1, *range(3, taken.ndim)))
    return ops.reshape(turned, input.shape)


def _check_planes(name: str, input: Tensor) -> None:
    if input.ndim < 3:
        raise ValueError(f"{name}: input must be (..., C, H, W); its shape is {input.shape}")
