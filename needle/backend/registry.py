"""The backends there are, and the devices they offer.

Beside the two that come with needle, packages register theirs under the entry-point group
`needle.backends`: the name is the backend's, the object a `Backend` class. A backend is imported when
devices are first asked for; one that cannot be imported, or finds no devices for an error, is listed with the reason.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from weakref import WeakSet

from needle.backend import debugging
from needle.backend.protocol import Backend, Device, DeviceInfo, scoped_device
from needle.errors import DeviceError
from needle.locks import freed_in_children

__all__ = ["all_devices", "cpu", "cuda", "default_device", "device", "devices", "synchronize"]

GROUP = "needle.backends"

#: The built-in backends, in the order in which a default device is looked for.
_BUILT_IN = (
    EntryPoint("opencl", "needle.backend.opencl:OpenCLBackend", GROUP),
    EntryPoint("numpy", "needle.backend.numpy:NumpyBackend", GROUP),
)

#: Kinds of device from most to least wanted as the default.
_PREFERENCE = ("gpu", "accelerator", "cpu", "host", "other")

ENVIRONMENT_VARIABLE = "NEEDLE_DEVICE"

_lock = freed_in_children(threading.RLock())
_backends: dict[str, Backend] = {}
_opened: WeakSet[Device] = WeakSet()

#: Called with each device that is opened from now on: how a profile learns of it.
watchers: list[Callable[[Device], None]] = []
_broken: dict[str, str] = {}


def _load() -> dict[str, Backend]:
    """Every backend by name, made at the first call."""
    with _lock:
        if not _backends:
            for point in (*_BUILT_IN, *entry_points(group=GROUP)):
                try:
                    _backends[point.name] = point.load()()
                except Exception as error:  # whatever a foreign package raises must not hide the others
                    _broken[point.name] = f"{type(error).__name__}: {error}"
        return _backends


def devices() -> list[DeviceInfo]:
    """The facts of every device of every backend; `problem` says why one cannot be used."""
    found = [info for name, backend in _load().items() for info in _discovered(name, backend)]
    return found + [_absent(name, f"its backend does not load: {why}") for name, why in _broken.items()]


def _discovered(name: str, backend: Backend) -> Sequence[DeviceInfo]:
    try:
        return backend.discover()
    except Exception as error:  # as above
        return [_absent(name, f"its backend cannot look for devices: {type(error).__name__}: {error}")]


def _absent(name: str, problem: str) -> DeviceInfo:
    return DeviceInfo(name, "no device", "", "", "other", 0, problem=problem)


def device(name: str | Device) -> Device:
    """The device called `name`: one of `devices()`, "opencl:N" for the N-th OpenCL device, or a Device.

    Raises DeviceError listing the known names for an unknown one, and with the reason for one that cannot
    be used.
    """
    if isinstance(name, Device):
        return name
    if not isinstance(name, str):
        raise TypeError(f"device={name!r} must be a name or a Device")
    with _lock:
        for key, backend in _load().items():
            infos = _discovered(key, backend)
            wanted = _resolve_index(name, backend.name, [i.name for i in infos])
            for info in infos:
                if info.name == wanted:
                    if info.problem is not None:
                        raise DeviceError(f"device {name!r} cannot be used: {info.problem}")
                    return _open(backend, info.name)
    raise DeviceError(f"there is no device {name!r}; known are {', '.join(i.name for i in devices())}")


def _open(backend: Backend, name: str) -> Device:
    opened = backend.open(name)
    if opened not in _opened:
        debugging.from_environment()  # a value that is not known is an error on every device
        _opened.add(opened)
        for watch in tuple(watchers):
            watch(opened)
    return opened


def opened_devices(watcher: Callable[[Device], None]) -> list[Device]:
    """The devices opened so far; `watcher` is called with every later one until it leaves `watchers`."""
    with _lock:
        watchers.append(watcher)
        return list(_opened)


def _resolve_index(name: str, backend: str, names: list[str]) -> str:
    """`name` with "backend:N" replaced by the N-th name, and ":0" dropped."""
    prefix, _, index = name.partition(":")
    if index.isdigit():
        if prefix == backend and prefix not in names and int(index) < len(names):
            return names[int(index)]
        if int(index) == 0:
            return prefix
    return name


def default_device() -> Device:
    """The device of the innermost `with device:` block, else that of NEEDLE_DEVICE, else the best found.

    Best is a GPU, then another accelerator, then a CPU; without OpenCL it is NumPy.
    """
    return chosen_device() or _best_device()


def chosen_device() -> Device | None:
    """The device of the innermost `with device:` block, else that of NEEDLE_DEVICE, else None."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    scoped = scoped_device()
    if scoped is not None or not named:
        return scoped
    try:
        return device(named)
    except DeviceError as error:
        raise DeviceError(f"{ENVIRONMENT_VARIABLE}={named}: {error}") from None


def _best_device() -> Device:
    usable = [info for info in devices() if info.problem is None]
    return device(min(usable, key=_rank).name)


def _rank(info: DeviceInfo) -> int:
    """The place of a device in the order of preference; last for a kind that needle does not know."""
    return _PREFERENCE.index(info.kind) if info.kind in _PREFERENCE else len(_PREFERENCE)


def all_devices() -> list[Device]:
    """Every device that can be used, opened (the course's name)."""
    return [device(info.name) for info in devices() if info.problem is None]


class AbsentDevice(Device):
    """Stands for a device that this machine lacks: it can be asked whether it is enabled, no more."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(_absent(name, problem))

    def _refuse(self, *args: object, **kwargs: object) -> None:
        raise DeviceError(f"device {self.name!r} cannot be used: {self.info.problem}")

    empty = upload = download = evaluate = reduce = run = synchronize = _refuse  # type: ignore[assignment]


def cpu() -> Device:
    """The first CPU that OpenCL reaches, or NumPy where there is none (the course's name)."""
    names = [info.name for info in devices() if info.kind == "cpu" and info.problem is None]
    return device(names[0] if names else "numpy")


def cuda() -> Device:
    """The first NVIDIA GPU (the course's name); where there is none, a device that is not `enabled()`."""
    names = [info.name for info in devices() if info.name.startswith("nvidia") and info.problem is None]
    return device(names[0]) if names else AbsentDevice("nvidia", "no NVIDIA GPU with an OpenCL driver was found")


def synchronize(name: str | Device | None = None) -> None:
    """Wait until everything submitted to a device (by default the default device) is done."""
    (default_device() if name is None else device(name)).synchronize()
