"""Launching one fused program on many sets of arrays (`cl/elementwise_batch.cl`)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from needle.backend.opencl.building.codegen import batch_defines
from needle.backend.opencl.building.kernel import Kernel
from needle.backend.opencl.kernels.elementwise import INT64, index_type, scalar_types, width_for
from needle.backend.opencl.kernels.prepared import PreparedLaunch
from needle.backend.opencl.shapes.groups import VECTORS, groups_for, stretch_for
from needle.backend.protocol import ArrayView
from needle.backend.records import FusedProgram
from needle.dtypes import Scalar

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

#: The most sets of arrays in one launch: more would save little, and cost time to compile.
MAX_SLOTS = 32


def elementwise_batch(
    device: OpenCLDevice,
    program: FusedProgram,
    scalars: Sequence[Scalar],
    batch: Sequence[Sequence[ArrayView]],
    reads: tuple[int, ...],
) -> None:
    """Run `program` on every set of contiguous arrays in `batch` (see `Device.evaluate_alike`).

    A launch has slots for several sets; slots that are left over have no elements.
    """
    used = sorted({*range(len(program.outputs)), *reads})
    slots = max(1, (device.max_parameter_bytes // 8 - 1 - len(scalars)) // (len(used) + 1))
    slots = min(MAX_SLOTS, slots, 1 << (len(batch) - 1).bit_length())  # few kernels for many models
    rest = iter(batch)
    while sets := list(islice(rest, slots)):
        arrays = [[arrays[i] for i in used] for arrays in sets]
        _launch(device, program, scalars, reads, arrays, slots)


def _launch(
    device: OpenCLDevice,
    program: FusedProgram,
    scalars: Sequence[Scalar],
    reads: tuple[int, ...],
    sets: list[list[ArrayView]],
    slots: int,
) -> None:
    sizes = tuple([arrays[0].size for arrays in sets])
    arguments: list[Any] = []
    for arrays, size in zip(sets, sizes, strict=True):
        arguments += (size, *[array.buffer for array in arrays])
    unused = [0, *[array.buffer for array in sets[0]]]
    arguments += unused * (slots - len(sets))
    arguments += scalars
    device.prepared(_prepare, program, reads, slots, sizes).launch(device, (), arguments)


def _prepare(
    device: OpenCLDevice, program: FusedProgram, reads: tuple[int, ...], slots: int, sizes: tuple[int, ...]
) -> PreparedLaunch:
    """The launch of `program` on sets of arrays with so many elements."""
    launch_shape, width = device.launch_shape, width_for(device, program)
    vectors = sum([-(-size // width) for size in sizes])
    index = index_type(device, vectors * width)
    kernel = device.expression_kernel(
        ("batch", program, reads, slots, width, index),
        sum(sizes),
        lambda: _build(device, program, reads, slots, width, index, sum(sizes)),
    )
    groups = groups_for(launch_shape, VECTORS.worth(launch_shape, vectors))
    return PreparedLaunch(kernel, (groups,), (launch_shape.local_size,), (stretch_for(launch_shape, vectors, groups),))


def _build(
    device: OpenCLDevice, program: FusedProgram, reads: tuple[int, ...], slots: int, width: int, index: str, size: int
) -> Kernel:
    defines = {
        "WIDTH": width,
        "INDEX": index,
        "LOCAL": device.launch_shape.local_size,
        **batch_defines(program, slots, reads),
    }
    slot = [INT64, *[None] * len({*range(len(program.outputs)), *reads})]
    types = [INT64, *slot * slots, *scalar_types(program)]
    return device.kernel("elementwise_batch.cl", "elementwise_batch", defines, types, size)
