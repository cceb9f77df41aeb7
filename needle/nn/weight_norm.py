"""Weight normalisation: a parameter as its length and its direction (Salimans and Kingma 2016)."""

from __future__ import annotations

from typing import Any

from needle import ops
from needle.nn.hooks import RemovableHandle
from needle.nn.module import Module
from needle.nn.parameter import Parameter
from needle.nn.torch_layout import TRANSPOSED
from needle.tensor import Tensor

__all__: list[str] = []  # `needle.nn.utils` lists them


class _Normalized:
    """The hook before `forward`: it makes the weight of its length and its direction."""

    def __init__(self, name: str, axis: int | None) -> None:
        self.name, self.axis = name, axis
        self.handle: RemovableHandle | None = None

    def norm(self, v: Tensor) -> Tensor:
        """The 2-norm of `v` over all axes but `axis`, kept with size 1, or over all of them, of shape ()."""
        if self.axis is None:
            return ops.sqrt(ops.sum(v * v))
        return ops.sqrt(ops.sum(v * v, tuple(a for a in range(v.ndim) if a != self.axis), keepdims=True))

    def weight(self, module: Module) -> Tensor:
        """g * v / |v|, differentiable."""
        g, v = getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v")
        weight: Tensor = v * (g / self.norm(v))
        return weight

    def __call__(self, module: Module, args: tuple[Any, ...]) -> None:
        setattr(module, self.name, self.weight(module))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Replace the parameter `name` by its length `name`_g and its direction `name`_v; return the module.

    Each call of the module then begins by making `name` = g * v / |v|. The norm is taken over all axes but `dim`, or
    over all of them if that is None. Axes are counted as PyTorch's layer of that name has them: of a `Linear`, axis 0
    is that of the outputs. Raises ValueError unless the module has such a parameter, with such an axis.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Parameter):
        raise ValueError(f"name={name!r} must be a parameter of {type(module).__name__}")
    if dim is not None and not -weight.ndim <= dim < weight.ndim:
        raise ValueError(f"dim={dim} must be None or an axis of {name!r}, of shape {weight.shape}")
    layouts = module.torch_layouts
    axis = None if dim is None else dim % weight.ndim
    if axis is not None and layouts.get(name) is TRANSPOSED:
        axis = weight.ndim - 1 - axis
    hook = _Normalized(name, axis)
    delattr(module, name)
    module.register_parameter(f"{name}_g", Parameter(hook.norm(weight.detach())))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    if name in layouts:
        turned = {f"{name}_{part}": layouts[name] for part in ("v", *("g" if axis is not None else ()))}
        object.__setattr__(module, "torch_layouts", {**layouts, **turned})
    hook(module, ())
    hook.handle = module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the parameter `name` again, with the values that it has now; return the module.

    Raises ValueError unless `weight_norm` was applied to it.
    """
    hook = next((h for h in module.forward_pre_hooks() if isinstance(h, _Normalized) and h.name == name), None)
    if hook is None or hook.handle is None:
        raise ValueError(f"weight_norm was not applied to {name!r} of {type(module).__name__}")
    weight = hook.weight(module).detach()
    hook.handle.remove()
    for part in ("g", "v"):
        delattr(module, f"{name}_{part}")
    delattr(module, name)
    module.register_parameter(name, Parameter(weight))
    return module
