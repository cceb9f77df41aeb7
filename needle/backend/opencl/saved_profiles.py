"""Profiles in files: those that tuning found, in the user's cache folder, and those made by hand.

A file is JSON. Its "profile" holds the fields (of `profiles.Profile`) that differ from the device's default:

    {"version": 2, "platform": "...", "device": "...", "driver": "...", "compute_units": 2,
     "profile": {"groups": 64, "matmul_depth": 512}}

One in the cache folder is found by its device when that is opened. It must have been made for the device, the
driver and the version of the profiles; whatever is wrong with it, it is ignored with a warning.

The environment variable NEEDLE_PROFILE names a file to use instead, or is "default" for none at all. Such a file
may leave out everything but "profile"; where it names a platform or a device, it serves that alone. What is wrong
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

from needle.backend.opencl.profiles import VERSION, Profile, profile_for
from needle.errors import DeviceError

ENVIRONMENT_VARIABLE = "NEEDLE_PROFILE"


def identity(device: cl.Device) -> dict[str, Any]:
    """What a saved profile must have been made for."""
    return {
        "version": VERSION,
        "platform": device.platform.name.strip(),
        "device": device.name.strip(),
        "driver": device.driver_version.strip(),
        "compute_units": device.max_compute_units,
    }


def profile_of(device: cl.Device) -> Profile:
    """The device's profile: by NEEDLE_PROFILE, else the one saved for it, else the default.

    Raises DeviceError for a file named by NEEDLE_PROFILE that cannot be used.
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
            return profile_for(device)
        return _saved(path, device)
    except (OSError, ValueError) as error:
        warnings.warn(
            f"the saved profile {path} is ignored: {error}. `python -m needle tune` makes a new one, with --reset "
            "it removes this one",
            stacklevel=2,
        )
        return profile_for(device)


def path_for(device: cl.Device) -> Path:
    """Where the profile of such a device is saved; a new driver replaces the file of the old one."""
    known = identity(device)
    key = json.dumps([known["platform"], known["device"], known["compute_units"]])
    words = re.sub(r"[^a-z0-9]+", "-", known["device"].lower()).strip("-")[:40]
    digest = hashlib.sha256(key.encode()).hexdigest()[:12]
    return platformdirs.user_cache_path("needle") / "profiles" / f"{words}-{digest}.json"


def save(device: cl.Device, profile: Profile) -> Path:
    """Save `profile` for the device, at once or not at all, and return the file's path.

    Raises ValueError for one that the device cannot run, OSError where it cannot be written.
    """
    profile.check(device)
    default = asdict(profile_for(device))
    changed = {name: value for name, value in asdict(profile).items() if value != default[name]}
    path = path_for(device)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
    try:
        with os.fdopen(handle, "w") as file:
            json.dump({**identity(device), "profile": changed}, file, indent=2)
            file.write("\n")
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def remove(device: cl.Device) -> Path | None:
    """Remove the profile saved for the device, and return where it was; None if there was none."""
    path = path_for(device)
    try:
        path.unlink()
    except FileNotFoundError:
        return None
    return path


def _saved(path: Path, device: cl.Device) -> Profile:
    content = _read(path)
    for name, wanted in identity(device).items():
        if content.get(name) != wanted:
            raise ValueError(f"it was made for {name} {content.get(name)!r}, here it is {wanted!r}")
    return _applied(content, device)


def _by_hand(path: Path, device: cl.Device) -> Profile:
    content, known = _read(path), identity(device)
    if any(content.get(name, known[name]) != known[name] for name in ("platform", "device")):
        return profile_for(device)  # it is another device's
    return _applied(content, device)


def _read(path: Path) -> Mapping[str, Any]:
    content = json.loads(path.read_text())
    if not isinstance(content, dict) or not isinstance(content.get("profile"), dict):
        raise ValueError('it has no "profile" with fields')
    return content


def _applied(content: Mapping[str, Any], device: cl.Device) -> Profile:
    """The default profile with the fields of a file. Raises ValueError for fields that there are not."""
    known = [field.name for field in fields(Profile)]
    for name in content["profile"]:
        if name not in known:
            raise ValueError(f"there is no field {name!r}; known are {', '.join(known)}")
    profile = replace(profile_for(device), **content["profile"])
    profile.check(device)
    return profile
