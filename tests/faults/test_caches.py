"""Caches of compiled kernels that are damaged, cannot be written, or are filled by two processes at once."""

from __future__ import annotations

import gc
import random
import re
import shutil
import sqlite3
import subprocess
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from support.processes import bound_by_permissions, python, start

import needle as ndl

PROGRAM = """
import needle as ndl
x = ndl.asarray([1.0, 2.0, 4.0], device={name!r})
print((x.exp() * 2 - x).tolist(), (x * x).sum().item())
"""

LONGER = (
    PROGRAM
    + """
print((x.reshape((3, 1)) @ x.reshape((1, 3)))[1].tolist(), ndl.softmax(x).sum().item())
"""
)

ALONE = "cannot be written; compiled kernels are kept for this process alone"


def variables(folder: Path) -> dict[str, str]:
    """The environment variables under which all caches lie in `folder`."""
    return {"POCL_CACHE_DIR": str(folder / "pocl"), "XDG_CACHE_HOME": str(folder)}


def run(text: str, folder: Path, prefix: tuple[str, ...] = ()) -> tuple[str, list[str]]:
    """What a program prints, and the warnings, with its caches in `folder`."""
    done = python(text, "-W", "always", prefix=prefix, **variables(folder))
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout, re.findall(r".*(?:Runtime|User)Warning.*", done.stderr)


class Cached(NamedTuple):
    """A device's caches, filled by a program."""

    text: str
    printed: str
    folder: Path

    def copy(self, folder: Path) -> Path:
        return Path(shutil.copytree(self.folder, folder, copy_function=shutil.copy2))

    def run(self, folder: Path, prefix: tuple[str, ...] = ()) -> tuple[str, list[str]]:
        return run(self.text, folder, prefix)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Cached]:
    """The caches of a device, which are filled once."""

    @cache
    def fill(name: str) -> Cached:
        folder, text = tmp_path_factory.mktemp("cache"), PROGRAM.format(name=name)
        printed, warned = run(text, folder)
        assert not warned
        assert run(text, folder) == (printed, [])
        return Cached(text, printed, folder)

    return fill


@pytest.fixture
def cached(device: ndl.Device, filled: Callable[[str], Cached]) -> Cached:
    """The caches of each device in turn."""
    if device.name == "numpy":
        pytest.skip("numpy compiles nothing")
    return filled(device.name)


def program_folders(folder: Path) -> list[Path]:
    """The folders in which programs were compiled."""
    return [*folder.glob("pocl/*/*/"), *folder.glob("pyopencl/pyopencl-compiler-cache-*/*/")]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut in half": lambda data: data[: len(data) // 2],
    "cut by a byte": lambda data: data[:-1],
    "zeros": lambda data: bytes(len(data)),
    "noise": lambda data: random.Random(0).randbytes(len(data)),
    "a byte inside": lambda data: (
        data[: len(data) // 3] + bytes([data[len(data) // 3] ^ 0x55]) + data[len(data) // 3 + 1 :]
    ),
}


#: One damage for each kind of file in short: what it leaves whole, and what it does not.
SHORT = {
    ".so": "cut in half",
    ".bc": "a byte inside",
    ".sqlite": "cut in half",
    "binary": "a byte inside",
    "info": "cut in half",
}

#: What of a database is no longer one. A byte inside may lie where nothing is, or be found when it is read.
CERTAIN = ("cut in half", "zeros", "noise")


@pytest.mark.parametrize(
    ("kind", "damage"),
    [(k, d) if SHORT[k] == d else pytest.param(k, d, marks=pytest.mark.slow) for k in SHORT for d in DAMAGES],
)
@pytest.mark.fault("damaged, cut or read-only cache")
def test_a_damaged_cache_is_built_anew(cached: Cached, tmp_path: Path, kind: str, damage: str) -> None:
    folder = cached.copy(tmp_path / "cache")
    files = [file for file in folder.rglob("*") if file.is_file() and file.name.endswith(kind)]
    if not files:
        pytest.skip("the device keeps no such file")
    for file in files:
        file.write_bytes(DAMAGES[damage](file.read_bytes()))
    again, warned = cached.run(folder)
    assert again == cached.printed
    if kind != ".sqlite":
        assert len(warned) == 1 and "damaged programs, which will be compiled again" in warned[0]
    elif damage in CERTAIN:
        assert len(warned) == 1 and "was damaged and has been removed" in warned[0]
    assert cached.run(folder) == (cached.printed, [])


@pytest.mark.fault("damaged, cut or read-only cache")
def test_damaged_launchers_are_made_anew(cached: Cached, tmp_path: Path) -> None:
    """The database is sound, but what it holds cannot be unpickled."""
    folder = cached.copy(tmp_path / "cache")
    (file,) = folder.rglob("*.sqlite")
    with closing(sqlite3.connect(file)) as database, database:
        assert database.execute("UPDATE dict SET key_value = ?", (b"no pickle",)).rowcount > 0
    again, warned = cached.run(folder)
    assert again == cached.printed
    assert warned and all("were damaged and have been removed" in one for one in warned)
    assert cached.run(folder) == (cached.printed, [])


@pytest.mark.parametrize("damage", ["empty", "noise", "not a table"])
@pytest.mark.fault("damaged, cut or read-only cache")
def test_damaged_checksums_are_taken_anew(cached: Cached, tmp_path: Path, damage: str) -> None:
    folder = cached.copy(tmp_path / "cache")
    file = next((f for f in folder.rglob("needle-checksums.json") if f.read_text() != "{}"), None)
    if file is None:
        pytest.skip("the device keeps no checksums")
    before = file.read_text()
    file.write_bytes(b"[1, 2]" if damage == "not a table" else DAMAGES[damage](file.read_bytes()))
    assert cached.run(folder) == (cached.printed, [])
    assert file.read_text() == before


# -- places that cannot be written ------------------------------------------------------------------


@pytest.fixture
def bound() -> tuple[str, ...]:
    """What makes a program obey permissions."""
    prefix = bound_by_permissions()
    if prefix is None:
        pytest.skip("nothing here binds root to permissions")
    return prefix


@contextmanager
def read_only(*places: Path) -> Iterator[None]:
    modes = {place: place.stat().st_mode for place in places}
    for place, mode in modes.items():
        place.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for place, mode in modes.items():
            place.chmod(mode)


@pytest.mark.fault("damaged, cut or read-only cache")
def test_a_folder_that_cannot_be_made_is_not_used(cached: Cached, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    again, warned = cached.run(blocked / "cache")
    assert again == cached.printed
    assert warned and all(ALONE in one for one in warned)
    assert blocked.read_bytes() == b""


@pytest.mark.parametrize("warm", [False, True], ids=["empty", "filled"])
@pytest.mark.fault("damaged, cut or read-only cache")
def test_a_read_only_folder_is_not_used(cached: Cached, tmp_path: Path, bound: tuple[str, ...], warm: bool) -> None:
    folder = tmp_path / "cache"
    if warm:
        cached.copy(folder)
    else:
        folder.mkdir()
    with read_only(folder, *folder.rglob("*")):
        before = sorted(folder.rglob("*"))
        again, warned = cached.run(folder, bound)
        assert sorted(folder.rglob("*")) == before
    assert again == cached.printed
    assert warned and all(ALONE in one for one in warned)


@pytest.mark.parametrize("what", ["a folder of programs", "a program", "the launchers"])
@pytest.mark.fault("damaged, cut or read-only cache")
def test_a_part_that_cannot_be_written(cached: Cached, tmp_path: Path, bound: tuple[str, ...], what: str) -> None:
    """As where one process ran as root."""
    folder = cached.copy(tmp_path / "cache")
    if what == "the launchers":
        places = list(folder.rglob("*.sqlite"))
        with closing(sqlite3.connect(places[0])) as database, database:
            database.execute("DELETE FROM dict")
    else:
        places = [one.parent if what == "a folder of programs" else one for one in program_folders(folder)]
        for place in {*places}:
            shutil.rmtree(place)
            place.mkdir()
    with read_only(*places):
        again, warned = cached.run(folder, bound)
    assert again == cached.printed
    assert len(warned) == 1 and ALONE in warned[0]
    assert any(str(place) in warned[0] for place in places)


@pytest.mark.fault("damaged, cut or read-only cache")
def test_a_cache_that_fails_later_is_done_without(cached: Cached, tmp_path: Path) -> None:
    """PyOpenCL's folder of programs goes away while the process runs."""
    if not any(cached.folder.glob("pyopencl/*/*/")):
        pytest.skip("its driver keeps the programs")
    folder = tmp_path / "cache"
    obstacle = f"""
import needle, pathlib
needle.devices()
pathlib.Path({str(folder)!r}, "pyopencl").rmdir()
pathlib.Path({str(folder)!r}, "pyopencl").touch()
"""
    again, warned = run(obstacle + cached.text, folder)
    assert again == cached.printed
    assert warned and all("UserWarning: PyOpenCL compiler caching failed" in one for one in warned)


# -- several processes ------------------------------------------------------------------------------


@pytest.mark.fault("damaged, cut or read-only cache")
def test_a_writer_was_killed_a_moment_ago(cached: Cached, tmp_path: Path) -> None:
    """It has left half a program, and a lock for which PyOpenCL would wait a minute at each kernel."""
    folder = cached.copy(tmp_path / "cache")
    halves = list(folder.glob("pyopencl/*/*/info"))
    if not halves:
        pytest.skip("its driver keeps the programs")
    for half in halves:
        half.write_bytes(b"")
        (half.parents[1] / "lock").touch()
    again, warned = cached.run(folder)
    assert again == cached.printed
    assert len(warned) == 1 and "is locked by a process that writes or was killed; it is not used" in warned[0]
    assert all(half.exists() for half in halves)


TOGETHER = """
import sys, needle, numpy
print("ready", flush=True)
sys.stdin.readline()
"""


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


@pytest.mark.parametrize("rounds", [2, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.fault("two cold starts at once")
def test_two_processes_start_cold(cached: Cached, device: ndl.Device, tmp_path: Path, rounds: int) -> None:
    """At once, or one while the other compiles, ends, or has ended; what they leave serves a third."""
    rng = random.Random(0)
    printed: dict[bool, str] = {False: cached.printed}
    longest = 0.0
    for number in range(rounds):
        is_long, folder = number % 4 in (1, 2), tmp_path / str(number)
        program = (LONGER if is_long else PROGRAM).format(name=device.name)
        pair = [start(TOGETHER + program, "-W", "error", **variables(folder)) for _ in range(2)]
        for process in pair:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        begun = time.monotonic()
        go(pair[0])
        if number % 2:
            time.sleep(rng.uniform(0, longest))
        go(pair[1])
        for process in pair:
            stdout, stderr = process.communicate(timeout=120)
            said = [line for line in stderr.splitlines() if not line.startswith("MESA: warning")]
            expected = printed.setdefault(is_long, stdout)
            assert (process.returncode, stdout, said) == (0, expected, []), (number, process.returncode, stderr)
        longest = max(longest, time.monotonic() - begun)
        assert run(program, folder) == (expected, [])
        shutil.rmtree(folder)
    assert printed[True].startswith(cached.printed)


def test_a_device_keeps_a_bounded_number_of_kernels(device: ndl.Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it their programs are given back to the driver, and what is asked for again is built again."""
    if device.name == "numpy":
        pytest.skip("numpy compiles nothing")
    from needle.backend.opencl.building import programs
    from needle.backend.opencl.running import device as module

    build, built = programs.build, []

    def watched(*arguments: Any) -> Any:
        program = build(*arguments)
        built.append(weakref.ref(program))
        return program

    monkeypatch.setattr(module, "KEPT_KERNELS", 6)
    monkeypatch.setattr(programs, "build", watched)
    x = ndl.asarray([1.0, 2.0, 4.0])
    for _ in range(2):
        for terms in range(1, 9):
            y = x
            for _ in range(terms):
                y = y * x - 0.5
            expected = np.array([1.0, 2.0, 4.0])
            for _ in range(terms):
                expected = expected * [1, 2, 4] - 0.5
            assert (y.tolist(), y.sum().item()) == (expected.tolist(), expected.sum())
    gc.collect()
    assert len(built) > 12
    assert sum(program() is not None for program in built) <= 6
