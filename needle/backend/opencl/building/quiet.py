"""Keeping from users what a driver's compiler says of a kernel that it has compiled.

PyOpenCL warns of every such text. Filters of warnings belong to the whole process: of two threads that change them,
one would undo what the other has set. So PyOpenCL's function that warns is replaced by one that does not while its
thread is in a `quiet` block.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pyopencl as cl


class _Thread(threading.local):
    quiet = 0  # the blocks that it is in


_thread = _Thread()
_warn = cl.compiler_output


def _compiler_output(text: str) -> None:
    if not _thread.quiet:
        _warn(text)


cl.compiler_output = _compiler_output


@contextmanager
def quiet() -> Iterator[None]:
    """A block in which this thread is not warned of what a compiler says."""
    _thread.quiet += 1
    try:
        yield
    finally:
        _thread.quiet -= 1
