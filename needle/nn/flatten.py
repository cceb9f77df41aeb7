"""`Flatten`: the axes of each sample joined into one."""

from __future__ import annotations

from needle import ops
from needle.nn.module import Module
from needle.tensor import Tensor

__all__ = ["Flatten"]


class Flatten(Module):
    """Joins the axes from `start_dim` to `end_dim`; by default (B, X0, X1, ...) becomes (B, X0 * X1 * ...)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Tensor) -> Tensor:
        return ops.flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
