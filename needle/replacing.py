"""Replacing a file by a new one, whole or not at all."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path at which the block writes what replaces `target` at its end; after an error `target` is as it was.

    It lies in a hidden folder beside `target`, along with what a library writes before it renames it. A process that is
    killed leaves the folder, and the next that replaces `target` removes it. Folders of processes that are alive are
    locked; where there are no such locks (Windows, some network file systems), what was left stays.
    """
    folder, lock = _make_folder(target)
    try:
        _remove_left(target)
        new = folder / target.name
        new.touch()
        mode = new.stat().st_mode  # what the user's umask gives; who writes may make another file in its place
        yield new
        new.chmod(mode)
        with new.open("rb+") as file:
            os.fsync(file.fileno())
        new.replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)
    _sync_folder(target.parent)


def _make_folder(target: Path) -> tuple[Path, int | None]:
    """A new folder for what will replace `target`, and its lock."""
    while True:
        folder = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        folder.mkdir()
        lock = _lock(folder, wait=True)
        if folder.is_dir():
            return folder, lock
        if lock is not None:  # somebody has removed the folder before it was locked
            os.close(lock)


def _remove_left(target: Path) -> None:
    """Remove the folders that killed processes have left."""
    for folder in target.parent.glob(f".{glob.escape(target.name)}.{'[0-9a-f]' * 8}.tmp"):
        lock = _lock(folder, wait=False)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _lock(folder: Path, wait: bool) -> int | None:
    """A descriptor that locks a folder until it is closed, by the system if need be; None if that is not possible."""
    if sys.platform == "win32":
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _sync_folder(folder: Path) -> None:
    """Make a renaming in `folder` outlast a power cut, where the system offers it."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
