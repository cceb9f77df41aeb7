"""The libraries measured, one file each. `load` opens one, or says why it cannot be measured here."""

from __future__ import annotations

import importlib

from benchmarks.peers.base import Library as Library
from benchmarks.peers.base import UnavailableError as UnavailableError

#: In the order of the table; needle first.
NAMES = ("needle", "torch", "numpy", "tinygrad")

#: Libraries measured in a process of their own: a kernel that never ends must not end the run.
ISOLATED = frozenset({"tinygrad"})


def load(name: str, device: str) -> Library:
    """The library `name`, computing on the device that needle calls `device`.

    Raises UnavailableError if it is not installed or cannot compute there.
    """
    try:
        module = importlib.import_module(f"benchmarks.peers.{name}")
    except ModuleNotFoundError as error:
        raise UnavailableError(f"{error.name} is not installed") from None
    library: Library = module.open_library(device)
    return library
