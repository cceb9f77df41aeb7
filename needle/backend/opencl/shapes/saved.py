"""Launch shapes in files: those that tuning found, in the user's cache folder, and those made by hand.

A file is JSON. Its "launch_shape" holds the fields (of `LaunchShape`) that differ from the device's
default:

    {"version": 2, "platform": "...", "device": "...", "driver": "...", "compute_units": 2,
     "launch_shape": {"groups": 64, "matmul_depth": 512}}

One in the cache folder is found by its device when that is opened. It must have been made for the device, the
driver and the version of the launch shapes; whatever is wrong with it, it is ignored with a warning.

The environment variable NEEDLE_LAUNCH_SHAPE names a file to use instead, or is "default" for none at all. Such a file
may leave out everything but "launch_shape"; where it names a platform or a device, it serves that alone. What is wrong
with it is an error.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import platformdirs
import pyopencl as cl

from needle.backend.opencl.shapes.launch_shape import VERSION, LaunchShape, default_launch_shape
from needle.errors import DeviceError

ENVIRONMENT_VARIABLE = "NEEDLE_LAUNCH_SHAPE"


def identity(device: cl.Device) -> dict[str, Any]:
    """What a saved launch shape must have been made for."""
    return {
        "version": VERSION,
        "platform": device.platform.name.strip(),
        "device": device.name.strip(),
        "driver": device.driver_version.strip(),
        "compute_units": device.max_compute_units,
    }


def launch_shape_of(device: cl.Device) -> LaunchShape:
    """The device's launch shape: by NEEDLE_LAUNCH_SHAPE, else the one saved for it, else the default.

    Raises DeviceError for a file named by NEEDLE_LAUNCH_SHAPE that cannot be used.
    """
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named and named != "default":
        try:
            return _by_hand(Path(named), device)
        except (OSError, ValueError) as error:
            raise DeviceError(f"{ENVIRONMENT_VARIABLE}={named}: {error}") from None
    path = path_for(device)
    try:
        if named or not path.exists():
            return default_launch_shape(device)
        return _saved(path, device)
    except (OSError, ValueError) as error:
        warnings.warn(
            f"the saved launch shape {path} is ignored: {error}. `python -m needle tune` makes a new one, with --reset "
            "it removes this one",
            stacklevel=2,
        )
        return default_launch_shape(device)


def path_for(device: cl.Device) -> Path:
    """Where the launch shape of such a device is saved; a new driver replaces the file of the old one."""
    known = identity(device)
    key = json.dumps([known["platform"], known["device"], known["compute_units"]])
    words = re.sub(r"[^a-z0-9]+", "-", known["device"].lower()).strip("-")[:40]
    digest = hashlib.sha256(key.encode()).hexdigest()[:12]
    return platformdirs.user_cache_path("needle") / "launch_shapes" / f"{words}-{digest}.json"


def save(device: cl.Device, launch_shape: LaunchShape) -> Path:
    """Save `launch_shape` for the device, at once or not at all, and return the file's path.

    Raises ValueError for one that the device cannot run, OSError where it cannot be written.
    """
    launch_shape.check(device)
    default = asdict(default_launch_shape(device))
    changed = {name: value for name, value in asdict(launch_shape).items() if value != default[name]}
    path = path_for(device)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
    try:
        with os.fdopen(handle, "w") as file:
            json.dump({**identity(device), "launch_shape": changed}, file, indent=2)
            file.write("\n")
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def remove(device: cl.Device) -> Path | None:
    """Remove the launch shape saved for the device, and return where it was; None if there was none."""
    path = path_for(device)
    try:
        path.unlink()
    except FileNotFoundError:
        return None
    return path


def _saved(path: Path, device: cl.Device) -> LaunchShape:
    content = _read(path)
    for name, wanted in identity(device).items():
        if content.get(name) != wanted:
            raise ValueError(f"it was made for {name} {content.get(name)!r}, here it is {wanted!r}")
    return _applied(content, device)


def _by_hand(path: Path, device: cl.Device) -> LaunchShape:
    content, known = _read(path), identity(device)
    if any(content.get(name, known[name]) != known[name] for name in ("platform", "device")):
        return default_launch_shape(device)  # it is another device's
    return _applied(content, device)


def _read(path: Path) -> Mapping[str, Any]:
    content = json.loads(path.read_text())
    if not isinstance(content, dict) or not isinstance(content.get("launch_shape"), dict):
        raise ValueError('it has no "launch_shape" with fields')
    return content


def _applied(content: Mapping[str, Any], device: cl.Device) -> LaunchShape:
    """The default launch shape with the fields of a file. Raises ValueError for fields that there are not."""
    known = [field.name for field in fields(LaunchShape)]
    for name in content["launch_shape"]:
        if name not in known:
            raise ValueError(f"there is no field {name!r}; known are {', '.join(known)}")
    launch_shape = replace(default_launch_shape(device), **content["launch_shape"])
    launch_shape.check(device)
    return launch_shape
