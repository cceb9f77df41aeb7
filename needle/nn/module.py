"""`Module`: what layers, losses and models are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from reprlib import recursive_repr
from typing import Any, NamedTuple, TypeVar

from needle.nn.parameter import Parameter
from needle.ops.creation import DeviceLike, as_device, asarray
from needle.tensor import Tensor

__all__ = ["LoadResult", "Module"]

Self = TypeVar("Self", bound="Module")


class LoadResult(NamedTuple):
    """What `Module.load_state_dict(strict=False)` passed over."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """The base class of layers, losses and models. Subclasses define `forward`.

        class Scale(nn.Module):
            def __init__(self):
                self.s = nn.Parameter([1.0])

            def forward(self, x):
                return x * self.s

    Parameters and modules belong to a module if they are among its attributes, also in lists, tuples and
    dicts, nested at will. Their names are the path to them: `layers.0.weight`. One that is reached in
    several ways counts once, under the name found first. `__init__` need not call `super().__init__()`.
    """

    #: Whether the module is being trained: dropout and batch normalisation behave accordingly.
    training: bool = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What calling the module does."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

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

        It moves with the module, and if `persistent` is saved with it. Assigning another tensor to the
        attribute replaces it. Raises TypeError unless `tensor` is a Tensor or None, ValueError for a name
        with a dot or that is already something else.
        """
        if tensor is not None and (not isinstance(tensor, Tensor) or isinstance(tensor, Parameter)):
            raise TypeError(f"buffer {name!r} must be a Tensor that is not a Parameter, not {type(tensor).__name__}")
        known = self.__dict__.setdefault("_buffer_names", {})
        if not name or "." in name or (hasattr(self, name) and name not in known):
            raise ValueError(f"buffer name {name!r} is empty, has a dot or is taken")
        known[name] = persistent
        setattr(self, name, tensor)

    def _buffer_places(self) -> Iterator[tuple[str, Tensor, bool]]:
        """Each buffer once: its name, the tensor, whether it is persistent."""
        seen: set[int] = set()
        for prefix, module in self.named_modules():
            for name, persistent in module.__dict__.get("_buffer_names", {}).items():
                tensor = getattr(module, name, None)
                if tensor is not None and id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield _join(prefix, name), tensor, persistent

    # -- its state ------------------------------------------------------------------------------

    def _state(self) -> dict[str, Tensor]:
        """The parameters and persistent buffers themselves, by name."""
        state: dict[str, Tensor] = {}
        places = list(self.named_parameters())
        buffers = [(name, tensor) for name, tensor, persistent in self._buffer_places() if persistent]
        for name, tensor in [*places, *buffers]:
            if name in state:
                raise ValueError(f"two parameters or buffers have the name {name!r}; rename an attribute or a dict key")
            state[name] = tensor
        return state

    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and persistent buffers by name, as tensors outside the graph that share their memory.

        Raises ValueError if two have one name, which dict keys with dots can bring about.
        """
        return {name: tensor.detach() for name, tensor in self._state().items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> LoadResult:
        """Copy the values of `state_dict` (tensors or NumPy arrays) into the parameters and buffers.

        With `strict=False`, keys that are missing or unexpected are passed over and returned. Raises
        ValueError naming every key that is missing, unexpected (if `strict`) or has another shape or dtype
        than the module; nothing has been loaded then.
        """
        state = self._state()
        missing = [name for name in state if name not in state_dict]
        unexpected = [name for name in state_dict if name not in state]
        problems = [f"missing key {name!r}" for name in missing] if strict else []
        problems += [f"unexpected key {name!r}" for name in unexpected] if strict else []
        found = {name: state_dict[name] for name in state if name in state_dict}
        for name, value in found.items():
            problems += _misfit(name, value, state[name])
        if problems:
            raise ValueError(f"the state does not fit {type(self).__name__}: " + "; ".join(problems))
        copies = {name: asarray(value, device=state[name].device, copy=True) for name, value in found.items()}
        for name, value in copies.items():
            state[name].data = value
        return LoadResult(missing, unexpected)

    def to(self: Self, device: DeviceLike) -> Self:
        """Move parameters, their gradients and buffers to `device`, in place, and return the module.

        The Parameter objects stay the same, so that an optimiser made before goes on working.
        """
        place = as_device(device)
        for parameter in self.parameters():
            parameter.cached_data = parameter.cached_data.to(place)
            if parameter.grad is not None:
                parameter.grad = parameter.grad.detach().to(place)
        for buffer in self.buffers():
            buffer.cached_data = buffer.cached_data.to(place)
        return self

    # -- training -------------------------------------------------------------------------------

    def train(self: Self, mode: bool = True) -> Self:
        """Set `training` here and in all modules below, and return this module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: Self) -> Self:
        """Leave training mode: dropout does nothing, batch normalisation uses the running statistics."""
        return self.train(False)

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
        elif isinstance(value, (list, tuple, dict)) and id(value) not in seen:
            seen.add(id(value))
            items = value.items() if isinstance(value, dict) else enumerate(value)
            stack += [(f"{name}.{key}", item) for key, item in items][::-1]


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


def _misfit(name: str, value: Any, target: Tensor) -> list[str]:
    """What is wrong with `value` as the new content of `target`: a message or nothing."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None or dtype is None:
        return [f"{name!r} is a {type(value).__name__}, not a tensor or a NumPy array"]
    if tuple(shape) != target.shape:
        return [f"{name!r} has shape {tuple(shape)}, the module's has {target.shape}"]
    return [f"{name!r} has dtype {dtype}, the module's has {target.dtype}"] if dtype != target.dtype else []
