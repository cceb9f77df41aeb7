"""Operations and kernels may use any built-in function of OpenCL C, and errors name the lines of the kernel's file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import needle as ndl
from needle.backend.opencl.building import builtins, programs
from needle.backend.opencl.running.device import OpenCLDevice
from needle.errors import KernelCompileError

HEADERS = ("builtins.h", "common.h")


@pytest.fixture
def opencl(device: ndl.Device) -> OpenCLDevice:
    if not isinstance(device, OpenCLDevice):
        pytest.skip("not OpenCL")
    return device


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in place of `cl/`."""
    for header in HEADERS:
        (tmp_path / header).write_text((programs.source_folder() / header).read_text())
    monkeypatch.setattr(programs, "source_folder", lambda: tmp_path)
    monkeypatch.setattr(builtins, "refused", [])
    yield tmp_path
    programs._with_includes.cache_clear()


def run(device: OpenCLDevice, folder: Path, statement: str) -> float:
    """x after `statement`, of a kernel that includes `cl/builtins.h`; x is 2 before."""
    (folder / "user.cl").write_text(
        '#include "builtins.h"\n\n__kernel __attribute__((reqd_work_group_size(1, 1, 1)))\n'
        f"void f(__global float *y) {{\n    float x = y[0];\n    {statement}\n    y[0] = x;\n}}\n"
    )
    programs._with_includes.cache_clear()
    x = ndl.asarray([2.0], device=device).realize().cached_data
    kernel = device.kernel("user.cl", "f", {"STATEMENT": len(statement)}, [None])
    device.compiled(kernel)
    device.launch(kernel, (1,), (1,), x.buffer)
    return float(device.download(x)[0])


@pytest.mark.parametrize(
    ("statement", "expected"),
    [("x = exp(x);", np.exp(2)), ("x = mix(x, 4.0f, 0.5f);", 3), ("x = mul24((int)x, 3);", 6),
     ("int4 v = (int4)(7, 1, 2, 3); x = convert_float4_rtz(v).x;", 7), ("x = select(1.0f, 5.0f, isfinite(x));", 5)],
)  # fmt: skip
def test_any_built_in_function(opencl: OpenCLDevice, folder: Path, statement: str, expected: float) -> None:
    assert run(opencl, folder, statement) == pytest.approx(expected, rel=1e-6)


def test_an_error_names_the_line(opencl: OpenCLDevice, folder: Path) -> None:
    with pytest.raises(KernelCompileError, match=r"cl/user\.cl:6\b(?s:.)*    6 \|     x = no_such_function\(x\);"):
        run(opencl, folder, "x = no_such_function(x);")
