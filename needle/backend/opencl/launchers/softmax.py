"""The launchers of `cl/softmax_rows.cl` and `cl/softmax_columns.cl`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from needle.backend.opencl.layout import elementwise_layout
from needle.backend.opencl.types import cl_type
from needle.backend.protocol import ArrayView
from needle.dtypes import DType, float16, float64

if TYPE_CHECKING:
    from needle.backend.opencl.device import OpenCLDevice

Defines = dict[str, "str | int"]

_INT, _LONG = np.dtype(np.int32), np.dtype(np.int64)
_ROWS = (None, None, None, _INT, *(_LONG,) * 5)

_TILE = 8  # the most vectors of neighbouring rows that a CPU's work-item takes at once
_GRAIN = 4096  # elements that are worth a work-group of their own on a CPU
_FEW_ROWS = 8192  # on a GPU, as many strided rows or more take a work-item each, fewer a group each
_SHORT = 32  # rows of up to so many elements are served by groups of so many work-items


def _softmax(
    device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, axis: int, result: int
) -> None:
    """`result` selects the function as RESULT does in the kernels' file."""
    (x,), (out,) = inputs, outputs
    if 0 in out.shape:
        return
    n, step = x.shape[axis], x.strides[axis]
    rows, inner = prod(x.shape) // n if n else prod(out.shape), prod(x.shape[axis + 1 :])
    by_rows = inner == 1 and (step == 1 or n == 1)
    if device.profile.local_size > 1:
        by_rows = by_rows or rows < _FEW_ROWS
    defines = _defines(x.dtype, result)
    layout = elementwise_layout(_without(x.shape, axis), (_without(x.strides, axis),))
    arguments = (
        x.buffer, out.buffer, device.layout_buffer(layout), layout.rank, x.offset, rows, n, step, inner,
    )  # fmt: skip
    if by_rows:
        _launch_rows(device, defines, x.dtype, arguments, rows, n)
    else:
        _launch_columns(device, defines, x.dtype, arguments, rows, n, _packed_run(x, axis))


def _without(values: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*values[:axis], *values[axis + 1 :])


def _defines(dtype: DType, result: int) -> Defines:
    defines: Defines = {"T": cl_type(dtype), "RESULT": result}
    if dtype == float16:
        defines |= {"HALF": 1}
    if dtype == float64:
        defines |= {"REAL": "double"}
    return defines


def _vectors(device: OpenCLDevice, dtype: DType) -> Defines:
    """The defines that shape a launch of one work-item a group, on whole vectors."""
    width = device.profile.width(8 if dtype == float64 else 4)
    return {"WIDTH": width, "LOCAL": 1, "OWN_EXP": int(dtype != float64 and width > 1)}


def _launch_rows(
    device: OpenCLDevice, defines: Defines, dtype: DType, arguments: Sequence[object], rows: int, n: int
) -> None:
    local = device.profile.local_size
    shape: Defines
    if local > 1:
        local = min(local, _SHORT) if n <= _SHORT else local
        shape = {"WIDTH": 1, "LOCAL": local}
        groups = min(rows, 1 << 16)
    else:
        shape = _vectors(device, dtype) | {"UNROLL": 4}
        groups = max(1, min(device.profile.groups, rows, rows * n // _GRAIN))
    kernel = device.kernel("softmax_rows.cl", "softmax_rows", defines | shape, _ROWS)
    device.launch(kernel, (groups,), (local,), *arguments)


def _launch_columns(
    device: OpenCLDevice, defines: Defines, dtype: DType, arguments: Sequence[object], rows: int, n: int, run: int
) -> None:
    local = device.profile.local_size
    shape: Defines
    tail: tuple[int, ...]
    if local > 1:  # each work-item a row
        shape, tail = {"WIDTH": 1, "LOCAL": local}, (rows, 1)
        groups = min(device.profile.groups, -(-rows // local))
    else:
        shape = _vectors(device, dtype)
        width = int(shape["WIDTH"])
        if run >= width:
            tile = _tile(width, rows, run, device.profile.groups)
            shape, tail = shape | {"TILE": _TILE}, (run, tile)
            units = rows // run * -(-run // tile)
        else:
            shape, tail = shape | {"PACKED": 0}, ()
            units = -(-rows // width)
        groups = max(1, min(device.profile.groups, units, rows * n // _GRAIN))
    kernel = device.kernel("softmax_columns.cl", "softmax_columns", defines | shape, (*_ROWS, *(_LONG for _ in tail)))
    device.launch(kernel, (groups,), (local,), *arguments, *tail)


def _tile(width: int, rows: int, run: int, groups: int) -> int:
    """How many rows side by side a work-item takes: as many as leave work for all groups."""
    vectors = max(1, min(_TILE, rows // (width * groups)))
    return min(vectors * width, run)


def _packed_run(x: ArrayView, axis: int) -> int:
    """How many neighbouring rows lie side by side in memory; 0 if none do."""
    inner = elementwise_layout(x.shape[axis + 1 :], (x.strides[axis + 1 :],))
    return inner.shape[-1] if inner.strides[0][-1] == 1 else 0


PRIMITIVES: Mapping[str, Callable[..., None]] = {
    "softmax": partial(_softmax, result=0),
    "log_softmax": partial(_softmax, result=1),
    "logsumexp": partial(_softmax, result=2),
}
