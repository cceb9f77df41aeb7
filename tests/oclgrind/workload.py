"""Every kernel of `cl/` on small sizes, in the shape for GPUs and in that for CPUs, to be run under Oclgrind.

Each result is compared with the numpy backend's. Prints the names of the kernels that were launched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

import needle as ndl
from needle.backend.opencl.running.device import OpenCLDevice
from needle.dtypes import ALL

GPU = {"vector_bytes": 4, "local_size": 8, "matmul_rows": 0, "matmul_group": 2, "matmul_micro": 2, "fold_columns": 1}
CPU = {
    "vector_bytes": 16, "local_size": 1, "wide_index": True, "fold_columns": 2, "matmul_rows": 6, "cores": 2,
    "matmul_depth": 16, "matmul_block_bytes": 4096,
}  # fmt: skip


def array(*shape: int) -> ndl.Tensor:
    return ndl.asarray(np.random.default_rng(sum(shape)).uniform(0.1, 0.9, shape).astype(np.float32))


def variable(*shape: int) -> ndl.Tensor:
    return ndl.Tensor(array(*shape).numpy())


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


def softmax() -> Iterator[ndl.Tensor]:
    for shape in ((1, 1), (3, 21), (4, 3, 5)):
        for axis in range(len(shape)):
            x = array(*shape)
            yield from (ndl.softmax(x, axis=axis), ndl.log_softmax(x, axis=axis), ndl.logsumexp(x, axis=axis))
            leaf = variable(*shape)
            (ndl.softmax(leaf, axis=axis) * x).sum().backward()
            yield leaf.grad


def products() -> Iterator[ndl.Tensor]:
    for m, k, n in ((1, 1, 1), (3, 5, 7), (13, 20, 11)):
        yield array(m, k) @ array(k, n)
        yield array(k, m).T @ array(n, k).T
        yield array(m, k) @ array(k)
        yield array(k) @ array(k, n)
    yield array(2, 1, 5, 3) @ array(3, 3, 4)


def indexing() -> Iterator[ndl.Tensor]:
    for axis in (0, 1):
        x = variable(7, 5)
        indices = ndl.asarray([3, -1, 0, 3])
        taken = ndl.take(x, indices, axis=axis)
        yield taken
        (taken * 2).sum().backward()
        yield x.grad
        x = variable(7, 5)
        along = ndl.take_along_axis(x, ndl.asarray(np.arange(35).reshape(7, 5) % 5), axis=axis)
        yield along
        (along * 3).sum().backward()
        yield x.grad


def half_storage() -> Iterator[ndl.Tensor]:
    # Only kernels that do not compute in half, which the simulator cannot.
    x = ndl.Tensor(array(5, 4).numpy().astype(np.float16))
    taken = ndl.take(x, ndl.asarray([0, 0, 2]), axis=0)
    yield taken
    taken.backward(ndl.asarray(np.arange(12, dtype=np.float16).reshape(3, 4)))
    yield x.grad
    yield ndl.softmax(x, axis=1)


def random() -> Iterator[ndl.Tensor]:
    ndl.manual_seed(3)
    yield from (ndl.rand(7, 5), ndl.randn(33), ndl.nn.Dropout(0.5)(array(7, 5)))


def training() -> Iterator[ndl.Tensor]:
    weights = [variable(6, 5), variable(5), variable(5, 3)]
    for optimizer in (ndl.optim.Adam(weights, lr=0.1), ndl.optim.SGD(weights, lr=0.1, momentum=0.9)):
        optimizer.reset_grad()
        logits = (array(9, 6) @ weights[0] + weights[1]).relu() @ weights[2]
        ndl.nn.functional.cross_entropy(logits, ndl.asarray(np.arange(9) % 3)).backward()
        optimizer.step()
    yield from weights


WORK: tuple[Callable[[], Iterator[ndl.Tensor]], ...] = (
    elementwise, reductions, softmax, products, indexing, half_storage, random, training,
)  # fmt: skip


def main() -> None:
    simulator = ndl.device("oclgrind")
    assert isinstance(simulator, OpenCLDevice)
    launched = set()
    for shape in (GPU, CPU):
        device = OpenCLDevice(replace(simulator.info, dtypes=frozenset(ALL)), simulator.cl_device)
        device.launch_shape = replace(device.launch_shape, groups=4, **shape)
        for work in WORK:
            results = []
            for where in (device, ndl.device("numpy")):
                with where:
                    results.append([result.numpy() for result in work()])
            for actual, expected in zip(*results, strict=True):
                tolerance = 2e-3 if actual.dtype == np.float16 else 2e-5
                np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance, err_msg=work.__name__)
        launched |= {key[1] for key in device._kernels}
    print(*sorted(launched))


if __name__ == "__main__":
    main()
