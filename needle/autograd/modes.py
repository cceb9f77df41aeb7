"""Whether operations record a graph: a switch of each thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Mode(threading.local):
    grad_enabled = True


#: The switch itself, for `needle.autograd.nodes`, which looks at it in each operation.
mode = _Mode()


def is_grad_enabled() -> bool:
    """Whether operations record a graph in this thread."""
    return mode.grad_enabled


@contextmanager
def set_grad(enabled: bool) -> Iterator[None]:
    """Context manager and decorator under which operations record a graph, or do not."""
    before = mode.grad_enabled
    mode.grad_enabled = enabled
    try:
        yield
    finally:
        mode.grad_enabled = before


def no_grad() -> Any:
    """Context manager and decorator under which operations record no graph."""
    return set_grad(False)


def enable_grad() -> Any:
    """Context manager and decorator that undoes a surrounding `no_grad`."""
    return set_grad(True)
