"""What a function reads apart from its arguments, and whether that is still what it was.

From the function's closure, the global names in its code and the object that it is a method of, all tensors, modules,
optimisers, containers and plain values are visited. A snapshot remembers them; comparing it with what is there at a
later call takes some ten nanoseconds for each.
"""

from __future__ import annotations

import functools
import sys
import types
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from operator import is_
from typing import Any

import numpy as np

from needle.array import NDArray
from needle.backend.protocol import Device
from needle.nn.hooks import Hooks
from needle.nn.module import Module
from needle.optim.lr_scheduler.base import LRScheduler
from needle.optim.optimizer import Optimizer
from needle.tensor import Tensor

#: Values that are compared, not recognized as the same objects.
_PLAIN = (int, float, complex, str, bytes, bool, type(None), np.generic, np.dtype)

#: What stands for something that is not there.
_MISSING = object()

#: Packages whose functions and objects are taken to stay what they are.
_LIBRARIES = frozenset(sys.stdlib_module_names) | {"needle", "numpy", "pyopencl", "tqdm", "rich"}

#: Reads the values that a container has now.
Reader = Callable[[], Collection[Any]]


class Snapshot:
    """What `function` reads from outside, as it is now.

    Attributes:
        tensors: the tensors found, in the order in which they were found.
    """

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._names: frozenset[str] = frozenset()
        for _ in range(2):  # which attributes of objects matter is known when all code has been seen once
            self.tensors: list[Tensor] = []
            self._readers: list[Reader] = []
            self._paths: list[list[str]] = []
            self._seen: dict[int, Any] = {}
            self._arrays: list[np.ndarray] = []
            self._visit(function, getattr(function, "__name__", "the function"))
            for argument in arguments:
                self._visit(argument, "an argument")
        self._remember()
        self._host = [(array, array.tobytes()) for array in self._arrays]
        self.memory = [_memory_of(tensor) for tensor in self.tensors]
        self._graded = [tensor.grad is not None for tensor in self.tensors]
        self._checked = list(zip(self.tensors, self.memory, self._graded, strict=True))

    def holds(self) -> bool:
        """Whether everything is as it was: the same objects, and tensors with the same memory."""
        for reader, values in self._held:
            now = reader()
            if len(now) != len(values) or not all(map(is_, now, values)):
                if self.change():
                    return False
                self._remember()
                break
        for tensor, (array, storage, needs, hooks), graded in self._checked:
            data = tensor.cached_data
            if data is not array or data._storage is not storage or tensor._requires_grad is not needs:
                return False
            if (tensor.grad is not None) is not graded or getattr(tensor, "hooks", None) is not hooks:
                return False
        return all(array.tobytes() == content for array, content in self._host)

    def forget_host(self, copied: Collection[np.ndarray]) -> None:
        """Do not compare the elements of arrays whose memory a replay copies anew: those in `copied`."""
        anew = {memory_key(array) for array in copied}
        self._host = [(array, content) for array, content in self._host if memory_key(array) not in anew]

    def _remember(self) -> None:
        self._values = [list(reader()) for reader in self._readers]
        self._held = list(zip(self._readers, self._values, strict=True))

    def change(self) -> str:
        """What is another now, among the objects read; "" if nothing is, or only objects that stand for one value."""
        for paths, reader, before in zip(self._paths, self._readers, self._values, strict=True):
            now = reader()
            if len(now) != len(before):
                return paths[0] if paths else "a container"
            for path, present, earlier in zip(paths, now, before, strict=True):
                if not _same(present, earlier):
                    return path
        return ""

    def change_since(self, earlier: Snapshot) -> str:
        """What differs from an earlier snapshot of the same function; "" if nothing does."""
        if self._paths != earlier._paths:
            return "what it reads"
        if self._graded != earlier._graded:
            return "which tensors have a gradient"
        for paths, now, before in zip(self._paths, self._values, earlier._values, strict=True):
            for path, present, past in zip(paths, now, before, strict=True):
                if not _same(present, past):
                    return path
        return ""

    # -- visiting -------------------------------------------------------------------------------

    def _visit(self, item: Any, path: str) -> None:
        if isinstance(item, (*_PLAIN, type, types.ModuleType, Device)) or id(item) in self._seen:
            return
        self._seen[id(item)] = item
        if isinstance(item, Tensor):
            self.tensors.append(item)
        elif isinstance(item, np.ndarray):
            self._arrays.append(item)
        elif isinstance(item, Optimizer):
            self._optimizer(item, path)
        elif isinstance(item, LRScheduler):
            self._visit(item.optimizer, f"{path}.optimizer")
        elif isinstance(item, Module):
            self._add(path, item.__dict__.values, [f"{path}.{name}" for name in vars(item)])
            self._methods(item, path)
        elif isinstance(item, Hooks):
            self._add(path, lambda: [*item.before(), *item.after()], [])
        elif isinstance(item, Mapping):
            self._add(path, item.values, [f"{path}[{key!r}]" for key in item])
        elif isinstance(item, (tuple, frozenset)):
            for k, part in enumerate(item):
                self._visit(part, f"{path}[{k}]")
        elif isinstance(item, (list, deque, set)):
            self._add(path, lambda: item, [f"{path}[{k}]" for k in range(len(item))])
        elif isinstance(item, functools.partial):
            self._add(path, lambda: [item.func, *item.args, *item.keywords.values()], [])
        elif isinstance(item, types.MethodType):
            self._visit(item.__func__, path)
            self._visit(item.__self__, "self")
        elif isinstance(item, types.FunctionType):
            self._function(item)
        elif hasattr(item, "__wrapped__"):
            self._visit(item.__wrapped__, path)
        else:
            self._object(item, path)

    def _add(self, path: str, reader: Reader, paths: list[str]) -> None:
        """Remember what `reader` gives, and visit it; `paths` name the last of its values."""
        values = list(reader())
        self._readers.append(reader)
        self._paths.append([path] * (len(values) - len(paths)) + paths)
        for value, name in zip(values, self._paths[-1], strict=True):
            self._visit(value, name)

    def _optimizer(self, item: Optimizer, path: str) -> None:
        """The parameters and the arrays of the state; options are read at each replay."""
        self._add(path, lambda: [*item.params, *[len(group["params"]) for group in item.param_groups]], [])
        self._add(f"{path}.state", lambda: _state_arrays(item), [])

    def _function(self, item: types.FunctionType) -> None:
        if _package(item) in _LIBRARIES:
            return
        used = _names_in(item.__code__)
        self._names |= used
        names = sorted(used & item.__globals__.keys())
        spaces, cells = item.__globals__, item.__closure__ or ()
        self._add(item.__name__, lambda: [spaces.get(name, _MISSING) for name in names], names)
        free = list(item.__code__.co_freevars)
        self._add(item.__name__, lambda: [_content(cell) for cell in cells], free)
        if item.__defaults__ or item.__kwdefaults__:
            values = [*(item.__defaults__ or ()), *(item.__kwdefaults__ or {}).values()]
            self._add(item.__name__, lambda: values, [])

    def _methods(self, item: Any, path: str) -> None:
        """The code of a user's class."""
        called = {"forward", "__call__", *self._names}
        for cls in type(item).__mro__:
            if _package(cls) not in _LIBRARIES:
                for name, method in vars(cls).items():
                    if isinstance(method, types.FunctionType) and name in called:
                        self._visit(method, path)

    def _object(self, item: Any, path: str) -> None:
        """Those attributes of a user's object that the function's code has a name for."""
        if _package(type(item)) in _LIBRARIES or not hasattr(item, "__dict__"):
            return
        self._methods(item, path)
        names = sorted(self._names & vars(item).keys())
        space = vars(item)
        self._add(path, lambda: [space.get(name, _MISSING) for name in names], [f"{path}.{name}" for name in names])


def memory_key(array: np.ndarray) -> tuple[Any, ...]:
    """What two arrays have in common that are views of the same elements, as long as both are there."""
    return array.__array_interface__["data"][0], array.dtype, array.shape, array.strides


def _state_arrays(optimizer: Optimizer) -> list[Any]:
    return [v._storage for state in optimizer.state.values() for v in state.values() if isinstance(v, NDArray)]


def _memory_of(tensor: Tensor) -> tuple[Any, Any, bool, Any]:
    array = tensor.cached_data
    return array, array._storage, tensor._requires_grad, getattr(tensor, "hooks", None)


def _same(now: Any, before: Any) -> bool:
    """Whether one object has taken the place of another that it is no different from."""
    if now is before:
        return True
    return isinstance(now, _PLAIN) and type(now) is type(before) and bool(now == before or (now != now))


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing is in it yet
        return _MISSING


def _package(item: Any) -> str:
    return str(getattr(item, "__module__", "")).partition(".")[0]


def _names_in(code: types.CodeType) -> set[str]:
    """The names of globals and attributes in a piece of code and the functions written in it."""
    found = set(code.co_names)
    for constant in _codes(code):
        found |= _names_in(constant)
    return found


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    return (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
