"""The launchers of `cl/softmax_rows.cl` and `cl/softmax_columns.cl`."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from needle.backend.opencl.building.layout import elementwise_layout
from needle.backend.opencl.building.types import element_defines
from needle.backend.opencl.kernels import costs
from needle.backend.opencl.kernels.launchers import launches
from needle.backend.opencl.kernels.prepared import PreparedLaunch
from needle.backend.opencl.shapes.groups import Grain, groups_for
from needle.backend.protocol import ArrayView
from needle.dtypes import DType, Shape, compute_dtype, float32
from needle.strides import Strides

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

Defines = dict[str, "str | int"]

_INT, _LONG = np.dtype(np.int32), np.dtype(np.int64)
_ROWS = (None, None, _LONG, None, _INT, *(_LONG,) * 4)

_TILE = 8  # the most vectors of neighbouring rows that a CPU's work-item takes at once
_ELEMENTS = Grain(group=4096)  # a CPU's work-group: so many elements, each with an exponential
_ROWS_BY_ITEM = Grain(group=1, item=1, rounded_up=True)  # a GPU's work-item: one row
_COLUMN_ITEMS = 64  # work-items of a GPU's work-group that take a row each; too few to fill it, and a group takes one
_MOST_ROW_GROUPS = 1 << 16  # the most work-groups of a GPU that take a row each; more rows, and they take several
_SHORT = 32  # rows of up to so many elements are served by groups of so many work-items


@launches("softmax", result=0)
@launches("log_softmax", result=1)
@launches("logsumexp", result=2)
def _softmax(
    device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, axis: int, result: int
) -> None:
    """`result` selects the function as RESULT does in the kernels' file."""
    (x,), (out,) = inputs, outputs
    if 0 in out.shape:
        return
    prepared = device.prepared(_prepare, x.shape, x.strides, x.dtype, axis, result)
    prepared.launch(device, (x.buffer, out.buffer, x.offset))


def _prepare(
    device: OpenCLDevice, shape: Shape, strides: Strides, dtype: DType, axis: int, result: int
) -> PreparedLaunch:
    """The launch of softmax or its kin along `axis`, on an array of that shape, strides and dtype."""
    n, step = shape[axis], strides[axis]
    outer = _without(shape, axis)
    rows, inner = prod(outer), prod(shape[axis + 1 :])
    by_rows = inner == 1 and (step == 1 or n == 1)
    if not device.launch_shape.on_cpu:
        by_rows = by_rows or rows < device.launch_shape.cores * _COLUMN_ITEMS
    layout = elementwise_layout(outer, (_without(strides, axis),))
    if by_rows:
        file, shaped, groups, tail = _by_rows(device, dtype, rows, n)
    else:
        file, shaped, groups, tail = _by_columns(device, dtype, rows, n, _packed_run(shape, strides, axis))
    types = (*_ROWS, *(_LONG for _ in tail))
    kernel = device.kernel(f"{file}.cl", file, _defines(dtype, result) | shaped, types, costs.of_functions(rows * n))
    arguments = (device.layout_buffer(layout), layout.rank, rows, n, step, inner, *tail)
    return PreparedLaunch(kernel, (groups,), (int(shaped["LOCAL"]),), arguments)


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
    launch_shape = device.launch_shape
    if not launch_shape.on_cpu:
        local = min(launch_shape.local_size, _SHORT) if n <= _SHORT else launch_shape.local_size
        return "softmax_rows", {"WIDTH": 1, "LOCAL": local}, min(rows, _MOST_ROW_GROUPS), ()
    groups = groups_for(launch_shape, rows, _ELEMENTS.worth(launch_shape, rows * n))
    return "softmax_rows", _vectors(device, dtype) | {"UNROLL": 4}, groups, ()


def _by_columns(device: OpenCLDevice, dtype: DType, rows: int, n: int, run: int) -> _Shaped:
    launch_shape = device.launch_shape
    if not launch_shape.on_cpu:
        local = min(_COLUMN_ITEMS, launch_shape.local_size)
        groups = groups_for(launch_shape, _ROWS_BY_ITEM.worth(launch_shape, rows, local))
        return "softmax_columns", {"WIDTH": 1, "LOCAL": local}, groups, (rows, 1)
    shape = _vectors(device, dtype)
    width = int(shape["WIDTH"])
    tail: tuple[int, ...] = ()
    if run >= width:
        tile = _tile(width, rows, run, launch_shape.groups)
        shape, tail = shape | {"TILE": _TILE}, (run, tile)
        units = rows // run * -(-run // tile)
    else:
        shape = shape | {"PACKED": 0}
        units = -(-rows // width)
    groups = groups_for(launch_shape, units, _ELEMENTS.worth(launch_shape, rows * n))
    return "softmax_columns", shape, groups, tail


def _tile(width: int, rows: int, run: int, groups: int) -> int:
    """The number of neighbouring rows that a work-item takes: few enough that all work-groups have some."""
    vectors = max(1, min(_TILE, rows // (width * groups)))
    return min(vectors * width, run)


def _packed_run(shape: Shape, strides: Strides, axis: int) -> int:
    """The number of neighbouring rows that lie side by side in memory; 0 if none do."""
    inner = elementwise_layout(shape[axis + 1 :], (strides[axis + 1 :],))
    return inner.shape[-1] if inner.strides[0][-1] == 1 else 0
