"""Finding OpenCL devices and naming them by the platform they come from."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import pyopencl as cl

from needle.backend.opencl import caches
from needle.backend.opencl.affinity import one_core_each
from needle.backend.opencl.device import OpenCLDevice
from needle.backend.protocol import Backend, DeviceInfo
from needle.errors import DeviceError

#: A word of the platform's name or vendor, in lower case -> the name of its devices.
_PLATFORMS = {
    "portable computing language": "pocl",
    "oclgrind": "oclgrind",
    "rusticl": "rusticl",
    "clover": "clover",
    "nvidia": "nvidia",
    "intel": "intel",
    "amd": "amd",
    "advanced micro devices": "amd",
    "apple": "apple",
    "arm": "arm",
    "qualcomm": "qualcomm",
}

_KINDS = {cl.device_type.GPU: "gpu", cl.device_type.CPU: "cpu", cl.device_type.ACCELERATOR: "accelerator"}


def _platform_name(platform: cl.Platform) -> str:
    """The short name of a platform's devices; "opencl" for one that is not known."""
    words = f"{platform.name} {platform.vendor}".lower()
    return next((name for word, name in _PLATFORMS.items() if word in words), "opencl")


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
        found: list[tuple[DeviceInfo, cl.Device | None]] = []
        used: Counter[str] = Counter()
        troubles = caches.prepare()
        try:
            platforms = cl.get_platforms()
        except cl.LogicError:  # the loader found no driver: there is no OpenCL on this machine
            platforms = []
        if platforms:
            for trouble in troubles:
                warnings.warn(trouble, RuntimeWarning, stacklevel=2)
        for platform in platforms:
            short = _platform_name(platform)
            try:
                with one_core_each():  # PoCL starts its threads here
                    devices = platform.get_devices()
            except cl.Error as error:
                problem = f"its platform lists no devices ({error})"
                found.append((_placeholder(short, platform, problem), None))
                continue
            if not devices:
                found.append((_placeholder(short, platform, "its platform has no devices"), None))
            for device in devices:
                name = f"{short}:{used[short]}" if used[short] else short
                used[short] += 1
                found.append((_describe(name, platform, device), device))
        self._found = found
        return found

    def discover(self) -> Sequence[DeviceInfo]:
        return [info for info, _ in self._discover()]

    def open(self, name: str) -> OpenCLDevice:
        if name not in self._opened:
            info, device = next((i, d) for i, d in self._discover() if i.name == name)
            if device is None or info.problem is not None:
                raise DeviceError(f"device {name!r} cannot be used: {info.problem}")
            self._opened[name] = OpenCLDevice(info, device)
        return self._opened[name]


def _placeholder(name: str, platform: cl.Platform, problem: str) -> DeviceInfo:
    """What is known of a platform without a usable device."""
    driver = f"{platform.name.strip()}, {platform.version.strip()}"
    return DeviceInfo(name, "no device", platform.vendor.strip(), driver, "other", 0, False, False, problem)
