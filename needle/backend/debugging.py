"""What the environment variable NEEDLE_DEBUG asks a device to print.

`NEEDLE_DEBUG=kernels` prints a description of each launch to stderr; `NEEDLE_DEBUG=kernels:FOLDER` also writes the
source of each program to FOLDER. The variable is read when a device is opened. `docs/debugging.md` shows its use.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from needle.errors import DeviceError

ENVIRONMENT_VARIABLE = "NEEDLE_DEBUG"


@dataclass(frozen=True)
class Kernels:
    """A request to describe each launch, and to write the source of each program to `folder` unless that is None."""

    folder: Path | None


def from_environment() -> Kernels | None:
    """What NEEDLE_DEBUG asks for; None where it is not set. Raises DeviceError for a value that is not known."""
    value = os.environ.get(ENVIRONMENT_VARIABLE)
    if not value:
        return None
    what, colon, folder = value.partition(":")
    if what != "kernels" or (colon and not folder):
        expected = "'kernels', or 'kernels:FOLDER' to have the sources of the kernels in FOLDER"
        raise DeviceError(f"{ENVIRONMENT_VARIABLE}={value!r} is not known; expected {expected}")
    return Kernels(Path(folder) if folder else None)
