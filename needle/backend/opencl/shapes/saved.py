"""Launch shapes in files: those that tuning found, in the user's cache folder, and those made by hand.

A file is JSON. Its "launch_shape" holds the fields (of `LaunchShape`) that differ from the device's
default:

    {"version": 2, "platform": "...", "device": "...", "driver": "...", "compute_units": 2,
     "launch_shape": {"groups": 64, "matmul_depth": 512}}

A device finds its file in the cache folder when it is opened. The file must have been made for the device, the driver
and the version of the launch shapes. A file that does not serve is ignored with a warning.

The environment variable NEEDLE_LAUNCH_SHAPE overrides the cache folder. Its value is one of the names in `NAMED`
("default", "cpu", "gpu"), or a file. Such a file may leave out everything but "launch_shape"; if it names a platform
or a device, it serves that alone. A file that cannot be used is an error.

Launch shapes were once called profiles. The variable's old name NEEDLE_PROFILE and the key "profile" still serve in
this version, with a warning.
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

from needle.backend.opencl.shapes.defaults import NAMED, default_launch_shape
from needle.backend.opencl.shapes.launch_shape import VERSION, LaunchShape
from needle.errors import DeviceError

ENVIRONMENT_VARIABLE, _OLD_VARIABLE = "NEEDLE_LAUNCH_SHAPE", "NEEDLE_PROFILE"
_KEY, _OLD_KEY = "launch_shape", "profile"


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
    variable, named = _from_environment()
    if named in NAMED:
        return NAMED[named](device)
    if named:
        try:
            return _by_hand(Path(named), device)
        except (OSError, ValueError) as error:
            known = ", ".join(map(repr, NAMED))
            raise DeviceError(f"{variable}={named}: {error}. It must name a file, or be one of {known}") from None
    path = path_for(device)
    try:
        return _saved(path, device) if path.exists() else default_launch_shape(device)
    except (OSError, ValueError) as error:
        warnings.warn(
            f"the saved launch shape {path} is ignored: {error}. `python -m needle tune` makes a new one, with --reset "
            "it removes this one",
            stacklevel=2,
        )
        return default_launch_shape(device)


def _from_environment() -> tuple[str, str]:
    """The environment variable that is set, and its value; "" if neither the variable nor its old name has one."""
    named = os.environ.get(ENVIRONMENT_VARIABLE, "")
    old = os.environ.get(_OLD_VARIABLE, "")
    if named or not old:
        return ENVIRONMENT_VARIABLE, named
    _warn_of_old_name(f"the environment variable {_OLD_VARIABLE}", ENVIRONMENT_VARIABLE)
    return _OLD_VARIABLE, old


def _warn_of_old_name(old: str, new: str) -> None:
    warnings.warn(f"{old} is now called {new}; the next version will ignore the old name", FutureWarning, stacklevel=3)


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
            json.dump({**identity(device), _KEY: changed}, file, indent=2)
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
    content, known = _read(path, _OLD_KEY), identity(device)
    if any(content.get(name, known[name]) != known[name] for name in ("platform", "device")):
        return default_launch_shape(device)  # the file is another device's
    return _applied(content, device)


def _read(path: Path, old_key: str | None = None) -> dict[str, Any]:
    """The content of a file, whose fields may stand under `old_key`. Raises ValueError for a file without fields."""
    content = json.loads(path.read_text())
    if old_key is not None and isinstance(content, dict) and old_key in content and _KEY not in content:
        _warn_of_old_name(f'"{old_key}" in {path}', f'"{_KEY}"')
        content[_KEY] = content.pop(old_key)
    if not isinstance(content, dict) or not isinstance(content.get(_KEY), dict):
        raise ValueError(f'it has no "{_KEY}" with fields')
    return content


def _applied(content: Mapping[str, Any], device: cl.Device) -> LaunchShape:
    """The default launch shape with the fields of a file. Raises ValueError for fields that there are not."""
    known = [field.name for field in fields(LaunchShape)]
    for name in content[_KEY]:
        if name not in known:
            raise ValueError(f"there is no field {name!r}; known are {', '.join(known)}")
    launch_shape = replace(default_launch_shape(device), **content[_KEY])
    launch_shape.check(device)
    return launch_shape
