"""The backward pass: from a value through the graph to everything that it depends on.

This module knows no operation by name. It asks of an operation the gradient with respect to one input, and of
arrays and values alike `+`, `sum_to` and `astype`; therefore the very same gradient rules run on plain arrays in
an ordinary backward pass and on values, building a graph of their own, under `create_graph`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from needle.autograd.hooks import apply_hooks
from needle.autograd.modes import set_grad
from needle.autograd.nodes import FREED, Edge, Node, Op, Value, as_array_like, make_value
from needle.autograd.overwritten import Overwritten
from needle.errors import GraphError


def topological_order(root: Value) -> list[Node | Value]:
    """The nodes and the leaves that `root` depends on and that require a gradient, inputs before what uses them.

    Iterative: depth is bounded by memory alone. Raises GraphError if part of the graph was freed.
    """
    order: list[Node | Value] = []
    seen: set[int] = set()
    stack: list[tuple[Node | Value, bool]] = [(root if root.node is None else root.node, False)]
    while stack:
        source, inputs_done = stack.pop()
        if inputs_done:
            order.append(source)
            continue
        if id(source) in seen:
            continue
        seen.add(id(source))
        if isinstance(source, Value):
            order.append(source)
            continue
        if source.op is FREED:
            raise GraphError(
                "this graph was already freed by backward(); call backward(retain_graph=True) the first time "
                "to go through it again"
            )
        stack.append((source, True))
        for edge in source.edges:
            if edge is not None and id(edge[0]) not in seen:
                stack.append((edge[0], False))
    return order


def propagate(
    root: Value, seed: Any, on_gradient: Callable[[Value, Any], None], create_graph: bool, retain_graph: bool
) -> None:
    """Walk the graph from `root` backwards, calling `on_gradient(value, gradient)` once for each value.

    A node is visited when the gradients of all of its outputs have arrived. Values that nobody holds any more are
    passed over. Gradients are arrays, or under `create_graph` values. Unless `retain_graph`, each node lets go of
    its inputs as soon as its gradient has been passed on.
    """
    order = topological_order(root)
    arrived: dict[int, list[Any]] = {}  # by source, for each of its outputs
    _arrive(arrived, (root.node or root, root.index), seed)
    with set_grad(create_graph):
        while order:
            source = order.pop()
            grads = arrived.pop(id(source), None)
            if grads is None:
                continue
            if getattr(source, "hooks", None):
                apply_hooks(source, grads, create_graph)
            if isinstance(source, Value):
                on_gradient(source, grads[0])
                continue
            for index, grad in enumerate(grads):
                if grad is not None and (value := source.existing[index]()) is not None:
                    on_gradient(value, grad)
            for position, grad in _input_gradients(source, grads, create_graph):
                edge = source.edges[position]
                assert edge is not None
                _arrive(arrived, edge, _fit(grad, source.args[position]))
            if not retain_graph:
                source.free()


def _arrive(arrived: dict[int, list[Any]], edge: Edge, grad: Any) -> None:
    """Add a gradient to those that have arrived at the source that `edge` names."""
    source, index = edge
    grads = arrived.get(id(source))
    if grads is None:
        grads = arrived[id(source)] = [None] if isinstance(source, Value) else [None] * len(source.results)
    known = grads[index]
    grads[index] = grad if known is None else known + grad


def _fit(grad: Any, value: Value) -> Any:
    """`grad` summed back over broadcast axes and cast to the dtype of `value`."""
    data = value.cached_data
    if grad.shape != data.shape:
        grad = grad.sum_to(data.shape)
    return grad if grad.dtype == data.dtype else grad.astype(data.dtype)


def _input_gradients(node: Node, grads: list[Any], create_graph: bool) -> Iterator[tuple[int, Any]]:
    """The position of each argument of `node` that requires a gradient, with its gradient (an array, or a value)."""
    op = node.op
    if type(op).gradient is not Op.gradient:
        yield from _user_gradients(node, grads, create_graph)
        return
    outputs, args = node.computed(create_graph), node.read(create_graph)
    grad, output = (tuple(grads), outputs) if node.several else (grads[0], outputs[0])
    for i, edge in enumerate(node.edges):
        if edge is not None:
            result = op.vjp(i, grad, output, *args)
            if result is not None:
                yield i, result


def _user_gradients(node: Node, grads: list[Any], create_graph: bool) -> Iterator[tuple[int, Any]]:
    """`_input_gradients` of an operation that defines `gradient`, which takes and gives tensors."""
    op, inputs = node.op, [i for i, arg in enumerate(node.args) if isinstance(arg, Value)]
    for arg in node.read(True):
        if isinstance(arg, Overwritten):
            arg.refuse()
    tensors = tuple(grad if create_graph or grad is None else make_value(grad) for grad in grads)
    results = op.gradient(tensors, node) if node.several else op.gradient(tensors[0], _result(node))
    results = results if isinstance(results, (tuple, list)) else (results,)
    if len(results) != len(inputs):
        raise GraphError(f"{op!r}.gradient returned {len(results)} gradients for {len(inputs)} inputs")
    for position, result in zip(inputs, results, strict=True):
        if node.edges[position] is not None and result is not None:
            if not isinstance(result, Value):
                result = make_value(as_array_like(f"{op!r}.gradient", result, node.args[position].cached_data))
            yield position, result if create_graph else result.cached_data


def _result(node: Node) -> Value:
    """The only output of `node`; if its array was overwritten, a value in its place that refuses to be read."""
    (output,) = node.outputs
    if isinstance(output, Value):
        return output
    stand_in = make_value(output)
    stand_in.node = node
    return stand_in


def backward(root: Value, seed: Any, create_graph: bool = False, retain_graph: bool | None = None) -> None:
    """Accumulate the gradient of `root` into `.grad` of everything it depends on.

    `seed` is the gradient with respect to `root`: an array, or a value under `create_graph`, which also
    makes the gradients differentiable. Raises GraphError if `root` requires no gradient or the graph was
    freed.
    """
    if not root.requires_grad:
        raise GraphError("backward() on a tensor that does not require a gradient")

    def memory(grad: Any) -> Any:
        return grad.cached_data.memory if create_graph else grad.memory

    taken: dict[int, object] = {id(memory(seed)): memory(seed)}

    def accumulate(value: Value, grad: Any) -> None:
        if value.is_leaf:  # what is written into one leaf's gradient must not show in another's
            if id(memory(grad)) in taken:
                with set_grad(create_graph):
                    grad = +grad
            taken[id(memory(grad))] = memory(grad)
        if not create_graph:
            grad = make_value(grad)
        if value.grad is None:
            value.grad = grad
        else:
            with set_grad(create_graph):
                value.grad = value.grad + grad

    propagate(root, seed, accumulate, create_graph, create_graph if retain_graph is None else retain_graph)


def gradients(root: Value, inputs: Iterable[Value], seed: Any, create_graph: bool = False) -> list[Any]:
    """The gradients of `root` with respect to `inputs` as values, None for one it does not depend on.

    Touches no `.grad` and frees nothing.
    """
    found: dict[int, Any] = {}
    inputs = list(inputs)
    wanted = {id(v) for v in inputs}

    def collect(value: Value, grad: Any) -> None:
        if id(value) in wanted:
            found[id(value)] = grad if create_graph else make_value(grad)

    if root.requires_grad:
        propagate(root, seed, collect, create_graph, retain_graph=True)
    return [found.get(id(v)) for v in inputs]
