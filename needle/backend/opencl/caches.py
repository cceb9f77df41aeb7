"""Keeping damaged and unusable caches of compiled kernels away from those who trust them.

PoCL loads what lies in its cache folder unchecked: a file that was cut short kills the process, and the next one,
until somebody removes the file; a folder that cannot be written makes every compilation fail. PyOpenCL keeps the
programs of drivers that have no cache, and a database of launchers, and hands both on unchecked as well. So before
the drivers are loaded, `prepare` removes damaged files and, where a folder cannot be written, lets this process use
a temporary one.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import sqlite3
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs

from needle.backend.opencl.compiled import Store, is_whole_bitcode, is_whole_library, is_whole_pickle

#: Seconds after which PyOpenCL's lock has been left behind: PyOpenCL itself waits no longer for it.
_LOCK_PATIENCE = 60


@cache
def prepare() -> tuple[str, ...]:
    """Make the caches usable, once in a process and before the drivers are loaded.

    Returns what was wrong, in sentences: the caller knows whether it matters on this machine.
    """
    return (*_prepare_pyopencl(), *_prepare_pocl())


def _usable(folder: Path) -> bool:
    """Whether files can be made in `folder`, which is made if it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f"needle-{secrets.token_hex(8)}"
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError:
        return False
    return True


def _temporary() -> str:
    """A folder that lives as long as the process."""
    folder = tempfile.mkdtemp(prefix="needle-cache-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _prepare_programs(store: Store, owner: str, variable: str) -> Iterator[str]:
    """Remove the damaged programs of `store`; where they stay, `variable` names another folder from now on."""
    damaged = store.check()
    for program in damaged:
        shutil.rmtree(program, ignore_errors=True)
    if any(program.exists() for program in damaged):
        os.environ[variable] = _temporary()
        yield f"{owner}'s cache folder {store.folder} has damaged files that cannot be removed; it is not used"
    elif damaged:
        yield f"{owner}'s cache folder {store.folder} had {len(damaged)} damaged programs, which will be compiled again"
    atexit.register(store.check)  # so that what this process compiles is known from now on


# -- PyOpenCL's programs and launchers --------------------------------------------------------------


def _user_folder(name: str) -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return Path(home, name) if home else Path(platformdirs.user_cache_dir(name, name))


def _launcher_folder() -> Path:
    """Where PyOpenCL keeps the Python code that it has generated to launch kernels."""
    return _user_folder("pytools")


def _prepare_pyopencl() -> Iterator[str]:
    for folder in (_launcher_folder(), _user_folder("pyopencl")):
        if not _usable(folder):
            os.environ["XDG_CACHE_HOME"] = _temporary()
            yield f"the cache folder {folder} cannot be written; compiled kernels are kept for this process alone"
            return
    for file in _launcher_folder().glob("pdict-*-pyopencl-invoker-cache-*.sqlite"):
        if not _is_sound_database(file):
            file.unlink(missing_ok=True)
            yield f"{file} was damaged and has been removed"
    folder = _user_folder("pyopencl")
    for lock in folder.glob("*/lock"):
        with suppress(OSError):  # its owner may remove it at any time
            if time.time() - lock.stat().st_mtime > _LOCK_PATIENCE:
                lock.unlink()
    store = Store(folder, "pyopencl-compiler-cache-*/*/", {"binary": bool, "info": is_whole_pickle})
    yield from _prepare_programs(store, "PyOpenCL", "XDG_CACHE_HOME")


def _is_sound_database(file: Path) -> bool:
    try:
        with closing(sqlite3.connect(file, timeout=10)) as database:
            return bool(database.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.OperationalError:  # busy, say: whoever uses it will find out
        return True
    except sqlite3.DatabaseError:
        return False


def repairing_launchers(call: Callable[..., Any], *args: Any) -> Any:
    """`call(*args)`, which may read PyOpenCL's launchers, again without them if it fails."""
    try:
        return call(*args)
    except Exception as error:  # whatever unpickling makes of a damaged entry
        try:
            from pyopencl.invoker import invoker_cache

            invoker_cache.clear()
        except (ImportError, OSError, sqlite3.Error):
            raise error from None
        result = call(*args)
        warnings.warn(
            f"PyOpenCL's launchers in {_launcher_folder()} were damaged and have been removed: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
        return result


# -- PoCL's programs --------------------------------------------------------------------------------


def _pocl_folder() -> Path:
    named, home = os.environ.get("POCL_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME")
    if named:
        return Path(named)
    return Path(home or Path("~/.cache").expanduser(), "pocl", "kcache")


def _prepare_pocl() -> Iterator[str]:
    folder = _pocl_folder()
    if not _usable(folder):
        os.environ["POCL_CACHE_DIR"] = _temporary()
        yield f"PoCL's cache folder {folder} cannot be written; compiled kernels are kept for this process alone"
        return
    store = Store(folder, "*/*/", {".so": is_whole_library, ".bc": is_whole_bitcode})
    yield from _prepare_programs(store, "PoCL", "POCL_CACHE_DIR")
