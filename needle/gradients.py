"""Gradients of functions, and the check of gradients against finite differences."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from needle.autograd import Op, Value, enable_grad, gradients, make_value
from needle.dtypes import float64, is_float
from needle.ops.creation import asarray, ones_like, zeros_like
from needle.tensor import Tensor

__all__ = ["grad", "gradcheck", "value_and_grad"]


class _Alias(Op):
    """The same values as a new node, so that a function can be differentiated at this place alone."""

    name = "alias"

    def compute(self, x: Any) -> Any:
        return x

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return grad


_alias = _Alias()


def value_and_grad(f: Callable[..., Tensor], argnums: int | Sequence[int] = 0) -> Callable[..., tuple[Tensor, Any]]:
    """A function that returns what `f` returns and its gradient with respect to its arguments `argnums`.

    `f` takes tensors (or anything `asarray` does, at `argnums`) and returns a tensor with one element. The
    gradient, a tensor or for several `argnums` a tuple, is differentiable in its turn. Raises ValueError if
    `f` returns more than one element, TypeError for an argument of no floating dtype.
    """
    several = not isinstance(argnums, int)
    positions: tuple[int, ...] = tuple(argnums) if not isinstance(argnums, int) else (argnums,)

    @functools.wraps(f)
    def differentiated(*args: Any, **kwargs: Any) -> tuple[Tensor, Any]:
        with enable_grad():
            inputs = list(args)
            for i in positions:
                inputs[i] = as_variable(args[i], i)
            result = f(*inputs, **kwargs)
            if result.size != 1:
                raise ValueError(f"grad needs a function that returns one element; it returned shape {result.shape}")
            variables = [inputs[i] for i in positions]
            found = gradients(result, variables, ones_like(result), create_graph=True)
        filled = [zeros_like(v) if g is None else g for g, v in zip(found, variables, strict=True)]
        return result, tuple(filled) if several else filled[0]

    return differentiated


def grad(f: Callable[..., Tensor], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns the gradient of `f`; see `value_and_grad`. Apply it twice for second order."""
    both = value_and_grad(f, argnums)

    @functools.wraps(f)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        return both(*args, **kwargs)[1]

    return differentiated


def as_variable(arg: Any, position: int) -> Value:
    """What a function is applied to, to be differentiated by it: of the values of `arg`, argument number `position`."""
    tensor = arg if isinstance(arg, Value) else asarray(arg)
    if not is_float(tensor.cached_data.dtype):
        raise TypeError(f"argument {position} has dtype {tensor.cached_data.dtype}; a gradient needs a floating one")
    if tensor.requires_grad:
        return _alias(tensor)
    return make_value(tensor.cached_data, requires_grad=True)


def gradcheck(
    f: Callable[..., Tensor],
    inputs: Tensor | Sequence[Tensor],
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    seed: int = 0,
) -> bool:
    """Check the gradients of `f` against central finite differences, along random directions.

    Every input that requires a gradient is moved by `eps` along a random direction d, and
    (f(x + eps d) - f(x - eps d)) / (2 eps), projected on a random direction of the output, is compared with
    what backward gives. Where the device has float64 the check is done in it (eps 1e-6, tolerances 1e-6),
    else in the inputs' dtype (eps 1e-2, tolerances 2e-2). Returns True, or raises AssertionError with both
    numbers.
    """
    tensors = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    exact = all(t.device.supports(float64) for t in tensors)
    eps = eps or (1e-6 if exact else 1e-2)
    atol, rtol = atol or (1e-6 if exact else 2e-2), rtol or (1e-6 if exact else 2e-2)
    random = np.random.default_rng(seed)
    hosts = [t.numpy() for t in tensors]
    if exact:
        hosts = [h.astype(np.float64) if is_float(h.dtype) else h for h in hosts]

    def variables(values: Sequence[np.ndarray]) -> list[Tensor]:
        return [Tensor(v, device=t.device, requires_grad=t.requires_grad) for v, t in zip(values, tensors, strict=True)]

    arguments = variables(hosts)
    output = f(*arguments)
    projection = random.standard_normal(output.shape)
    output.backward(asarray(projection.astype(output.dtype), device=output.device))

    def projected(values: Sequence[np.ndarray]) -> float:
        return float((f(*variables(values)).numpy().astype(np.float64) * projection).sum())

    for i, tensor in enumerate(tensors):
        if not tensor.requires_grad:
            continue
        direction = random.standard_normal(tensor.shape)
        ahead, behind = list(hosts), list(hosts)
        ahead[i] = np.asarray(hosts[i] + eps * direction, hosts[i].dtype)  # an array even if 0-d: it keeps its dtype
        behind[i] = np.asarray(hosts[i] - eps * direction, hosts[i].dtype)
        numeric = (projected(ahead) - projected(behind)) / (2 * eps)
        gradient = arguments[i].grad
        analytic = 0.0 if gradient is None else float((gradient.numpy().astype(np.float64) * direction).sum())
        if not np.isclose(analytic, numeric, rtol=rtol, atol=atol, equal_nan=False):
            raise AssertionError(f"gradient of input {i}: backward gives {analytic}, finite differences {numeric}")
    return True
