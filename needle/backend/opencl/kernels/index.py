"""The launchers of `cl/index.cl`: gathering by an array of indices, the sum of updates at indices, writing at indices.

Indices out of range give NaN (integers: 0) in a take, and are left out of a sum and of what is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from needle.backend.opencl.building.layout import elementwise_layout
from needle.backend.opencl.building.types import bits_type, cl_type, element_defines, is_narrow, missing_bits
from needle.backend.opencl.kernels.launchers import launches
from needle.backend.opencl.kernels.prepared import PreparedLaunch
from needle.backend.opencl.shapes.groups import Grain, groups_for, parts_for
from needle.backend.protocol import ArrayView, Buffer
from needle.dtypes import DType, Shape, compute_dtype

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

_INT, _LONG, _ULONG = np.dtype(np.int32), np.dtype(np.int64), np.dtype(np.uint64)
_GATHER = (None,) * 3 + (_LONG,) * 2 + (None, _INT) + (_LONG,) * 4 + (_ULONG,)
_SCATTER = (None,) * 3 + (_LONG,) * 2 + (None,) * 3 + (_INT,) * 3 + (_LONG,) * 6
_NARROW = (None, None, _LONG)
_PUT = (None,) * 4 + (_LONG,) * 4 + (None,) * 2 + (_INT,) * 2 + (_LONG,) * 5 + (_INT,) + (_LONG,) * 2

_CPU_CHUNK = 4096  # elements of a run that gather copies as one unit on a CPU
_COPIED = Grain(group=1 << 14, rounded_up=True)  # elements that are copied or narrowed; a GPU's work-item takes one
_SUMMED = Grain(group=1 << 14)  # elements of a sum at indices: updates and results
_PARTS_PER_CORE = 16  # parts of a sum at indices on a CPU: few, because every part reads all indices
_GPU_ITEMS = 1 << 16  # work-items that keep a GPU busy

Strides = tuple[int, ...]
Defines = dict[str, "str | int"]


@launches("take")
def _take(device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, axis: int) -> None:
    x, indices = inputs
    before, after = len(x.shape[:axis]), len(x.shape[axis + 1 :])
    x_strides = (*x.strides[:axis], *(0 for _ in indices.shape), *x.strides[axis + 1 :])
    index_strides = (*(0,) * before, *indices.strides, *(0,) * after)
    _gather(device, x, indices, outputs[0], axis, x_strides, index_strides)


@launches("take_along_axis")
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
    """Gather `x` along `axis` by `indices` into `out`.

    Both strides have the axes of `out`: a step along one of them moves so far in `x` and in `indices`. The kernel
    itself moves along `axis` of `x`.
    """
    if 0 in out.shape:
        return
    prepared = device.prepared(
        _prepare_gather, x.dtype, indices.dtype, out.shape, x_strides, index_strides, x.shape[axis], x.strides[axis]
    )
    prepared.launch(device, (x.buffer, indices.buffer, out.buffer, x.offset, indices.offset))


def _prepare_gather(
    device: OpenCLDevice, dtype: DType, index_dtype: DType, shape: Shape, x_strides: Strides, index_strides: Strides,
    length: int, step: int,
) -> PreparedLaunch:  # fmt: skip
    """The launch that gathers an array of `shape` along an axis of so many elements, `step` apart."""
    itemsize, launch_shape = dtype.itemsize, device.launch_shape
    defines = _defines(device, {"T": bits_type(dtype)}, index_dtype) | {"GATHER": 1}
    if launch_shape.on_cpu:
        defines |= {"CHUNK": _CPU_CHUNK, "WIDTH": launch_shape.width(itemsize)}
    layout = elementwise_layout(shape, (x_strides, index_strides))
    size, run = prod(shape), layout.shape[-1]
    units = size // run * -(-run // int(defines.get("CHUNK", 1)))
    groups = groups_for(launch_shape, units, _COPIED.worth(launch_shape, size))
    kernel = device.kernel("index.cl", "gather", defines, _GATHER, size)
    arguments = (device.layout_buffer(layout), layout.rank, size // run, run, length, step, missing_bits(dtype))
    return PreparedLaunch(kernel, (groups,), (launch_shape.local_size,), arguments)


def _defines(device: OpenCLDevice, element: Defines, index_dtype: DType) -> Defines:
    return {**element, "INDEX_T": cl_type(index_dtype), "LOCAL": device.launch_shape.local_size}


@launches("scatter_add")
def _scatter_add(
    device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, axis: int, size: int
) -> None:
    indices, updates = inputs
    middle = axis + len(indices.shape)
    index_strides = (*(0,) * axis, *indices.strides, *(0,) * (len(updates.shape) - middle))
    _scatter(device, indices, updates, outputs[0], axis, middle, size, index_strides)


@launches("scatter_add_along_axis")
def _scatter_add_along_axis(
    device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, axis: int, size: int
) -> None:
    indices, updates = inputs
    _scatter(device, indices, updates, outputs[0], axis, axis + 1, size, indices.strides)


def _scatter(
    device: OpenCLDevice, indices: ArrayView, updates: ArrayView, out: ArrayView, axis: int, middle: int,
    size: int, index_strides: Strides,
) -> None:  # fmt: skip
    """Sum `updates` along `axis` of `out`, which has `size` elements, at the places that `indices` name.

    The axes of the updates are those before `axis`, those of the indices (from `axis` to `middle`), and the rest.
    `index_strides` has the axes of the updates.
    """
    if 0 in out.shape:
        return
    total = prod(out.shape)
    narrow = is_narrow(out.dtype)
    target: Buffer = device.empty(total, compute_dtype(out.dtype)) if narrow else out.buffer
    dtypes = updates.dtype, indices.dtype
    prepared = device.prepared(
        _prepare_scatter, *dtypes, updates.shape, updates.strides, index_strides, axis, middle, size
    )
    prepared.launch(device, (updates.buffer, indices.buffer, target, updates.offset, indices.offset))
    if narrow:
        device.prepared(_prepare_narrow, *dtypes, total).launch(device, (target, out.buffer))


def _prepare_scatter(
    device: OpenCLDevice, dtype: DType, index_dtype: DType, shape: Shape, strides: Strides, index_strides: Strides,
    axis: int, middle: int, size: int,
) -> PreparedLaunch:  # fmt: skip
    """The launch that sums updates of `shape` and `strides` along an axis of `size` elements (see `_scatter`)."""
    parts = [
        elementwise_layout(shape[a:b], (strides[a:b], index_strides[a:b]))
        for a, b in ((0, axis), (axis, middle), (middle, len(shape)))
    ]
    outer, count, inner = (prod(shape[a:b]) for a, b in ((0, axis), (axis, middle), (middle, None)))
    by_column = inner > 1 and any(parts[2].strides[1])
    name, row_parts, column_parts, groups = _partition(device, outer, count, inner, size, by_column)
    cost = outer * count * max(inner, row_parts * column_parts)  # each part reads all indices
    kernel = device.kernel("index.cl", name, _scatter_defines(device, dtype, index_dtype), _SCATTER, cost)
    arguments = (
        *map(device.layout_buffer, parts), *(part.rank for part in parts),
        outer, count, inner, size, row_parts, column_parts,
    )  # fmt: skip
    return PreparedLaunch(kernel, (groups,), (device.launch_shape.local_size,), arguments)


def _prepare_narrow(device: OpenCLDevice, dtype: DType, index_dtype: DType, size: int) -> PreparedLaunch:
    """The launch that stores `size` sums in a narrower type; its kernel is part of the program that summed them."""
    launch_shape = device.launch_shape
    kernel = device.kernel("index.cl", "narrow", _scatter_defines(device, dtype, index_dtype), _NARROW, size)
    groups = groups_for(launch_shape, size, _COPIED.worth(launch_shape, size))
    return PreparedLaunch(kernel, (groups,), (launch_shape.local_size,), (size,))


def _scatter_defines(device: OpenCLDevice, dtype: DType, index_dtype: DType) -> Defines:
    in_vectors = device.launch_shape.on_cpu and not is_narrow(dtype)
    width = device.launch_shape.width(dtype.itemsize) if in_vectors else 1
    return _defines(device, element_defines(dtype, wraps=True), index_dtype) | {"SCATTER": 1, "WIDTH": width}


def _partition(
    device: OpenCLDevice, outer: int, count: int, inner: int, size: int, by_column: bool
) -> tuple[str, int, int, int]:
    """The name of the kernel, the parts into which it cuts the output's rows and columns, and its work-groups.

    Every part reads all indices, which costs little only if the part has many columns. `by_column` tells that the
    indices differ from column to column.
    """
    launch_shape = device.launch_shape
    if not launch_shape.on_cpu and not by_column:
        column_parts = -(-inner // launch_shape.local_size)
        row_parts = parts_for(launch_shape, outer * column_parts, most=size)
        return "scatter_shared", row_parts, column_parts, groups_for(launch_shape, outer * row_parts * column_parts)
    if not launch_shape.on_cpu:
        row_parts = max(1, min(size, 64, _GPU_ITEMS // (outer * inner)))
        groups = groups_for(launch_shape, _COPIED.worth(launch_shape, outer * row_parts * inner))
        return "scatter", row_parts, inner, groups
    cores = launch_shape.cores
    elements = outer * inner * (count + size)
    wanted = -(-min(_PARTS_PER_CORE * cores, _SUMMED.worth(launch_shape, elements)) // outer)
    if by_column:
        column_parts = min(wanted, -(-inner // 16))
        row_parts = min(-(-wanted // column_parts), size, cores)
    else:
        row_parts = min(wanted, size, max(cores, inner // 8))
        column_parts = min(-(-wanted // row_parts), max(1, inner // 64))
    return "scatter", row_parts, column_parts, groups_for(launch_shape, outer * row_parts * column_parts)


@launches("put")
def _put(device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView]) -> None:
    """Write into rows of x, or of a copy of x where the output is another array."""
    (x, indices, updates), (out,) = inputs, outputs
    copies = out is not x
    if 0 in out.shape or not (copies or 0 not in indices.shape):
        return
    prepared = device.prepared(
        _prepare_put, x.dtype, indices.dtype, x.shape, x.strides, out.strides, indices.shape, indices.strides,
        updates.strides, copies,
    )  # fmt: skip
    starts = x.offset, updates.offset, indices.offset, out.offset
    prepared.launch(device, (x.buffer, updates.buffer, indices.buffer, out.buffer, *starts))


def _prepare_put(
    device: OpenCLDevice, dtype: DType, index_dtype: DType, shape: Shape, x_strides: Strides, out_strides: Strides,
    index_shape: Shape, index_strides: Strides, update_strides: Strides, copies: bool,
) -> PreparedLaunch:  # fmt: skip
    """The launch that writes into an array of `shape`, at so many indices."""
    size, inner, count = shape[0], prod(shape[1:]), prod(index_shape)
    rank = len(index_shape)
    by_count = elementwise_layout(index_shape, (update_strides[:rank], index_strides))
    by_inner = elementwise_layout(shape[1:], (update_strides[rank:], x_strides[1:], out_strides[1:]))
    launch_shape = device.launch_shape
    moved = inner * (count + size if copies else count)
    row_parts, column_parts = _parts(device, moved, inner, size)
    defines = _defines(device, {"T": bits_type(dtype)}, index_dtype) | {"PUT": 1}
    kernel = device.kernel("index.cl", "put", defines, _PUT, max(moved, count * row_parts * column_parts))
    arguments = (
        device.layout_buffer(by_count), device.layout_buffer(by_inner), by_count.rank, by_inner.rank,
        count, inner, size, x_strides[0], out_strides[0], int(copies), row_parts, column_parts,
    )  # fmt: skip
    groups = groups_for(launch_shape, -(-row_parts * column_parts // launch_shape.local_size))
    return PreparedLaunch(kernel, (groups,), (launch_shape.local_size,), arguments)


def _parts(device: OpenCLDevice, elements: int, inner: int, size: int) -> tuple[int, int]:
    """Into how many parts a put that moves so many elements cuts the output's rows and its columns."""
    launch_shape = device.launch_shape
    if not launch_shape.on_cpu:
        return max(1, min(size, 64, _GPU_ITEMS // inner)), inner
    wanted = min(_PARTS_PER_CORE * launch_shape.cores, _SUMMED.worth(launch_shape, elements))
    row_parts = min(wanted, size, max(launch_shape.cores, inner // 8))
    return row_parts, min(-(-wanted // row_parts), max(1, inner // 64))
