"""When kernels are compiled, how many at once, and how they are compiled again."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.processes import python

import needle as ndl
from needle.backend.opencl.building import kernel as kernels
from needle.backend.opencl.building import programs
from needle.backend.opencl.building.group_index import GroupIndex
from needle.backend.opencl.running import device as devices
from needle.backend.opencl.running import memory
from needle.backend.opencl.running.device import OpenCLDevice

#: What is run under Oclgrind, too: functions that use every family of kernels.
WORK = runpy.run_path(str(Path(__file__).parents[1] / "oclgrind" / "workload.py"))["WORK"]


@pytest.fixture
def opencl(device: ndl.Device) -> Iterator[OpenCLDevice]:
    """An OpenCL device on which nothing waits."""
    if not isinstance(device, OpenCLDevice):
        pytest.skip("compiles nothing")
    device.synchronize()
    yield device
    device.synchronize()


@pytest.fixture
def built(opencl: OpenCLDevice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The sources of the programs that are built from now on, as if no process had built any before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(opencl._builder, "_index", GroupIndex("none"))
    sources: list[str] = []
    build = programs.build

    def watched(context: Any, source: str, optimised: bool = True) -> Any:
        sources.append(source)
        return build(context, source, optimised)

    monkeypatch.setattr(programs, "build", watched)
    return sources


def chains(x: Any, marks: range) -> list[Any]:
    """For each of `marks`, up to 255, an expression that no other test computes; of NumPy's arrays, its values."""
    results = []
    for mark in marks:
        y = x
        for bit in f"{mark:08b}":
            y = y * x + x if bit == "1" else y * x - x
        results.append(y)
    return results


def realized(x: ndl.Tensor, marks: range) -> list[ndl.Tensor]:
    """The expressions computed, each by a kernel of its own."""
    return [y.realize() for y in chains(x, marks)]


X = np.array([0.5, -1.0, 0.25, 1.0], np.float32)


def test_what_waits_is_compiled_together(opencl: OpenCLDevice, built: list[str]) -> None:
    x = ndl.asarray(X)
    results = realized(x, range(5, 10))
    total = sum(y.sum() for y in results)
    assert not built
    ndl.asarray([1.0]).realize()  # an upload needs no launch that waits
    assert not built
    assert total.item() == sum(y.sum() for y in chains(X, range(5, 10)))
    assert 1 <= len(built) <= 3
    for result, value in zip(results, chains(X, range(5, 10)), strict=True):
        np.testing.assert_array_equal(result.numpy(), value)


def test_waiting_launches_are_bounded(opencl: OpenCLDevice, built: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "MOST_UNCOMPILED", 3)
    results = realized(ndl.asarray(X), range(10, 15))
    assert built
    np.testing.assert_array_equal(results[-1].numpy(), chains(X, range(14, 15))[0])


def test_memory_that_waits_is_bounded(opencl: OpenCLDevice, built: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_MOST_GROWTH", 1 << 20)
    x = ndl.zeros(1 << 17).realize()
    ndl.synchronize()
    results = realized(x, range(15, 19))
    assert built
    assert results[-1].numpy().tolist() == [0] * (1 << 17)


@ndl.ops.elementwise(cl="x + no_such_name(x)", reference=lambda x: x, gradient=lambda g, y, x: g)
def wrong(x: ndl.Tensor) -> ndl.Tensor:
    """An operation whose kernel does not compile."""


del ndl.ops.registry["wrong"]  # other tests try each operation that is registered


def test_a_kernel_that_does_not_compile_harms_no_other(opencl: OpenCLDevice) -> None:
    x = ndl.asarray(X)
    before, bad = realized(x, range(19, 21)), wrong(x).realize()
    after, dependent = realized(x, range(21, 23)), (bad * 2).realize()
    with pytest.raises(ndl.KernelCompileError, match=r"cl/elementwise\.cl did not compile(?s:.)*no_such_name"):
        ndl.synchronize()
    for lost in (bad, dependent):
        with pytest.raises(ndl.DeviceError, match="never computed"):
            lost.numpy()
    for result, value in zip([*before, *after], chains(X, range(19, 23)), strict=True):
        np.testing.assert_array_equal(result.numpy(), value)
    with pytest.raises(ndl.KernelCompileError):  # again, with its own words
        wrong(x).numpy()


def compiled_for(opencl: OpenCLDevice, make: Callable[[], Any]) -> list[kernels.Kernel]:
    """The kernels that are new with what `make` computes."""
    known = set(opencl._kernels)
    make()
    return [kernel for key, kernel in opencl._kernels.items() if key not in known]


def test_a_large_launch_has_its_kernel_optimised(opencl: OpenCLDevice) -> None:
    x = ndl.asarray(X)
    (kernel,) = compiled_for(opencl, lambda: realized(x, range(23, 24)))
    if kernel.optimised:
        pytest.skip("this driver always optimises")
    small = realized(x, range(23, 24))[0].numpy()
    unoptimised = kernel.compiled
    large = realized(ndl.asarray(np.tile(X, 50_000)), range(23, 24))[0].numpy()
    assert kernel.optimised and kernel.compiled is not unoptimised
    np.testing.assert_array_equal(large, np.tile(small, 50_000))


def test_a_kernel_that_is_used_often_is_optimised(opencl: OpenCLDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "ENOUGH", 10 * X.size)
    x = ndl.asarray(X)
    (kernel,) = compiled_for(opencl, lambda: realized(x, range(24, 25)))
    if kernel.optimised:
        pytest.skip("this driver always optimises")
    results = [realized(x, range(24, 25))[0].numpy() for _ in range(12)]
    assert kernel.optimised
    assert all(np.array_equal(result, results[0]) for result in results)


def test_what_is_optimised_is_asked_for_by_a_known_value(opencl: OpenCLDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEEDLE_OPTIMISE", "yes")
    with pytest.raises(ndl.DeviceError, match=r"NEEDLE_OPTIMISE='yes' must be 0, .* or 1"):
        OpenCLDevice(opencl.info, opencl.cl_device)


@pytest.mark.slow
@pytest.mark.parametrize("work", WORK, ids=lambda work: work.__name__)
def test_results_do_not_depend_on_the_optimiser(
    opencl: OpenCLDevice, monkeypatch: pytest.MonkeyPatch, work: Callable[[], Iterator[ndl.Tensor]]
) -> None:
    results = []
    for chosen in ("0", "1"):
        monkeypatch.setenv("NEEDLE_OPTIMISE", chosen)
        with OpenCLDevice(opencl.info, opencl.cl_device):
            results.append([result.numpy() for result in work()])
    for number, (plain, optimised) in enumerate(zip(*results, strict=True)):
        np.testing.assert_array_equal(plain, optimised, err_msg=f"result {number} of {work.__name__}")


PROGRAM = """
import sys
from needle.backend.opencl.building import programs
from needle.backend.opencl.building.group_index import GroupIndex
build = programs.build
def watched(context, source, optimised=True):
    if "void nothing" not in source:
        print(hash_of(source))
    return build(context, source, optimised)
def hash_of(source):
    from hashlib import blake2b
    return blake2b(source.encode()).hexdigest()
programs.build = watched
import needle as ndl
x = ndl.asarray([0.5, 2.0])
parts = [(x * x + k).exp() * k if k % 2 else (x - k).sum() for k in {marks}]
more = [(x / 3).tanh().realize().sum() for _ in range({more})]
print("result", sum([part.realize().sum() for part in parts] + more).item())
"""


def run(device: ndl.Device, folder: Path, **options: Any) -> tuple[list[str], str]:
    """The programs that a process builds, and what it computes, with its caches in `folder`."""
    (folder / "pocl").mkdir(exist_ok=True)
    done = python(
        PROGRAM.format(**options), NEEDLE_DEVICE=device.name, POCL_CACHE_DIR=str(folder / "pocl"),
        XDG_CACHE_HOME=str(folder),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *sources, result = done.stdout.split("\n")[:-1]
    return sources, result


def test_a_later_process_builds_the_same_programs(opencl: OpenCLDevice, tmp_path: Path) -> None:
    """Also when its script has changed a little: so the driver finds them in its cache."""
    first, value = run(opencl, tmp_path, marks=[1, 2, 3], more=0)
    again, same = run(opencl, tmp_path, marks=[1, 2, 3], more=0)
    assert (set(again), same) == (set(first), value)
    changed, _ = run(opencl, tmp_path, marks=[2], more=1)
    assert len(set(changed) - set(first)) == 1  # that of the new expression
