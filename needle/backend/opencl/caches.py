"""Keeping damaged and unusable caches of compiled kernels away from those who trust them.

PoCL loads what lies in its cache folder unchecked: a file that was cut short kills the process, and the next one,
until somebody removes the file; a folder that cannot be written makes every compilation fail. PyOpenCL keeps a
database of launchers and does not survive it being damaged either. So before the drivers are loaded, `prepare`
removes damaged files and, where a folder cannot be written, lets this process use a temporary one.

Files of PoCL's are checked by their structure when they are first seen (ELF and LLVM bitcode tell their own
length), and from then on by a checksum, kept beside them, whenever their size or time has changed.
"""

from __future__ import annotations

import atexit
import json
import os
import secrets
import shutil
import sqlite3
import struct
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import platformdirs

_CHECKSUMS = "needle-checksums.json"

#: A file's size, time of writing and checksum.
Entry = tuple[int, int, str]


@cache
def prepare() -> tuple[str, ...]:
    """Make the caches usable, once in a process and before the drivers are loaded.

    Returns what was wrong, in sentences: the caller knows whether it matters on this machine.
    """
    return (*_prepare_launchers(), *_prepare_pocl())


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


# -- PyOpenCL's launchers ---------------------------------------------------------------------------


def _launcher_folder() -> Path:
    """Where PyOpenCL keeps the Python code that it has generated to launch kernels."""
    home = os.environ.get("XDG_CACHE_HOME")
    return Path(home, "pytools") if home else Path(platformdirs.user_cache_dir("pytools", "pytools"))


def _prepare_launchers() -> Iterator[str]:
    folder = _launcher_folder()
    if not _usable(folder):
        os.environ["XDG_CACHE_HOME"] = _temporary()
        yield f"the cache folder {folder} cannot be written; compiled kernels are kept for this process alone"
        return
    for file in folder.glob("pdict-*-pyopencl-invoker-cache-*.sqlite"):
        if not _is_sound_database(file):
            file.unlink(missing_ok=True)
            yield f"{file} was damaged and has been removed"


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
    damaged = _check(folder)
    for program in damaged:
        shutil.rmtree(program, ignore_errors=True)
    if any(program.exists() for program in damaged):
        os.environ["POCL_CACHE_DIR"] = _temporary()
        yield f"PoCL's cache folder {folder} has damaged files that cannot be removed; it is not used"
    elif damaged:
        yield f"PoCL's cache folder {folder} had {len(damaged)} damaged programs, which will be compiled again"
    atexit.register(_check, folder)  # so that what this process compiles is known from now on


def _check(folder: Path) -> list[Path]:
    """Compare the programs in `folder` with their checksums, and note those of new files; returns the damaged."""
    known, found = _read_checksums(folder), {}
    damaged = []
    for program in folder.glob("*/*/"):
        entries = {}
        for file in _binaries(program):
            name = file.path[len(str(folder)) + 1 :]
            entry = _entry(file, known.get(name))
            if entry is None:
                damaged.append(program)
                break
            entries[name] = entry
        else:
            found.update(entries)
    if found != known:
        with suppress(OSError):
            temporary = folder / f"{_CHECKSUMS}.{secrets.token_hex(4)}"
            temporary.write_text(json.dumps(found))
            temporary.replace(folder / _CHECKSUMS)
    return damaged


def _read_checksums(folder: Path) -> dict[str, Entry]:
    try:
        loaded = json.loads((folder / _CHECKSUMS).read_text())
        return {str(name): (int(size), int(time), str(digest)) for name, (size, time, digest) in loaded.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _binaries(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    """The files in `folder`, at any depth, that PoCL loads."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _binaries(entry.path)
            elif entry.name.endswith((".so", ".bc")):
                yield entry


def _entry(file: os.DirEntry[str], known: Entry | None) -> Entry | None:
    """What to note of a file; None if it is damaged."""
    try:
        status = file.stat()
        if known is not None and known[:2] == (status.st_size, status.st_mtime_ns):
            return known
        data = Path(file.path).read_bytes()
    except FileNotFoundError:  # another process has just removed it
        return known or (0, 0, "")
    except OSError:
        return None
    digest = blake2b(data, digest_size=16).hexdigest()
    if known is not None and known[2] != digest:
        return None
    sound = _is_whole_bitcode(data) if file.name.endswith(".bc") else _is_whole_library(data)
    return (status.st_size, status.st_mtime_ns, digest) if sound else None


def _is_whole_library(data: bytes) -> bool:
    """Whether an ELF file reaches to the end of its last part, the table of its sections."""
    if data[:4] != b"\x7fELF":
        return bool(data) and os.name != "posix"  # other systems have other formats
    wide, order = data[4:5] == b"\2", "<" if data[5:6] == b"\1" else ">"
    if len(data) < 64:
        return False
    (start,) = struct.unpack_from(f"{order}{'Q' if wide else 'I'}", data, 0x28 if wide else 0x20)
    size, count = struct.unpack_from(f"{order}HH", data, 0x3A if wide else 0x2E)
    return bool(start + size * count <= len(data))


def _is_whole_bitcode(data: bytes) -> bool:
    """Whether LLVM bitcode consists of whole blocks, each of which tells its length in words."""
    if data[:4] != b"BC\xc0\xde" or len(data) % 4:
        return data[:4] == b"\xde\xc0\x17\x0b"  # a wrapped file
    at = 4
    while at + 8 <= len(data):
        head, words = struct.unpack_from("<II", data, at)
        if head & 3 != 1:  # the abbreviation that opens a block
            return False
        at += 8 + 4 * words
    return at == len(data)
