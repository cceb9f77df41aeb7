"""The launchers of primitives: functions that register themselves under the name of a record."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

#: A launcher is called as `launcher(device, inputs, outputs, **params)`.
Launcher = Callable[..., None]

L = TypeVar("L", bound=Launcher)

#: The launcher of each primitive by the name of its record.
LAUNCHERS: dict[str, Launcher] = {}


def launches(name: str, **fixed: Any) -> Callable[[L], L]:
    """Register the decorated function as the launcher of primitive `name`; `fixed` are arguments that it is given.

    The function takes the device, the input views, the output views, and the primitive's parameters by name.
    Raises ValueError for a name that has a launcher already.
    """

    def register(launcher: L) -> L:
        if name in LAUNCHERS:
            raise ValueError(f"primitive {name!r} has a launcher already")
        LAUNCHERS[name] = partial(launcher, **fixed) if fixed else launcher
        return launcher

    return register


def launcher_of(name: str) -> Launcher:
    """The launcher of primitive `name`. Raises NotImplementedError for one without a kernel."""
    try:
        return LAUNCHERS[name]
    except KeyError:
        raise NotImplementedError(f"the OpenCL backend has no kernel for {name!r}") from None
