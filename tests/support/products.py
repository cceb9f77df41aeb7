"""Matrix products by the launcher of a device, on views of any strides, compared with NumPy's in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from needle.backend.opencl.kernels.matmul import matmul
from needle.backend.opencl.running.device import OpenCLDevice


@dataclass
class View:
    """A NumPy view's twin on a device."""

    buffer: Any
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    dtype: np.dtype

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))


def view(device: OpenCLDevice, array: np.ndarray) -> View:
    """`array` on the device with the very strides it has here: its whole base is uploaded."""
    base = array
    while isinstance(base.base, np.ndarray):
        base = base.base
    start = array.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    strides = tuple(s // array.itemsize for s in array.strides)
    return View(device.upload(np.ascontiguousarray(base)), array.shape, strides, start // array.itemsize, array.dtype)


def product(device: OpenCLDevice, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b on the device, at an offset into an output buffer whose other elements must stay as they are."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*batch, a.shape[-2], b.shape[-1])
    size, guard = int(np.prod(shape)), 7
    before = np.ones(size + 2 * guard, a.dtype)
    strides = tuple(s // a.itemsize for s in np.empty(shape, a.dtype).strides)
    out = View(device.upload(before), shape, strides, guard, a.dtype)
    matmul(device, [view(device, a), view(device, b)], [out])
    after = device.download(View(out.buffer, before.shape, (1,), 0, a.dtype))
    assert (after[:guard] == 1).all() and (after[guard + size :] == 1).all(), "wrote outside the output"
    return after[guard : guard + size].reshape(shape)


def check(device: OpenCLDevice, a: np.ndarray, b: np.ndarray) -> None:
    got = product(device, a, b)
    if a.dtype.kind == "f":
        wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
        # The error of a sum in any order is bounded by the sum of magnitudes.
        bound = np.finfo(a.dtype).eps * np.sqrt(a.shape[-1] + 1) * 4 * (abs(wide_a) @ abs(wide_b)) + 1e-30
        assert (abs(got - wide_a @ wide_b) <= bound).all()
    else:
        np.testing.assert_array_equal(got, a @ b)


def random(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    values = np.random.default_rng(sum(shape)).standard_normal(shape)
    return values.astype(dtype) if np.dtype(dtype).kind == "f" else (values * 40).astype(np.int64).astype(dtype)


def operand(rows: int, columns: int, transposed: bool, dtype: Any = np.float32) -> np.ndarray:
    return random(columns, rows, dtype=dtype).T if transposed else random(rows, columns, dtype=dtype)
