"""Reverse-mode automatic differentiation: the graph of nodes and values, and the way back through it."""

from collections.abc import Callable
from typing import Any

from needle.autograd.hooks import register_hook as register_hook
from needle.autograd.modes import enable_grad as enable_grad
from needle.autograd.modes import is_grad_enabled as is_grad_enabled
from needle.autograd.modes import no_grad as no_grad
from needle.autograd.nodes import Node as Node
from needle.autograd.nodes import Op as Op
from needle.autograd.nodes import Value as Value
from needle.autograd.nodes import apply as apply
from needle.autograd.nodes import check_differentiable as check_differentiable
from needle.autograd.nodes import make_value as make_value
from needle.autograd.overwritten import Overwritten as Overwritten
from needle.autograd.propagation import backward as backward
from needle.autograd.propagation import gradients as gradients
from needle.autograd.propagation import propagate as propagate
from needle.autograd.propagation import topological_order as topological_order

#: Derivatives of tensors and functions, which `needle.derivatives` sets: they stand on tensors.
grad: Callable[..., Any]
jacobian: Callable[..., Any]
hessian: Callable[..., Any]
vjp: Callable[..., Any]
jvp: Callable[..., Any]
hvp: Callable[..., Any]
functional: Any

__all__ = ["Op", "Value", "enable_grad", "is_grad_enabled", "no_grad"]
