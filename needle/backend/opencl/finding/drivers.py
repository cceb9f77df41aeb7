"""The OpenCL drivers of a machine: the loader's, and those that pip put into the Python environment.

A driver is announced by an `.icd` file, whose one line names its library. The loader reads the system's
folder of them (/etc/OpenCL/vendors). Wheels put theirs into `etc/OpenCL/vendors` of the environment, where
no loader looks, and name a path of the machine that built them. So this module reads the files itself,
opens the libraries and asks each for its platforms, as a loader would. Nothing is written and no variable
of the environment is needed. Every entry that cannot be used is kept with the reason.
"""

from __future__ import annotations

import ctypes
import os
import site
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyopencl as cl

_VENDORS = Path("etc", "OpenCL", "vendors")

#: Mesa's drivers that Rusticl may use: its software one, and those for GPUs that are known to work with it.
#: Without this variable Mesa offers only those that it has declared finished, in many releases none.
_RUSTICL_DRIVERS = "llvmpipe,radeonsi,iris,asahi,freedreno,panfrost"

_PlatformIDs = ctypes.CFUNCTYPE(
    ctypes.c_int32, ctypes.c_uint32, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_uint32)
)
_PLATFORM_NOT_FOUND = -1001


@dataclass(frozen=True)
class BrokenDriver:
    """An entry whose driver does not start; `name` is the `.icd` file's, without the ending."""

    name: str
    problem: str


class _DriverError(Exception):
    """Why a library gives no platforms."""


def platforms() -> tuple[list[cl.Platform], list[BrokenDriver]]:
    """Every platform, the Python environment's before the system's, and every driver that does not start."""
    with _rusticl_enabled():
        known = _loader_platforms()
        if _is_interposed() or _is_narrowed():
            return known, []
        found: dict[int, cl.Platform] = {}
        broken: list[BrokenDriver] = []
        for entry in _entries():
            try:
                found.update((platform.int_ptr, platform) for platform in _open(_library(entry)))
            except _DriverError as error:
                broken.append(BrokenDriver(entry.stem, f"{entry}: {error}"))
    found.update((platform.int_ptr, platform) for platform in known if platform.int_ptr not in found)
    return list(found.values()), broken


def _loader_platforms() -> list[cl.Platform]:
    """What the OpenCL loader finds by itself: where there are no `.icd` files, everything."""
    try:
        return cl.get_platforms()
    except cl.LogicError:  # it found no driver
        return []


def _is_interposed() -> bool:
    """Whether this process was started with another OpenCL in front of the loader, which answers alone.

    Oclgrind does so. It would take the platform of any other driver for one of its own.
    """
    return os.name == "posix" and hasattr(ctypes.CDLL(None), "clGetPlatformIDs")


def _is_narrowed() -> bool:
    """Whether the user has told the loader to use a single driver, or none."""
    vendors = os.environ.get("OCL_ICD_VENDORS")
    return vendors is not None and vendors != "" and not Path(vendors).is_dir()


@contextmanager
def _rusticl_enabled() -> Iterator[None]:
    """Let Rusticl offer its devices if the user has not said which; child processes inherit nothing of it."""
    name = "RUSTICL_ENABLE"
    if name in os.environ:
        yield
        return
    os.environ[name] = _RUSTICL_DRIVERS
    try:
        yield
    finally:
        os.environ.pop(name, None)


def _entries() -> Iterator[Path]:
    """The `.icd` files: of PyOpenCL's wheel (PoCL's), of the Python environment, and of the system."""
    folders = [Path(cl.__file__).parent / ".libs", *(prefix / _VENDORS for prefix in _prefixes())]
    if os.name == "posix":
        named = os.environ.get("OCL_ICD_VENDORS") or os.environ.get("OPENCL_VENDOR_PATH")
        folders.append(Path(named) if named else Path("/") / _VENDORS)
    for folder in dict.fromkeys(folders):
        yield from sorted(folder.glob("*.icd"))


def _prefixes() -> list[Path]:
    """The folders under which this Python finds packages and what they bring beside Python code."""
    prefixes = [sysconfig.get_path("data"), *site.PREFIXES]
    if site.ENABLE_USER_SITE:
        prefixes.append(site.getuserbase())
    return [Path(prefix) for prefix in dict.fromkeys(prefixes)]


def _library(entry: Path) -> str:
    """The library that an `.icd` file means: where it says, beside it, or in its environment's `lib`."""
    try:
        named = entry.read_text().strip().splitlines()[0].strip()
    except (OSError, UnicodeDecodeError, IndexError):
        raise _DriverError("the file cannot be read or names no library") from None
    beside = entry.parent / named
    if beside.is_file():  # a bare name, or a path that exists: joined to a folder it stays what it is
        return str(beside)
    if entry.parent.parts[-3:] == _VENDORS.parts:
        moved = entry.parents[3] / "lib" / Path(named).name
        if moved.is_file():
            return str(moved)
    if os.sep in named:
        raise _DriverError(f"names {named}, which does not exist")
    return named  # for the system to find


def _open(library: str) -> list[cl.Platform]:
    """The platforms of a driver's library. Raises _DriverError."""
    try:
        driver = ctypes.CDLL(library)
    except OSError as error:  # it names the library that is missing, which may be one that this one needs
        raise _DriverError(f"its library does not load: {error}") from None
    list_platforms = _platform_function(driver, library)
    count = ctypes.c_uint32()
    status = list_platforms(0, None, ctypes.byref(count))
    if status == _PLATFORM_NOT_FOUND or (status == 0 and count.value == 0):
        raise _DriverError(f"{library} finds no platform to offer")
    handles = (ctypes.c_void_p * count.value)()
    status = status or list_platforms(count.value, handles, None)
    if status != 0:
        raise _DriverError(f"{library} fails to list its platforms (OpenCL error {status})")
    return [cl.Platform.from_int_ptr(handle) for handle in handles]


def _platform_function(driver: ctypes.CDLL, library: str) -> Callable[..., int]:
    """The function by which a driver hands its platforms to a loader."""
    try:
        find = driver.clGetExtensionFunctionAddress
    except AttributeError:
        raise _DriverError(f"{library} is no OpenCL driver") from None
    find.restype, find.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    address = find(b"clIcdGetPlatformIDsKHR")
    if not address:
        raise _DriverError(f"{library} does not offer clIcdGetPlatformIDsKHR")
    return _PlatformIDs(address)
