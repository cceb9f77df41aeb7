"""How many work-groups common operations launch on GPUs of 8, 60 and 132 compute units: enough to fill each.

Nothing is compiled and nothing runs: launches are counted, on a device with a GPU's launch shape.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import prod
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyopencl as cl
import pytest

import needle as ndl
from needle.backend.opencl.running.device import OpenCLDevice
from needle.backend.opencl.shapes.defaults import gpu_launch_shape

UNITS = (8, 60, 132)

#: Elements for each compute unit that are worth a work-group on each.
A_UNIT = 256


class Counted(OpenCLDevice):
    """A device that notes the kernels and work-groups of launches, and makes none."""

    noted: list[tuple[str, int, int]]

    def launch(self, kernel: Any, groups: Any, local: Any, *arguments: Any) -> None:
        self.noted.append((kernel.function_name, groups[0], local[0]))


@cache
def gpu_of(device: OpenCLDevice, units: int) -> Counted:
    counted = Counted(device.info, device.cl_device)
    described = SimpleNamespace(
        max_compute_units=units, max_work_group_size=1024, local_mem_size=48 << 10, extensions="cl_khr_fp64", vendor=""
    )
    counted.launch_shape = gpu_launch_shape(cast(cl.Device, described))
    return counted


def launches(device: ndl.Device, units: int, work: Callable[[], ndl.Tensor]) -> list[tuple[str, int, int]]:
    """The kernels that `work` launches, each with its work-groups and their work-items."""
    if device.name != "pocl":
        pytest.skip("what is counted depends on no driver")
    assert isinstance(device, OpenCLDevice)
    gpu = gpu_of(device, units)
    gpu.noted = []
    with gpu:
        work().realize()
    return gpu.noted


def array(*shape: int) -> ndl.Tensor:
    return ndl.asarray(np.empty(shape, np.float32))


def places(count: int) -> ndl.Tensor:
    return ndl.asarray(np.zeros(count, np.int32))


def over(function: Callable[..., ndl.Tensor], *shapes: tuple[int, ...]) -> tuple[Callable[[], ndl.Tensor], int]:
    """The work of `function` on arrays of these shapes, and its elements: those of the largest."""
    return lambda: function(*(array(*shape) for shape in shapes)), max(map(prod, shapes))


def add(x: ndl.Tensor, y: ndl.Tensor) -> ndl.Tensor:
    return x + y


#: Work by name, and its elements. What has fewer than `A_UNIT` for a compute unit may leave some idle.
WORK = {
    "add 64x1024": over(add, (64, 1024), (64, 1024)),
    "add 200x200": over(add, (200, 200), (200, 200)),
    "add 512x1024": over(add, (512, 1024), (512, 1024)),
    "add 1024x1024": over(add, (1024, 1024), (1024, 1024)),
    "add 8192x4096": over(add, (8192, 4096), (8192, 4096)),
    "add a row to 1000x1000": over(add, (1000, 1000), (1000,)),
    "add a column to 1000x1000": over(add, (1000, 1000), (1000, 1)),
    "add 3x5x7": over(add, (3, 5, 7), (3, 5, 7)),
    "add transposed 256x300": over(lambda x, y: x.T + y, (300, 256), (256, 300)),
    "add transposed 4096x1024": over(lambda x, y: x.T + y, (1024, 4096), (4096, 1024)),
    "every other of 1024x1024": over(lambda x: x[::2, ::2] * 3, (1024, 1024)),
    "gelu 4096x1024": over(ndl.gelu, (4096, 1024)),
    "sum 100x400": over(ndl.sum, (100, 400)),
    "sum 1024x1024": over(ndl.sum, (1024, 1024)),
    "sum 8192x4096": over(ndl.sum, (8192, 4096)),
    "sum rows 64x1024": over(lambda x: ndl.sum(x, axis=1), (64, 1024)),
    "sum rows 1024x1024": over(lambda x: ndl.sum(x, axis=1), (1024, 1024)),
    "sum rows 2x1000000": over(lambda x: ndl.sum(x, axis=1), (2, 1000000)),
    "max 1024x1024": over(ndl.max, (1024, 1024)),
    "argmax 1024x1024": over(ndl.argmax, (1024, 1024)),
    "sum columns 64x1024": over(lambda x: ndl.sum(x, axis=0), (64, 1024)),
    "sum columns 4096x10": over(lambda x: ndl.sum(x, axis=0), (4096, 10)),
    "sum columns 8192x4096": over(lambda x: ndl.sum(x, axis=0), (8192, 4096)),
    "sum of channels 32x64x56x56": over(lambda x: ndl.sum(x, axis=(0, 2, 3)), (32, 64, 56, 56)),
    "cumulative sum 1000000": over(lambda x: ndl.cumulative_sum(x, axis=0), (1000000,)),
    "softmax 1024x1024": over(lambda x: ndl.softmax(x, axis=1), (1024, 1024)),
    "softmax 16384x10": over(lambda x: ndl.softmax(x, axis=1), (16384, 10)),
    "softmax columns 64x512x1024": over(lambda x: ndl.softmax(x, axis=1), (64, 512, 1024)),
    "product 1024x1024x1024": over(ndl.matmul, (1024, 1024), (1024, 1024)),
    "product 64x8192x64": over(ndl.matmul, (64, 8192), (8192, 64)),
    "product with a vector 4096x1024": over(ndl.matmul, (4096, 1024), (1024, 1)),
    "take 4096 of 50000x512": (lambda: ndl.take(array(50000, 512), places(4096), axis=0), 4096 * 512),
    "take 64 of 50000x512": (lambda: ndl.take(array(50000, 512), places(64), axis=0), 64 * 512),
    "normal numbers 100000": (lambda: ndl.randn(100000), 100000),
    "sort 1000000": over(ndl.sort, (1000000,)),
}


@pytest.mark.parametrize("units", UNITS)
def test_no_unit_is_idle_where_there_is_enough_to_do(device: ndl.Device, units: int) -> None:
    table = {name: launches(device, units, work) for name, (work, _) in WORK.items()}
    idle = {
        name: launched for name, launched in table.items() if WORK[name][1] >= A_UNIT * units and launched[0][1] < units
    }
    assert not idle
    assert all(groups >= 1 for launched in table.values() for _, groups, _ in launched)


def test_a_work_item_does_no_more_than_pays(device: ndl.Device) -> None:
    """About four vectors of elementwise work, however large the device; more only where all groups are taken."""
    for units in UNITS:
        ((_, groups, local),) = launches(device, units, WORK["add 1024x1024"][0])
        assert groups == min(1024, 32 * units) and local == 256
    assert launches(device, 132, WORK["add 3x5x7"][0]) == [("elementwise", 1, 256)]


def test_a_sum_takes_no_more_than_two_launches(device: ndl.Device) -> None:
    for name in ("sum 1024x1024", "sum 8192x4096", "sum columns 8192x4096", "sum rows 2x1000000"):
        assert all(len(launches(device, units, WORK[name][0])) <= 2 for units in UNITS), name
