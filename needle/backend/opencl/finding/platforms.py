"""The devices of an OpenCL platform, named by the platform, with the facts of each."""

from __future__ import annotations

from collections import Counter

import pyopencl as cl

from needle.backend.opencl.building.types import supported_dtypes
from needle.backend.opencl.finding.halves import computes_halves
from needle.backend.opencl.finding.threads import one_core_each
from needle.backend.protocol import DeviceInfo
from needle.dtypes import DType, float16

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


def short_name(words: str) -> str:
    """The name of the devices whose platform is called `words`; "opencl" for one that is not known."""
    return next((name for word, name in _PLATFORMS.items() if word in words.lower()), "opencl")


def describe(name: str, platform: cl.Platform, device: cl.Device) -> DeviceInfo:
    """The facts of `device`, which is called `name`; `problem` says why it cannot be used, if so."""
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
        dtypes=_dtypes(device) if problem is None else supported_dtypes(device.extensions.split()),
        problem=problem,
    )


def _dtypes(device: cl.Device) -> frozenset[DType]:
    """The dtypes of a device: by its extensions, and halves by trying where NVIDIA's driver does not tell of them."""
    dtypes = supported_dtypes(device.extensions.split())
    tries = "nvidia" in device.vendor.lower() and float16 not in dtypes
    return dtypes | {float16} if tries and computes_halves(device) else dtypes


class Names:
    """Hands out device names: "pocl", then "pocl:1", "pocl:2"."""

    def __init__(self) -> None:
        self._used: Counter[str] = Counter()

    def next(self, short: str) -> str:
        self._used[short] += 1
        index = self._used[short] - 1
        return f"{short}:{index}" if index else short


def devices_of(platform: cl.Platform) -> tuple[list[cl.Device], str | None]:
    """A platform's devices, or why it has none."""
    try:
        with one_core_each():  # PoCL starts its threads here
            devices = platform.get_devices()
    except cl.Error as error:
        return [], f"its platform lists no devices ({error})"
    return devices, None if devices else "its platform has no devices"


def absent_device(name: str, problem: str, vendor: str = "", driver: str = "") -> DeviceInfo:
    """The facts of a platform or a driver without a usable device."""
    return DeviceInfo(name, "no device", vendor, driver, "other", 0, problem=problem)
