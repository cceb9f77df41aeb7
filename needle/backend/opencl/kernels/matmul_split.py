"""How a CPU's matrix product (`matmul_blocks` in `cl/matmul.cl`) is split among its cores.

C is cut into blocks of rows and columns; a core computes one block after the other. For each block the core packs the
rows of A and the columns of B that the block needs. If the summed dimension is too long to be packed whole, it is cut
into parts as well. The split with the least estimated time is taken.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from needle.backend.opencl.shapes.launch_shape import LaunchShape

_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # the numbers of blocks to try for the rows, and for the columns

# Estimates, in cycles.
_LATE = 100_000  # by so much all threads of a driver but the first start late: they sleep between launches
_UNIT = 500  # the time that a block takes beside its packing and its sums


@dataclass(frozen=True)
class Split:
    """C in row_blocks x column_blocks blocks, the summed dimension in parts of `depth`."""

    row_blocks: int
    column_blocks: int
    depth: int


def split(rows: int, depth: int, columns: int, batches: int, itemsize: int, launch_shape: LaunchShape) -> Split:
    """The split with the least estimated time for `batches` products of (rows, depth) and (depth, columns).

    Many blocks cost packing: A is packed again for each block of columns, B for each block of rows, unless the
    work-group still has the packed data from the block before. Few blocks leave cores idle at the start and the end.
    """
    width = 2 * launch_shape.width(itemsize)
    tiles, panels = ceil_div(rows, launch_shape.matmul_rows), ceil_div(columns, width)
    cores, strip = launch_shape.cores, launch_shape.matmul_strip(itemsize)
    room = launch_shape.matmul_block_bytes // itemsize // width  # rows of one panel of B that the block of B can hold
    fits = depth <= launch_shape.matmul_deepest(itemsize)
    part = max(1, min(depth if fits else _even_part(depth, launch_shape.matmul_depth, width), room))
    whole = depth <= part
    fewest = ceil_div(panels, room // part)  # blocks of columns: no fewer would fit into the block of B

    def cycles(blocks: tuple[int, int]) -> float:
        row_blocks, column_blocks = blocks
        units = batches * row_blocks * column_blocks
        strips = row_blocks * ceil_div(ceil_div(tiles, row_blocks), strip)
        packs_a = min(column_blocks, cores) if whole and strips == 1 else column_blocks
        packs_b = min(row_blocks, cores) if whole else row_blocks
        sums = rows * columns / width + strips * columns / 16  # each strip reads B from the cache
        total = batches * (sums + packs_a * rows + packs_b * columns) * depth + _UNIT * units
        return _shared_time(units, total / units, cores) * (1 + cores / units / 4)

    row_splits = [n for n in (*_COUNTS, tiles) if n <= tiles]
    column_splits = [n for n in (*(fewest * n for n in _COUNTS), panels) if n <= panels]
    return Split(*min(itertools.product(row_splits, column_splits), key=cycles), part)


def _shared_time(units: int, unit: float, cores: int) -> float:
    """The cycles in which `cores` compute `units` blocks of `unit` cycles each, all cores but one starting `_LATE`.

    A core takes the next block when it is done with one. So all cores end at about the same time.
    """
    others = max(1, cores - 1)
    given = max(0.0, units - _LATE / unit) * (cores - 1) / cores  # the blocks that the other cores compute
    return min(
        max((units - n) * unit, _LATE + ceil_div(n, others) * unit if n else 0)
        for n in (math.floor(given), math.ceil(given))
    )


def _even_part(depth: int, most: int, multiple: int) -> int:
    """The length of the parts, at most `most`, into which to cut `depth`: parts of about the same length."""
    even = ceil_div(depth, ceil_div(depth, most))
    return min(most, ceil_div(even, multiple) * multiple)


def ceil_div(n: int, d: int) -> int:
    """n / d, rounded up."""
    return -(-n // d)
