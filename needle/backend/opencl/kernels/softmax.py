"""The launchers of `cl/softmax_rows.cl` and `cl/softmax_columns.cl`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.backend.opencl.building.layout import elementwise_layout
from needle.backend.opencl.building.types import element_defines
from needle.backend.protocol import ArrayView
from needle.dtypes import DType, Shape, compute_dtype, float32
from needle.strides import Strides

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

Defines = dict[str, "str | int"]

_INT, _LONG = np.dtype(np.int32), np.dtype(np.int64)
_ROWS = (None, None, None, _INT, *(_LONG,) * 5)

_TILE = 8  # the most vectors of neighbouring rows that a CPU's work-item takes at once
_GRAIN = 4096  # elements that are worth a work-group of their own on a CPU
_FEW_ROWS = 8192  # on a GPU, as many strided rows or more take a work-item each, fewer a group each
_SHORT = 32  # rows of up to so many elements are served by groups of so many work-items


@dataclass(frozen=True)
class Plan:
    """A launch but for the buffers and the position of the first element."""

    kernel: Any
    groups: tuple[int]
    local: tuple[int]
    layout: tuple[Any, int]  # the words of the rows' layout in device memory, and its rank
    arguments: tuple[int, ...]


def _softmax(
    device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, axis: int, result: int
) -> None:
    """`result` selects the function as RESULT does in the kernels' file."""
    (x,), (out,) = inputs, outputs
    if 0 in out.shape:
        return
    plan = device.softmax_plan(x.shape, x.strides, x.dtype, axis, result)
    device.launch(plan.kernel, plan.groups, plan.local, x.buffer, out.buffer, *plan.layout, x.offset, *plan.arguments)


def softmax_plan(device: OpenCLDevice, shape: Shape, strides: Strides, dtype: DType, axis: int, result: int) -> Plan:
    """How softmax and its kin along `axis` run on an array of that shape, strides and dtype."""
    n, step = shape[axis], strides[axis]
    outer = _without(shape, axis)
    rows, inner = prod(outer), prod(shape[axis + 1 :])
    by_rows = inner == 1 and (step == 1 or n == 1)
    if device.launch_shape.local_size > 1:
        by_rows = by_rows or rows < _FEW_ROWS
    layout = elementwise_layout(outer, (_without(strides, axis),))
    if by_rows:
        file, shaped, groups, tail = _by_rows(device, dtype, rows, n)
    else:
        file, shaped, groups, tail = _by_columns(device, dtype, rows, n, _packed_run(shape, strides, axis))
    types = (*_ROWS, *(_LONG for _ in tail))
    kernel = device.kernel(f"{file}.cl", file, _defines(dtype, result) | shaped, types)
    return Plan(
        kernel, (groups,), (int(shaped["LOCAL"]),), (device.layout_buffer(layout), layout.rank),
        (rows, n, step, inner, *tail),
    )  # fmt: skip


def _without(values: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*values[:axis], *values[axis + 1 :])


def _defines(dtype: DType, result: int) -> Defines:
    return {**element_defines(dtype), "RESULT": result}


def _vectors(device: OpenCLDevice, dtype: DType) -> Defines:
    """The defines that shape a launch of one work-item a group, on whole vectors."""
    computed = compute_dtype(dtype)
    width = device.launch_shape.width(computed.itemsize)
    return {"WIDTH": width, "LOCAL": 1, "OWN_EXP": int(computed == float32 and width > 1)}


#: A kernel's name, which is also its file's; the defines that shape its launch; groups; further parameters.
_Shaped = tuple[str, Defines, int, tuple[int, ...]]


def _by_rows(device: OpenCLDevice, dtype: DType, rows: int, n: int) -> _Shaped:
    local = device.launch_shape.local_size
    if local > 1:
        local = min(local, _SHORT) if n <= _SHORT else local
        return "softmax_rows", {"WIDTH": 1, "LOCAL": local}, min(rows, 1 << 16), ()
    groups = max(1, min(device.launch_shape.groups, rows, rows * n // _GRAIN))
    return "softmax_rows", _vectors(device, dtype) | {"UNROLL": 4}, groups, ()


def _by_columns(device: OpenCLDevice, dtype: DType, rows: int, n: int, run: int) -> _Shaped:
    local, most = device.launch_shape.local_size, device.launch_shape.groups
    if local > 1:  # each work-item a row
        return "softmax_columns", {"WIDTH": 1, "LOCAL": local}, min(most, -(-rows // local)), (rows, 1)
    shape = _vectors(device, dtype)
    width = int(shape["WIDTH"])
    tail: tuple[int, ...] = ()
    if run >= width:
        tile = _tile(width, rows, run, most)
        shape, tail = shape | {"TILE": _TILE}, (run, tile)
        units = rows // run * -(-run // tile)
    else:
        shape = shape | {"PACKED": 0}
        units = -(-rows // width)
    return "softmax_columns", shape, max(1, min(most, units, rows * n // _GRAIN)), tail


def _tile(width: int, rows: int, run: int, groups: int) -> int:
    """How many rows side by side a work-item takes: as many as leave work for all groups."""
    vectors = max(1, min(_TILE, rows // (width * groups)))
    return min(vectors * width, run)


def _packed_run(shape: Shape, strides: Strides, axis: int) -> int:
    """How many neighbouring rows lie side by side in memory; 0 if none do."""
    inner = elementwise_layout(shape[axis + 1 :], (strides[axis + 1 :],))
    return inner.shape[-1] if inner.strides[0][-1] == 1 else 0


PRIMITIVES: Mapping[str, Callable[..., None]] = {
    "softmax": partial(_softmax, result=0),
    "log_softmax": partial(_softmax, result=1),
    "logsumexp": partial(_softmax, result=2),
}
