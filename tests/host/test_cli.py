"""`python -m needle` as a user calls it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import needle as ndl
from needle.__main__ import table
from needle.dtypes import ALL, REQUIRED


def needle(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "needle", *arguments]
    kept = {name: value for name, value in os.environ.items() if name != "NEEDLE_DEVICE"}
    return subprocess.run(command, capture_output=True, text=True, env={**kept, **environment}, check=False)


@pytest.fixture(scope="module")
def listing() -> subprocess.CompletedProcess[str]:
    return needle()


def test_every_device_has_a_row(listing: subprocess.CompletedProcess[str]):
    assert (listing.returncode, listing.stderr) == (0, "")
    headings, *rows = listing.stdout.split("\n\n")[0].splitlines()
    assert headings.split() == ["NAME", "TYPE", "MEMORY", "FP64", "FP16", "DEVICE", "VENDOR", "DRIVER"]
    names = [row.split()[1 if row.startswith("*") else 0] for row in rows if "cannot be used" not in row]
    assert names == [info.name for info in ndl.devices()]
    assert sum(row.startswith("*") for row in rows) == 1


def test_the_devices_under_test_are_usable_in_one_process(
    devices: tuple[str, ...], listing: subprocess.CompletedProcess[str]
):
    rows = listing.stdout.split("\n\n")[0].splitlines()[1:]
    usable = [
        row.removeprefix("*").split()[0]
        for row, below in zip(rows, [*rows[1:], ""], strict=True)
        if "cannot be used" not in row and "cannot be used" not in below
    ]
    assert set(devices) <= set(usable)


def test_the_default_device_is_marked():
    result = needle(NEEDLE_DEVICE="numpy")
    (marked,) = [line for line in result.stdout.splitlines() if line.startswith("*  ")]
    assert marked.split()[1:3] == ["numpy", "host"]


def test_a_default_device_that_there_is_not():
    result = needle(NEEDLE_DEVICE="nowhere")
    assert result.returncode == 1
    assert "no default device: NEEDLE_DEVICE=nowhere: there is no device 'nowhere'" in result.stderr
    assert "numpy" in result.stdout


def test_version():
    result = needle("--version")
    assert (result.returncode, result.stdout) == (0, f"needle {ndl.__version__}\n")


@pytest.mark.parametrize("argument", ["--verison", "devices"])
def test_mistyped_arguments(argument: str):
    result = needle(argument)
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.startswith("usage: python -m needle") and argument in result.stderr


def test_the_table():
    devices = [
        ndl.DeviceInfo("acme", "Acme 9000", "Acme", "Acme CL, 1.0", "gpu", 8 * 2**30, REQUIRED | {ndl.float64}),
        ndl.DeviceInfo("acme:1", "no device", "", "Acme CL, 0.9", "other", 0, problem="its driver is too old"),
        ndl.DeviceInfo("numpy", "x86_64", "NumPy", "2.0", "host", 0, frozenset(ALL)),
    ]
    assert table(devices, "acme").splitlines() == [
        "   NAME    TYPE   MEMORY   FP64  FP16  DEVICE     VENDOR  DRIVER",
        "*  acme    gpu    8.0 GiB  yes   no    Acme 9000  Acme    Acme CL, 1.0",
        "   acme:1  other  -        -     -     no device  -       Acme CL, 0.9",
        "     cannot be used: its driver is too old",
        "   numpy   host   -        yes   yes   x86_64     NumPy   2.0",
    ]
