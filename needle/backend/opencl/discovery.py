"""Finding OpenCL devices and naming them by the platform they come from."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pyopencl as cl

from needle.backend.opencl import caches, drivers, forks
from needle.backend.opencl.affinity import one_core_each
from needle.backend.opencl.device import OpenCLDevice
from needle.backend.protocol import Backend, DeviceInfo
from needle.errors import DeviceError

#: A word of the platform's name or vendor, or of its `.icd` file's name, in lower case -> the name of its devices.
_PLATFORMS = {
    "portable computing language": "pocl",
    "pocl": "pocl",
    "oclgrind": "oclgrind",
    "rusticl": "rusticl",
    "clover": "clover",
    "mesa": "clover",
    "nvidia": "nvidia",
    "intel": "intel",
    "amd": "amd",
    "advanced micro devices": "amd",
    "apple": "apple",
    "arm": "arm",
    "qualcomm": "qualcomm",
}

_KINDS = {cl.device_type.GPU: "gpu", cl.device_type.CPU: "cpu", cl.device_type.ACCELERATOR: "accelerator"}


def _short_name(words: str) -> str:
    """The name of the devices whose platform is called `words`; "opencl" for one that is not known."""
    return next((name for word, name in _PLATFORMS.items() if word in words.lower()), "opencl")


def _describe(name: str, platform: cl.Platform, device: cl.Device) -> DeviceInfo:
    extensions = device.extensions.split()
    problem = None
    if not device.available:
        problem = "the driver reports it as not available"
    elif not device.compiler_available:
        problem = "its driver has no compiler"
    elif "emulator" in device.name.lower() or "emulation" in platform.name.lower():
        problem = "an FPGA emulator, not meant for computing"
    return DeviceInfo(
        name=name,
        description=device.name.strip(),
        vendor=device.vendor.strip(),
        driver=f"{platform.name.strip()}, {device.driver_version}",
        kind=next((kind for bit, kind in _KINDS.items() if device.type & bit), "other"),
        memory=device.global_mem_size,
        float64="cl_khr_fp64" in extensions,
        float16="cl_khr_fp16" in extensions,
        problem=problem,
    )


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
        names = _Names()
        if platforms:
            for trouble in troubles:
                warnings.warn(trouble, RuntimeWarning, stacklevel=2)
        for platform in platforms:
            short = _short_name(f"{platform.name} {platform.vendor}")
            devices, problem = _devices_of(platform)
            found += [(_describe(names.next(short), platform, device), device) for device in devices]
            if problem is not None:
                driver = f"{platform.name.strip()}, {platform.version.strip()}"
                absent.append(_absent(short, problem, platform.vendor.strip(), driver))
        absent += [_absent(_short_name(driver.name), driver.problem) for driver in broken]
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
            self._opened[name] = OpenCLDevice(info, device)
        return self._opened[name]


class _Names:
    """Hands out device names: "pocl", then "pocl:1", "pocl:2"."""

    def __init__(self) -> None:
        self._used: Counter[str] = Counter()

    def next(self, short: str) -> str:
        self._used[short] += 1
        index = self._used[short] - 1
        return f"{short}:{index}" if index else short


def _devices_of(platform: cl.Platform) -> tuple[list[cl.Device], str | None]:
    """A platform's devices, or why it has none."""
    try:
        with one_core_each():  # PoCL starts its threads here
            devices = platform.get_devices()
    except cl.Error as error:
        return [], f"its platform lists no devices ({error})"
    return devices, None if devices else "its platform has no devices"


def _absent(name: str, problem: str, vendor: str = "", driver: str = "") -> DeviceInfo:
    """What is known of a platform or a driver without a usable device."""
    return DeviceInfo(name, "no device", vendor, driver, "other", 0, False, False, problem)
