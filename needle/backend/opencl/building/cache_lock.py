"""The lock files under which PyOpenCL reads and writes a folder of compiled programs.

Whoever makes the file holds the lock until he removes it; whoever is killed in between leaves it behind.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: Seconds after which a lock has been left behind: PyOpenCL itself waits no longer for it.
LEFT_BEHIND = 60

#: Seconds between two looks at a lock that another process holds.
_PAUSE = 0.01


@contextmanager
def holding(file: Path | None, patience: float) -> Iterator[bool]:
    """Hold the lock `file`, if one is named; the block is told whether it was free within `patience` seconds."""
    held = file is None or _take(file, time.monotonic() + patience)
    try:
        yield held
    finally:
        if held and file is not None:
            with suppress(OSError):
                file.unlink()


def _take(file: Path, deadline: float) -> bool:
    while True:
        try:
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            return True
        except FileExistsError:
            if time.monotonic() > deadline:
                return False
        except OSError:  # a folder that cannot be written
            return False
        if not _remove_left_behind(file):
            time.sleep(_PAUSE)


def _remove_left_behind(file: Path) -> bool:
    with suppress(OSError):  # its owner may remove it at any time
        if time.time() - file.stat().st_mtime > LEFT_BEHIND:
            file.unlink()
            return True
    return False
