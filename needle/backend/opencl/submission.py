"""Handing launches to the driver: at once, or a few small ones together.

Each hand-over wakes the threads of a CPU driver, which costs more than a small kernel runs for, and on few
cores they then interrupt the thread that records the next one. So launches of a single work-group may wait for
company, until there are enough of them, until a larger one comes, or until somebody waits for the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyopencl as cl


class Submission:
    """The launches that were made but not yet enqueued, in their order. Not thread-safe: the device locks."""

    def __init__(self) -> None:
        self._held: list[tuple[cl.Kernel, Sequence[int], Sequence[int], tuple[Any, ...]]] = []

    def add(self, kernel: cl.Kernel, size: Sequence[int], local: Sequence[int], arguments: tuple[Any, ...]) -> int:
        """Note a launch; what it reads and writes is kept alive. Returns how many are waiting."""
        self._held.append((kernel, size, local, arguments))
        return len(self._held)

    def flush(self, queue: cl.CommandQueue) -> None:
        """Enqueue all that is waiting."""
        held, self._held = self._held, []
        for kernel, size, local, arguments in held:
            kernel.set_args(*arguments)  # with the enqueue below two thirds of the time of kernel(...)
            cl.enqueue_nd_range_kernel(queue, kernel, size, local)
