"""Devices of several drivers side by side, on platforms that stand for drivers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyopencl as cl
import pytest

import needle as ndl
from needle.__main__ import main
from needle.backend import registry
from needle.backend.numpy import NumpyBackend
from needle.backend.opencl import OpenCLBackend
from needle.backend.opencl import backend as discovery
from needle.backend.opencl.finding import drivers

POCL = "Portable Computing Language"


def processor(name: str, version: str, extensions: str = "") -> Any:
    return SimpleNamespace(
        name=name, vendor="Acme", driver_version=version, extensions=extensions, type=cl.device_type.CPU,
        available=True, compiler_available=True, global_mem_size=1 << 30,
    )  # fmt: skip


def platform(number: int, name: str, vendor: str, devices: Sequence[Any]) -> Any:
    return SimpleNamespace(
        int_ptr=number, name=name, vendor=vendor, version=f"OpenCL 3.0 {name}", get_devices=lambda: list(devices)
    )


PLATFORMS = [
    platform(1, POCL, "The pocl project", [processor("cpu-acme", "3.0-rc2", "cl_khr_fp64")]),
    platform(2, "Clover", "Mesa", []),
    platform(3, "Intel(R) OpenCL", "Intel(R) Corporation", [processor("Acme 9000", "2026.22", "cl_khr_fp64")]),
    platform(4, POCL, "The pocl project", [processor("cpu-acme", "3.1+debian", "cl_khr_fp64")]),
    platform(5, "rusticl", "Mesa/X.org", [processor("llvmpipe", "22.3.6")]),
]


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one `.icd` file of a machine whose loader finds PLATFORMS: its driver is not there."""
    file = tmp_path / "nvidia.icd"
    file.write_text("libnvidia-opencl-missing.so.1\n")
    monkeypatch.delenv("OCL_ICD_VENDORS", raising=False)
    monkeypatch.setattr(cl, "get_platforms", lambda: PLATFORMS)
    monkeypatch.setattr(drivers, "_entries", lambda: iter([file]))
    monkeypatch.setattr(drivers, "_is_interposed", lambda: False)
    monkeypatch.setattr(discovery.caches, "prepare", list)
    backends = {"opencl": OpenCLBackend(), "numpy": NumpyBackend()}
    monkeypatch.setattr(registry, "_backends", backends)
    return file


def test_all_that_there_is_stands_side_by_side(entry: Path) -> None:
    usable = {info.name: info.driver for info in ndl.devices() if info.problem is None and info.name != "numpy"}
    assert usable == {
        "pocl": f"{POCL}, 3.0-rc2",
        "intel": "Intel(R) OpenCL, 2026.22",
        "pocl:1": f"{POCL}, 3.1+debian",
        "rusticl": "rusticl, 22.3.6",
    }
    problems = {info.name: info.problem for info in ndl.devices() if info.problem is not None}
    assert problems.pop("clover") == "its platform has no devices"
    assert problems.pop("nvidia").startswith(f"{entry}: its library does not load: libnvidia-opencl-missing.so.1: ")
    assert not problems
    assert ndl.devices()[-1].name == "numpy"


def test_a_number_counts_devices_of_every_kind(entry: Path) -> None:
    backend = registry._load()["opencl"]
    names = [info.name for info in backend.discover()]
    assert [registry._resolve_index(f"opencl:{n}", "opencl", names) for n in range(4)] == names[:4]
    assert names[:4] == ["pocl", "intel", "pocl:1", "rusticl"]


def test_the_table_lists_them(entry: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("NEEDLE_DEVICE", "numpy")
    assert main([]) == 0
    rows = [line.removeprefix("*").split() for line in capsys.readouterr().out.splitlines()[1:]]
    named = {row[0]: " ".join(row) for row in rows if row}
    assert set(named) >= {"pocl", "pocl:1", "intel", "rusticl", "clover", "nvidia", "numpy"}
    assert named["pocl"].endswith(f"{POCL}, 3.0-rc2") and named["pocl:1"].endswith(f"{POCL}, 3.1+debian")
    reasons = [" ".join(row) for row in rows if row[:3] == ["cannot", "be", "used:"]]
    assert reasons[0] == "cannot be used: its platform has no devices"
    assert str(entry) in reasons[1] and len(reasons) == 2


def test_a_device_without_a_driver_is_refused_by_its_reason(entry: Path) -> None:
    for name, reason in (("clover", "its platform has no devices"), ("nvidia", "libnvidia-opencl-missing.so.1")):
        with pytest.raises(ndl.DeviceError, match=f"device '{name}' cannot be used: .*{reason}"):
            ndl.device(name)
