"""A line in the terminal while many kernels are compiled, which happens once: then they are in a cache."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType

#: "0" keeps the line away.
ENVIRONMENT_VARIABLE = "NEEDLE_PROGRESS"

#: Seconds of compiling before which nothing is said.
_PATIENCE = 2.0


class Progress:
    """Tells of `count` kernels that are being compiled in the block, in a terminal, if that takes long."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._done = 0
        self._length = 0  # of the line that is shown

    def __enter__(self) -> Progress:
        self._begin = time.monotonic()
        return self

    def advance(self, count: int) -> None:
        """Note that `count` kernels more have been compiled."""
        self._done += count
        if self._count > 1 and time.monotonic() - self._begin > _PATIENCE and _wanted():
            self._show(f"needle: compiling {self._count} kernels, once ({self._done} done)")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._length:
            self._show("")
            sys.stderr.write("\r")

    def _show(self, text: str) -> None:
        sys.stderr.write(f"\r{text:<{self._length}}")
        sys.stderr.flush()
        self._length = len(text)


def _wanted() -> bool:
    return os.environ.get(ENVIRONMENT_VARIABLE) != "0" and sys.stderr.isatty()
