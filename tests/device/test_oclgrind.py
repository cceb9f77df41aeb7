"""Every kernel under Oclgrind, which reports accesses out of bounds, uninitialised reads and data races."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import needle as ndl
from needle.backend.opencl.building import programs

HERE = Path(__file__).parents[1] / "oclgrind"
SIMULATOR = shutil.which("oclgrind")

if SIMULATOR is None and os.environ.get("NEEDLE_TEST_MISSING") == "error":
    raise pytest.UsageError("oclgrind is not installed")
pytestmark = pytest.mark.skipif(SIMULATOR is None, reason="oclgrind is not installed")

#: Kernels that the simulator stops at, of an instruction (freeze) that it does not know even unoptimized.
REFUSED = {"matmul_registers", "matmul_join"}

#: How a report begins.
REPORT = re.compile(r"^(?:Invalid|Uninitialized|Read-write|Write-write|OCLGRIND|Work-group div|Error).*", re.MULTILINE)


def run(log: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run Python under Oclgrind with all its checks: the process and the reports."""
    path = os.pathsep.join([str(Path(ndl.__file__).parents[1]), *sys.path])
    done = subprocess.run(
        # Unoptimized: the simulator stops at instructions that the optimizer introduces (freeze).
        [str(SIMULATOR), "--data-races", "--uninitialized", "--build-options", "-cl-opt-disable", "--log", str(log),
         sys.executable, "-W", "ignore", *arguments],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    return done, REPORT.findall(log.read_text(errors="replace")) if log.is_file() else []


@pytest.mark.parametrize(
    ("fault", "report"),
    [
        ("bounds", "Invalid write of size 4 at global memory"),
        ("uninitialized", "Uninitialized value"),
        ("race", "data race at local memory"),
        ("none", None),
    ],
)
def test_the_simulator_reports_planted_faults(
    tmp_path: Path, fault: str, report: str | None, record_property: Callable[[str, object], None]
) -> None:
    if report is not None:
        record_property("planted", fault)
    done, reports = run(tmp_path / "log", str(HERE / "faulty.py"), fault)
    assert done.returncode == 0, done.stderr
    if report is None:
        assert reports == []
    else:
        assert any(report in line for line in reports), (tmp_path / "log").read_text()[:2000]


def test_no_kernel_is_reported(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """The shapes of launches for GPUs and for CPUs, side by side."""
    with ThreadPoolExecutor() as pool:
        runs = {shape: pool.submit(run, tmp_path / shape, str(HERE / "workload.py"), shape) for shape in ("gpu", "cpu")}
    record_property("reports", sum(len(future.result()[1]) for future in runs.values()))
    launched: set[str] = set()
    for shape, future in runs.items():
        done, reports = future.result()
        log = (tmp_path / shape).read_text(errors="replace") if reports else ""
        assert reports == [], f"{len(reports)} reports; {log[:3000]}"
        assert done.returncode == 0, done.stderr[-3000:]
        launched |= set(done.stdout.splitlines()[-1].split())
    record_property("kernels", len(launched))
    written: set[str] = set()
    for file in programs.source_folder().glob("*.cl"):
        for declared in file.read_text().split("__kernel")[1:]:
            written |= set(re.findall(r"^void (\w+)\(", declared.split("{")[0], re.MULTILINE))
    assert launched == written - REFUSED
