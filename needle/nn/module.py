"""`Module`: what layers, losses and models are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from reprlib import recursive_repr
from typing import Any, ClassVar, TypeVar

import numpy as np

from needle.nn.hooks import Hooks, RemovableHandle
from needle.nn.parameter import Parameter
from needle.nn.state import HasState
from needle.nn.torch_layout import TorchLayout
from needle.tensor import Tensor

__all__ = ["Module"]

Self = TypeVar("Self", bound="Module")


class Module(HasState):
    """The base class of layers, losses and models. Subclasses define `forward`.

        class Scale(nn.Module):
            def __init__(self):
                self.s = nn.Parameter([1.0])

            def forward(self, x):
                return x * self.s

    Parameters and modules belong to a module if they are among its attributes, also in lists, tuples, deques
    and dicts, nested at will. Their names are the path to them: `layers.0.weight`. One that is reached in
    several ways counts once, under the name found first. In a set or a NumPy array they have no name: they are
    refused with a TypeError when the parameters are asked for. `__init__` need not call `super().__init__()`.

    An attribute that holds a parameter takes another Parameter or None, one that holds a module another Module or
    None, and a buffer another Tensor or None; TypeError otherwise, because the old one would silently drop out of
    the module's parameters or of its state.
    """

    #: Whether the module is being trained: dropout and batch normalisation behave accordingly.
    training: bool = True

    #: How the module's own parameters lie in PyTorch's layer of that name; those that lie alike are left out.
    torch_layouts: ClassVar[Mapping[str, TorchLayout]] = {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What calling the module does."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        hooks = self.__dict__.get("_hooks")
        return self.forward(*args, **kwargs) if hooks is None else hooks.call(self, args, kwargs)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Let each call begin with hook(module, args), which may return other arguments, and None to keep them.

        With `with_kwargs` it is hook(module, args, kwargs), and what it returns (args, kwargs). `prepend` puts it
        before the hooks that are there. Returns a handle whose `remove()` takes the hook away.
        """
        return self._hooked().add(hook, before=True, prepend=prepend, with_kwargs=with_kwargs)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Let each call end with hook(module, args, result), which may return another result, and None to keep it.

        With `with_kwargs` it is hook(module, args, kwargs, result). The rest is as for `register_forward_pre_hook`.
        """
        return self._hooked().add(hook, before=False, prepend=prepend, with_kwargs=with_kwargs)

    def forward_pre_hooks(self) -> list[Callable[..., Any]]:
        """The hooks that `register_forward_pre_hook` added, in the order in which they are called."""
        return self._hooked().before()

    def _hooked(self) -> Hooks:
        hooks: Hooks = self.__dict__.setdefault("_hooks", Hooks())
        return hooks

    def __setattr__(self, name: str, value: Any) -> None:
        _check_replacement(self, name, value)
        object.__setattr__(self, name, value)

    # -- what it consists of --------------------------------------------------------------------

    def _members(self) -> Iterator[tuple[str, Any]]:
        """The attributes among which parameters and modules are looked for, with their names."""
        yield from self.__dict__.items()

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module, under the empty name, and all below it, each before what it contains."""
        return _named_modules(self, "", set())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules that belong to this one directly."""
        seen: set[int] = {id(self)}
        for name, value in _leaves(self, ""):
            if isinstance(value, Module) and id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The parameters of this module and all below it."""
        seen: set[int] = set()
        for prefix, module in self.named_modules():
            for name, value in _leaves(module, prefix):
                if isinstance(value, Parameter) and id(value) not in seen:
                    seen.add(id(value))
                    yield name, value

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """The buffers of this module and all below it."""
        for name, tensor, _ in self._buffer_places():
            yield name, tensor

    def modules(self) -> list[Module]:
        """This module and all below it."""
        return [module for _, module in self.named_modules()]

    def children(self) -> list[Module]:
        """The modules that belong to this one directly."""
        return [module for _, module in self.named_children()]

    def parameters(self) -> list[Parameter]:
        """The parameters of this module and all below it."""
        return [parameter for _, parameter in self.named_parameters()]

    def buffers(self) -> list[Tensor]:
        """The buffers of this module and all below it."""
        return [buffer for _, buffer in self.named_buffers()]

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Set the attribute `name` to a tensor that is part of the state but not trained, such as a running mean.

        It moves with the module, and if `persistent` is saved with it. Assigning another tensor to the attribute
        replaces it; a Parameter assigned to it is a parameter from then on, and no buffer. Raises TypeError unless
        `tensor` is a Tensor or None, ValueError for a name
        with a dot or that is already something else.
        """
        if tensor is not None and (not isinstance(tensor, Tensor) or isinstance(tensor, Parameter)):
            raise TypeError(f"buffer {name!r} must be a Tensor that is not a Parameter, not {type(tensor).__name__}")
        known = self.__dict__.setdefault("_buffer_names", {})
        if not name or "." in name or (hasattr(self, name) and name not in known):
            raise ValueError(f"buffer name {name!r} is empty, has a dot or is taken")
        object.__setattr__(self, name, tensor)
        known[name] = persistent

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Set the attribute `name` to a parameter, or to None for one that this module does without.

        Raises TypeError for anything else, ValueError for a name with a dot or that is already something else.
        """
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"parameter {name!r} must be a Parameter or None, not {type(param).__name__}")
        self._check_new_name("parameter", name, Parameter)
        setattr(self, name, param)

    def add_module(self, name: str, module: Module | None) -> None:
        """Set the attribute `name` to a module. Raises what `register_parameter` does."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"module {name!r} must be a Module or None, not {type(module).__name__}")
        self._check_new_name("module", name, Module)
        setattr(self, name, module)

    register_module = add_module

    def _check_new_name(self, what: str, name: str, kind: type) -> None:
        """Raise ValueError for a name that is empty, has a dot, or is an attribute that holds no `kind`."""
        held = getattr(self, name, None) if name and "." not in name else ""
        if held is not None and not isinstance(held, kind):
            raise ValueError(f"{what} name {name!r} is empty, has a dot or is taken")

    def get_submodule(self, target: str) -> Module:
        """The module at a path such as "layers.0"; this one for "". Raises AttributeError where there is none."""
        found = self if not target else dict(self.named_modules()).get(target)
        if found is None:
            raise AttributeError(f"{type(self).__name__} has no module {target!r}")
        return found

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a path such as "layers.0.weight". Raises AttributeError where there is none."""
        found = dict(self.named_parameters()).get(target)
        if found is None:
            raise AttributeError(f"{type(self).__name__} has no parameter {target!r}")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a path such as "norm.running_mean". Raises AttributeError where there is none."""
        found = dict(self.named_buffers()).get(target)
        if found is None:
            raise AttributeError(f"{type(self).__name__} has no buffer {target!r}")
        return found

    def _torch_layouts(self) -> dict[str, TorchLayout]:
        """How the parameters that PyTorch keeps otherwise lie there, by their paths."""
        return {
            _join(prefix, name): layout
            for prefix, module in self.named_modules()
            for name, layout in module.torch_layouts.items()
        }

    def _buffer_places(self) -> Iterator[tuple[str, Tensor, bool]]:
        """Each buffer once: its name, the tensor, whether it is persistent."""
        seen: set[int] = set()
        for prefix, module in self.named_modules():
            for name, persistent in module.__dict__.get("_buffer_names", {}).items():
                tensor = getattr(module, name, None)
                if tensor is not None and id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield _join(prefix, name), tensor, persistent

    # -- training -------------------------------------------------------------------------------

    def train(self: Self, mode: bool = True) -> Self:
        """Set `training` here and in all modules below, and return this module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: Self) -> Self:
        """Leave training mode: dropout does nothing, batch normalisation uses the running statistics."""
        return self.train(False)

    def apply(self: Self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` with each module below and then with this one, and return this one."""
        for module in reversed(self.modules()):
            fn(module)
        return self

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Set whether the parameters are trained, and return the module. `False` freezes it."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    # -- display --------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands between the parentheses of the repr, before the modules below."""
        return ""

    @recursive_repr()
    def __repr__(self) -> str:
        extra = self.extra_repr()
        children = [f"({name}): {module!r}".replace("\n", "\n  ") for name, module in self.named_children()]
        if not children:
            return f"{type(self).__name__}({extra})"
        lines = [extra, *children] if extra else children
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"


def _check_replacement(module: Module, name: str, value: Any) -> None:
    """Raise TypeError if `value`, assigned to the attribute `name`, would drop a parameter, module or buffer."""
    if isinstance(value, Parameter):
        module.__dict__.get("_buffer_names", {}).pop(name, None)
        return
    if value is None:
        return
    if name in module.__dict__.get("_buffer_names", ()):
        if not isinstance(value, Tensor):
            raise TypeError(
                f"the buffer {name!r} of {type(module).__name__} must be a Tensor or None, not {type(value).__name__}; "
                "ndl.asarray(...) makes one"
            )
        return
    held = module.__dict__.get(name)
    if isinstance(held, Parameter):
        raise TypeError(
            f"{name!r} is a parameter of {type(module).__name__}; it can be replaced by a Parameter or None, not by "
            f"{type(value).__name__}: wrap it as nn.Parameter(...), or write into {name}.data"
        )
    if isinstance(held, Module) and not isinstance(value, Module):
        raise TypeError(
            f"{name!r} is a module of {type(module).__name__}; it can be replaced by a Module or None, not by "
            f"{type(value).__name__}"
        )


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _leaves(module: Module, prefix: str) -> Iterator[tuple[str, Parameter | Module]]:
    """The parameters and modules among a module's attributes and in their containers, in order.

    Iterative, so that deep containers do no harm; a container is entered once, so that cycles end.
    """
    seen: set[int] = set()
    stack = [(_join(prefix, name), value) for name, value in module._members()][::-1]
    while stack:
        name, value = stack.pop()
        if isinstance(value, (Parameter, Module)):
            yield name, value
        elif isinstance(value, (list, tuple, deque, Mapping)) and id(value) not in seen:
            seen.add(id(value))
            items = value.items() if isinstance(value, Mapping) else enumerate(value)
            stack += [(f"{name}.{key}", item) for key, item in items][::-1]
        elif isinstance(value, (set, frozenset, np.ndarray)):
            _check_holds_none(name, value)


def _check_holds_none(name: str, container: set[Any] | frozenset[Any] | np.ndarray) -> None:
    """Raise TypeError if parameters or modules are in a container that gives them no name."""
    if isinstance(container, np.ndarray) and container.dtype != object:
        return
    items = container.ravel() if isinstance(container, np.ndarray) else container
    found = next((item for item in items if isinstance(item, (Parameter, Module))), None)
    if found is not None:
        raise TypeError(
            f"{name!r} holds a {type(found).__name__} in a {type(container).__name__}, where it has no name; "
            "keep parameters and modules in a list, a tuple or a dict"
        )


def _named_modules(root: Module, name: str, seen: set[int]) -> Iterator[tuple[str, Module]]:
    stack = [(name, root)]
    while stack:
        path, module = stack.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield path, module
        below = [(where, value) for where, value in _leaves(module, path) if isinstance(value, Module)]
        stack += below[::-1]
