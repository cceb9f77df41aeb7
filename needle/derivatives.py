"""Derivatives under PyTorch's names: `needle.autograd.grad` of tensors; `jacobian`, `hessian` and products with them.

The functions take `f` and the tensors to apply it to, as those of `torch.autograd.functional` do. One tensor gives one
result, a tuple a tuple. Results are differentiable in their turn with `create_graph=True`. `needle.grad` makes a
function of a function instead.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from needle import autograd, ops
from needle.autograd import Value, enable_grad, gradients
from needle.errors import GraphError
from needle.gradients import as_variable
from needle.ops.creation import asarray, ones_like, zeros, zeros_like
from needle.tensor import Tensor

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "vjp"]

Tensors = Tensor | Sequence[Tensor]


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """The gradients of the sum of `outputs`, weighted by `grad_outputs`, with respect to `inputs`: a tuple.

    The weights have the shapes of the outputs, and may be None for outputs of one element. No `.grad` changes and no
    graph is freed, whatever `retain_graph` says. An output that depends on none of the `inputs` is passed over; an
    input on which none depends has None with `allow_unused`. Raises GraphError for such an input without it, and for an
    output that requires no gradient; ValueError for weights that are missing or of another shape.
    """
    roots, variables = _several(outputs), _several(inputs)
    weights = [None] * len(roots) if grad_outputs is None else _several(grad_outputs)
    if len(weights) != len(roots):
        raise ValueError(f"grad: {len(weights)} grad_outputs were given for {len(roots)} outputs")
    found: list[Any] = [None] * len(variables)
    for position, (root, weight) in enumerate(zip(roots, weights, strict=True)):
        if not root.requires_grad:
            raise GraphError(f"grad: outputs[{position}] does not require a gradient")
        seed = root._seed(weight, create_graph)
        for place, part in enumerate(gradients(root, variables, seed, create_graph)):
            if part is not None:
                found[place] = part if found[place] is None else found[place] + part
    if not allow_unused and None in [None if part is None else 0 for part in found]:
        unused = [place for place, part in enumerate(found) if part is None]
        raise GraphError(f"grad: no output depends on inputs[{unused[0]}]; allow_unused=True gives None for it")
    return tuple(found)


def _several(given: Any) -> list[Any]:
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _as_given(results: Sequence[Any], given: Any) -> Any:
    """One result for one tensor, a tuple for several."""
    return tuple(results) if isinstance(given, (list, tuple)) else results[0]


def _applied(f: Callable[..., Any], inputs: Any) -> tuple[list[Value], Any]:
    """Variables of the values of `inputs`, and what `f` makes of them, with its graph."""
    with enable_grad():
        variables = [as_variable(x, i) for i, x in enumerate(_several(inputs))]
        return variables, f(*variables)


def _with_zeros(found: Sequence[Any], variables: Sequence[Any], create_graph: bool) -> list[Any]:
    """The gradients, zeros where there are none, and outside of the graph unless they shall be differentiated."""
    filled = [zeros_like(v) if part is None else part for part, v in zip(found, variables, strict=True)]
    return filled if create_graph else [part.detach() for part in filled]


def _products(outputs: Any, variables: Sequence[Value], v: Any, create_graph: bool) -> list[Any]:
    """The gradients of outputs weighted by `v`, ones where None is given for an output of one element."""
    total: list[Any] = [None] * len(variables)
    weights = [None] * len(_several(outputs)) if v is None else _several(v)
    for root, weight in zip(_several(outputs), weights, strict=True):
        if not root.requires_grad:
            continue
        parts = gradients(root, variables, root._seed(weight, True), create_graph=True)
        total = [b if a is None else a if b is None else a + b for a, b in zip(total, parts, strict=True)]
    return _with_zeros(total, variables, create_graph)


def vjp(f: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False) -> tuple[Any, Any]:
    """What `f` makes of `inputs`, and the product of `v`, of the result's shape, with its Jacobian.

    `v` may be left out for a result of one element. Raises ValueError for another shape, TypeError for inputs that are
    not floating; so do the functions below.
    """
    variables, outputs = _applied(f, inputs)
    with enable_grad():
        products = _products(outputs, variables, v, create_graph)
    return _outside(outputs, create_graph), _as_given(products, inputs)


def _outside(outputs: Any, create_graph: bool) -> Any:
    if create_graph:
        return outputs
    return _as_given([output.detach() for output in _several(outputs)], outputs)


def jvp(f: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False) -> tuple[Any, Any]:
    """What `f` makes of `inputs`, and the product of its Jacobian with `v`, of the shapes of the inputs.

    Computed by two backward passes: the gradient of `vjp`, which is linear, by what it is a product with.
    """
    variables, outputs = _applied(f, inputs)
    directions = [ones_like(x) for x in variables] if v is None else _several(v)  # type: ignore[arg-type]
    _check_shapes("v", directions, variables)
    with enable_grad():
        roots = _several(outputs)
        dummies = [as_variable(zeros_like(root), i) for i, root in enumerate(roots)]
        backwards = _products(outputs, variables, dummies, create_graph=True)
        total: Any = None
        for part, direction in zip(backwards, directions, strict=True):
            term = (part * direction).sum()
            total = term if total is None else total + term
        found = gradients(total, dummies, ones_like(total), create_graph=True) if total.requires_grad else []
        found = found or [None] * len(dummies)
        products = _with_zeros(found, dummies, create_graph)
    return _outside(outputs, create_graph), _as_given(products, outputs)


def _check_shapes(name: str, given: Sequence[Any], wanted: Sequence[Any]) -> None:
    shapes = [tuple(x.shape) for x in given], [tuple(x.shape) for x in wanted]
    if shapes[0] != shapes[1]:
        raise ValueError(f"{name} has the shapes {shapes[0]}; {shapes[1]} are expected")


def jacobian(f: Callable[..., Any], inputs: Any, create_graph: bool = False) -> Any:
    """The derivatives of each element of f(*inputs) by each of an input: shape result.shape + input.shape.

    Several inputs give a tuple, and several results a tuple of what each of them gives. One backward pass an element of
    the result.
    """
    variables, outputs = _applied(f, inputs)
    with enable_grad():
        rows = [_as_given(_jacobian_of(y, variables, create_graph), inputs) for y in _several(outputs)]
    return _as_given(rows, outputs)


def _jacobian_of(output: Tensor, variables: Sequence[Any], create_graph: bool) -> list[Any]:
    size = int(output.size)
    rows = []
    for i in range(size):
        seed = ops.reshape(ops.one_hot([i], size, output.dtype, output.device), output.shape)
        found = gradients(output, variables, asarray(seed), create_graph=True) if output.requires_grad else []
        rows.append(_with_zeros(found or [None] * len(variables), variables, create_graph))
    if not rows:
        return [zeros((*output.shape, *v.shape), dtype=v.dtype, device=v.device) for v in variables]
    columns = [ops.stack(column) for column in zip(*rows, strict=True)]
    return [ops.reshape(c, (*output.shape, *v.shape)) for c, v in zip(columns, variables, strict=True)]


def _gradient_of(f: Callable[..., Any], several: bool) -> Callable[..., Any]:
    """The gradient of `f`, which returns one element, as a function."""

    def differentiated(*variables: Any) -> Any:
        result = f(*variables)
        if result.size != 1:
            raise ValueError(f"a function that returns one element is needed; it returned shape {result.shape}")
        products = _products(result, variables, None, create_graph=True)
        return tuple(products) if several else products[0]

    return differentiated


def hessian(f: Callable[..., Any], inputs: Any, create_graph: bool = False) -> Any:
    """The second derivatives of f(*inputs), one element, of shape input.shape + input.shape; tuples for several.

    The Jacobian of the gradient. Raises ValueError for a function that returns more than one element; so does `hvp`.
    """
    return jacobian(_gradient_of(f, isinstance(inputs, (list, tuple))), inputs, create_graph)


def hvp(f: Callable[..., Any], inputs: Any, v: Any, create_graph: bool = False) -> tuple[Any, Any]:
    """What `f` makes of `inputs`, one element, and the product of its Hessian with `v`, of the inputs' shapes.

    The gradient of the gradient's product with `v`: two backward passes, and no Hessian.
    """
    _check_shapes("v", _several(v), _several(inputs))
    value: list[Any] = []

    def remembered(*variables: Any) -> Any:
        value[:] = [f(*variables)]
        return value[0]

    _, product = vjp(_gradient_of(remembered, isinstance(inputs, (list, tuple))), inputs, v, create_graph)
    return _outside(value[0], create_graph), product


autograd.grad, autograd.jacobian, autograd.hessian = grad, jacobian, hessian
autograd.vjp, autograd.jvp, autograd.hvp = vjp, jvp, hvp

#: PyTorch's name of this module.
autograd.functional = sys.modules[f"{autograd.__name__}.functional"] = sys.modules[__name__]
