"""Enqueueing launches: at once, or several small ones together.

To enqueue a kernel wakes the threads of a CPU driver. That takes longer than a small kernel runs, and on few cores
those threads then interrupt the Python thread that makes the next launch. So a launch of a single work-group may be
held, until enough of them are held, until a larger launch comes, or until the host waits for the device.

A launch whose kernel is not compiled is held, too, with all launches after it, so that many kernels are compiled at
once: to compile them together takes a fraction of the time.

A held launch may be refused after its caller returned. Its output buffers are marked lost (an attribute `lost`, which
says why); reading one raises an error for as long as the buffer lives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import pyopencl as cl

from needle.backend.opencl.building.builder import Builder
from needle.backend.opencl.building.kernel import Kernel
from needle.backend.opencl.running.throttle import LARGE, Throttle
from needle.backend.opencl.running.traced import recorded
from needle.backend.tracing import Tracer
from needle.errors import DeviceError

#: A launch that waits: its kernel, work-items, work-items of a work-group, and arguments. It is a plain tuple because
#: every launch makes one: to make a NamedTuple would add a twentieth to the time of a launch.
HeldLaunch: TypeAlias = tuple[Kernel, Sequence[int], Sequence[int], tuple[Any, ...]]

#: A launch that is made again and again: its kernel, whose arguments stay set, work-items, and those of a work-group.
Command: TypeAlias = tuple[cl.Kernel, Sequence[int], Sequence[int]]

#: An argument that differs from that of the latest launch: the kernel, the position, and the argument.
ChangedArgument: TypeAlias = tuple[cl.Kernel, int, Any]


class Submission:
    """The held launches of one device: made but not yet enqueued, in the order in which they were made.

    Not thread-safe: the device holds its lock around each call.
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        #: Whether a held launch has a kernel that is yet to be compiled.
        self.has_uncompiled = False
        self._held: list[HeldLaunch] = []
        self._throttle = Throttle()
        #: Whether the driver refused a launch in the latest flush. That launch is the first of the held ones then.
        self.refused = False
        self._has_losses = False  # whether any buffer was ever marked lost: if not, no argument need be checked

    def add(self, kernel: Kernel, size: Sequence[int], local: Sequence[int], arguments: tuple[Any, ...]) -> int:
        """Hold a launch, and keep its buffers alive. Returns how many launches are held now.

        Raises DeviceError if one of the buffers is lost.
        """
        if self._has_losses:
            self.check(arguments)
        if kernel.launches_left:
            kernel.launches_left -= 1
            if not kernel.launches_left:
                kernel.optimise()
        if kernel.compiled is None:
            self.has_uncompiled = True
        self._held.append((kernel, size, local, arguments))
        return len(self._held)

    def withdraw(self, arguments: tuple[Any, ...]) -> None:
        """Drop the latest launch, which has these arguments, if it is still held."""
        if self._held:
            _, _, _, latest = self._held[-1]
            if latest is arguments:
                self._held.pop()

    def flush(self, queue: cl.CommandQueue, tracer: Tracer | None) -> None:
        """Enqueue all held launches in order, and tell the tracer of each. Kernels are compiled before they are needed.

        If the driver refuses one, its error is raised; that launch and those after it stay held. A kernel that does
        not compile (KernelCompileError) is refused as well.
        """
        throttle, done = self._throttle, 0
        self.refused = False
        try:
            for kernel, size, local, arguments in self._held:
                try:
                    compiled = kernel.compiled or self._compiled(done)
                    compiled.set_args(*arguments)  # this and enqueueing take two thirds of the time of compiled(...)
                    if tracer is None:
                        event = cl.enqueue_nd_range_kernel(queue, compiled, size, local)
                    else:
                        launch = (cl.enqueue_nd_range_kernel, queue, compiled, size, local)
                        event = recorded(tracer, kernel.function_name, *launch)
                except Exception:
                    self.refused = True
                    raise
                done += 1
                throttle.left -= 1 if size == local else LARGE
                if throttle.left <= 0:
                    throttle.mark(event)
            self.has_uncompiled = False
        finally:
            del self._held[:done]

    def replay(
        self,
        queue: cl.CommandQueue,
        tracer: Tracer | None,
        commands: Sequence[Command],
        changed: Sequence[ChangedArgument],
    ) -> None:
        """Set the arguments in `changed`, then enqueue `commands`, and tell the tracer of each."""
        for kernel, position, argument in changed:
            kernel.set_arg(position, argument)
        event, enqueue, throttle = None, cl.enqueue_nd_range_kernel, self._throttle
        for kernel, size, local in commands:
            if tracer is None:
                event = enqueue(queue, kernel, size, local)
            else:
                event = recorded(tracer, kernel.function_name, enqueue, queue, kernel, size, local)
            throttle.left -= 1 if size == local else LARGE
        if event is not None and throttle.left <= 0:
            throttle.mark(event)

    def _compiled(self, position: int) -> cl.Kernel:
        """The kernel of the held launch at `position`, compiled with all others that are yet to be.

        Raises KernelCompileError if it does not compile.
        """
        waiting = self._held[position:]
        self._builder.build(list(dict.fromkeys(launch[0] for launch in waiting if launch[0].compiled is None)))
        return self._builder.compiled(waiting[0][0])

    def give_up(self, error: Exception, in_making: bool) -> None:
        """Drop the first launch, which the driver refused with `error`, and mark its output buffers lost.

        Later launches that use a lost buffer are dropped in turn, and their output buffers are lost too. `in_making`
        says that the last launch is still being made: its caller gets the error, and its buffers need not be marked.
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
        """Raise DeviceError if one of `arguments` is a lost buffer."""
        if self._has_losses:
            for argument in arguments:
                why = _why_lost(argument)
                if why is not None:
                    raise DeviceError(f"these values were never computed, as {why}")


def _why_lost(argument: Any) -> str | None:
    """Why a buffer is lost; None for any other argument."""
    return getattr(argument, "lost", None)


def _written(launch: HeldLaunch) -> list[Any]:
    """The buffers that a launch writes."""
    kernel, _, _, arguments = launch
    chosen = [arguments[k] for k in kernel.written]
    return [argument for argument in chosen if isinstance(argument, cl.MemoryObjectHolder)]
