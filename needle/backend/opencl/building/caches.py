"""Keeping damaged and unusable caches of compiled kernels away from those who trust them.

PoCL loads what lies in its cache folder unchecked: a file that was cut short kills the process, and the next one,
until somebody removes the file; a folder that cannot be written makes every compilation fail. PyOpenCL keeps the
programs of drivers that have no cache, and a database of launchers, and hands both on unchecked as well. So before
the drivers are loaded, `prepare` removes damaged files and, where a folder cannot be written, lets this process use
a temporary one.

Other processes may be writing at that moment. PoCL renames whole files to their names; PyOpenCL writes in place, under
a lock, so that its files are judged and removed under this lock alone.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import sqlite3
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs

from needle.backend.opencl.building.compiled import Store, is_whole_bitcode, is_whole_library, is_whole_pickle

#: Seconds to wait for PyOpenCL's lock, at the start and at the end of the process. It is held while one program is
#: read or written, which takes milliseconds: whoever holds it for seconds has been killed.
_PATIENCE, _PATIENCE_AT_EXIT = 5.0, 0.5


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


def _alone(place: Path) -> str:
    return f"the cache {place} cannot be written; compiled kernels are kept for this process alone"


def _prepare_programs(store: Store, owner: str, variable: str) -> Iterator[str]:
    """Remove the damaged programs of `store`; where it cannot be used, `variable` names another folder from now on."""
    found = store.check(_PATIENCE, remove=True)
    if found.closed or found.locked:
        os.environ[variable] = _temporary()
    if found.closed:
        yield f"{owner}: {_alone(found.closed[0])}"
    elif found.locked:
        yield f"{owner}'s cache folder {store.folder} is locked by a process that writes or was killed; it is not used"
    elif found.damaged:
        count = len(found.damaged)
        yield f"{owner}'s cache folder {store.folder} had {count} damaged programs, which will be compiled again"


def _note_at_exit(stores: Callable[[], list[Store]]) -> None:
    """Let what this process compiles be known from when it ends."""

    def note() -> None:
        for store in stores():
            store.check(_PATIENCE_AT_EXIT)

    atexit.register(note)


# -- PyOpenCL's programs and launchers --------------------------------------------------------------


def user_folder(name: str) -> Path:
    """Where the user's caches of the package `name` are."""
    home = os.environ.get("XDG_CACHE_HOME")
    return Path(home, name) if home else Path(platformdirs.user_cache_dir(name, name))


def _launcher_folder() -> Path:
    """Where PyOpenCL keeps the Python code that it has generated to launch kernels."""
    return user_folder("pytools")


def _databases() -> Iterator[Path]:
    return _launcher_folder().glob("pdict-*-pyopencl-invoker-cache-*.sqlite")


def _pyopencl_stores() -> list[Store]:
    """PyOpenCL's programs for this Python."""
    version = ".".join(map(str, sys.version_info))
    folders = user_folder("pyopencl").glob(f"pyopencl-compiler-cache-*-py{version}")
    return [Store(folder, 1, {"binary": bool, "info": is_whole_pickle}, folder / "lock") for folder in folders]


def _prepare_pyopencl() -> Iterator[str]:
    # What fails later (a disk fills up, say) is then a warning and a compilation; unset, PyOpenCL fails on it.
    os.environ.setdefault("PYOPENCL_CACHE_FAILURE_FATAL", "")
    closed = [folder for folder in (_launcher_folder(), user_folder("pyopencl")) if not _usable(folder)]
    closed += [file for file in _databases() if not os.access(file, os.R_OK | os.W_OK)]
    if closed:
        os.environ["XDG_CACHE_HOME"] = _temporary()
        yield f"PyOpenCL: {_alone(closed[0])}"
        return
    for file in _databases():
        if not _is_sound_database(file):
            file.unlink(missing_ok=True)
            yield f"{file} was damaged and has been removed"
    for store in _pyopencl_stores():
        yield from _prepare_programs(store, "PyOpenCL", "XDG_CACHE_HOME")
    _note_at_exit(_pyopencl_stores)


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


def _pocl_stores() -> list[Store]:
    return [Store(_pocl_folder(), 2, {".so": is_whole_library, ".bc": is_whole_bitcode})]


def _prepare_pocl() -> Iterator[str]:
    folder = _pocl_folder()
    if not _usable(folder):
        os.environ["POCL_CACHE_DIR"] = _temporary()
        yield f"PoCL: {_alone(folder)}"
        return
    for store in _pocl_stores():
        yield from _prepare_programs(store, "PoCL", "POCL_CACHE_DIR")
    _note_at_exit(_pocl_stores)
