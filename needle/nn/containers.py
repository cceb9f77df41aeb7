"""Modules made of modules or parameters: in a row, in lists and in dicts, and one with a way around it."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from needle.nn.module import Module
from needle.nn.parameter import Parameter
from needle.tensor import Tensor

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Residual", "Sequential"]


class _Container(Module):
    """Members under names of their own, which are also the container's attributes."""

    #: What the members are.
    _kind: type = Module

    def __init__(self) -> None:
        self._contents: dict[str, Any] = {}

    def _checked(self, name: str, value: Any) -> Any:
        """`value`, if it may be a member. Raises TypeError for anything else."""
        if not isinstance(value, self._kind):
            kind = self._kind.__name__.lower()
            raise TypeError(f"{type(self).__name__} takes {kind}s; argument {name} is a {type(value).__name__}")
        return value

    def _members(self) -> Iterator[tuple[str, Any]]:
        for name, value in super()._members():
            if name == "_contents":
                yield from self._contents.items()
            else:
                yield name, value

    def __getattr__(self, name: str) -> Any:
        contents = self.__dict__.get("_contents", {})
        if name in contents:
            return contents[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("_contents", {}):
            self._contents[name] = self._checked(repr(name), value)
        else:
            super().__setattr__(name, value)

    def __len__(self) -> int:
        return len(self._contents)


class _Listed(_Container):
    """Members that are numbered from 0."""

    def __init__(self, members: Iterable[Any] = ()) -> None:
        super().__init__()
        self.extend(members)

    def append(self, member: Any) -> Any:
        """Add a member at the end, and return this container."""
        name = str(len(self._contents))
        self._contents[name] = self._checked(name, member)
        return self

    def extend(self, members: Iterable[Any]) -> Any:
        """Add members at the end, and return this container."""
        for member in members:
            self.append(member)
        return self

    def insert(self, index: int, member: Any) -> None:
        """Add a member before the one at `index`."""
        found = list(self._contents.values())
        found.insert(index, self._checked(str(index), member))
        self._renumber(found)

    def pop(self, index: int = -1) -> Any:
        """Take the member at `index` out, and return it."""
        found = list(self._contents.values())
        member = found.pop(index)
        self._renumber(found)
        return member

    def _renumber(self, members: list[Any]) -> None:
        self._contents = {str(i): member for i, member in enumerate(members)}

    def _name_at(self, index: int) -> str:
        position, count = operator.index(index), len(self._contents)
        if not -count <= position < count:
            raise IndexError(f"index {position} is out of range for {count} members")
        return list(self._contents)[position]

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._of({name: self._contents[name] for name in list(self._contents)[index]})
        return self._contents[self._name_at(index)]

    def _of(self, members: dict[str, Any]) -> Any:
        """A container of this kind with some of its members."""
        return type(self)(members.values())

    def __setitem__(self, index: int, member: Any) -> None:
        name = self._name_at(index)
        self._contents[name] = self._checked(name, member)

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._contents)
        gone = names[index] if isinstance(index, slice) else [self._name_at(index)]
        self._renumber([self._contents[name] for name in names if name not in gone])

    def __iter__(self) -> Iterator[Any]:
        return iter(self._contents.values())

    def __iadd__(self, members: Iterable[Any]) -> Any:
        return self.extend(members)


class Sequential(_Listed):
    """Applies modules in turn, each to the result of the one before.

    Parameter names begin with a module's position, or with its key if the modules come in one dict:
    `Sequential({"hidden": nn.Linear(2, 8), "act": nn.ReLU()})`, in which `model.hidden` is the first.
    `len`, iteration, an index (the module) and a slice (a Sequential sharing the modules) work as on a list.
    Raises TypeError for an argument that is no Module.
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            _Container.__init__(self)
            for name, module in modules[0].items():
                self._contents[name] = self._checked(repr(name), module)
        else:
            super().__init__(modules)

    def forward(self, x: Any) -> Any:
        for module in self._contents.values():
            x = module(x)
        return x

    def _of(self, members: dict[str, Any]) -> Any:
        named = any(name != str(i) for i, name in enumerate(self._contents))
        return Sequential(members) if named else Sequential(*members.values())

    def _renumber(self, members: list[Any]) -> None:
        names = {id(member): name for name, member in self._contents.items() if not name.isdecimal()}
        self._contents = {names.get(id(member), str(i)): member for i, member in enumerate(members)}


class ModuleList(_Listed):
    """Modules in a list that is a module, with the methods, indices and slices of a list.

    Raises TypeError for a member that is no Module. A plain list in an attribute is collected as well.
    """


class ParameterList(_Listed):
    """Parameters in a list that is a module. Tensors become parameters; TypeError for anything else."""

    _kind = Parameter

    def _checked(self, name: str, value: Any) -> Any:
        return _as_parameter(self, name, value)

    def extra_repr(self) -> str:
        return ", ".join(f"{p.shape}" for p in self._contents.values())


class _Keyed(_Container):
    """Members under string keys, in the order in which they were added."""

    def __init__(self, members: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        super().__init__()
        self.update(members)

    def update(self, members: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add members; one whose key is there already takes the other's place."""
        for name, member in members.items() if isinstance(members, Mapping) else members:
            self[name] = member

    def __getitem__(self, name: str) -> Any:
        return self._contents[name]

    def __setitem__(self, name: str, member: Any) -> None:
        if not isinstance(name, str):
            raise TypeError(f"the keys of {type(self).__name__} are strings; {name!r} is a {type(name).__name__}")
        self._contents[name] = self._checked(repr(name), member)

    def __delitem__(self, name: str) -> None:
        del self._contents[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._contents)

    def __contains__(self, name: object) -> bool:
        return name in self._contents

    def keys(self) -> Iterable[str]:
        """The keys, in order."""
        return self._contents.keys()

    def values(self) -> Iterable[Any]:
        """The members, in order."""
        return self._contents.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """Keys and members, in order."""
        return self._contents.items()

    def get(self, name: str, default: Any = None) -> Any:
        """The member under a key, or `default`."""
        return self._contents.get(name, default)

    def pop(self, name: str) -> Any:
        """Take the member under a key out, and return it."""
        return self._contents.pop(name)

    def clear(self) -> None:
        """Take all members out."""
        self._contents.clear()


class ModuleDict(_Keyed):
    """Modules in a dict that is a module. TypeError for a key that is no string, or a member that is no Module."""


class ParameterDict(_Keyed):
    """Parameters in a dict that is a module. Tensors become parameters; TypeError for anything else."""

    _kind = Parameter

    def _checked(self, name: str, value: Any) -> Any:
        return _as_parameter(self, name, value)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}: {p.shape}" for name, p in self._contents.items())


def _as_parameter(container: Module, name: str, value: Any) -> Parameter:
    if isinstance(value, Parameter):
        return value
    if isinstance(value, Tensor):
        return Parameter(value)
    raise TypeError(f"{type(container).__name__} takes tensors; argument {name} is a {type(value).__name__}")


class Residual(Module):
    """fn(x) + x (He et al. 2016). The shape of fn(x) must be that of x; ValueError otherwise."""

    def __init__(self, fn: Module) -> None:
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        y = self.fn(x)
        if y.shape != x.shape:
            raise ValueError(f"Residual: the module turns shape {x.shape} into {y.shape}; the sum needs equal shapes")
        return y + x
