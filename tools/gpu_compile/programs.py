"""The programs that needle makes under a GPU's launch shape: of every record's examples, and of common work."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

import needle as ndl
from needle.array import NDArray
from needle.backend.opencl.building import groups, programs
from needle.backend.opencl.building.kernel import Kernel
from needle.backend.opencl.running.device import OpenCLDevice
from needle.backend.opencl.shapes.launch_shape import LaunchShape
from needle.backend.records import PRIMITIVES, Example, Primitive
from needle.dtypes import ALL, DType, float16, float32, float64, int32, kind_of

#: The dtypes of operands: the first for every example, the others for the largest.
DTYPES: tuple[DType, ...] = (float32, float16, float64, int32)

#: The most kernels of fused expressions in one program.
_TOGETHER = 12


@dataclass(frozen=True)
class Program:
    """The source of a program, and what is known of its kernels by their names in it."""

    stem: str
    source: str
    kernels: dict[str, Kernel]


class Unlaunched(OpenCLDevice):
    """A device that makes kernels and launches none of them: what it computes is arbitrary."""

    def launch(self, *launch: Any) -> None:
        self.launches += 1

    def kernels(self) -> list[Kernel]:
        """All kernels that were asked for."""
        return list(self._kernels.values())


def unlaunched(launch_shape: LaunchShape) -> Unlaunched:
    """A device with that launch shape, which has all dtypes. There must be an OpenCL device, of any kind."""
    found = next(device for device in map(ndl.device, _names()) if isinstance(device, OpenCLDevice))
    device = Unlaunched(replace(found.info, dtypes=frozenset(ALL)), found.cl_device)
    device.launch_shape = launch_shape
    return device


def _names() -> list[str]:
    return [info.name for info in ndl.devices() if info.problem is None]


def of_launch_shape(launch_shape: LaunchShape, quick: bool) -> list[Program]:
    """The programs for a launch shape; if `quick`, those of float32 in common work alone."""
    device = unlaunched(launch_shape)
    with device:
        _common_work()
        if not quick:
            _elementwise()
            for record in PRIMITIVES.values():
                _examples(record, device)
    kernels = device.kernels()
    return list(_joined(list({label(kernel): kernel for kernel in kernels}.values()) if quick else kernels))


def label(kernel: Kernel) -> object:
    """What tells a kernel from others in a quick check: its name and, of fused expressions, all its defines.

    The forms of register tiles are told apart, and whether they read vectors; the ways of reading are not.
    """
    if kernel.function_name == "matmul_registers":
        high, wide = (int(kernel.defines[g]) * int(kernel.defines[m]) for g, m in (("GY", "MY"), ("GX", "MX")))
        vectors = max(int(kernel.defines[mode]) for mode in ("A_MODE", "B_MODE")) < 2
        return f"matmul_registers {high}x{wide}, {'vectors' if vectors else 'any views'}"
    if kernel.function_name == "matmul_join":
        return kernel.function_name
    return (kernel.function_name, *kernel.defines.items())


def _joined(kernels: Sequence[Kernel]) -> Iterator[Program]:
    """Programs of these kernels, those of fused expressions together as a device joins them."""
    alike: dict[object, list[Kernel]] = {}
    for kernel in kernels:
        # Types are kept apart, as a target that lacks one shall miss no other.
        common = groups.common(kernel)
        key = kernel if common is None else (common, kernel.file, types_of(kernel))
        alike.setdefault(key, []).append(kernel)
    for members in alike.values():
        for first in range(0, len(members), _TOGETHER):
            yield _program(members[first : first + _TOGETHER])


def _program(kernels: list[Kernel]) -> Program:
    if len(kernels) == 1:
        source, names = kernels[0].source, [kernels[0].function_name]
    else:
        source, names = groups.assemble(kernels)
    digest = hashlib.sha256(source.encode()).hexdigest()[:10]
    stem = f"{kernels[0].function_name}-{'-'.join(sorted(types_of(kernels[0]))) or 'any'}-{digest}"
    return Program(stem, source, dict(zip(names, kernels, strict=True)))


def types_of(kernel: Kernel) -> frozenset[str]:
    """Which of the types that a device may lack a kernel takes."""
    text = programs.define(kernel.defines)
    return frozenset(name for name in ("half", "double") if name in text)


def _examples(record: Primitive, device: Unlaunched) -> None:
    """Run the examples of a record: all in its first dtype, the largest in each."""
    wanted = [dtype for dtype in DTYPES if kind_of(dtype) in record.kinds]
    largest = max(record.examples, key=lambda example: sum(prod(operand.shape) for operand in example.operands))
    for example in record.examples:
        for dtype in wanted if example is largest else wanted[:1]:
            _run(record, example, dtype, device)


def _run(record: Primitive, example: Example, dtype: DType, device: Unlaunched) -> None:
    random = np.random.default_rng(zlib.crc32(record.name.encode()))
    views = [NDArray.from_numpy(operand.draw(random, dtype), device) for operand in example.operands]
    if views:
        views[0].run(record, *views[1:], **example.params)
    else:
        NDArray.run_new(record, device, **example.params)


def _array(*shape: int, dtype: DType = float32) -> ndl.Tensor:
    return ndl.asarray(np.ones(shape, dtype))


def _elementwise() -> None:
    """Every declared operation, in floats or, where it takes none, in integers; and common ones in every dtype."""
    for declaration in ndl.ops.registry.values():
        dtype = float32 if "f" in declaration.record.kinds else int32
        declaration.function(*[_array(3, 7, dtype=dtype)] * declaration.record.arity).realize()
    for dtype in DTYPES:
        x = _array(64, 128, dtype=dtype)
        for result in (x + x, x * 2 + x, ndl.sum(x, axis=0), ndl.sum(x, axis=1), ndl.max(x, axis=1), ndl.argmax(x)):
            result.realize()


def _common_work() -> None:
    """Work of sizes that matter for speed, in float32."""
    x, y, row, column = _array(1024, 1000), _array(1024, 1000), _array(1000), _array(1024, 1)
    places = ndl.asarray(np.zeros(256, np.int32))
    weight = ndl.Tensor(np.ones((1000, 1024), np.float32))
    work: list[Callable[[], ndl.Tensor]] = [
        lambda: x + y, lambda: (x * 2 + y).relu() + row + column, lambda: x.T + _array(1000, 1024),
        lambda: x[::2, ::2] * 3, lambda: ndl.gelu(x), lambda: ndl.sum(x), lambda: ndl.sum(x, axis=1),
        lambda: ndl.sum(x, axis=0), lambda: ndl.max(x, axis=1), lambda: ndl.max(x, axis=0),
        lambda: ndl.sum((x - y) * (x - y), axis=1), lambda: ndl.var(x, axis=1), lambda: ndl.argmax(x, axis=1),
        lambda: ndl.softmax(x, axis=1), lambda: ndl.log_softmax(x, axis=1), lambda: ndl.softmax(x, axis=0),
        lambda: ndl.softmax(_array(64, 512, 1024), axis=1), lambda: ndl.cumulative_sum(x, axis=1),
        lambda: ndl.take(x, places, axis=0), lambda: ndl.randn(1 << 20), lambda: ndl.sort(x, axis=1),
        lambda: ndl.sort(_array(1 << 20)),
        lambda: x @ _array(1000, 512), lambda: x @ _array(512, 1000).T, lambda: x.T @ _array(1024, 512),
        lambda: x[:, :99] @ _array(99, 77), lambda: x @ _array(1000, 1), lambda: _array(1, 1024) @ x,
        lambda: _array(64, 4096) @ _array(4096, 64), lambda: _array(64, 128, 64) @ _array(64, 64, 128),
    ]  # fmt: skip
    for make in work:
        make().realize()
    (ndl.take(weight, places, axis=0) * 2).sum().backward()
    assert weight.grad is not None
    weight.grad.realize()
    _networks()


def _networks() -> None:
    """A training step of a perceptron, a convolution and attention, forward and backward."""
    functional = ndl.nn.functional
    images, filters = ndl.Tensor(np.ones((8, 32, 28, 28), np.float32)), ndl.Tensor(np.ones((64, 32, 3, 3), np.float32))
    functional.conv2d(images, filters, padding=1).sum().backward()
    q, k, v = (ndl.Tensor(np.ones((2, 4, 128, 64), np.float32)) for _ in range(3))
    functional.scaled_dot_product_attention(q, k, v).sum().backward()
    layers = ndl.nn.Sequential(ndl.nn.Linear(64, 64), ndl.nn.GELU(), ndl.nn.Dropout(0.1), ndl.nn.Linear(64, 10))
    optimizer = ndl.optim.Adam(layers.parameters(), lr=1e-3)
    functional.cross_entropy(layers(_array(32, 64)), ndl.asarray(np.zeros(32, np.int32))).backward()
    optimizer.step()
    for tensor in (images, filters, q, k, v):
        assert tensor.grad is not None
        tensor.grad.realize()
