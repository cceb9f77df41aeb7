"""`Residual`: a module with a way around it."""

from __future__ import annotations

from needle.nn._module import Module
from needle.tensor import Tensor


class Residual(Module):
    """fn(x) + x (He et al. 2016). The shape of fn(x) must be that of x; ValueError otherwise."""

    def __init__(self, fn: Module) -> None:
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        y = self.fn(x)
        if y.shape != x.shape:
            raise ValueError(f"Residual: the module turns shape {x.shape} into {y.shape}; the sum needs equal shapes")
        return y + x
