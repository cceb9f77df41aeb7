"""Making recorded launches again: each has a kernel object of its own, whose arguments stay set between replays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyopencl as cl

from needle.backend.opencl.building.kernel import Kernel
from needle.backend.opencl.running.submission import ChangedArgument, Command
from needle.backend.recordings import Live, Place, RecordedLaunch

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice


class Replayer:
    """The launches of one device; `buffers` has, by number, those that are the same in each replay."""

    def __init__(self, device: OpenCLDevice, launches: Sequence[RecordedLaunch], buffers: Mapping[int, Any]) -> None:
        self._device = device
        self._launches = launches
        self._fixed = buffers
        self._prepare()

    def _prepare(self) -> None:
        """Make the kernel objects, and set the arguments that stay."""
        self._commands: list[Command] = []
        #: For each buffer that changes, its number, the latest handle and where it goes.
        self._places: dict[int, list[tuple[cl.Kernel, int]]] = {}
        self._handles: dict[int, int] = {}
        #: For each number that changes where it comes from and goes to, and its type.
        self._numbers: list[tuple[int, int, cl.Kernel, int, type]] = []
        for launch in self._launches:
            self._device.compiled(launch.kernel)
            kernel = launch.kernel.another()
            for position, argument in enumerate(launch.arguments):
                self._place(kernel, position, argument, launch.kernel.types[position])
            self._commands.append((kernel, launch.size, launch.local))
        self._left = self._replays_left()

    def _place(self, kernel: cl.Kernel, position: int, argument: Any, dtype: Any) -> None:
        if isinstance(argument, Live):
            self._numbers.append((argument.action, argument.part, kernel, position, np.dtype(dtype).type))
        elif isinstance(argument, Place):
            buffer = self._fixed.get(argument.number)
            if buffer is None:
                self._places.setdefault(argument.number, []).append((kernel, position))
            else:
                kernel.set_arg(position, buffer)
        elif dtype is None:
            kernel.set_arg(position, argument)
        else:
            kernel.set_arg(position, np.dtype(dtype).type(argument))

    def _replays_left(self) -> int:
        """After how many replays a kernel has to be compiled again, optimised; -1 if none has to."""
        uses = Counter(launch.kernel for launch in self._launches)
        left = [max(1, kernel.launches_left // count) for kernel, count in uses.items() if kernel.launches_left]
        return min(left, default=-1)

    def _optimise(self) -> None:
        """Count the launches that were made, and compile again what has computed enough (see `Kernel`)."""
        uses: Counter[Kernel] = Counter(launch.kernel for launch in self._launches)
        spent = self._replays_left()
        for kernel, count in uses.items():
            if kernel.launches_left:
                kernel.launches_left = max(0, kernel.launches_left - spent * count)
                if kernel.launches_left < count:
                    kernel.optimise()
        self._prepare()

    def run(self, buffers: Mapping[int, Any], numbers: Sequence[Sequence[Any]]) -> None:
        """Make all launches, with these `buffers` by number, and for each action its `numbers`; do not wait."""
        if self._left > 0:
            self._left -= 1
            if not self._left:
                with self._device.lock:
                    self._optimise()
        changed: list[ChangedArgument] = []
        for number, places in self._places.items():
            buffer = buffers[number]
            handle = buffer.int_ptr
            if self._handles.get(number) != handle:
                self._handles[number] = handle
                changed += [(kernel, position, buffer) for kernel, position in places]
        for action, part, kernel, position, dtype in self._numbers:
            changed.append((kernel, position, dtype(numbers[action][part])))
        try:
            self._device.replay(self._commands, changed)
        except BaseException:
            self._handles.clear()  # which arguments were set is not known
            raise
