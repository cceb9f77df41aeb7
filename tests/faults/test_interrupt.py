"""Ctrl-C while much work is queued: it is answered soon, and the device is free soon after."""

from __future__ import annotations

import signal
import sys
import time

import pytest
from support.processes import start

import needle as ndl
from needle.backend.opencl.running.throttle import LARGE, LONG, MAX_STRIDE, SHORT, Throttle

QUEUE = """
import time
import numpy as np
import needle as ndl
def chain(n):
    y = x
    for _ in range(n):
        y = y @ x
    return y
def seconds(n):
    begun = time.perf_counter()
    chain(n).numpy()
    return time.perf_counter() - begun
for side in (512, 256, 128):  # a launch that has begun cannot be left: it is to be short also on a slow device
    x = ndl.asarray(np.full((side, side), 1 / side, np.float32), device={name!r})
    seconds(2)
    if seconds(2) < 0.2:
        break
chain(20).numpy()
(x + 1).numpy()  # compiled now: what is awaited after the interrupt is the device
count = int(20 * 30 / min(seconds(20) for _ in range(3)))  # half a minute of work, at least
before = x.device.launches
try:
    print(count, flush=True)
    y = chain(count)
    {wait}
except KeyboardInterrupt:
    caught = time.monotonic()
    values = (x + 1).numpy()
    print(x.device.launches - before, caught, time.monotonic(), float(values[0, 0] - x[0, 0].item()), flush=True)
"""

#: Seconds from the signal to the exception, and from there to the next result: what docs/robustness.md promises.
ANSWERED, USABLE = 2, 2


@pytest.mark.skipif(sys.platform == "win32", reason="no signals to other processes")
@pytest.mark.parametrize(
    "wait",
    [
        "y.numpy()",
        *(pytest.param(w, marks=pytest.mark.one_driver) for w in ("ndl.synchronize(x.device)", "y.sum().item()")),
    ],
)
@pytest.mark.fault("Ctrl-C in a long queue")
def test_a_long_queue_is_left_at_once(device: ndl.Device, wait: str) -> None:
    """Half a minute of work is begun; neither the interrupt nor the next result waits for it."""
    process = start(QUEUE.format(name=device.name, wait=wait))
    assert process.stdout is not None
    count = int(process.stdout.readline())
    time.sleep(0.5)
    sent = time.monotonic()  # one clock for all processes
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    ended = time.monotonic()
    assert process.returncode == 0, stderr
    launched, *times, value = stdout.split()
    caught, computed = map(float, times)
    sys.stdout.write(
        f"{device.name}: caught after {caught - sent:.2f} s, the next result {computed - caught:.2f} s later, "
        f"the end of the process after {ended - sent:.2f} s\n"
    )
    assert int(launched) < count // 4
    assert caught - sent < ANSWERED
    assert computed - caught < USABLE
    assert ended - sent < 30 / 4
    assert float(value) == 1


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
