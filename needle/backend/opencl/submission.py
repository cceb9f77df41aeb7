"""Handing launches to the driver: at once, or a few small ones together.

Each hand-over wakes the threads of a CPU driver, which costs more than a small kernel runs for, and on few
cores they then interrupt the thread that records the next one. So launches of a single work-group may wait for
company, until there are enough of them, until a larger one comes, or until somebody waits for the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyopencl as cl

from needle.backend.opencl.recorded import recorded
from needle.backend.opencl.throttle import LARGE, Throttle
from needle.backend.recording import Recorder


class Submission:
    """The launches that were made but not yet enqueued, in their order. Not thread-safe: the device locks."""

    def __init__(self) -> None:
        self._held: list[tuple[cl.Kernel, Sequence[int], Sequence[int], tuple[Any, ...]]] = []
        self._throttle = Throttle()

    def add(self, kernel: cl.Kernel, size: Sequence[int], local: Sequence[int], arguments: tuple[Any, ...]) -> int:
        """Note a launch; what it reads and writes is kept alive. Returns how many are waiting."""
        self._held.append((kernel, size, local, arguments))
        return len(self._held)

    def flush(self, queue: cl.CommandQueue, recorder: Recorder | None) -> None:
        """Enqueue all that is waiting, and tell the recorder. What lacks memory, or is interrupted, goes on waiting."""
        throttle, done = self._throttle, 0
        try:
            for kernel, size, local, arguments in self._held:
                kernel.set_args(*arguments)  # with the enqueue below two thirds of the time of kernel(...)
                if recorder is None:
                    event = cl.enqueue_nd_range_kernel(queue, kernel, size, local)
                else:
                    launch = (cl.enqueue_nd_range_kernel, queue, kernel, size, local)
                    event = recorded(recorder, kernel.function_name, *launch)
                done += 1
                throttle.left -= 1 if size == local else LARGE
                if throttle.left <= 0:
                    throttle.mark(event)
        except (cl.MemoryError, KeyboardInterrupt):
            raise
        except Exception:
            done += 1  # it would fail again
            raise
        finally:
            del self._held[:done]
