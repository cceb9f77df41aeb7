"""Products on register tiles, which GPUs have: every form, every way of reading, slices of the depth, every dtype."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.products import check, operand, product, random

import needle as ndl

pytest.importorskip("pyopencl")

from needle.backend.opencl.kernels import matmul_registers
from needle.backend.opencl.kernels.matmul import Problem
from needle.backend.opencl.kernels.matmul_registers import FORMS, Form, choose
from needle.backend.opencl.running.device import OpenCLDevice
from needle.backend.opencl.shapes.launch_shape import LaunchShape
from needle.dtypes import float32, float64, int32

GPU = LaunchShape(
    vector_bytes=4, local_size=256, groups=64, wide_index=False, cores=2, matmul_sums=64, matmul_group=1
)  # fmt: skip

#: The form of the tests of views: small, and quick to compile.
SMALL = Form(8, 8, 4, 4, 8)


@pytest.fixture
def gpu(device: ndl.Device, monkeypatch: pytest.MonkeyPatch) -> OpenCLDevice:
    """The device with a GPU's launch shape; products take the small form, or those that a test sets."""
    if not isinstance(device, OpenCLDevice):
        pytest.skip("only OpenCL devices have a launch shape")
    if device.cl_device.max_work_group_size < 256:
        pytest.skip("the device's work-groups are smaller")
    opened = _OPENED.setdefault(device.name, OpenCLDevice(device.info, device.cl_device))
    opened.launch_shape = GPU
    monkeypatch.setattr(matmul_registers, "FORMS", (SMALL,))
    return opened


_OPENED: dict[str, OpenCLDevice] = {}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.height}x{form.width}")
def test_every_form(gpu: OpenCLDevice, monkeypatch: pytest.MonkeyPatch, form: Form) -> None:
    """Tiles that are whole, cut and smaller than one, by fours and one by one; sliced where there are few."""
    monkeypatch.setattr(matmul_registers, "FORMS", (form,))
    check(gpu, operand(136, 160, False), operand(160, 132, False))
    check(gpu, operand(33, 147, True), operand(147, 65, True))
    gpu.launch_shape = replace(GPU, cores=64)
    check(gpu, operand(136, 320, False), operand(320, 132, False))


@pytest.mark.parametrize("cores", [1, 64], ids=["whole", "sliced"])
def test_views(gpu: OpenCLDevice, cores: int) -> None:
    """Steps, negative strides, zero strides and offsets on either operand; what lies beside a view is not read."""
    gpu.launch_shape = replace(GPU, cores=cores)
    a, b = np.full((150, 300), np.nan, np.float32), np.full((300, 150), np.nan, np.float32)
    a[4:144, 8:292], b[8:292, 4:72] = random(140, 284), random(284, 68)
    inner_a, inner_b = a[4:144, 8:292], b[8:292, 4:72]
    check(gpu, inner_a, inner_b)
    check(gpu, a[4:41, 9:292], b[9:292, 4:71])
    check(gpu, inner_a[::2, ::-1], inner_b[::-1, ::3])
    check(gpu, inner_b.T[:, :100], inner_a.T[:100])
    check(gpu, np.broadcast_to(inner_a[:1], (40, 284)), inner_b)
    check(gpu, np.broadcast_to(inner_a[:, :1], (140, 284)), inner_b)


def test_batches_and_nothing(gpu: OpenCLDevice) -> None:
    b = random(5, 20, 36)
    check(gpu, random(5, 24, 20), b)
    check(gpu, random(24, 20), b)
    check(gpu, random(2, 20, 5, 24).transpose(0, 2, 3, 1), b)
    check(gpu, random(5, 24, 20)[::-1], np.broadcast_to(b[:1], b.shape))
    for rows, depth, columns in ((3, 0, 4), (3, 0, 5), (0, 3, 4), (3, 4, 0)):
        check(gpu, random(rows, depth), random(depth, columns))


def test_nan_and_infinity(gpu: OpenCLDevice) -> None:
    a, b = operand(37, 147, False), operand(147, 65, False)
    a[-1, -1], a[0, 3], b[2, -1], b[5, 0], a[:, 5] = np.nan, np.inf, -np.inf, np.inf, 0
    with np.errstate(invalid="ignore"):
        want = a.astype(np.float64) @ b.astype(np.float64)
    np.testing.assert_allclose(product(gpu, a, b), want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("cores", [1, 64], ids=["whole", "sliced"])
@pytest.mark.parametrize("dtype", ["bool", "int8", "int16", "uint32", "int64", "float64", "float16"])
def test_dtypes(gpu: OpenCLDevice, dtype: str, cores: int) -> None:
    """Integers wrap as in NumPy, bools are any(a and b), halves are summed in floats."""
    if dtype == "float64" and not gpu.supports(np.dtype(dtype)):
        pytest.skip(f"no {dtype} on this device")
    gpu.launch_shape = replace(GPU, cores=cores)
    a, b = operand(36, 132, False, dtype), operand(132, 68, False, dtype)
    if dtype == "bool":
        a, b = a & (random(36, 132) > 0.8), b & (random(132, 68) > 0.8)
    check(gpu, a, b)


def problem(rows: int, depth: int, columns: int, batches: int = 1, **strides: int) -> Problem:
    sizes = {"a_row": depth, "a_depth": 1, "b_depth": columns, "b_column": 1} | strides
    return Problem(
        0, 0, 0, rows, columns, depth, sizes["a_row"], sizes["a_depth"], sizes["b_depth"], sizes["b_column"],
        batches, 1, rows * depth, 0, depth * columns, 0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sizes", "units", "tile", "slices"),
    [
        ((4096, 4096, 4096), 132, (128, 128), 1), ((1024, 1024, 1024), 8, (128, 128), 1),
        ((1024, 1024, 1024), 132, (128, 128), 3), ((512, 512, 512), 132, (128, 128), 11),
        ((64, 8192, 64), 132, (64, 64), 171), ((16, 4096, 4096), 60, (16, 128), 8),
        ((8192, 4096, 16), 132, (128, 32), 5), ((8, 8, 8), 60, (64, 64), 1),
    ],
)  # fmt: skip
def test_the_choice_of_a_tile(sizes: tuple[int, int, int], units: int, tile: tuple[int, int], slices: int) -> None:
    """Large tiles where they fill the device, smaller ones and slices of the depth where they do not."""
    chosen = choose(problem(*sizes), float32, replace(GPU, cores=units, local_size=256))
    assert chosen is not None
    assert (chosen.form.height, chosen.form.width, chosen.slices) == (*tile, slices)


def test_what_a_work_item_holds() -> None:
    """Work-groups no larger than the launch shape's, and sums no more than the registers hold."""
    p: Any = problem(1024, 1024, 1024)
    for size in (64, 128, 256):
        found = choose(p, float32, replace(GPU, local_size=size))
        assert found is not None and found.form.items <= size and found.form.sums == 64
    for held in (16, 32):
        found = choose(p, float32, replace(GPU, matmul_sums=held))
        assert found is not None and found.form.sums <= held
    for dtype in (float64, int32):
        found = choose(p, dtype, GPU)
        assert found is not None and found.form.sums == 16
    assert choose(p, float32, replace(GPU, matmul_sums=0)) is None
    assert choose(p, float32, replace(GPU, local_size=1)) is None
    assert choose(problem(64, 64, 64, a_row=1 << 26), float32, GPU) is None  # too far for an int
