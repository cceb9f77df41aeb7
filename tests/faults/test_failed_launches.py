"""Launches that the driver refuses: what is tried again, what is lost, and what says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle import nn, optim
from needle.backend import registry
from needle.backend.opencl.building import programs

cl = pytest.importorskip("pyopencl")

NO_MEMORY = ["MEM_OBJECT_ALLOCATION_FAILURE", "OUT_OF_HOST_MEMORY", "OUT_OF_RESOURCES"]


@pytest.fixture(params=[0, 16], ids=["at once", "held"])
def opencl(device: ndl.Device, request: pytest.FixtureRequest) -> Iterator[ndl.Device]:
    """An OpenCL device that enqueues launches at once, or holds small ones until there are several."""
    if device.name == "numpy":
        pytest.skip("NumPy has no driver")
    for other in tuple(registry._opened):  # a launch that waits there would be refused as well
        other.synchronize()
    launch_shape = device.launch_shape
    device.launch_shape = replace(launch_shape, held_launches=request.param)
    device.compiles_together = request.param > 0
    yield device
    device.compiles_together = True
    device.launch_shape = launch_shape


@pytest.fixture
def held(opencl: ndl.Device) -> ndl.Device:
    """An OpenCL device that holds small launches."""
    if not opencl.launch_shape.held_launches:
        pytest.skip("nothing is held here")
    return opencl


def driver_error(status: str) -> Exception:
    """What PyOpenCL raises when enqueuing a kernel gives `status`."""
    code = getattr(cl.status_code, status)
    kind = {-4: cl.MemoryError, -5: cl.RuntimeError, -6: cl.RuntimeError}.get(code, cl.LogicError)
    return kind(cl._cl._ErrorRecord("clEnqueueNDRangeKernel", code, ""))


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the driver refuse the next launches, so many, or copies, for the reason `status`."""

    def refuse(status: str, times: int, function: str = "enqueue_nd_range_kernel") -> None:
        monkeypatch.undo()
        act, left = getattr(cl, function), [times]

        def act_or_refuse(*args: object, **options: object) -> object:
            if left[0]:
                left[0] -= 1
                raise driver_error(status)
            return act(*args, **options)

        monkeypatch.setattr(cl, function, act_or_refuse)

    return refuse


def compute(*tensors: ndl.Tensor) -> None:
    for x in tensors:
        x.realize()
    ndl.synchronize()


# -- memory -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("profiled", [False, True])
@pytest.mark.parametrize("status", NO_MEMORY[:2])
@pytest.mark.fault("out of device memory")
def test_memory_that_only_a_launch_finds_missing(
    opencl: ndl.Device, refuse: Callable[..., None], status: str, profiled: bool
) -> None:
    """NVIDIA's driver takes the memory at the first launch that uses it."""
    x = ndl.asarray([1.0, 2.0])
    y, z = x * 2, x * 3
    refuse(status, 2)
    with ndl.profile() if profiled else nullcontext():
        with pytest.raises(ndl.OutOfMemoryError, match="cannot provide the memory of a kernel's operands") as caught:
            compute(y, z)  # it is tried twice
        assert status in str(caught.value.__cause__)
        assert y.tolist() == [2, 4] and z.tolist() == [3, 6]
        refuse(status, 1)
        assert (x * 4).tolist() == [4, 8]


@pytest.mark.fault("out of device memory")
def test_resources_that_may_be_memory(opencl: ndl.Device, refuse: Callable[..., None]) -> None:
    """It is tried twice; a kernel that needs too much would fail for ever, and block what comes after it."""
    x = ndl.asarray([1.0, 2.0])
    refuse("OUT_OF_RESOURCES", 1)
    assert (x * 2).tolist() == [2, 4]
    y, z = x * 3, x * 4
    refuse("OUT_OF_RESOURCES", 2)
    with pytest.raises(ndl.OutOfMemoryError, match="registers or local memory") as caught:
        compute(y, z)
    assert "OUT_OF_RESOURCES" in str(caught.value.__cause__)
    assert z.tolist() == [4, 8]
    if opencl.launch_shape.held_launches:
        with pytest.raises(ndl.DeviceError, match=r"never computed.*OUT_OF_RESOURCES"):
            y.tolist()
    else:
        assert y.tolist() == [3, 6]


@pytest.mark.parametrize("status", NO_MEMORY)
@pytest.mark.fault("out of device memory")
def test_memory_that_only_a_transfer_finds_missing(
    opencl: ndl.Device, refuse: Callable[..., None], status: str
) -> None:
    refuse(status, 2, "enqueue_copy")
    with pytest.raises(ndl.OutOfMemoryError, match="cannot provide the memory of a transfer"):
        ndl.asarray([1.0, 2.0])  # it is tried twice
    refuse(status, 1, "enqueue_copy")
    assert ndl.asarray([1.0, 2.0]).tolist() == [1, 2]


@pytest.mark.fault("launch that the driver refuses")
def test_a_change_in_place_that_was_refused_is_not_made_later(opencl: ndl.Device, refuse: Callable[..., None]) -> None:
    p = ndl.Tensor(np.zeros(1 << 20, np.float32))  # large enough to be enqueued at once
    p.grad = ndl.ones(p.shape).realize()
    optimizer = optim.SGD([p], 0.5)
    ndl.synchronize()
    refuse("MEM_OBJECT_ALLOCATION_FAILURE", 2)
    with pytest.raises(ndl.OutOfMemoryError):
        optimizer.step()
    ndl.synchronize()
    assert p[0].item() == 0
    optimizer.step()
    assert p[0].item() == -0.5


# -- other failures ---------------------------------------------------------------------------------


@pytest.mark.fault("launch that the driver refuses")
def test_a_launch_that_fails_harms_no_other(opencl: ndl.Device, refuse: Callable[..., None]) -> None:
    x = ndl.asarray([1.0, 2.0])
    ndl.synchronize(opencl)
    y, z = x * 2, x * 3
    refuse("INVALID_VALUE", 1)
    with pytest.raises(cl.LogicError):
        compute(y, z)
    assert z.tolist() == [3, 6] and x.tolist() == [1, 2]
    if not opencl.launch_shape.held_launches:  # y knows of it and is still to be computed
        assert y.tolist() == [2, 4]


@pytest.mark.fault("launch that the driver refuses")
def test_what_a_failed_launch_should_have_written_cannot_be_read(held: ndl.Device, refuse: Callable[..., None]) -> None:
    x = ndl.asarray([1.0, 2.0])
    y = (x * 2).realize()
    refuse("INVALID_VALUE", 1)
    with pytest.raises(cl.LogicError):
        ndl.synchronize()
    for _ in range(2):
        check_lost(y)
    del y
    assert (x * 2).tolist() == [2, 4]  # most likely in the memory that y had


def check_lost(y: ndl.Tensor) -> None:
    """Whoever reads `y` is told that it was lost, and why."""
    z = ndl.zeros(y.shape).realize()
    for read in (y.numpy, lambda: (y + 1).numpy(), y.sum, lambda: y[0].item(), lambda: z.__setitem__(..., y)):
        with pytest.raises(ndl.DeviceError, match=r"never computed.*'elementwise'.*INVALID_VALUE"):
            read()
    assert z.tolist() == [0] * z.size


@pytest.mark.fault("launch that the driver refuses")
def test_what_depends_on_a_failed_launch_is_lost_with_it(held: ndl.Device, refuse: Callable[..., None]) -> None:
    x = ndl.asarray([1.0, 2.0])
    y = (x * 2).realize()
    w = (y + 1).realize()
    v = w.sum()
    z = (x + 1).realize()
    refuse("INVALID_VALUE", 1)
    with pytest.raises(cl.LogicError):
        ndl.synchronize()
    for lost in (y, w, v):
        with pytest.raises(ndl.DeviceError, match="never computed"):
            lost.numpy()
    assert z.tolist() == [2, 3]


@pytest.mark.fault("launch that the driver refuses")
def test_a_change_in_place_that_fails_later_is_not_taken_as_made(held: ndl.Device, refuse: Callable[..., None]) -> None:
    x, y = ndl.asarray([1.0, 2.0]), ndl.asarray([3.0, 4.0])
    x[...] = y
    refuse("INVALID_VALUE", 1)
    with pytest.raises(cl.LogicError):
        ndl.synchronize()
    with pytest.raises(ndl.DeviceError, match="never computed"):
        x.numpy()
    assert y.tolist() == [3, 4]


@pytest.mark.fault("launch that the driver refuses")
def test_the_launch_that_meets_the_failure_of_another_is_not_made(
    held: ndl.Device, refuse: Callable[..., None]
) -> None:
    x, total = ndl.asarray([1.0, 2.0]), ndl.zeros(1 << 20).realize()
    total[...] = total + 1
    assert total[0].item() == 1  # its kernel is compiled: the launch below need not wait for that
    y = (x * 2).realize()
    refuse("INVALID_VALUE", 1)
    with pytest.raises(cl.LogicError):
        total[...] = total + 1  # large: it takes the one that waits along
    assert total[0].item() == 1
    with pytest.raises(ndl.DeviceError, match="never computed"):
        y.numpy()


@pytest.mark.fault("launch that the driver refuses")
def test_a_failure_at_a_mark_drops_no_launch_that_waits(held: ndl.Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a mark the host waits for an earlier launch, which may turn out to have failed."""
    throttle = held._submission._throttle

    def mark(event: object) -> None:
        monkeypatch.undo()
        raise driver_error("OUT_OF_RESOURCES")

    x = ndl.asarray([1.0, 2.0])
    compute(x)
    y, z = (x * 2).realize(), (x * 3).realize()
    monkeypatch.setattr(throttle, "mark", mark)
    monkeypatch.setattr(throttle, "left", 0)
    with pytest.raises(cl.RuntimeError):
        ndl.synchronize()
    assert y.tolist() == [2, 4] and z.tolist() == [3, 6]


@pytest.mark.fault("launch that the driver refuses")
def test_products_that_fail_leave_their_operands(held: ndl.Device, refuse: Callable[..., None]) -> None:
    a = ndl.asarray(np.eye(2, dtype=np.float32))
    b = ndl.asarray(np.full((2, 2), 3, np.float32))
    ndl.synchronize()
    c = a @ b
    refuse("INVALID_VALUE", 1)
    with pytest.raises(cl.LogicError):
        ndl.synchronize()
    with pytest.raises(ndl.DeviceError, match="never computed"):
        c.numpy()
    assert (a @ b).tolist() == [[3, 3], [3, 3]]


@pytest.mark.filterwarnings("ignore:Non-empty compiler output")
def test_what_kernels_write_is_what_the_compiler_says(opencl: ndl.Device) -> None:
    x = ndl.rand(5, 6, requires_grad=True)
    table, rows = ndl.rand(4, 3, requires_grad=True), ndl.asarray([1, 2], dtype="int32")
    parts: list[Any] = [x.exp(), x.sum(), x.sum(0), x.argmax(1), x.T @ x, nn.functional.softmax(x, 0), x.T + 1]
    parts += [nn.functional.log_softmax(x, 1), ndl.rand(300, 400).argmax().item(), ndl.randn(3)]
    (table[rows].sum() + (x @ x[0]).sum()).backward()
    x.grad.realize(), table.grad.realize()
    optim.Adam([x, table], 0.1).step()
    compute(*[part for part in parts if isinstance(part, ndl.Tensor)])
    checked = set()
    for file, name, *defines in opencl._kernels:
        source = programs.assemble(file, dict(defines))
        program = programs.compiled(opencl.context, source, ("-cl-std=CL1.2", "-w", "-cl-kernel-arg-info"))
        kernel = getattr(program, name)
        assert programs.written(file, name, dict(defines)) == tuple(writable(kernel)), (file, name)
        checked.add(file)
    assert checked >= {"elementwise.cl", "elementwise_batch.cl", "reduce.cl", "argreduce.cl", "matmul.cl", "index.cl",
                       "random.cl", "softmax_rows.cl"}  # fmt: skip


def writable(kernel: Any) -> Iterator[int]:
    """The parameters of a kernel that the driver knows as pointers to what may be written, for others to read."""
    info, pointer = cl.kernel_arg_info, cl.kernel_arg_address_qualifier.GLOBAL
    not_results = cl.kernel_arg_type_qualifier.CONST | cl.kernel_arg_type_qualifier.VOLATILE
    for k in range(kernel.num_args):
        try:
            excluded = kernel.get_arg_info(k, info.TYPE_QUALIFIER) & not_results
        except cl.RuntimeError:
            pytest.skip("the driver does not tell")
        if kernel.get_arg_info(k, info.ADDRESS_QUALIFIER) == pointer and not excluded:
            yield k
