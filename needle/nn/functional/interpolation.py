"""Images at another size."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from needle import ops
from needle.array import NDArray
from needle.checks import one_of
from needle.nn.functional.adaptive_pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from needle.nn.functional.sizes import check_floating, per_axis
from needle.ops.base import takes_tensor
from needle.ops.indexing.taking import Take
from needle.tensor import Tensor

__all__ = ["interpolate"]

_LINEAR = {3: "linear", 4: "bilinear", 5: "trilinear"}
_AREA = {3: adaptive_avg_pool1d, 4: adaptive_avg_pool2d, 5: adaptive_avg_pool3d}


@lru_cache(maxsize=256)
def _nearest(places: int, outputs: int, scale: float, exact: bool) -> np.ndarray:
    """The place that each output takes."""
    at = np.arange(outputs, dtype=np.float32) + np.float32(0.5 if exact else 0)
    return np.minimum((at * np.float32(scale)).astype(np.int64), places - 1)


@lru_cache(maxsize=256)
def _between(places: int, outputs: int, scale: float, align_corners: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each output the places on both sides of it, and how far it is from the first."""
    if align_corners:
        at = np.arange(outputs) * ((places - 1) / (outputs - 1) if outputs > 1 else 0.0)
    else:
        at = np.maximum((np.arange(outputs) + 0.5) * scale - 0.5, 0)
    low = np.minimum(at.astype(np.int64), places - 1)
    return low, np.minimum(low + 1, places - 1), at - low


@takes_tensor
def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Tensor:
    """`input` (N, C, ...), with one to three axes of places, at `size`, or at `scale_factor` times its size.

    `mode` is "nearest", "nearest-exact" (by the centres of pixels), "area" (averages), or "linear", "bilinear" or
    "trilinear" for one, two or three axes. For these, `align_corners` maps the first and last pixels onto each other.
    Raises ValueError for other modes and for sizes below 1.
    """
    check_floating("interpolate", input)
    if not 3 <= input.ndim <= 5:
        raise ValueError(
            f"interpolate: input must be (N, C, ...) with one to three more axes; its shape is {input.shape}"
        )
    linear = _LINEAR[input.ndim]
    one_of("mode", mode, ("nearest", "nearest-exact", "area", linear))
    if align_corners is not None and mode != linear:
        raise ValueError(f"align_corners={align_corners} is for mode={linear!r} alone")
    outputs, scales = _sizes(input, size, scale_factor, bool(recompute_scale_factor))
    if mode == "area":
        pooled: Tensor = _AREA[input.ndim](input, outputs)
        return pooled
    if mode == "nearest" and all(
        o == n * (o // n) and s == n / o for n, o, s in zip(input.shape[2:], outputs, scales, strict=True)
    ):
        return _repeated(input, outputs)
    for axis, (places, count, scale) in enumerate(zip(input.shape[2:], outputs, scales, strict=True), 2):
        if mode == linear:
            input = _along(input, axis, *_between(places, count, scale, bool(align_corners)))
        else:
            input = _taken(input, axis, _nearest(places, count, scale, mode == "nearest-exact"))
    return input


def _sizes(input: Tensor, size: Any, scale_factor: Any, recompute: bool) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The places of the result along each axis, and the input's places for one of them."""
    places = input.shape[2:]
    if (size is None) == (scale_factor is None):
        raise ValueError(f"interpolate needs size or scale_factor, not both: size={size}, scale_factor={scale_factor}")
    if size is not None:
        outputs = per_axis("size", size, len(places))
        return outputs, tuple(n / o for n, o in zip(places, outputs, strict=True))
    factors = tuple(scale_factor) if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * len(places)
    if len(factors) != len(places) or any(not f > 0 for f in factors):
        raise ValueError(f"scale_factor={scale_factor!r} must be a positive number, or {len(places)} of them")
    outputs = tuple(int(n * f) for n, f in zip(places, factors, strict=True))
    if 0 in outputs:
        raise ValueError(f"scale_factor={scale_factor!r} leaves nothing of input {input.shape}")
    if recompute:
        return outputs, tuple(n / o for n, o in zip(places, outputs, strict=True))
    return outputs, tuple(1 / f for f in factors)


def _repeated(input: Tensor, outputs: tuple[int, ...]) -> Tensor:
    """Each place as a box of equal ones: a copy that no gather need make."""
    lead, places = input.shape[:2], input.shape[2:]
    boxed = ops.reshape(input, (*lead, *(m for n in places for m in (n, 1))))
    spread = ops.broadcast_to(boxed, (*lead, *(m for n, o in zip(places, outputs, strict=True) for m in (n, o // n))))
    return ops.reshape(spread, (*lead, *outputs))


def _taken(input: Tensor, axis: int, at: np.ndarray) -> Tensor:
    return Take(axis)(input, NDArray.from_numpy(at, input.device))


def _along(input: Tensor, axis: int, low: np.ndarray, high: np.ndarray, share: np.ndarray) -> Tensor:
    """Between two places of an axis, in proportion."""
    shares: Any = NDArray.from_numpy(
        share.astype(input.dtype).reshape((-1, *(1,) * (input.ndim - axis - 1))), input.device
    )
    first, second = _taken(input, axis, low), _taken(input, axis, high)
    return first + (second - first) * shares
