"""The OpenCL backend: it lists the devices of every platform, and opens them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import pyopencl as cl

from needle.backend import debugging
from needle.backend.opencl.building import caches
from needle.backend.opencl.finding import drivers, forks
from needle.backend.opencl.finding.platforms import Names, absent_device, describe, devices_of, short_name
from needle.backend.opencl.running.debugging import DebuggedDevice
from needle.backend.opencl.running.device import OpenCLDevice
from needle.backend.protocol import Backend, DeviceInfo
from needle.errors import DeviceError


class OpenCLBackend(Backend):
    """The backend named "opencl": every device of every OpenCL platform.

    A device is named after its platform ("pocl", "nvidia"); further ones of that name carry an index
    ("pocl:1"). "opencl:N" names the N-th of all.
    """

    name = "opencl"

    def __init__(self) -> None:
        self._found: list[tuple[DeviceInfo, cl.Device | None]] | None = None
        self._opened: dict[str, OpenCLDevice] = {}

    def _discover(self) -> list[tuple[DeviceInfo, cl.Device | None]]:
        if self._found is not None:
            return self._found
        forks.reach()
        found: list[tuple[DeviceInfo, cl.Device | None]] = []
        troubles = caches.prepare()
        absent: list[DeviceInfo] = []
        platforms, broken = drivers.platforms()
        names = Names()
        if platforms:
            for trouble in troubles:
                warnings.warn(trouble, RuntimeWarning, stacklevel=2)
        for platform in platforms:
            short = short_name(f"{platform.name} {platform.vendor}")
            devices, problem = devices_of(platform)
            found += [(describe(names.next(short), platform, device), device) for device in devices]
            if problem is not None:
                driver = f"{platform.name.strip()}, {platform.version.strip()}"
                absent.append(absent_device(short, problem, platform.vendor.strip(), driver))
        absent += [absent_device(short_name(driver.name), driver.problem) for driver in broken]
        # Named last: no driver that fails may take the plain name of one that works.
        found += [(replace(info, name=names.next(info.name)), None) for info in absent]
        self._found = found
        return found

    def discover(self) -> Sequence[DeviceInfo]:
        return [info for info, _ in self._discover()]

    def open(self, name: str) -> OpenCLDevice:
        if name not in self._opened:
            info, device = next((i, d) for i, d in self._discover() if i.name == name)
            if device is None or info.problem is not None:
                raise DeviceError(f"device {name!r} cannot be used: {info.problem}")
            if forks.lost:
                raise forks.error(name)
            asked = debugging.from_environment()
            self._opened[name] = OpenCLDevice(info, device) if asked is None else DebuggedDevice(info, device, asked)
        return self._opened[name]
