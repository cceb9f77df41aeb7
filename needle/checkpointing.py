"""`checkpoint`: a part of a model whose intermediate values are computed again rather than kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from needle.array.recording import constant
from needle.autograd import Op, Value, enable_grad, is_grad_enabled, make_value
from needle.autograd.propagation import gradients, topological_order
from needle.errors import GraphError
from needle.ops import random
from needle.ops.arithmetic import multiply
from needle.ops.reductions import sum as sum_of
from needle.tensor import Tensor

__all__ = ["checkpoint"]


class _Checkpoint(Op):
    """Arguments: the tensors that a function was given, and those that it read by itself.

    `compute` gives what the function gave when it was run once; the gradient runs it again.
    """

    name = "checkpoint"

    def __init__(
        self,
        run: Callable[[list[Any]], tuple[tuple[Any, ...], bool]],
        given: int,
        results: tuple[Any, ...],
        state: tuple[int, int],
    ) -> None:
        self._run = run
        self._given = given
        self._results = results
        self._state = state

    def compute(self, *arrays: Any) -> Any:
        results, self._results = self._results, ()
        return results

    def gradient(self, out_grad: Any, node: Any) -> Any:
        if is_grad_enabled():
            raise GraphError("a checkpoint has no gradients of gradients; call the function itself under create_graph")
        given = [_leaf(arg) for arg in node.args[: self._given]]
        present = random.default_generator.get_state()
        random.default_generator.set_state(self._state)
        try:
            with enable_grad():
                outputs, _ = self._run(given)
                total: Any = 0.0
                for output, grad in zip(outputs, out_grad, strict=True):
                    if grad is not None:
                        total = total + sum_of(multiply(output, grad))
        finally:
            random.default_generator.set_state(present)
        wanted = [*given, *node.args[self._given :]]
        found = gradients(total, wanted, constant((), 1, total.dtype, total.device))
        return tuple(grad for grad, arg in zip(found, node.args, strict=True) if isinstance(arg, Value))


def checkpoint(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`function(*args, **kwargs)`, keeping only what goes in and comes out for the gradient (Chen et al. 2016).

    When gradients are computed the function runs once more, with the default generator as it was, so that dropout
    drops the same elements: memory is saved for the time of a forward pass. Its result is a tensor or a tuple of them.

        x = ndl.checkpoint(layer, x)

    Parameters that the function reads by itself, such as those of a module, get their gradients. Other tensors that
    were computed outside must be among `args`. Layers that change themselves as they run, such as batch normalisation,
    do so twice. Raises TypeError where the result is another thing, GraphError for gradients of gradients.
    """
    places = [i for i, arg in enumerate(args) if isinstance(arg, Value)]
    if not is_grad_enabled():
        return function(*args, **kwargs)

    def run(tensors: list[Any]) -> tuple[tuple[Any, ...], bool]:
        full = list(args)
        for place, tensor in zip(places, tensors, strict=True):
            full[place] = tensor
        result = function(*full, **kwargs)
        return _several(result), not isinstance(result, (tuple, list))

    leaves = [_leaf(args[place]) for place in places]
    state = random.default_generator.get_state()
    outputs, single = run(leaves)
    read = _read(outputs, leaves)
    arrays = tuple(output.cached_data.realize() for output in outputs)
    op = _Checkpoint(run, len(places), arrays, state)
    found = op(*(args[place] for place in places), *read)
    return found[0] if single else found


def _leaf(arg: Any) -> Any:
    """A leaf with the values of `arg`, which requires a gradient if that does."""
    return make_value(arg.cached_data, requires_grad=arg.requires_grad)


def _several(result: Any) -> tuple[Any, ...]:
    found = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    for value in found:
        if not isinstance(value, Tensor):
            raise TypeError(
                f"checkpoint: the function returned a {type(value).__name__}, not a tensor or a tuple of some"
            )
    return found


def _read(outputs: tuple[Any, ...], given: list[Any]) -> list[Any]:
    """The leaves that the outputs depend on, but for those that were given."""
    seen = {id(leaf) for leaf in given}
    found: list[Any] = []
    for output in outputs:
        for source in topological_order(output) if output.requires_grad else ():
            if isinstance(source, Value) and id(source) not in seen:
                seen.add(id(source))
                found.append(source)
    return found
