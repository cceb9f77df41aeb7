"""Recording what a device does, for those who listen.

While somebody listens to a device, its `tracer` replaces the device's methods for operations, on that object
alone, by ones that note each call: a device that nobody listens to pays for one look at its `tracer` a
launch. A device that takes the times of its launches (`Device.time_launches`) tells the tracer of each.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from needle.backend import cost as work
from needle.backend.cost import Cost
from needle.locks import freed_in_children

if TYPE_CHECKING:
    from needle.backend.protocol import Device

#: When a launch was enqueued, started and ended, in ns of the device's clock.
Times = tuple[int, int, int]

#: The operations of a device, and what tells their work from their arguments.
_OPERATIONS: dict[str, Callable[..., Cost]] = {
    "evaluate": work.of_expression,
    "evaluate_alike": work.of_batch,
    "reduce": work.of_reduction,
    "scan": work.of_scan,
    "run": work.of_primitive,
    "upload": work.of_upload,
    "download": work.of_download,
}


@dataclass
class Launch:
    """One kernel's launch, or one transfer. `begin` and `end` are the host's enqueueing, in ns of its clock.

    `times` may be asked once the device has been synchronized.
    """

    kernel: str
    begin: int
    end: int
    times: Callable[[], Times]


@dataclass
class Operation:
    """One call of a device's operation: its work, the host's time for it, and the launches that it took."""

    device: Device
    cost: Cost
    thread: str
    begin: int = 0
    end: int = 0
    launches: list[Launch] = field(default_factory=list)
    divided: bool = False  # whether it called others of these operations


Listener = Callable[[Operation], None]

_lock = freed_in_children(threading.RLock())


class Tracer:
    """Tells the listeners of one device of each operation, when the call returns."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.listeners: list[Listener] = []
        self._timed = False
        self._thread = _Thread()

    def launched(self, kernel: str, begin: int, times: Callable[[], Times]) -> None:
        """Note a launch, enqueued since `begin` on the host's clock, of the operation that this thread runs, if any."""
        launch = Launch(kernel, begin, time.perf_counter_ns(), times)
        if self._thread.running:
            self._thread.running[-1].launches.append(launch)
            return
        # A launch that no operation makes is made again by a captured function.
        thread = threading.current_thread().name
        self._tell(Operation(self.device, work.of_replay(kernel), thread, begin, launch.end, [launch]))

    def attach(self) -> None:
        """Begin to record the device."""
        self._timed = self.device.time_launches(True)
        self.device.tracer = self
        for name, describe in _OPERATIONS.items():
            setattr(self.device, name, self._noting(getattr(self.device, name), describe))

    def detach(self) -> None:
        """Leave the device as it was."""
        for name in _OPERATIONS:
            delattr(self.device, name)  # the class's own method shows again
        self.device.tracer = None
        self.device.time_launches(False)

    def _noting(self, method: Callable[..., Any], describe: Callable[..., Cost]) -> Callable[..., Any]:
        def noting(*args: Any, **params: Any) -> Any:
            operation = Operation(self.device, describe(*args, **params), threading.current_thread().name)
            running = self._thread.running
            if running:
                running[-1].divided = True
            running.append(operation)
            operation.begin = time.perf_counter_ns()
            try:
                result = method(*args, **params)
                if not self._timed and not operation.divided:
                    self._take_time(operation)
            finally:
                operation.end = time.perf_counter_ns()
                running.pop()
                if operation.launches:
                    self._tell(operation)
            return result

        return noting

    def _take_time(self, operation: Operation) -> None:
        """Note the operation as one launch, which takes as long as the host waits for it."""
        self.device.synchronize()
        times = (operation.begin, operation.begin, time.perf_counter_ns())
        operation.launches.append(Launch("", operation.begin, times[2], lambda: times))

    def _tell(self, operation: Operation) -> None:
        alone = self._thread.alone
        for listener in tuple(self.listeners) if alone is None else (alone,):
            listener(operation)

    @contextmanager
    def alone(self, listener: Listener) -> Iterator[None]:
        """Tell what this thread does within the block to `listener` and to nobody else."""
        before, self._thread.alone = self._thread.alone, listener
        try:
            yield
        finally:
            self._thread.alone = before


class _Thread(threading.local):
    """What a thread is about."""

    def __init__(self) -> None:
        self.running: list[Operation] = []
        self.alone: Listener | None = None


def listen(device: Device, listener: Listener) -> Tracer:
    """Let `listener` be told of the device's operations until `unlisten`."""
    with _lock:
        tracer = device.tracer
        if tracer is None:
            tracer = Tracer(device)
            tracer.attach()
        tracer.listeners.append(listener)
        return tracer


def unlisten(device: Device, listener: Listener) -> None:
    """End what `listen` began, and wait until all that the listener was told of is done."""
    with _lock:
        tracer = device.tracer
        if tracer is None:
            return
        tracer.listeners.remove(listener)
        try:
            device.synchronize()
        finally:
            if not tracer.listeners:
                tracer.detach()


#: Gives the seconds of device time that some work takes.
Stopwatch = Callable[[Callable[[], object]], float]


@contextmanager
def stopwatch(device: Device) -> Iterator[Stopwatch]:
    """A stopwatch for one run of some work; what this thread does within the block is in no profile."""
    operations: list[Operation] = []

    def seconds_of(work: Callable[[], object]) -> float:
        operations.clear()
        work()
        device.synchronize()
        spans = [launch.times() for operation in operations for launch in operation.launches]
        return sum(end - start for _, start, end in spans) / 1e9

    tracer = listen(device, operations.append)
    try:
        with tracer.alone(operations.append):
            yield seconds_of
    finally:
        unlisten(device, operations.append)
