"""Tensors for einops: a backend, which that library finds because it is a subclass of its own class.

`needle` imports this module where einops is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from einops._backends import AbstractBackend

from needle import ops
from needle.ops.creation import arange, asarray
from needle.tensor import Tensor


class NeedleBackend(AbstractBackend):  # type: ignore[misc, unused-ignore]
    """How einops rearranges, reduces and repeats tensors of needle. The names are those that it calls."""

    framework_name = "needle"

    def is_appropriate_type(self, tensor: Any) -> bool:
        """Whether `tensor` is one of needle's."""
        return isinstance(tensor, Tensor)

    def from_numpy(self, x: np.ndarray) -> Tensor:
        """A tensor of a NumPy array's values."""
        return asarray(x)

    def to_numpy(self, x: Tensor) -> np.ndarray:
        """The values as a NumPy array."""
        return x.numpy()

    def arange(self, start: int, stop: int) -> Tensor:
        """The integers from `start` up to `stop`."""
        return arange(start, stop)

    def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        """A view with the axes in another order."""
        return ops.permute_dims(x, axes)

    def stack_on_zeroth_dimension(self, tensors: Sequence[Tensor]) -> Tensor:
        """Tensors joined along a new first axis."""
        return ops.stack(tensors)

    def add_axis(self, x: Tensor, new_position: int) -> Tensor:
        """A view with a new axis of size 1."""
        return ops.expand_dims(x, new_position)

    def tile(self, x: Tensor, repeats: Sequence[int]) -> Tensor:
        """The tensor repeated along each axis."""
        return ops.tile(x, tuple(repeats))

    def concat(self, tensors: Sequence[Tensor], axis: int) -> Tensor:
        """Tensors joined along an axis."""
        return ops.concat(tensors, axis)

    def is_float_type(self, x: Tensor) -> bool:
        """Whether the dtype is floating, and means are of it."""
        return x.is_floating_point()

    def einsum(self, pattern: str, *tensors: Tensor) -> Tensor:
        """A sum of products."""
        return ops.einsum(pattern, *tensors)
