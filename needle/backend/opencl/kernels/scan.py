"""Launching scans: sums, products and extremes of all beginnings of a sequence (`cl/scan.cl`)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from needle.backend.opencl.building.codegen import expression_defines
from needle.backend.opencl.building.kernel import Kernel
from needle.backend.opencl.building.layout import ScanLayout, scan_layout
from needle.backend.opencl.building.types import cl_type, wrapping_type
from needle.backend.opencl.kernels.elementwise import (
    INT64,
    expression_arguments,
    expression_types,
    index_type,
    width_for,
)
from needle.backend.opencl.kernels.folding import OperandLayout, segments_on_gpu, with_type
from needle.backend.opencl.kernels.prepared import PreparedLaunch
from needle.backend.opencl.shapes.groups import VECTORS, groups_for
from needle.backend.opencl.shapes.launch_shape import LaunchShape
from needle.backend.protocol import ArrayView, Expression
from needle.backend.records import FusedProgram, Scan
from needle.dtypes import DType, Shape, compute_dtype, int32
from needle.strides import broadcast_strides

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

#: The sums by which other kernel families turn counts into places.
COUNTS = Scan("counts", "b + a", "0", lambda x, axis: np.cumsum(x, axis, x.dtype), wraps=True, kinds="iu")

#: Vectors that a CPU's work-item scans side by side across rows.
_COLUMNS = 16
#: A CPU does not cut scans of fewer elements, in all, into segments: the second launch would cost more than it saves.
WHOLE = 1 << 15
#: Segments of all sequences together, for each core of a CPU: a few, to even out what other processes take.
_SEGMENTS_PER_CORE = 8
#: The most segments of a sequence: each begins by folding the totals of those before it.
_MOST_SEGMENTS = 512
#: The least elements of a segment.
SEGMENT = 2048


@dataclass(frozen=True)
class _Scan:
    """The one launch of a scan; where sequences are cut, it is made twice, with so many totals in between."""

    kernel: PreparedLaunch
    totals: int
    accumulator: DType


def scan(
    device: OpenCLDevice, record: Scan, expression: Expression, shape: Shape, axis: int, output: ArrayView
) -> None:
    """Write the scan of `expression`, over `shape`, along `axis` into the view `output`, in one launch or two."""
    geometry = tuple([(view.shape, view.strides) for view in (output, *expression.inputs)])
    prepared = device.prepared(_prepare, record, expression.program, geometry, shape, axis, output.dtype)
    arguments = expression_arguments(expression, (output,))
    totals = None
    if prepared.totals:
        totals = device.empty(prepared.totals, prepared.accumulator)
        prepared.kernel.launch(device, (totals, 0), arguments)
    prepared.kernel.launch(device, (totals, 1), arguments)


def _prepare(
    device: OpenCLDevice, record: Scan, program: FusedProgram, geometry: tuple[OperandLayout, ...], shape: Shape,
    axis: int, result: DType,
) -> _Scan:  # fmt: skip
    """The launch that scans `program` along `axis` of `shape`; the first operand is the output."""
    launch_shape = device.launch_shape
    accumulator = _accumulator(launch_shape, result)
    width = width_for(device, program, accumulator)
    strides = tuple(broadcast_strides(own, steps, shape) for own, steps in geometry)
    found = scan_layout(shape, strides, axis, width, launch_shape.local_size)
    merged = found.layout
    columns = _COLUMNS if launch_shape.on_cpu else 1
    strips = -(-merged.shape[-1] // (width * columns * launch_shape.local_size)) if found.across else 1
    segments = _segments(launch_shape, found, strips, width)
    index, size = index_type(device, merged.reach), prod(merged.shape)
    name = "scan_columns" if found.across else "scan_rows"

    def build() -> Kernel:
        type_name = (wrapping_type if record.wraps else cl_type)(accumulator)
        defines = {
            "WIDTH": width,
            "INDEX": index,
            "LOCAL": launch_shape.local_size,
            "ACROSS": int(found.across),
            "COLUMNS": columns,
            "ACC": type_name,
            "OUT": cl_type(result),
            "COMBINE(a, b)": f"({record.combine})",
            "IDENTITY": with_type(record.identity, type_name),
            **expression_defines(program, 1, merged.columns, merged.rank),
        }
        types = [None, np.int32, INT64, INT64, None, *expression_types(program, 1)]
        return device.kernel("scan.cl", name, defines, types, size)

    key = (name, record, program, merged.columns, merged.rank, width, index, result)
    tasks = found.rows * segments * strips
    worth = VECTORS.worth(launch_shape, prod(merged.shape) // width) if launch_shape.on_cpu else tasks
    groups = groups_for(launch_shape, tasks, worth)
    kernel = PreparedLaunch(
        device.expression_kernel(key, size, build), (groups,), (launch_shape.local_size,),
        (found.rows, segments, device.layout_buffer(merged)),
    )  # fmt: skip
    totals = found.rows * segments * (merged.shape[-1] if found.across else 1)
    return _Scan(kernel, totals if segments > 1 else 0, accumulator)


def _accumulator(launch_shape: LaunchShape, result: DType) -> DType:
    """The dtype to accumulate in. A register holds no less than 32 bits, and bytes in local memory crash Mesa."""
    wide = compute_dtype(result)
    return int32 if wide.itemsize == 1 and not launch_shape.on_cpu else wide


def _segments(launch_shape: LaunchShape, found: ScanLayout, strips: int, width: int) -> int:
    """The number of segments into which to cut each sequence: enough to fill the device, each long enough to pay."""
    tasks = found.rows * strips
    each = found.length * min(found.layout.shape[-1], width * _COLUMNS) if found.across else found.length
    most = max(1, min(_MOST_SEGMENTS, each // SEGMENT))
    if not launch_shape.on_cpu:
        length = found.length if found.across else -(-found.length // (width * launch_shape.local_size))
        total = prod(found.layout.shape) // width
        return min(_MOST_SEGMENTS, segments_on_gpu(launch_shape, tasks, length, total))
    if prod(found.layout.shape) < WHOLE or tasks >= 4 * launch_shape.cores:
        return 1
    return max(1, min(most, _SEGMENTS_PER_CORE * launch_shape.cores // tasks))
