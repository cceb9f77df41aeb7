"""The launcher of `cl/matmul*.cl`: batched products of strided matrices and vectors."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from needle.backend.opencl.building.programs import Defines
from needle.backend.opencl.building.types import element_defines
from needle.backend.opencl.kernels import costs, matmul_registers
from needle.backend.opencl.kernels.launchers import launches
from needle.backend.opencl.kernels.matmul_split import ceil_div, split
from needle.backend.opencl.kernels.prepared import PreparedLaunch
from needle.backend.opencl.shapes.groups import Grain, groups_for
from needle.backend.opencl.shapes.launch_shape import LaunchShape
from needle.backend.protocol import ArrayView
from needle.dtypes import DType, Shape, is_bool

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

#: The kernels: their file, and the dtypes of their parameters: three pointers, then longs, then perhaps a counter.
_KERNELS = {
    name: (file, (None,) * 3 + (np.dtype(np.int64),) * longs + (None,) * counters)
    for name, file, longs, counters in (
        ("matmul_blocks", "matmul.cl", 19, 1), ("matmul_tiles", "matmul.cl", 16, 0),
        ("matmul_registers", "matmul_registers.cl", 17, 0), ("matvec_blocks", "matmul_vector.cl", 17, 0),
        ("matvec_tiles", "matmul_vector.cl", 16, 0),
    )
}  # fmt: skip

#: The parameters of matmul_join, and its work-items.
_JOIN, _JOIN_ITEMS = (None, None, *(np.dtype(np.int64),) * 3), 64

#: The multiplications of a matrix by a vector that pay for a further block on a CPU: they take longer than a launch.
_VECTOR_PRODUCTS = Grain(group=1 << 14)

Strides = tuple[int, ...]


@dataclass(frozen=True)
class _Axis:
    """A batch dimension: its length and what one step along it adds to the offsets of a and b."""

    length: int
    a: int
    b: int


@dataclass(frozen=True)
class Problem:
    """Matrix products that one launch computes; the fields are the kernels' parameters."""

    a_offset: int
    b_offset: int
    c_offset: int
    rows: int
    columns: int
    depth: int
    a_row: int
    a_depth: int
    b_depth: int
    b_column: int
    batches: int
    batch_inner: int
    a_outer: int
    a_inner: int
    b_outer: int
    b_inner: int

    @property
    def extents(self) -> tuple[int, ...]:
        """The parameters after the offsets."""
        return (
            self.rows, self.columns, self.depth, self.a_row, self.a_depth, self.b_depth, self.b_column,
            self.batches, self.batch_inner, self.a_outer, self.a_inner, self.b_outer, self.b_inner,
        )  # fmt: skip

    def swapped(self) -> Problem:
        """The transposed product, B.T @ A.T; its result lies in memory alike where A has one row."""
        return Problem(
            self.b_offset, self.a_offset, self.c_offset, self.columns, self.rows, self.depth,
            self.b_column, self.b_depth, self.a_depth, self.a_row, self.batches, self.batch_inner,
            self.b_outer, self.b_inner, self.a_outer, self.a_inner,
        )  # fmt: skip


@dataclass(frozen=True)
class _Part:
    """A launch that computes a product or a part of its batch.

    `swapped` says that b is the kernel's A. The offsets are those of the kernel's A, B and C within the arrays. Where
    the depth is sliced, the launch writes `sums` partial sums, of a dtype of their own, which `join` adds up.
    """

    launch: PreparedLaunch
    swapped: bool
    a_offset: int
    b_offset: int
    c_offset: int
    join: PreparedLaunch | None = None
    sums: int = 0

    def enqueue(self, device: OpenCLDevice, x: ArrayView, y: ArrayView, c: ArrayView) -> None:
        """Compute this part of c; x is the kernel's A and y its B."""
        starts, c_start = (x.offset + self.a_offset, y.offset + self.b_offset), c.offset + self.c_offset
        if self.join is None:
            self.launch.launch(device, (x.buffer, y.buffer, c.buffer, *starts, c_start))
            return
        sums = device.empty(self.sums, matmul_registers.sum_dtype(c.dtype))
        self.launch.launch(device, (x.buffer, y.buffer, sums, *starts, 0))
        self.join.launch(device, (sums, c.buffer, c_start))


@launches("matmul")
def matmul(device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView]) -> None:
    """c = a @ b for a of shape (..., M, K), b of (..., K, N) and c of (..., M, N), contiguous.

    a, b and c have one dtype; the batch dimensions of a and b broadcast to c's. On bools, `@` is any(a and b).
    """
    a, b = inputs
    (c,) = outputs
    if 0 in c.shape:
        return
    aligned = (a.offset % 4 == 0, b.offset % 4 == 0, c.offset % 4 == 0)
    for part in device.prepared(_prepare, a.shape, a.strides, b.shape, b.strides, c.dtype, aligned):
        x, y = (b, a) if part.swapped else (a, b)
        part.enqueue(device, x, y, c)


def _prepare(
    device: OpenCLDevice,
    a_shape: Shape,
    a_strides: Strides,
    b_shape: Shape,
    b_strides: Strides,
    dtype: DType,
    aligned: tuple[bool, bool, bool],
) -> tuple[_Part, ...]:
    """The launches that a product takes: one, but for batches too scattered for the kernels' two dimensions."""
    problems = _problems(a_shape, a_strides, b_shape, b_strides)
    return tuple(_part(device, problem, dtype, aligned) for problem in problems)


def _part(device: OpenCLDevice, problem: Problem, dtype: DType, aligned: tuple[bool, bool, bool]) -> _Part:
    launch_shape = device.launch_shape
    if min(problem.rows, problem.columns) > 1 and (tiling := matmul_registers.choose(problem, dtype, launch_shape)):
        return _in_registers(device, problem, dtype, tiling, aligned)
    swapped = problem.rows == 1 < problem.columns  # a row times a matrix: the matrix, transposed, times the row
    if swapped:
        problem = problem.swapped()
    is_vector = problem.columns == 1
    tail: tuple[object, ...] = ()
    if not launch_shape.matmul_packs_dtype(dtype):
        name, local = "matvec_tiles" if is_vector else "matmul_tiles", launch_shape.matmul_group**2
        height, width = _tile(problem, launch_shape)
        groups = problem.batches * ceil_div(problem.rows, height) * ceil_div(problem.columns, width)
    elif is_vector:
        name, local = "matvec_blocks", 1
        blocks = _vector_blocks(problem, launch_shape)
        tail = (blocks,)
        groups = groups_for(launch_shape, problem.batches * blocks)
    else:
        name, local = "matmul_blocks", 1
        cut = split(problem.rows, problem.depth, problem.columns, problem.batches, dtype.itemsize, launch_shape)
        tail = (cut.row_blocks, cut.column_blocks, cut.depth, device.counter)
        most = max(2, launch_shape.cores)  # on a single core too: a launch of one group is taken for a short one
        groups = min(problem.batches * cut.row_blocks * cut.column_blocks, most)
    by_columns = problem.a_row == 1 != problem.a_depth
    file, parameters = _KERNELS[name]
    cost = costs.of_products(problem.batches * problem.rows * problem.columns * problem.depth)
    kernel = device.kernel(file, name, _defines(name, dtype, launch_shape, by_columns), parameters, cost)
    launch = PreparedLaunch(kernel, (groups,), (local,), (*problem.extents, *tail))
    return _Part(launch, swapped, problem.a_offset, problem.b_offset, problem.c_offset)


def _in_registers(
    device: OpenCLDevice, problem: Problem, dtype: DType, tiling: matmul_registers.Tiling,
    aligned: tuple[bool, bool, bool],
) -> _Part:  # fmt: skip
    """The launch of a product on register tiles, and the one that joins the sums of slices."""
    file, parameters = _KERNELS["matmul_registers"]
    defines = {**_defines("matmul_registers", dtype, device.launch_shape, False)}
    defines |= matmul_registers.defines(problem, tiling, aligned)
    cost = costs.of_products(problem.batches * problem.rows * problem.columns * problem.depth)
    kernel = device.kernel(file, "matmul_registers", defines, parameters, cost)
    arguments = (*problem.extents, tiling.slice)
    launch = PreparedLaunch(kernel, (tiling.groups(problem),), (tiling.form.items,), arguments)
    offsets = problem.a_offset, problem.b_offset, problem.c_offset
    if tiling.slices == 1:
        return _Part(launch, False, *offsets)
    size = problem.batches * problem.rows * problem.columns
    kernel = device.kernel(file, "matmul_join", defines, _JOIN, size * tiling.slices)
    groups = groups_for(device.launch_shape, ceil_div(size, _JOIN_ITEMS))
    join = PreparedLaunch(kernel, (groups,), (_JOIN_ITEMS,), (size, tiling.slices))
    return _Part(launch, False, *offsets, join, size * tiling.slices)


def _defines(kernel: str, dtype: DType, launch_shape: LaunchShape, by_columns: bool) -> Defines:
    """What a kernel is compiled under: one program for each dtype, or two, for A by rows and by columns."""
    defines = element_defines(dtype, wraps=True)
    if is_bool(dtype):
        defines |= {"ACCUMULATE(s, x, y)": "s |= (x) & (y)", "JOIN(s, x)": "s |= (x)"}
    if kernel.endswith("_blocks"):
        defines |= {"ON_CPU": 1, "WIDTH": launch_shape.width(dtype.itemsize)}
    if kernel == "matmul_blocks":
        defines |= {"TILE_ROWS": launch_shape.matmul_rows, "BLOCK_DEPTH": launch_shape.matmul_deepest(dtype.itemsize)}
        defines["BLOCK_SIZE"] = launch_shape.matmul_block_bytes // dtype.itemsize
        defines["A_ROWS"] = launch_shape.matmul_rows * launch_shape.matmul_strip(dtype.itemsize)
        defines |= {"A_BY_COLUMNS": 1} if by_columns else {}
    elif kernel == "matmul_tiles":
        defines |= {"GROUP": launch_shape.matmul_group, "MICRO": launch_shape.matmul_micro}
    elif kernel == "matvec_tiles":
        defines["ITEMS"] = launch_shape.matmul_group**2
    return defines


def _tile(problem: Problem, launch_shape: LaunchShape) -> tuple[int, int]:
    """The rows and columns of C that a work-group of matmul_tiles or matvec_tiles computes."""
    if problem.columns > 1:
        return (launch_shape.matmul_group * launch_shape.matmul_micro,) * 2
    items = launch_shape.matmul_group**2
    near = min(32, items)
    return (items // near if problem.a_depth == 1 else near), 1


def _vector_blocks(problem: Problem, launch_shape: LaunchShape) -> int:
    """The number of blocks into which to split the rows of a matrix-vector product, each large enough to pay."""
    rows, cores = problem.rows, launch_shape.cores
    if problem.a_depth == 1:
        wanted = min(launch_shape.groups, rows // 8)
    else:  # long stretches of contiguous rows are read fastest
        wanted = min(max(cores, rows // 1024), rows // 64)
    wanted = min(wanted, ceil_div(launch_shape.groups, problem.batches))
    return max(1, min(wanted, _VECTOR_PRODUCTS.worth(launch_shape, rows * problem.depth)))


def _problems(a_shape: Shape, a_strides: Strides, b_shape: Shape, b_strides: Strides) -> Iterator[Problem]:
    """The launches that a product takes: one, but for batches that collapse to no fewer than 3 dimensions."""
    (rows, depth), columns = a_shape[-2:], b_shape[-1]
    a_row, a_depth = a_strides[-2:]
    b_depth, b_column = b_strides[-2:]
    axes = _collapse(_batch_axes(a_shape[:-2], a_strides[:-2], b_shape[:-2], b_strides[:-2]))
    if axes and axes[-1].b == 0 and (axes[-1].a == rows * a_row or rows == 1):  # one tall matrix
        a_row = axes[-1].a if rows == 1 else a_row
        rows *= axes.pop().length
    outer, inner = [_Axis(1, 0, 0), _Axis(1, 0, 0), *axes][-2:]
    batches = outer.length * inner.length
    steps = [[(i * axis.a, i * axis.b) for i in range(axis.length)] for axis in axes[:-2]]
    for number, offsets in enumerate(itertools.product(*steps)):
        yield Problem(
            sum(a for a, _ in offsets), sum(b for _, b in offsets), number * batches * rows * columns,
            rows, columns, depth, a_row, a_depth, b_depth, b_column,
            batches, inner.length, outer.a, inner.a, outer.b, inner.b,
        )  # fmt: skip


def _batch_axes(a_shape: Shape, a_strides: Strides, b_shape: Shape, b_strides: Strides) -> Iterator[_Axis]:
    """The batch dimensions, outermost first, after broadcasting; those of length 1 are left out."""
    rank = max(len(a_shape), len(b_shape))
    missing = [(1, 0)] * rank
    a = (missing + list(zip(a_shape, a_strides, strict=True)))[-rank:] if rank else []
    b = (missing + list(zip(b_shape, b_strides, strict=True)))[-rank:] if rank else []
    for (a_length, a_stride), (b_length, b_stride) in zip(a, b, strict=True):
        if max(a_length, b_length) > 1:
            yield _Axis(max(a_length, b_length), a_stride * (a_length > 1), b_stride * (b_length > 1))


def _collapse(axes: Iterator[_Axis]) -> list[_Axis]:
    """The same batch in as few dimensions as strides allow."""
    merged: list[_Axis] = []
    for axis in axes:
        last = merged[-1] if merged else None
        if last and last.a == axis.a * axis.length and last.b == axis.b * axis.length:
            merged[-1] = _Axis(last.length * axis.length, axis.a, axis.b)
        else:
            merged.append(axis)
    return merged
