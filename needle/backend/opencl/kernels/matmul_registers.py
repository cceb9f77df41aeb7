"""Which register tile a product gets on a GPU (`cl/matmul_registers.cl`), and how operands are read there.

A large tile reads least and multiplies most for each read; but tiles must be enough to fill the device, and where the
product is smaller than a tile, the rest of the tile is wasted. So each form is weighed, with the depth cut into slices
where there would be too few work-groups, and the one that should take least time is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from needle.backend.opencl.building.programs import Defines
from needle.backend.opencl.building.types import is_narrow
from needle.backend.opencl.shapes.launch_shape import LaunchShape
from needle.dtypes import DType, float32, is_float

if TYPE_CHECKING:
    from needle.backend.opencl.kernels.matmul import Problem


@dataclass(frozen=True)
class Form:
    """The shape of a tile: work-items along columns and rows, columns and rows of each, the depth of a step."""

    across: int
    down: int
    columns: int
    rows: int
    step: int

    @property
    def items(self) -> int:
        return self.across * self.down

    @property
    def sums(self) -> int:
        """The sums that a work-item holds in registers."""
        return self.columns * self.rows

    @property
    def width(self) -> int:
        return self.across * self.columns

    @property
    def height(self) -> int:
        return self.down * self.rows

    @property
    def rate(self) -> float:
        """Multiplications by time, relative to those of other forms: fewer, the more of it goes into reading."""
        shared = self.sums / (self.sums + 2 * (self.columns + self.rows))
        return shared / (1 + 16 / self.width + 16 / self.height)


#: The forms to choose from, for devices that hold 64, 32 or 16 sums: large, small, of few rows, of few columns.
FORMS = (
    Form(16, 16, 8, 8, 8), Form(8, 8, 8, 8, 8),
    Form(16, 16, 8, 4, 16), Form(8, 8, 8, 4, 8), Form(16, 4, 8, 4, 16), Form(8, 16, 4, 8, 16),
    Form(16, 16, 4, 4, 16), Form(8, 8, 4, 4, 8), Form(16, 4, 4, 4, 16),
)  # fmt: skip

#: The sums of integers, and of numbers of 8 bytes, that a work-item holds: they take more registers than floats.
_WIDE_SUMS = 16
#: Work-items for each compute unit that hide the latency of memory.
_ITEMS_A_UNIT = 256
#: The least depth of a slice.
_SHALLOW = 32
#: The time to write, read and add a partial sum, in multiplications.
_JOINED = 32

#: The offsets inside a tile are ints.
_FAR = 1 << 31


@dataclass(frozen=True)
class Tiling:
    """A form, the number of slices of the depth and how deep each is."""

    form: Form
    slices: int
    slice: int

    def groups(self, problem: Problem) -> int:
        """The work-groups of a product."""
        return _tiles(self.form, problem) * self.slices


def choose(problem: Problem, dtype: DType, launch_shape: LaunchShape) -> Tiling | None:
    """The tiling for a product; None where the kernel takes none: another device, strides too long for it."""
    held = launch_shape.matmul_sums if is_float(dtype) and dtype.itemsize <= 4 else _WIDE_SUMS
    fitting = [f for f in FORMS if f.sums <= min(held, launch_shape.matmul_sums) and f.items <= launch_shape.local_size]
    if launch_shape.on_cpu or not fitting or _is_far(problem):
        return None
    return min(
        (_tiling(form, problem, launch_shape) for form in fitting), key=lambda t: _time(t, problem, launch_shape)
    )


def _tiling(form: Form, problem: Problem, launch_shape: LaunchShape) -> Tiling:
    """`form`, with the depth cut into as many slices as fill the device."""
    wanted = -(-launch_shape.cores * _ITEMS_A_UNIT // max(1, _tiles(form, problem) * form.items))
    slices = max(1, min(wanted, problem.depth // _SHALLOW))
    if slices == 1:
        return Tiling(form, 1, max(1, problem.depth))
    each = -(-problem.depth // (slices * 16)) * 16  # whole steps of every form
    if -(-problem.depth // each) < slices:
        each -= 16
    return Tiling(form, -(-problem.depth // each), each)


def _time(tiling: Tiling, problem: Problem, launch_shape: LaunchShape) -> float:
    """An estimate, in units of no meaning."""
    form, groups = tiling.form, tiling.groups(problem)
    busy = min(1.0, groups * form.items / (launch_shape.cores * _ITEMS_A_UNIT))
    multiplied = _tiles(form, problem) * form.width * form.height * problem.depth / (form.rate * busy)
    joined = problem.batches * problem.rows * problem.columns * tiling.slices * _JOINED if tiling.slices > 1 else 0
    return multiplied + joined


def _tiles(form: Form, problem: Problem) -> int:
    return problem.batches * -(-problem.rows // form.height) * -(-problem.columns // form.width)


def _is_far(problem: Problem) -> bool:
    """Whether an element of a tile may lie too far from its first for an int."""
    side = max(max(form.width, form.height) for form in FORMS)
    step = max(form.step for form in FORMS)
    reaches = (
        min(side, problem.rows) * abs(problem.a_row) + step * abs(problem.a_depth),
        min(side, problem.columns) * abs(problem.b_column) + step * abs(problem.b_depth),
        side * problem.columns,
        problem.batches * -(-problem.rows // 16) * -(-problem.columns // 32) * max(1, problem.depth // _SHALLOW),
    )
    return max(reaches) >= _FAR


def defines(problem: Problem, tiling: Tiling, aligned: tuple[bool, bool, bool]) -> Defines:
    """The defines of the kernel. `aligned` tells of a, b and c whether they begin at a multiple of four elements."""
    form, p = tiling.form, problem
    of_a, of_b, of_c = aligned
    a_steps, b_steps = (p.a_offset, p.a_outer, p.a_inner), (p.b_offset, p.b_outer, p.b_inner)
    in_c = (p.columns, 0) if tiling.slices > 1 else (p.columns, p.c_offset)
    return {
        "A_MODE": _mode(of_a and _fours(*a_steps), p.rows, p.depth, p.a_row, p.a_depth),
        "B_MODE": _mode(of_b and _fours(*b_steps), p.columns, p.depth, p.b_column, p.b_depth),
        "C_QUADS": int(_fours(*in_c) and (of_c or tiling.slices > 1)),
        "GX": form.across, "GY": form.down, "MX": form.columns, "MY": form.rows, "STEP": form.step,
        "SLICED": int(tiling.slices > 1),
    }  # fmt: skip


def _mode(aligned: bool, lines: int, depth: int, line_stride: int, depth_stride: int) -> int:
    """How the kernel reads an operand: its A_MODE or B_MODE."""
    if aligned and line_stride == 1 and _fours(lines, depth_stride):
        return 0
    if aligned and depth_stride == 1 and _fours(depth, line_stride):
        return 1
    return 3 if abs(depth_stride) < abs(line_stride) else 2


def _fours(*numbers: int) -> bool:
    return not any(number % 4 for number in numbers)


def sum_dtype(dtype: DType) -> DType:
    """The dtype of sums of products of `dtype`: SUM_TYPE in `cl/types.h`."""
    if is_narrow(dtype):
        return float32
    return dtype if dtype.itemsize >= 4 else np.dtype(np.uint32)
