"""Every kernel of `cl/` on small sizes, in the shape for GPUs and in that for CPUs, to be run under Oclgrind.

Primitives are run on the small ones of their examples, whatever else there is by the functions here. Each result is
compared with the numpy backend's or the reference's. Prints the names of the kernels that were launched.

Its arguments are names of shapes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from math import prod
from unittest import mock

import numpy as np
import pyopencl as cl

import needle as ndl
from needle.backend.opencl.running.device import OpenCLDevice
from needle.backend.protocol import DeviceInfo
from needle.backend.records import PRIMITIVES, Example, Primitive
from needle.doctor import primitives
from needle.doctor.arrangements import ARRANGEMENTS
from needle.doctor.primitives import check
from needle.dtypes import ALL

GPU = {"vector_bytes": 4, "local_size": 8, "matmul_rows": 0, "matmul_group": 2, "matmul_micro": 2, "fold_columns": 1}
CPU = {
    "vector_bytes": 16, "local_size": 1, "wide_index": True, "fold_columns": 2, "matmul_rows": 6, "cores": 2,
    "matmul_depth": 16, "matmul_block_bytes": 4096, "matmul_group": 2, "matmul_micro": 2,
}  # fmt: skip

SHAPES = {"gpu": GPU, "cpu": CPU}

#: The most elements that the arrays of an example may have together.
MOST_ELEMENTS = 700

#: Examples of at most so many lie in memory in every arrangement, and the one in halves has about as many.
FEW_ELEMENTS = 260

#: How larger ones lie, and operands of a launcher that does not walk strides: it gets copies, which all lie alike.
TWO_ARRANGEMENTS = {name: ARRANGEMENTS[name] for name in ("plain", "skipping")}


def array(*shape: int) -> ndl.Tensor:
    return ndl.asarray(np.random.default_rng(sum(shape)).uniform(0.1, 0.9, shape).astype(np.float32))


def variable(*shape: int) -> ndl.Tensor:
    return ndl.Tensor(array(*shape).numpy())


class Simulated(OpenCLDevice):
    """A device whose kernels write into buffers that nobody had before.

    Of a buffer that is used again the simulator watches only as much as the host last wrote, and calls the rest
    uninitialized for ever. So none of those that kernels write into comes from the pool, or is freed.
    """

    def __init__(self, info: DeviceInfo, cl_device: cl.Device) -> None:
        super().__init__(info, cl_device)
        self.given: list[cl.Buffer] = []

    def empty(self, size: int, dtype: np.dtype) -> cl.Buffer:
        self.given.append(cl.Buffer(self.context, cl.mem_flags.READ_WRITE, max(1, size) * dtype.itemsize))
        return self.given[-1]


def elementwise() -> Iterator[ndl.Tensor]:
    for declaration in ndl.ops.registry.values():
        operands = [array(3, 7)] * declaration.record.arity
        if "f" not in declaration.record.kinds:
            operands = [ndl.astype(operand * 9, ndl.int32) for operand in operands]
        yield declaration.function(*operands)
    x = array(5, 9)
    yield x[::-1, ::2].T * 2 + x[:, :1].T
    yield ndl.astype(x * 100, ndl.uint8)
    x[1:4, ::3] = x[0, 0] + 1
    yield x
    yield ndl.concat([x, x], axis=1)


def reductions() -> Iterator[ndl.Tensor]:
    for shape in ((1,), (19,), (3, 7, 5), (70, 13)):
        x = array(*shape)
        for axis in (None, *range(len(shape))):
            yield from (x.sum(axis), (x * 2).mean(axis), ndl.max(x, axis), ndl.argmax(x, axis=axis))
            yield ndl.any(x > 0.5, axis)
    yield array(3, 7, 5).sum((0, 2))
    yield array(2100).sum()


def gradients() -> Iterator[ndl.Tensor]:
    for shape in ((1, 1), (3, 21), (4, 3, 5)):
        for axis in range(len(shape)):
            leaf = variable(*shape)
            (ndl.softmax(leaf, axis=axis) * array(*shape)).sum().backward()
            yield leaf.grad
    for axis in (0, 1):
        x = variable(7, 5)
        (ndl.take(x, ndl.asarray([3, -1, 0, 3]), axis=axis) * 2).sum().backward()
        yield x.grad
        x = variable(7, 5)
        along = ndl.take_along_axis(x, ndl.asarray(np.arange(35).reshape(7, 5) % 5), axis=axis)
        (along * 3).sum().backward()
        yield x.grad
    ndl.manual_seed(3)
    yield ndl.nn.Dropout(0.5)(array(7, 5))


def training() -> Iterator[ndl.Tensor]:
    weights = [variable(6, 5), variable(5), variable(5, 3)]
    for optimizer in (ndl.optim.Adam(weights, lr=0.1), ndl.optim.SGD(weights, lr=0.1, momentum=0.9)):
        optimizer.reset_grad()
        logits = (array(9, 6) @ weights[0] + weights[1]).relu() @ weights[2]
        ndl.nn.functional.cross_entropy(logits, ndl.asarray(np.arange(9) % 3)).backward()
        optimizer.step()
    yield from weights


def scans() -> Iterator[ndl.Tensor]:
    for shape in ((1,), (19,), (201,), (3, 7, 5), (70, 13), (2, 150)):
        x = array(*shape)
        for axis in range(len(shape)):
            yield ndl.cumulative_sum(x * 2, axis=axis, include_initial=True)
            yield ndl.cummax(x[::-1], axis=axis)[0]


WORK: tuple[Callable[[], Iterator[ndl.Tensor]], ...] = (elementwise, reductions, scans, gradients, training)


def elements(record: Primitive, example: Example) -> int:
    """The elements of an example's operands and outputs."""
    outputs = record.signature(*example.operands, **example.params)
    shapes = [*(operand.shape for operand in example.operands), *(shape for shape, _ in outputs)]
    return sum(map(prod, shapes))


def check_work(device: ndl.Device) -> None:
    """Compare the functions of WORK on the device with the numpy backend."""
    for work in WORK:
        results = []
        for where in (device, ndl.device("numpy")):
            with where:
                results.append([result.numpy() for result in work()])
        for actual, expected in zip(*results, strict=True):
            np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-5, err_msg=work.__name__)


def check_primitives(device: ndl.Device) -> None:
    """Compare every primitive on the small ones of its examples with its reference, one of them in halves."""
    for record in PRIMITIVES.values():
        examples = [example for example in record.examples if elements(record, example) <= MOST_ELEMENTS]
        assert examples, f"{record.name} has no small example"
        half = max(examples, key=lambda example: (min(n := elements(record, example), FEW_ELEMENTS - 10), -n))
        comparisons = []
        for dtype, example in [*((ndl.float32, example) for example in examples), (ndl.float16, half)]:
            every = record.strided and elements(record, example) <= FEW_ELEMENTS
            with mock.patch.object(primitives, "ARRANGEMENTS", ARRANGEMENTS if every else TWO_ARRANGEMENTS):
                comparisons += check(record, device, [dtype], [example], mixed=False)
        faults = [fault for comparison in comparisons if (fault := comparison.fault())]
        assert not faults, faults


def cut_small() -> None:
    """Let kernels that share out long rows, or serve many channels, do so with few."""
    for family, numbers in {
        "scan": {"WHOLE": 32, "SEGMENT": 16},
        "folding": {"_LONG": 1},
        "sort": {"PART": 16, "ITEM": 2},
        "convolution_tiles": {"_DEEP": 8},
        "winograd": {"_FEWEST_CHANNELS": 3},
    }.items():
        module = import_module(f"needle.backend.opencl.kernels.{family}")
        for name, number in numbers.items():
            assert hasattr(module, name)
            setattr(module, name, number)


def main() -> None:
    cut_small()
    simulator = ndl.device("oclgrind")
    assert isinstance(simulator, OpenCLDevice)
    launched = set()
    for shape in [SHAPES[name] for name in sys.argv[1:]]:
        # The kernels of primitives store halves, which it can, and do not compute in half, which it cannot.
        device = Simulated(replace(simulator.info, dtypes=frozenset(ALL)), simulator.cl_device)
        device.launch_shape = replace(device.launch_shape, groups=4, **shape)
        check_work(device)
        check_primitives(device)
        launched |= {key[1] for key in device._kernels}
    print(*sorted(launched))


if __name__ == "__main__":
    main()
