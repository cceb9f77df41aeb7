"""Modules made of modules: `Sequential`, one after another, and `Residual`, one with a way around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from needle.nn.module import Module
from needle.tensor import Tensor

__all__ = ["Residual", "Sequential"]


class Sequential(Module):
    """Applies modules in turn, each to the result of the one before. Parameter names begin with its position.

    `len`, iteration, an index (the module) and a slice (a Sequential sharing the modules) work as on a list.
    Raises TypeError for an argument that is no Module.
    """

    def __init__(self, *modules: Module) -> None:
        self._layers: list[Module] = []
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> Sequential:
        """Add a module at the end, and return this one."""
        if not isinstance(module, Module):
            raise TypeError(f"Sequential takes modules; argument {len(self._layers)} is a {type(module).__name__}")
        self._layers.append(module)
        return self

    def forward(self, x: Any) -> Any:
        for module in self._layers:
            x = module(x)
        return x

    def _members(self) -> Iterator[tuple[str, Any]]:
        for name, value in super()._members():
            if value is self._layers:
                yield from ((str(i), module) for i, module in enumerate(self._layers))
            else:
                yield name, value

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._layers)

    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return Sequential(*self._layers[index])
        return self._layers[index]


class Residual(Module):
    """fn(x) + x (He et al. 2016). The shape of fn(x) must be that of x; ValueError otherwise."""

    def __init__(self, fn: Module) -> None:
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        y = self.fn(x)
        if y.shape != x.shape:
            raise ValueError(f"Residual: the module turns shape {x.shape} into {y.shape}; the sum needs equal shapes")
        return y + x
