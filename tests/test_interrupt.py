"""Ctrl-C while much work is queued: it is answered soon, and the device is free soon after."""

from __future__ import annotations

import signal
import sys
import time

import pytest
from support.processes import start

import needle as ndl
from needle.backend.opencl.throttle import LARGE, LONG, MAX_STRIDE, SHORT, Throttle

QUEUE = """
import time
import numpy as np
import needle as ndl
x = ndl.asarray(np.full((512, 512), 1 / 512, np.float32), device={name!r})
def chain(n):
    y = x
    for _ in range(n):
        y = y @ x
    return y
chain(20).numpy()
begun = time.perf_counter()
chain(20).numpy()
count = int(20 * 30 / (time.perf_counter() - begun))  # half a minute of work
before = x.device.launches
try:
    print(count, flush=True)
    y = chain(count)
    {wait}
except KeyboardInterrupt:
    caught = time.perf_counter()
    values = (x + 1).numpy()
    print(x.device.launches - before, time.perf_counter() - caught, float(values[0, 0]), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no signals to other processes")
@pytest.mark.parametrize("wait", ["y.numpy()", "ndl.synchronize(x.device)", "y.sum().item()"])
@pytest.mark.fault("Ctrl-C in a long queue")
def test_a_long_queue_is_left_at_once(device: ndl.Device, wait: str) -> None:
    """Half a minute of work is begun; neither the interrupt nor the next result waits for even a quarter of it."""
    process = start(QUEUE.format(name=device.name, wait=wait))
    assert process.stdout is not None
    count = int(process.stdout.readline())
    time.sleep(0.5)
    sent = time.perf_counter()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    elapsed = time.perf_counter() - sent
    assert process.returncode == 0, stderr
    launched, after, value = stdout.split()
    sys.stdout.write(f"{device.name}: {elapsed:.2f} s to the end of the process, the next result after {after} s\n")
    assert int(launched) < count // 4
    assert elapsed < 30 / 4
    assert float(value) == pytest.approx(1 + 1 / 512)


class Event:
    """An event that takes `seconds` from when it is waited for."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.waited = False

    @property
    def command_execution_status(self) -> int:
        return 0 if self.seconds == 0 else 1

    def wait(self) -> None:
        self.waited = True
        time.sleep(self.seconds)


def strides(seconds: list[float]) -> tuple[list[int], list[Event]]:
    """How many launches lie between marks whose work takes so long."""
    throttle, events = Throttle(), [Event(s) for s in seconds]
    found = []
    for event in events:
        throttle.mark(event)  # type: ignore[arg-type]
        found.append(throttle.left)
    return found, events


def test_short_work_is_marked_seldom() -> None:
    found, events = strides([0.0] * 10)
    assert found == [LARGE, 2 * LARGE, 4 * LARGE, 8 * LARGE, 16 * LARGE, *[MAX_STRIDE] * 5]
    assert not any(event.waited for event in events)


def test_long_work_is_marked_often() -> None:
    found, events = strides([0.0] * 6 + [1.2 * LONG] * 3 + [(SHORT + LONG) / 2] * 2)
    assert found[5:] == [MAX_STRIDE, MAX_STRIDE, MAX_STRIDE // 2, MAX_STRIDE // 4, MAX_STRIDE // 8, MAX_STRIDE // 8]
    assert [event.waited for event in events] == [False] * 6 + [True] * 4 + [False]
