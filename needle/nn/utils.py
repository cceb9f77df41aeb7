"""Helpers for training under PyTorch's names: gradients cut to size, parameters as one vector or normalised."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

from needle import ops
from needle.autograd import no_grad
from needle.errors import DeviceError
from needle.nn.weight_norm import remove_weight_norm, weight_norm
from needle.ops.creation import asarray
from needle.ops.precision import widened
from needle.tensor import Tensor

__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "get_total_norm", "parameters_to_vector", "remove_weight_norm",
    "vector_to_parameters", "weight_norm",
]  # fmt: skip

Tensors = Tensor | Iterable[Tensor]


def get_total_norm(tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> Tensor:
    """The norm of all elements of `tensors` together, a tensor of shape () on their device; of halves a float32.

    Args:
        tensors: tensors of one device; of none the norm is 0.
        norm_type: p of (sum |x| ** p) ** (1 / p), or `inf` for the largest |x|.
        error_if_nonfinite: whether to wait for the norm and raise RuntimeError if it is NaN or infinite.
    """
    found = _listed(tensors)
    if not found:
        return asarray(0.0)
    with no_grad():
        if norm_type == inf:
            parts = [ops.max(ops.abs(t)) for t in found if t.size]
            total = ops.max(ops.stack(parts)) if parts else asarray(0.0, device=found[0].device)
        else:
            powers = [ops.sum(t * t if norm_type == 2 else ops.abs(t) ** norm_type) for t in map(widened, found)]
            joined = ops.sum(ops.stack(powers))
            total = ops.sqrt(joined) if norm_type == 2 else joined ** (1 / norm_type)
    if error_if_nonfinite and not bool(ops.isfinite(total)):
        raise RuntimeError(f"the total norm of order {norm_type} is {total.item()}, which is not finite")
    return total


def clip_grad_norm_(
    parameters: Tensors, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Scale the gradients of `parameters` down so that their total norm is at most `max_norm`; return it as it was.

    Nothing waits for the norm unless `error_if_nonfinite`. Parameters without a gradient are passed over. The gradients
    are replaced, not written into. Raises RuntimeError for a norm that is not finite, if asked to, DeviceError for
    gradients on several devices.
    """
    found = [p for p in _listed(parameters) if p.grad is not None]
    total = get_total_norm([p.grad for p in found], norm_type, error_if_nonfinite)
    with no_grad():
        factor = ops.minimum(max_norm / (total + 1e-6), 1.0)
        for param in found:
            grad = widened(param.grad)
            param.grad = ops.astype(grad * ops.astype(factor, grad.dtype), param.grad.dtype)
    return total


def clip_grad_value_(parameters: Tensors, clip_value: float) -> None:
    """Cut every element of the gradients of `parameters` to [-clip_value, clip_value].

    Raises ValueError for a negative value.
    """
    if not clip_value >= 0:
        raise ValueError(f"clip_value={clip_value!r} must be at least 0")
    with no_grad():
        for param in _listed(parameters):
            if param.grad is not None:
                param.grad = ops.clip(param.grad, -clip_value, clip_value)


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements of `parameters`, in their order, in one tensor of one axis; differentiable."""
    return ops.concat([ops.reshape(p, (-1,)) for p in _listed(parameters)])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the elements of `vec` into `parameters`, in their order.

    Raises TypeError for other than a tensor, ValueError unless `vec` has as many elements as all parameters.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"vec must be a tensor, not a {type(vec).__name__}")
    found = _listed(parameters)
    needed = sum(p.size for p in found)
    if vec.shape != (needed,):
        raise ValueError(f"vec has shape {vec.shape}; the parameters need ({needed},)")
    start = 0
    for param in found:
        part = vec.detach()[start : start + param.size]
        start += param.size
        param.detach()[...] = ops.reshape(part, param.shape)


def _listed(tensors: Any) -> list[Tensor]:
    """`tensors` as a list. Raises DeviceError unless all are on one device."""
    found = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    devices = {t.device.name for t in found}
    if len(devices) > 1:
        raise DeviceError(f"tensors of one device are needed; these are on {', '.join(sorted(devices))}")
    return found
