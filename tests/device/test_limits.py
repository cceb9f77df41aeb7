"""The kernels within the limits of small devices, which a wrapper on PoCL reports, and refuses to exceed."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyopencl as cl
import pytest
from support.limited import LimitedDevice
from support.together import realize

import needle as ndl
from needle.backend.opencl.building import programs
from needle.backend.opencl.building.kernel import Kernel
from needle.backend.opencl.running.device import OpenCLDevice
from needle.backend.opencl.shapes.defaults import default_launch_shape
from needle.errors import KernelCompileError

WORK = runpy.run_path(str(Path(__file__).parents[1] / "oclgrind" / "workload.py"))["WORK"]

GPU = {"type": cl.device_type.GPU, "native_vector_width_float": 1}
LIMITS: dict[str, dict[str, Any]] = {
    "work-groups of 1": {**GPU, "max_work_group_size": 1, "local_mem_size": 32 << 10},
    "work-groups of 64, 16 KiB": {**GPU, "max_work_group_size": 64, "local_mem_size": 16 << 10},
    "work-groups of 100": {**GPU, "max_work_group_size": 100, "local_mem_size": 32 << 10},
    "work-groups of 256, 32 KiB": {**GPU, "max_work_group_size": 256, "local_mem_size": 32 << 10},
    "a CPU with 32 KiB": {"local_mem_size": 32 << 10, "native_vector_width_float": 4, "version": "OpenCL 1.2"},
    "a CPU without vectors": {"native_vector_width_float": 1, "max_work_group_size": 128, "local_mem_size": 32 << 10},
}


#: What each device runs in short: on each what its limits change, and all of them together every family several times.
SHORT = {
    "work-groups of 1": ("elementwise", "reductions", "gradients"),
    "work-groups of 64, 16 KiB": ("reductions", "scans", "training"),
    "work-groups of 100": ("elementwise", "reductions", "scans", "gradients"),
    "work-groups of 256, 32 KiB": ("training",),
    "a CPU with 32 KiB": ("scans", "gradients", "training"),
    "a CPU without vectors": ("elementwise", "reductions"),
}


@pytest.fixture(scope="module", params=LIMITS)
def limited(request: pytest.FixtureRequest) -> LimitedDevice:
    """A device with the limits of each entry of LIMITS."""
    if "pocl" not in [info.name for info in ndl.devices() if info.problem is None]:
        pytest.skip("the limits are put on PoCL")
    real = ndl.device("pocl")
    assert isinstance(real, OpenCLDevice)
    return LimitedDevice(real, LIMITS[request.param])


@pytest.mark.parametrize(
    ("limited", "work"),
    [
        pytest.param(name, work, marks=() if work.__name__ in SHORT[name] else pytest.mark.slow)
        for name in LIMITS for work in WORK
    ],
    indirect=["limited"], ids=lambda value: getattr(value, "__name__", value),
)  # fmt: skip
def test_every_family_within_limits(limited: LimitedDevice, work: Any) -> None:
    results = []
    for where in (limited, ndl.device("numpy")):
        with where:
            tensors = [*work()]
            realize(tensors)
            results.append([tensor.numpy() for tensor in tensors])
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


@pytest.mark.parametrize("extensions", ["", "cl_khr_fp64"])
@pytest.mark.parametrize("kibibytes", [4, 16, 32, 64])
@pytest.mark.parametrize("most", [1, 64, 100, 256, 1024])
def test_a_gpu_can_run_its_own_default_launch_shape(most: int, kibibytes: int, extensions: str) -> None:
    gpu: Any = SimpleNamespace(
        type=cl.device_type.GPU, max_compute_units=8, max_work_group_size=most, local_mem_size=kibibytes << 10,
        extensions=extensions, native_vector_width_float=1, vendor="somebody",
    )  # fmt: skip
    default_launch_shape(gpu).check(gpu)


@pytest.mark.parametrize("extensions", ["", "cl_khr_fp64"])
@pytest.mark.parametrize("kibibytes", [16, 32, 64, 192, 256, 512, 2048])
@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_a_cpu_can_run_its_own_default_launch_shape(lanes: int, kibibytes: int, extensions: str) -> None:
    cpu: Any = SimpleNamespace(
        type=cl.device_type.CPU, max_compute_units=8, max_work_group_size=4096, local_mem_size=kibibytes << 10,
        extensions=extensions, native_vector_width_float=lanes, version="OpenCL 1.2", name="cpu",
        global_mem_cache_size=1 << 20,
    )  # fmt: skip
    default_launch_shape(cpu).check(cpu)


# -- the wrapper can refuse -------------------------------------------------------------------------

#: The compiler's limits are the same in every entry.
SMALL = pytest.mark.parametrize("limited", ["work-groups of 64, 16 KiB"], indirect=True)


@pytest.fixture
def planted(limited: LimitedDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Kernel]:
    """Compiles a kernel with the given body as the library compiles those of `cl/`."""
    monkeypatch.setattr(programs, "source_folder", lambda: tmp_path)

    def compiled(body: str, **defines: str) -> Kernel:
        file = f"planted_{abs(hash(body))}.cl"
        head = "__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void f(__global int *x, __global float *y)"
        (tmp_path / file).write_text(f"{head}\n{{\n{body}\n}}\n")
        kernel = limited.kernel(file, "f", defines, (None, None))
        limited.compiled(kernel)
        return kernel

    return compiled


@SMALL
@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("double z = x[0]; x[1] = z > 0;", "double"),
        ("double2 z = (double2)(x[0], 1); x[1] = z.x > 0;", "double2"),
        ("T z = x[0]; x[1] = z > 0;", "double"),
        ("x[0] = as_double((long)x[1]) > 0;", "as_double"),
        ("x[0] = sizeof(half);", "half"),
        ("x[0] = get_sub_group_size();", "get_sub_group_size"),
        ("x[0] = sub_group_reduce_add(x[1]);", "sub_group_reduce_add"),
    ],
)
def test_what_is_optional_does_not_compile(planted: Callable[..., Kernel], body: str, word: str) -> None:
    with pytest.raises(KernelCompileError, match=rf"\b{word}_is_missing_here\b"):
        planted(body, T="double")


@SMALL
@pytest.mark.parametrize("macro", ["cl_khr_fp64", "cl_khr_fp16", "cl_khr_subgroups", "__opencl_c_fp64"])
def test_what_is_optional_may_stand_under_its_macro(planted: Callable[..., Kernel], macro: str) -> None:
    planted(f"#ifdef {macro}\ndouble z = sub_group_reduce_add(x[0]); x[1] = z > 0;\n#endif")
    with pytest.raises(KernelCompileError, match="double_is_missing_here"):
        planted(f"#ifndef {macro}\ndouble z = x[0]; x[1] = z > 0;\n#endif")


@SMALL
def test_storing_halves_is_there_on_every_device(planted: Callable[..., Kernel]) -> None:
    planted("int half_of = x[0] / 2; y[half_of] = vload_half(0, (__global const HALVES *)x);", HALVES="void")


@SMALL
@pytest.mark.parametrize("standard", ["CL2.0", "CL3.0", "CLC++"])
def test_a_newer_standard_is_refused(
    planted: Callable[..., Kernel], monkeypatch: pytest.MonkeyPatch, standard: str
) -> None:
    monkeypatch.setattr(programs, "_OPTIONS", (f"-cl-std={standard}",))
    with pytest.raises(AssertionError, match=r"newer than OpenCL C 1\.2"):
        planted(f"x[0] = 1; // {standard}")


@SMALL
def test_launches_beyond_the_limits_are_refused(limited: LimitedDevice, planted: Callable[..., Kernel]) -> None:
    operands = limited.empty(2, ndl.int32), limited.empty(2, ndl.float32)
    greedy = planted("__local int t[70000]; t[get_local_id(0)] = 1; x[0] = t[0];")
    with pytest.raises(AssertionError, match="bytes of local memory"):
        limited.launch(greedy, (1,), (1,), *operands)
    fine = planted("x[0] = 1;")
    with pytest.raises(AssertionError, match="work-groups of"):
        limited.launch(fine, (1,), (limited.limits.max_work_group_size + 1,), *operands)
    with pytest.raises(AssertionError, match="compiled for"):
        limited.launch(fine, (1,), (2,), *operands)
    limited.launch(fine, (3,), (1,), *operands)
    limited.synchronize()


@SMALL
def test_work_groups_that_are_not_whole_are_refused(limited: LimitedDevice, planted: Callable[..., Kernel]) -> None:
    """OpenCL 1.2 has no rest of a work-group at the end of a launch."""
    with pytest.raises(AssertionError, match="no whole number of work-groups"):
        limited._submission.add(planted("x[0] = 1;"), (3,), (2,), ())


@SMALL
def test_no_extension_that_is_missing_is_reported(limited: LimitedDevice) -> None:
    assert not {"cl_khr_fp64", "cl_khr_fp16", "cl_khr_subgroups"} & set(limited.limits.extensions.split())
