"""Every launcher prepares a launch once for operands of the same shapes, and again for another launch shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import needle as ndl
from needle.backend.opencl.kernels.prepared import PreparedLaunch
from needle.backend.opencl.running.device import OpenCLDevice


@pytest.fixture
def opencl(device: ndl.Device) -> OpenCLDevice:
    """A second device on the hardware of each OpenCL device, with nothing prepared yet."""
    if not isinstance(device, OpenCLDevice):
        pytest.skip("only OpenCL devices prepare launches")
    return OpenCLDevice(device.info, device.cl_device)


def _taken(x: ndl.Tensor) -> ndl.Tensor:
    leaf = ndl.Tensor(x)
    ndl.take(leaf, ndl.asarray([0, 2, 2], device=x.device), axis=0).sum().backward()
    return leaf.grad


def _updated(x: ndl.Tensor) -> ndl.Tensor:
    leaves = [ndl.Tensor(x.numpy(), device=x.device), ndl.Tensor(x.numpy(), device=x.device)]
    for leaf in leaves:
        leaf.grad = ndl.asarray(x.numpy(), device=x.device)
    ndl.optim.SGD(leaves, lr=0.5).step()
    return leaves[0]


#: By the names with which those of a family's kernels begin.
FAMILIES: dict[str, Callable[[ndl.Tensor], ndl.Tensor]] = {
    "elementwise": lambda x: x * 2 + 1,
    "elementwise_batch": _updated,
    "reduce_": lambda x: x.sum(axis=0),
    "argreduce": lambda x: ndl.argmax(x, axis=1),
    "softmax": lambda x: ndl.softmax(x, axis=1),
    "matmul": lambda x: x @ x.T,
    "scatter": _taken,
    "numbers": lambda x: ndl.rand(3, 5, device=x.device),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_launch_is_prepared_once(opencl: OpenCLDevice, monkeypatch: pytest.MonkeyPatch, family: str) -> None:
    launched: list[PreparedLaunch] = []
    launch = PreparedLaunch.launch

    def noted(self: PreparedLaunch, *arguments: object) -> None:
        launched.append(self)
        launch(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(PreparedLaunch, "launch", noted)
    x = ndl.asarray(np.arange(15, dtype=np.float32).reshape(3, 5), device=opencl)

    def launches() -> list[PreparedLaunch]:
        launched.clear()
        before = opencl.launches
        FAMILIES[family](x).realize()
        assert len(launched) == opencl.launches - before > 0  # none is made in another way
        return list(launched)

    first, second = launches(), launches()
    assert any(one.kernel.function_name.startswith(family) for one in first)
    assert [id(one) for one in first] == [id(one) for one in second]
    opencl.launch_shape = replace(opencl.launch_shape, groups=opencl.launch_shape.groups + 1)
    third = launches()
    assert len(third) == len(first) and not {id(one) for one in third} & {id(one) for one in first}
