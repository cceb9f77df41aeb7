"""Keeping the work that waits on a device short, so that the host never has to wait long for it.

A wait inside a driver cannot be interrupted, and what is enqueued cannot be called back. So the host runs only
so far ahead that the device would be done within about half a second: Ctrl-C is answered in that time, and the
device is free again when it is. All but a few launches cost the host nothing more than counting them.
"""

from __future__ import annotations

import time

import pyopencl as cl

#: The weight of the launches between two marks, at most. Twice as much lies on the device: enough to outlast a
#: pause of the host.
MAX_STRIDE = 1024

#: The weight of a launch of several work-groups, which may take long; that of a single one, which is short, is 1.
LARGE = 32

#: Seconds that waiting for a mark should take at most, and below which the next marks may lie further apart.
LONG, SHORT = 0.2, 0.05


class Throttle:
    """Marks every so many launches of a queue, and waits at each mark for the one before it."""

    def __init__(self) -> None:
        self.left = LARGE  # the weight of launches to the next mark; at 0 or below it is due
        self._stride = LARGE
        self._mark: cl.Event | None = None

    def mark(self, event: cl.Event) -> None:
        """Let `event`, of the latest launch, be the next mark."""
        previous, self._mark = self._mark, event
        if previous is not None and previous.command_execution_status != cl.command_execution_status.COMPLETE:
            start = time.perf_counter()
            previous.wait()
            waited = time.perf_counter() - start
            if waited > LONG:
                self._stride = max(LARGE, self._stride // 2)
            elif waited < SHORT:
                self._stride = min(MAX_STRIDE, self._stride * 2)
        elif previous is not None:
            self._stride = min(MAX_STRIDE, self._stride * 2)
        self.left = self._stride
