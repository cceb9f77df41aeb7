"""What is judged in a folder of compiled programs, and when: not while another process writes there."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from needle.backend.opencl.building import caches, compiled
from needle.backend.opencl.building.compiled import Store, is_whole_library

PICKLE = b"\x80\x04N."


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a program that PyOpenCL has begun to write, which it does under a lock."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(caches.atexit, "register", lambda *_, **__: None)
    version = ".".join(map(str, sys.version_info))
    folder = tmp_path / "pyopencl" / f"pyopencl-compiler-cache-v2-py{version}" / "0123abcd"
    folder.mkdir(parents=True)
    for name in ("binary", "info"):
        (folder / name).touch()
    (folder.parent / "lock").touch()
    return folder


def test_a_program_that_is_being_written_is_waited_for(program: Path, tmp_path: Path) -> None:
    def write() -> None:
        time.sleep(1)
        (program / "binary").write_bytes(b"binary")
        (program / "info").write_bytes(PICKLE)
        (program.parent / "lock").unlink()

    writer = threading.Thread(target=write)
    writer.start()
    assert list(caches._prepare_pyopencl()) == []
    writer.join()
    assert (program / "binary").read_bytes() == b"binary" and (program / "info").read_bytes() == PICKLE
    assert not (program.parent / "lock").exists()
    assert os.environ["XDG_CACHE_HOME"] == str(tmp_path)


def test_a_folder_that_stays_locked_is_not_used(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its writer has been killed a moment ago, or is slow: which of them cannot be known."""
    monkeypatch.setattr(caches, "_PATIENCE", 0.1)
    (trouble,) = caches._prepare_pyopencl()
    assert f"{program.parent} is locked by a process that writes or was killed; it is not used" in trouble
    assert os.environ["XDG_CACHE_HOME"] != str(tmp_path)
    assert (program / "binary").exists() and (program.parent / "lock").exists()


def test_a_lock_that_was_left_behind_is_removed_with_what_it_protected(program: Path) -> None:
    os.utime(program.parent / "lock", (time.time() - 61,) * 2)
    (trouble,) = caches._prepare_pyopencl()
    assert "had 1 damaged programs, which will be compiled again" in trouble
    assert not (program.parent / "lock").exists() and not program.exists()


def test_nothing_is_noted_of_a_program_that_is_being_written(program: Path) -> None:
    """Half of it would look like damage when the other half is there."""
    (program / "binary").write_bytes(b"bin")
    (program / "info").write_bytes(PICKLE)
    (store,) = caches._pyopencl_stores()
    assert store.check(0).locked
    (program / "binary").write_bytes(b"binary")
    (program.parent / "lock").unlink()
    assert store.check(0).damaged == []


def test_a_lock_is_not_needed_for_what_is_known(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (program / "binary").write_bytes(b"binary")
    (program / "info").write_bytes(PICKLE)
    (program.parent / "lock").unlink()
    (store,) = caches._pyopencl_stores()
    assert store.check(0).damaged == []
    monkeypatch.setattr(compiled, "holding", lambda *_: pytest.fail("the lock is taken"))
    assert store.check(0).damaged == []


def test_listing_a_cache_of_many_programs_is_quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known files are not read again: their size and time tell that they are the same."""
    store = Store(tmp_path, 2, {".so": is_whole_library})
    library = b"\x7fELF\2\1" + bytes(34) + (64).to_bytes(8, "little") + bytes(16)
    for k in range(50):
        (tmp_path / "AB" / str(k)).mkdir(parents=True)
        (tmp_path / "AB" / str(k) / "kernel.so").write_bytes(library)
    assert store.check(0).damaged == []
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail(f"{self} is read"))
    assert store.check(0).damaged == []
    monkeypatch.undo()
    other = tmp_path / "AB" / "7" / "kernel.so"
    other.write_bytes(library[:-1] + b"x")
    os.utime(other, ns=(time.time_ns(), time.time_ns() + 10**9))
    assert store.check(0).damaged == [other.parent]
