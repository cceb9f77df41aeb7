"""The kernels within the limits of small devices, which a wrapper on PoCL reports, and refuses to exceed."""

from __future__ import annotations

import runpy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pyopencl as cl
import pytest

import needle as ndl
from needle.backend.opencl.device import OpenCLDevice
from needle.backend.opencl.profiles import profile_for

WORK = runpy.run_path(str(Path(__file__).parent / "oclgrind" / "workload.py"))["WORK"]

GPU = {"type": cl.device_type.GPU, "native_vector_width_float": 1}
LIMITS: dict[str, dict[str, Any]] = {
    "work-groups of 1": {**GPU, "max_work_group_size": 1, "local_mem_size": 32 << 10},
    "work-groups of 64, 16 KiB": {**GPU, "max_work_group_size": 64, "local_mem_size": 16 << 10},
    "work-groups of 100": {**GPU, "max_work_group_size": 100, "local_mem_size": 32 << 10},
    "work-groups of 256, 32 KiB": {**GPU, "max_work_group_size": 256, "local_mem_size": 32 << 10},
    "a CPU with 32 KiB": {"local_mem_size": 32 << 10, "native_vector_width_float": 4, "version": "OpenCL 1.2"},
    "a CPU without vectors": {"native_vector_width_float": 1, "max_work_group_size": 128, "local_mem_size": 32 << 10},
}


class Reported:
    """A device's properties, some of them replaced."""

    def __init__(self, real: cl.Device, limits: Mapping[str, Any]) -> None:
        self._real, self._limits = real, limits

    def __getattr__(self, name: str) -> Any:
        return self._limits[name] if name in self._limits else getattr(self._real, name)


class LimitedDevice(OpenCLDevice):
    """A device that has neither float64 nor float16 and refuses whatever exceeds its limits."""

    def __init__(self, real: OpenCLDevice, limits: Mapping[str, Any]) -> None:
        info = replace(real.info, name="limited", float64=False, float16=False)
        super().__init__(info, real.cl_device)
        self.real = real.cl_device
        self.limits = Reported(self.real, limits)
        self.profile = profile_for(self.limits)  # type: ignore[arg-type]
        self._memory.largest = self.limits.max_mem_alloc_size

    def kernel(self, file: str, name: str, defines: Mapping[str, str | int], arguments: Sequence[Any]) -> cl.Kernel:
        text = " ".join(str(value) for value in defines.values()).split()
        assert not {"double", "half"} & set(text), f"{file} is compiled for a dtype that the device lacks: {defines}"
        assert np.float64 not in [a and np.dtype(a).type for a in arguments]
        return super().kernel(file, name, defines, arguments)

    def launch(self, kernel: cl.Kernel, groups: Sequence[int], local: Sequence[int], *arguments: Any) -> None:
        assert prod(local) <= self.limits.max_work_group_size, f"{kernel.function_name}: work-groups of {local}"
        # A kernel whose registers allow fewer work-items than the device does is compiled to fit, if it says how many.
        stated = kernel.get_work_group_info(cl.kernel_work_group_info.COMPILE_WORK_GROUP_SIZE, self.real)
        assert list(stated) == [*local, 1, 1][:3], (
            f"{kernel.function_name}: work-groups of {local}, compiled for {stated}"
        )
        used = kernel.get_work_group_info(cl.kernel_work_group_info.LOCAL_MEM_SIZE, self.real)
        assert used <= self.limits.local_mem_size, f"{kernel.function_name}: {used} bytes of local memory"
        super().launch(kernel, groups, local, *arguments)


@pytest.fixture(scope="module", params=LIMITS)
def limited(request: pytest.FixtureRequest) -> LimitedDevice:
    """A device with the limits of each entry of LIMITS."""
    if "pocl" not in [info.name for info in ndl.devices() if info.problem is None]:
        pytest.skip("the limits are put on PoCL")
    real = ndl.device("pocl")
    assert isinstance(real, OpenCLDevice)
    return LimitedDevice(real, LIMITS[request.param])


@pytest.mark.parametrize("work", [w for w in WORK if w.__name__ != "half_storage"], ids=lambda w: w.__name__)
def test_every_family_within_limits(limited: LimitedDevice, work: Any) -> None:
    if work.__name__ == "elementwise" and limited.profile.local_size != 64:
        pytest.skip("they have no barriers and no local memory: one size of work-groups shows it")
    results = []
    for where in (limited, ndl.device("numpy")):
        with where:
            results.append([result.numpy() for result in work()])
    for actual, expected in zip(*results, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-5)
    assert limited.launches


def test_a_missing_dtype_is_named(limited: LimitedDevice) -> None:
    for dtype in ("float64", "float16"):
        with pytest.raises(ndl.DeviceError, match=f"limited does not support {dtype}; choose another dtype or device"):
            ndl.zeros(3, dtype=dtype, device=limited)


def test_a_tensor_larger_than_the_largest_allocation_is_refused_by_name(limited: LimitedDevice) -> None:
    before = limited._memory.largest
    limited._memory.largest = 1 << 20
    try:
        x = ndl.ones(1 << 18, device=limited)
        with pytest.raises(
            ndl.OutOfMemoryError, match=r"limited cannot provide 1048580 bytes: .* at most 1048576 at once"
        ):
            ndl.ones((1 << 18) + 1, device=limited).realize()
        wide = x.broadcast_to((4, 1 << 18)) * 2
        with pytest.raises(ndl.OutOfMemoryError, match="4194304 bytes"):
            wide.realize()
        assert wide.sum().item() == 1 << 21  # what fits is computed, also from what did not
    finally:
        limited._memory.largest = before


def test_the_wrapper_refuses(limited: LimitedDevice) -> None:
    source = (
        "__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void f(__global int *x) "
        "{ __local int t[70000]; t[get_local_id(0)] = 1; x[0] = t[0]; }"
    )
    kernel = cl.Program(limited.context, source).build().f
    with pytest.raises(AssertionError, match="bytes of local memory"):
        limited.launch(kernel, (1,), (1,), limited.empty(1, ndl.int32))
    with pytest.raises(AssertionError, match="work-groups of"):
        limited.launch(kernel, (1,), (limited.limits.max_work_group_size + 1,), limited.empty(1, ndl.int32))
    with pytest.raises(AssertionError, match="a dtype that the device lacks"):
        limited.kernel("index.cl", "gather", {"T": "double"}, ())
