"""Handing launches to the driver: at once, or a few small ones together.

Each hand-over wakes the threads of a CPU driver, which costs more than a small kernel runs for, and on few
cores they then interrupt the thread that records the next one. So launches of a single work-group may wait for
company, until there are enough of them, until a larger one comes, or until somebody waits for the device.

Whoever made a launch that waits has gone on when the driver refuses it. What it should have written is lost then: the
buffers say so (an attribute `lost`), and reading them is an error for as long as they live.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import pyopencl as cl

from needle.backend.opencl.running.throttle import LARGE, Throttle
from needle.backend.opencl.running.traced import recorded
from needle.backend.tracing import Tracer
from needle.errors import DeviceError

#: A launch that waits: its kernel, work-items, work-items of a work-group, and arguments. It is a plain tuple because
#: every launch makes one: to make a NamedTuple would add a twentieth to the time of a launch.
HeldLaunch: TypeAlias = tuple[cl.Kernel, Sequence[int], Sequence[int], tuple[Any, ...]]


class Submission:
    """The launches that were made but not yet enqueued, in their order. Not thread-safe: the device locks."""

    def __init__(self) -> None:
        self._held: list[HeldLaunch] = []
        self._throttle = Throttle()
        self.refused = False  # whether the latest flush ended with a launch that the driver refused: the first now
        self._has_losses = False  # until there are some nobody looks for them

    def add(self, kernel: cl.Kernel, size: Sequence[int], local: Sequence[int], arguments: tuple[Any, ...]) -> int:
        """Note a launch; what it reads and writes is kept alive. Returns how many are waiting."""
        if self._has_losses:
            self.check(arguments)
        self._held.append((kernel, size, local, arguments))
        return len(self._held)

    def withdraw(self, arguments: tuple[Any, ...]) -> None:
        """Forget the latest launch, which has these arguments, if it still waits."""
        if self._held:
            _, _, _, latest = self._held[-1]
            if latest is arguments:
                self._held.pop()

    def flush(self, queue: cl.CommandQueue, tracer: Tracer | None) -> None:
        """Enqueue all that is waiting, and tell the tracer. What is refused goes on waiting, with all behind it."""
        throttle, done = self._throttle, 0
        self.refused = False
        try:
            for kernel, size, local, arguments in self._held:
                try:
                    kernel.set_args(*arguments)  # with the enqueue below two thirds of the time of kernel(...)
                    if tracer is None:
                        event = cl.enqueue_nd_range_kernel(queue, kernel, size, local)
                    else:
                        launch = (cl.enqueue_nd_range_kernel, queue, kernel, size, local)
                        event = recorded(tracer, kernel.function_name, *launch)
                except Exception:
                    self.refused = True
                    raise
                done += 1
                throttle.left -= 1 if size == local else LARGE
                if throttle.left <= 0:
                    throttle.mark(event)
        finally:
            del self._held[:done]

    def give_up(self, error: Exception, in_making: bool) -> None:
        """Drop the first launch, which was refused, and those that would read or change what it should have written.

        `in_making`: whoever makes the last launch hears of the error, so that nobody takes it for made.
        """
        kernel, _, _, _ = self._held[0]
        cause = error.__cause__ or error
        why = f"the launch of kernel {kernel.function_name!r} failed: {type(cause).__name__}: {cause}"
        kept: list[HeldLaunch] = []
        last = len(self._held) - 1
        for k, launch in enumerate(self._held):
            _, _, _, arguments = launch
            if k > 0 and not any(map(_why_lost, arguments)):
                kept.append(launch)
            elif k < last or not in_making:
                self._has_losses = True
                for buffer in _written(launch):
                    buffer.lost = why
        self._held[:] = kept

    def check(self, arguments: Iterable[Any]) -> None:
        """Raise DeviceError if one of `arguments` is a buffer with values that a failed launch should have written."""
        if self._has_losses:
            for argument in arguments:
                why = _why_lost(argument)
                if why is not None:
                    raise DeviceError(f"these values were never computed, as {why}")


def _why_lost(argument: Any) -> str | None:
    return getattr(argument, "lost", None)


def _written(launch: HeldLaunch) -> list[Any]:
    """The buffers that a launch writes: all that it has, if its kernel does not tell."""
    kernel, _, _, arguments = launch
    written = getattr(kernel, "written", None)
    chosen = arguments if written is None else [arguments[k] for k in written()]
    return [argument for argument in chosen if isinstance(argument, cl.MemoryObjectHolder)]
