"""OpenCL does not survive a fork: the child lacks the driver's threads, and would wait for them for ever.

Some drivers (PoCL) start their threads when devices are listed, before any is opened.
"""

from __future__ import annotations

import os

from needle.errors import DeviceError

#: Whether OpenCL was reached by a process of which this one is a fork, or a fork's fork.
lost = False

_reached = False


def reach() -> None:
    """Note that drivers are about to start in this process. Raises DeviceError if they had before it was forked."""
    global _reached
    if lost:
        raise error("OpenCL")
    _reached = True


def error(name: str) -> DeviceError:
    """The error that says why `name` is of no use in this process."""
    return DeviceError(
        f"{name} cannot be used here: OpenCL devices were listed or opened before this process was forked, and OpenCL "
        "does not survive a fork. Start worker processes by 'spawn', or list and open devices only after forking"
    )


def _lose() -> None:
    global lost
    lost = _reached


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_lose)
