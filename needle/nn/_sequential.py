"""`Sequential`: modules one after another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from needle.nn._module import Module


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
