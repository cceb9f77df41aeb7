"""Functions that see the gradient of one value, and may replace it, as backward passes by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from needle.autograd.nodes import Node, Value, make_value

Hook = Callable[[Any], Any]


class GradientHandle:
    """What `register_hook` returns: `remove()` takes the hook away, and so does the end of a `with` block."""

    def __init__(self, source: Node | Value, entry: tuple[int, Hook]) -> None:
        self._source = source
        self._entry = entry

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self._source.hooks = [entry for entry in self._source.hooks if entry is not self._entry]

    def __enter__(self) -> GradientHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def register_hook(value: Value, hook: Hook) -> GradientHandle:
    """Call `hook` with each gradient that arrives at `value`. Its node keeps the hook, or a leaf itself.

    Raises TypeError for what cannot be called, ValueError for a value that requires no gradient.
    """
    if not callable(hook):
        raise TypeError(f"a hook must be a function, not {type(hook).__name__}")
    if not value.requires_grad:
        raise ValueError("a hook on a tensor that requires no gradient would never be called")
    source = value if value.node is None else value.node
    entry = (value.index, hook)
    source.hooks = [*getattr(source, "hooks", ()), entry]
    return GradientHandle(source, entry)


def apply_hooks(source: Node | Value, grads: list[Any], create_graph: bool) -> None:
    """Replace in `grads`, by output, the gradients for which a hook of `source` returns another one.

    Hooks get tensors. Raises ValueError for a gradient of another shape.
    """
    for index, hook in source.hooks:
        grad = grads[index]
        if grad is None:
            continue
        changed = hook(grad if create_graph else make_value(grad))
        if changed is None:
            continue
        data = changed.cached_data
        if data.shape != grad.shape:
            raise ValueError(f"a hook returned a gradient of shape {data.shape} in place of one of shape {grad.shape}")
        grads[index] = changed if create_graph else data
