"""Where a token stands: sinusoidal vectors to add, and rotations of queries and keys."""

from __future__ import annotations

from typing import Any

import numpy as np

from needle import ops
from needle.checks import integer
from needle.ops import creation
from needle.ops.base import takes_tensor
from needle.ops.creation import DeviceLike
from needle.tensor import Tensor

__all__ = ["rotary_embedding", "sinusoidal_positions"]


def sinusoidal_positions(
    length: int, size: int, base: float = 10000.0, start: int = 0, dtype: Any = "float32", device: DeviceLike = None
) -> Tensor:
    """The vectors (length, size) of the positions from `start` on (Vaswani et al. 2017).

    Element 2i of position p is sin(p / base^(2i / size)), element 2i + 1 the cosine of that. Raises ValueError for an
    odd size.
    """
    return creation.asarray(np.stack(_waves(length, size, base, start), axis=-1).reshape(length, size), dtype, device)


@takes_tensor
def rotary_embedding(input: Tensor, start: int = 0, base: float = 10000.0, interleaved: bool = False) -> Tensor:
    """`input`, (..., length, size), with its pairs of elements turned by angles that grow with the position.

    Pair i of position p is turned by p / base^(2i / size) (Su et al., "RoFormer", 2021). The pairs are elements i and
    i + size / 2, or `interleaved` elements 2i and 2i + 1. Positions begin at `start`: the length of what a cache holds
    already. Raises ValueError for an input of one axis or an odd size.
    """
    if input.ndim < 2:
        raise ValueError(f"rotary_embedding: input of shape {input.shape} must be (..., length, size)")
    length, size = input.shape[-2:]
    sine, cosine = (
        creation.asarray(wave, input.dtype, input.device) for wave in _waves(length, size, base, start)
    )  # fmt: skip
    if interleaved:
        pairs = ops.reshape(input, (*input.shape[:-1], size // 2, 2))
        x, y = pairs[..., 0], pairs[..., 1]
        return ops.reshape(ops.stack([x * cosine - y * sine, x * sine + y * cosine], axis=-1), input.shape)
    x, y = input[..., : size // 2], input[..., size // 2 :]
    return ops.concat([x * cosine - y * sine, x * sine + y * cosine], axis=-1)


def _waves(length: int, size: int, base: float, start: int) -> tuple[np.ndarray, np.ndarray]:
    """The sines and the cosines of all angles: (length, size / 2)."""
    if integer("size", size) % 2:
        raise ValueError(f"size={size} must be even: its elements are taken in pairs")
    frequencies = base ** (-np.arange(0, size, 2) / size)
    angles = np.arange(start, start + integer("length", length, 0))[:, None] * frequencies
    return np.sin(angles), np.cos(angles)
