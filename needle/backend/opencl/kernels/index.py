"""The launchers of `cl/index.cl`: gathering by an array of indices, and the sum of updates at indices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from needle.backend.opencl.building.layout import elementwise_layout
from needle.backend.opencl.building.types import bits_type, cl_type, element_defines, is_narrow, missing_bits
from needle.backend.protocol import ArrayView, Buffer
from needle.dtypes import DType, compute_dtype

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

_INT, _LONG, _ULONG = np.dtype(np.int32), np.dtype(np.int64), np.dtype(np.uint64)
_GATHER = (None,) * 4 + (_INT,) + (_LONG,) * 6 + (_ULONG,)
_SCATTER = (None,) * 6 + (_INT,) * 3 + (_LONG,) * 8
_NARROW = (None, None, _LONG)

_CPU_CHUNK = 4096  # elements of a run that gather copies as one unit on a CPU
_GRAIN = 1 << 14  # elements that are worth a work-group of their own on a CPU
_PARTS_PER_CORE = 16  # of a sum at indices on a CPU: few, because each goes through all indices
_GPU_ITEMS = 1 << 16  # work-items that keep a GPU busy

Strides = tuple[int, ...]
Defines = dict[str, "str | int"]


def _take(device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, axis: int) -> None:
    x, indices = inputs
    before, after = len(x.shape[:axis]), len(x.shape[axis + 1 :])
    x_strides = (*x.strides[:axis], *(0 for _ in indices.shape), *x.strides[axis + 1 :])
    index_strides = (*(0,) * before, *indices.strides, *(0,) * after)
    _gather(device, x, indices, outputs[0], axis, x_strides, index_strides)


def _take_along_axis(
    device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, axis: int
) -> None:
    x, indices = inputs
    x_strides = tuple(0 if a == axis else s for a, s in enumerate(x.strides))
    _gather(device, x, indices, outputs[0], axis, x_strides, indices.strides)


def _gather(
    device: OpenCLDevice, x: ArrayView, indices: ArrayView, out: ArrayView, axis: int,
    x_strides: Strides, index_strides: Strides,
) -> None:  # fmt: skip
    """Both strides are those by which the output's elements find theirs; the axis is left to the kernel."""
    if 0 in out.shape:
        return
    itemsize, launch_shape = x.dtype.itemsize, device.launch_shape
    defines = _defines(device, {"T": bits_type(x.dtype)}, indices.dtype) | {"GATHER": 1}
    if launch_shape.local_size == 1:
        defines |= {"CHUNK": _CPU_CHUNK, "WIDTH": launch_shape.width(itemsize)}
    layout = elementwise_layout(out.shape, (x_strides, index_strides))
    size, run = prod(out.shape), layout.shape[-1]
    units = size // run * -(-run // int(defines.get("CHUNK", 1)))
    groups = _groups(device, units, size)
    kernel = device.kernel("index.cl", "gather", defines, _GATHER)
    device.launch(
        kernel, (groups,), (launch_shape.local_size,), x.buffer, indices.buffer, out.buffer,
        device.layout_buffer(layout), layout.rank, x.offset, indices.offset,
        size // run, run, x.shape[axis], x.strides[axis], missing_bits(x.dtype),
    )  # fmt: skip


def _defines(device: OpenCLDevice, element: Defines, index_dtype: DType) -> Defines:
    return {**element, "INDEX_T": cl_type(index_dtype), "LOCAL": device.launch_shape.local_size}


def _groups(device: OpenCLDevice, units: int, size: int) -> int:
    """Work-groups for so many units of work on `size` elements."""
    local = device.launch_shape.local_size
    enough = -(-size // _GRAIN) if local == 1 else -(-units // local)
    return max(1, min(device.launch_shape.groups, units, enough))


def _scatter_add(
    device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, axis: int, size: int
) -> None:
    indices, updates = inputs
    middle = axis + len(indices.shape)
    index_strides = (*(0,) * axis, *indices.strides, *(0,) * (len(updates.shape) - middle))
    _scatter(device, indices, updates, outputs[0], axis, middle, size, index_strides)


def _scatter_add_along_axis(
    device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, axis: int, size: int
) -> None:
    indices, updates = inputs
    _scatter(device, indices, updates, outputs[0], axis, axis + 1, size, indices.strides)


def _scatter(
    device: OpenCLDevice, indices: ArrayView, updates: ArrayView, out: ArrayView, axis: int, middle: int,
    size: int, index_strides: Strides,
) -> None:  # fmt: skip
    """The updates' axes are [outer..., axis to middle: the indices', inner...]."""
    if 0 in out.shape:
        return
    parts = [
        elementwise_layout(updates.shape[a:b], (updates.strides[a:b], index_strides[a:b]))
        for a, b in ((0, axis), (axis, middle), (middle, len(updates.shape)))
    ]
    outer, count, inner = (prod(updates.shape[a:b]) for a, b in ((0, axis), (axis, middle), (middle, None)))
    narrow = is_narrow(out.dtype)
    target: Buffer = device.empty(prod(out.shape), compute_dtype(out.dtype)) if narrow else out.buffer
    defines = _scatter_defines(device, updates.dtype, indices.dtype)
    by_column = inner > 1 and any(parts[2].strides[1])
    name, row_parts, column_parts, groups = _partition(device, outer, count, inner, size, by_column)
    kernel = device.kernel("index.cl", name, defines, _SCATTER)
    local = device.launch_shape.local_size
    device.launch(
        kernel, (groups,), (local,), updates.buffer, indices.buffer, target,
        *map(device.layout_buffer, parts), *(part.rank for part in parts), updates.offset, indices.offset,
        outer, count, inner, size, row_parts, column_parts,
    )  # fmt: skip
    if narrow:
        total = prod(out.shape)
        kernel = device.kernel("index.cl", "narrow", defines, _NARROW)
        device.launch(kernel, (_groups(device, total, total),), (local,), target, out.buffer, total)


def _scatter_defines(device: OpenCLDevice, dtype: DType, index_dtype: DType) -> Defines:
    in_vectors = device.launch_shape.local_size == 1 and not is_narrow(dtype)
    width = device.launch_shape.width(dtype.itemsize) if in_vectors else 1
    return _defines(device, element_defines(dtype, wraps=True), index_dtype) | {"SCATTER": 1, "WIDTH": width}


def _partition(
    device: OpenCLDevice, outer: int, count: int, inner: int, size: int, by_column: bool
) -> tuple[str, int, int, int]:
    """The kernel, the parts into which it cuts the output's rows and columns, and its work-groups.

    Each part goes through all indices, which costs little only if the part has many columns. `by_column`
    tells that the indices depend on the column.
    """
    groups, local = device.launch_shape.groups, device.launch_shape.local_size
    if local > 1 and not by_column:
        column_parts = -(-inner // local)
        row_parts = max(1, min(size, groups // (outer * column_parts)))
        return "scatter_shared", row_parts, column_parts, min(groups, outer * row_parts * column_parts)
    if local > 1:
        row_parts = max(1, min(size, 64, _GPU_ITEMS // (outer * inner)))
        return "scatter", row_parts, inner, min(groups, -(-outer * row_parts * inner // local))
    cores = device.launch_shape.cores
    work = outer * inner * (count + size)
    wanted = -(-min(_PARTS_PER_CORE * cores, max(1, work // _GRAIN)) // outer)
    if by_column:
        column_parts = min(wanted, -(-inner // 16))
        row_parts = min(-(-wanted // column_parts), size, cores)
    else:
        row_parts = min(wanted, size, max(cores, inner // 8))
        column_parts = min(-(-wanted // row_parts), max(1, inner // 64))
    return "scatter", row_parts, column_parts, min(groups, outer * row_parts * column_parts)


#: Out of range indices give NaN (integers: 0) in a take, and are left out of a sum.
PRIMITIVES: Mapping[str, Callable[..., None]] = {
    "take": _take,
    "take_along_axis": _take_along_axis,
    "scatter_add": _scatter_add,
    "scatter_add_along_axis": _scatter_add_along_axis,
}
