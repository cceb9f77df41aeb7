"""Caches of compiled kernels that are damaged, cannot be written, or are filled by two processes at once."""

from __future__ import annotations

import gc
import os
import random
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.processes import python, start

import needle as ndl

NAMES = [info.name for info in ndl.devices() if info.problem is None and info.name != "numpy"]

PROGRAM = """
import needle as ndl
x = ndl.asarray([1.0, 2.0, 4.0], device={name!r})
print((x.exp() * 2 - x).tolist(), (x * x).sum().item(), (x.reshape((3, 1)) @ x.reshape((1, 3)))[1].tolist())
print(ndl.softmax(x).sum().item())
"""

pytestmark = pytest.mark.skipif(not NAMES, reason="no OpenCL device")


def program(name: str) -> str:
    return PROGRAM.format(name=name)


def run(name: str, folder: Path) -> tuple[str, list[str]]:
    """What the program prints, and the warnings, with its caches in `folder`."""
    done = python(program(name), "-W", "always", POCL_CACHE_DIR=str(folder / "pocl"), XDG_CACHE_HOME=str(folder))
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout, [line for line in done.stderr.splitlines() if "RuntimeWarning" in line]


@pytest.fixture(scope="module", params=NAMES)
def cached(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, str]:
    """A device, a folder with its caches filled, and what the program prints."""
    folder = tmp_path_factory.mktemp("cache")
    printed, warned = run(request.param, folder)
    assert not warned
    assert run(request.param, folder) == (printed, [])
    return request.param, folder, printed


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


@pytest.mark.parametrize(
    "damage", [d if d in ("cut in half", "a byte inside") else pytest.param(d, marks=pytest.mark.slow) for d in DAMAGES]
)
@pytest.mark.parametrize("kind", [".so", ".bc", ".sqlite", "binary", "info"])
@pytest.mark.fault("damaged, cut or read-only cache")
def test_a_damaged_cache_is_built_anew(cached: tuple[str, Path, str], tmp_path: Path, kind: str, damage: str) -> None:
    name, filled, printed = cached
    folder = tmp_path / "cache"
    shutil.copytree(filled, folder, copy_function=shutil.copy2)
    files = [file for file in folder.rglob("*") if file.is_file() and file.name.endswith(kind)]
    if not files:
        pytest.skip(f"{name} keeps no such file")
    for file in files:
        file.write_bytes(DAMAGES[damage](file.read_bytes()))
    again, warned = run(name, folder)
    assert again == printed
    if kind != ".sqlite":
        assert len(warned) == 1 and "damaged programs, which will be compiled again" in warned[0]
    again, warned = run(name, folder)
    assert (again, warned) == (printed, [])


@pytest.mark.parametrize("damage", ["empty", "noise", "not a table"])
@pytest.mark.fault("damaged, cut or read-only cache")
def test_damaged_checksums_are_taken_anew(cached: tuple[str, Path, str], tmp_path: Path, damage: str) -> None:
    name, filled, printed = cached
    folder = tmp_path / "cache"
    shutil.copytree(filled, folder, copy_function=shutil.copy2)
    file = next((f for f in folder.rglob("needle-checksums.json") if f.read_text() != "{}"), None)
    if file is None:
        pytest.skip(f"{name} keeps no checksums")
    before = file.read_text()
    file.write_bytes(b"[1, 2]" if damage == "not a table" else DAMAGES[damage](file.read_bytes()))
    assert run(name, folder) == (printed, [])
    assert file.read_text() == before


@pytest.mark.fault("damaged, cut or read-only cache")
def test_a_folder_that_cannot_be_written_is_not_used(cached: tuple[str, Path, str], tmp_path: Path) -> None:
    name, _, printed = cached
    blocked = tmp_path / "file"
    blocked.touch()  # permissions would not stop root
    again, warned = run(name, blocked / "cache")
    assert again == printed
    assert warned and all("cannot be written; compiled kernels are kept for this process alone" in w for w in warned)
    assert blocked.read_bytes() == b""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.fault("damaged, cut or read-only cache")
def test_a_read_only_folder_is_not_used(cached: tuple[str, Path, str], tmp_path: Path) -> None:
    name, filled, printed = cached
    folder = tmp_path / "cache"
    shutil.copytree(filled, folder, copy_function=shutil.copy2)
    folders = [folder, *(p for p in folder.rglob("*") if p.is_dir())]
    for one in folders:
        one.chmod(0o555)
    try:
        again, warned = run(name, folder)
    finally:
        for one in folders:
            one.chmod(0o755)
    assert again == printed and warned


TOGETHER = """
import sys, needle, numpy
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("rounds", [1, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.fault("two cold starts at once")
def test_two_processes_start_cold_at_once(cached: tuple[str, Path, str], tmp_path: Path, rounds: int) -> None:
    name, _, printed = cached
    for number in range(rounds):
        folder = tmp_path / str(number)
        variables = {"POCL_CACHE_DIR": str(folder / "pocl"), "XDG_CACHE_HOME": str(folder)}
        pair = [start(TOGETHER + program(name), "-W", "error", **variables) for _ in range(2)]
        for process in pair:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for process in pair:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in pair:
            stdout, stderr = process.communicate(timeout=120)
            said = [line for line in stderr.splitlines() if not line.startswith("MESA: warning")]
            assert (process.returncode, stdout, said) == (0, printed, []), (number, process.returncode, stderr)
        assert run(name, folder) == (printed, [])  # and what they have left serves a third
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", NAMES)
def test_a_device_keeps_a_bounded_number_of_kernels(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it their programs are given back to the driver, and what is asked for again is built again."""
    from needle.backend.opencl import device, programs

    build, built = programs.build, []

    def watched(*arguments: Any) -> Any:
        program = build(*arguments)
        built.append(weakref.ref(program))
        return program

    monkeypatch.setattr(device, "KEPT_KERNELS", 6)
    monkeypatch.setattr(programs, "build", watched)
    x = ndl.asarray([1.0, 2.0, 4.0], device=name)
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
