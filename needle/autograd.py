"""Reverse-mode automatic differentiation over a graph of values.

A `Value` is a node: the array it holds, the `Op` that made it and the arguments it was made from. This
module knows no operation by name. It asks of an operation the gradient with respect to one input, and of
arrays and values alike `+`, `sum_to` and `astype`; therefore the very same gradient rules run on plain
arrays in an ordinary backward pass and on values, building a graph of their own, under `create_graph`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from needle.errors import GraphError

__all__ = ["Op", "Value", "enable_grad", "is_grad_enabled", "no_grad"]


class _Mode(threading.local):
    grad_enabled = True


_mode = _Mode()


def is_grad_enabled() -> bool:
    """Whether operations record a graph in this thread."""
    return _mode.grad_enabled


@contextmanager
def _set_grad(enabled: bool) -> Iterator[None]:
    before = _mode.grad_enabled
    _mode.grad_enabled = enabled
    try:
        yield
    finally:
        _mode.grad_enabled = before


def no_grad() -> Any:
    """Context manager and decorator under which operations record no graph."""
    return _set_grad(False)


def enable_grad() -> Any:
    """Context manager and decorator that undoes a surrounding `no_grad`."""
    return _set_grad(True)


class Op:
    """An operation. Subclass it to define your own: `compute` on arrays, `gradient` on tensors.

    `compute(*arrays)` returns the result as an array. `gradient(out_grad, node)` returns the gradient with
    respect to each of `node.inputs`: one tensor, or a tuple with None where there is none. A gradient may
    have the shape that the input was broadcast to; it is summed back afterwards.

    needle's own operations define `vjp` instead, which differentiates with respect to one input at a time
    and is never asked for a gradient that nobody needs.
    """

    name: str = ""

    def __call__(self, *args: Any) -> Any:
        return apply(self, args)

    def compute(self, *arrays: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no compute")

    def vjp(self, index: int, grad: Any, output: Any, *args: Any) -> Any:
        """The gradient with respect to argument `index`, given that with respect to the output."""
        raise NotImplementedError(f"{type(self).__name__} defines neither gradient nor vjp")

    def gradient(self, out_grad: Value, node: Value) -> Any:
        """The gradients with respect to `node.inputs`, given that with respect to the output."""
        return tuple(
            self.vjp(i, out_grad, node, *node.args) for i, arg in enumerate(node.args) if isinstance(arg, Value)
        )

    def __repr__(self) -> str:
        return self.name or type(self).__name__


class _Freed(Op):
    """Stands in a node whose graph has been released by backward."""


_FREED = _Freed()


class Value:
    """A node of the graph. `args` holds what `op` was applied to, scalars and plain arrays included.

    `arrays` are the arrays that it computed with, at which `versions` (None for what is not a value's), and `version`
    is that of the result: what is written to in place afterwards must not pass for what was read.
    """

    __slots__ = ("__weakref__", "args", "arrays", "cached_data", "grad", "op", "requires_grad", "version", "versions")

    #: The class of operations' results; `needle.tensor` sets it.
    result_class: ClassVar[type[Value]]

    op: Op | None
    args: tuple[Any, ...]
    cached_data: Any
    arrays: Sequence[Any]  # of a node that was recorded, as are the next two
    versions: Sequence[int | None]
    version: int
    requires_grad: bool
    grad: Any

    def _set(self, data: Any, op: Op | None, args: tuple[Any, ...], requires_grad: bool) -> None:
        self.cached_data = data
        self.op = op
        self.args = args
        self.requires_grad = requires_grad
        self.grad = None

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The values this one was computed from; empty for a leaf."""
        return tuple(arg for arg in self.args if isinstance(arg, Value))

    def is_leaf(self) -> bool:
        """Whether no recorded operation made this value."""
        return self.op is None


def make_value(data: Any, op: Op | None = None, args: tuple[Any, ...] = (), requires_grad: bool = False) -> Value:
    """A new node of `Value.result_class`, bypassing its constructor's conversions."""
    cls = Value.result_class
    value = cls.__new__(cls)
    value._set(data, op, args, requires_grad)
    return value


def apply(op: Op, args: tuple[Any, ...]) -> Any:
    """Apply `op`: to arrays it gives an array; if a value is among `args`, a value with its history."""
    arrays = []
    is_value = requires_grad = False
    for arg in args:
        if isinstance(arg, Value):
            is_value = True
            requires_grad = requires_grad or arg.requires_grad
            arrays.append(arg.cached_data)
        else:
            arrays.append(arg)
    data = op.compute(*arrays)
    if not is_value:
        return data
    if requires_grad and _mode.grad_enabled and data.dtype.kind == "f":
        value = make_value(data, op, args, True)
        value.arrays, value.version = arrays, data.version
        value.versions = [arg.cached_data.version if isinstance(arg, Value) else None for arg in args]
        return value
    return make_value(data)


def topological_order(root: Value) -> list[Value]:
    """The values that `root` depends on and that require a gradient, inputs before what uses them.

    Iterative: depth is bounded by memory alone. Raises GraphError if part of the graph was freed.
    """
    order: list[Value] = []
    seen: set[int] = set()
    stack: list[tuple[Value, bool]] = [(root, False)]
    while stack:
        node, inputs_done = stack.pop()
        if inputs_done:
            order.append(node)
            continue
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.op is _FREED:
            raise GraphError(
                "this graph was already freed by backward(); call backward(retain_graph=True) the first time "
                "to go through it again"
            )
        stack.append((node, True))
        for arg in node.args:
            if isinstance(arg, Value) and arg.requires_grad and id(arg) not in seen:
                stack.append((arg, False))
    return order


class Overwritten:
    """Stands for an array that was written to after an operation had read it: it has a layout, but no values."""

    __slots__ = ("_array", "_op")

    def __init__(self, array: Any, op: Op) -> None:
        self._array = array
        self._op = op

    def __getattr__(self, name: str) -> Any:
        if name in ("shape", "dtype", "device", "ndim", "size"):
            return getattr(self._array, name)
        return self.refuse()

    def refuse(self, *_: Any) -> Any:
        """Raise the error that says so."""
        raise GraphError(
            f"the gradient of {self._op!r} needs an array of shape {self._array.shape} that has been written to in "
            "place since; write into a copy, or after backward()"
        )


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"):
    setattr(Overwritten, f"__{_name}__", Overwritten.refuse)
    setattr(Overwritten, f"__r{_name}__", Overwritten.refuse)
for _name in ("eq", "ne", "lt", "le", "gt", "ge", "neg", "pos", "abs", "invert", "getitem"):
    setattr(Overwritten, f"__{_name}__", Overwritten.refuse)


def _changed(node: Value) -> list[bool]:
    """Of each argument of `node`, whether its values have been overwritten or replaced since they were read."""
    return [
        version is not None and (arg.cached_data is not array or array.version != version)
        for arg, array, version in zip(node.args, node.arrays, node.versions, strict=True)
    ]


def _as_computed(node: Value, create_graph: bool) -> tuple[Any, Sequence[Any]]:
    """The result of `node` and what it was computed from, where overwritten ones refuse to be read.

    Values if the gradient is to have a graph, else the arrays that were read, whatever their values hold by now.
    """
    op = node.op
    assert op is not None
    output = node if create_graph else node.cached_data
    if node.cached_data.version != node.version:
        output = Overwritten(node.cached_data, op)
    if create_graph:
        args, stale = node.args, _changed(node)
    else:
        args = node.arrays  # type: ignore[assignment]
        stale = [v is not None and v != array.version for array, v in zip(node.arrays, node.versions, strict=True)]
    if any(stale):
        args = tuple(
            Overwritten(array, op) if s else arg for s, array, arg in zip(stale, node.arrays, args, strict=True)
        )
    return output, args


def _fit(grad: Any, value: Value) -> Any:
    """`grad` summed back over broadcast axes and cast to the dtype of `value`."""
    data = value.cached_data
    if grad.shape != data.shape:
        grad = grad.sum_to(data.shape)
    return grad if grad.dtype == data.dtype else grad.astype(data.dtype)


def _input_gradients(node: Value, grad: Any, create_graph: bool) -> Iterator[tuple[Value, Any]]:
    """Each input of `node` that requires a gradient, with its gradient (an array, or a value)."""
    op = node.op
    assert op is not None
    if type(op).gradient is not Op.gradient:  # a user's operation speaks in tensors
        for array, changed in zip(node.arrays, _changed(node), strict=True):
            if changed:
                Overwritten(array, op).refuse()
        out_grad = grad if create_graph else make_value(grad)
        results = op.gradient(out_grad, node)
        results = results if isinstance(results, (tuple, list)) else (results,)
        if len(results) != len(node.inputs):
            raise GraphError(f"{op!r}.gradient returned {len(results)} gradients for {len(node.inputs)} inputs")
        for arg, result in zip(node.inputs, results, strict=True):
            if arg.requires_grad and result is not None:
                yield arg, result if create_graph else result.cached_data
        return
    output, args = _as_computed(node, create_graph)
    for i, arg in enumerate(node.args):
        if isinstance(arg, Value) and arg.requires_grad:
            result = op.vjp(i, grad, output, *args)
            if result is not None:
                yield arg, result


def propagate(
    root: Value, seed: Any, on_gradient: Callable[[Value, Any], None], create_graph: bool, retain_graph: bool
) -> None:
    """Walk the graph from `root` backwards, calling `on_gradient(value, gradient)` once for each value.

    Gradients are arrays, or under `create_graph` values. Unless `retain_graph`, each node lets go of its
    inputs as soon as its gradient has been passed on.
    """
    order = topological_order(root)
    grads: dict[int, Any] = {id(root): seed}
    with _set_grad(create_graph):
        while order:
            node = order.pop()
            grad = grads.pop(id(node), None)
            if grad is None:
                continue
            on_gradient(node, grad)
            if node.op is None:
                continue
            for arg, contribution in _input_gradients(node, grad, create_graph):
                fitted = _fit(contribution, arg)
                known = grads.get(id(arg))
                grads[id(arg)] = fitted if known is None else known + fitted
            if not retain_graph:
                node.op, node.args, node.arrays = _FREED, (), ()


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
        if value.op is None:  # what is written into one leaf's gradient must not show in another's
            if id(memory(grad)) in taken:
                with _set_grad(create_graph):
                    grad = +grad
            taken[id(memory(grad))] = memory(grad)
        if not create_graph:
            grad = make_value(grad)
        if value.grad is None:
            value.grad = grad
        else:
            with _set_grad(create_graph):
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
