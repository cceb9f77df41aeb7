"""How the CPU's matrix product (`cl/matmul.cl`) is cut into blocks of C, and the summed dimension into parts."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from needle.backend.opencl.shapes.launch_shape import LaunchShape

_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # of blocks that rows or columns may be split into

# Estimates, in cycles. A driver's threads sleep when they have nothing to do: all but the first start a launch late.
_LATE = 100_000
_UNIT = 500  # what a block takes beside its packing and its sums


@dataclass(frozen=True)
class Split:
    """C in row_blocks x column_blocks blocks, each summed over `depth` of the summed dimension at a time."""

    row_blocks: int
    column_blocks: int
    depth: int


def split(rows: int, depth: int, columns: int, batches: int, itemsize: int, launch_shape: LaunchShape) -> Split:
    """The split with the least estimated time for `batches` products of (rows, depth) and (depth, columns).

    Every block of columns packs A anew, every block of rows its columns of B, unless the work-group has it from the
    block before. Few blocks leave cores idle, at the start and at the end.
    """
    width = 2 * launch_shape.width(itemsize)
    tiles, panels = ceil_div(rows, launch_shape.matmul_rows), ceil_div(columns, width)
    cores, strip = launch_shape.cores, launch_shape.matmul_strip(itemsize)
    room = launch_shape.matmul_block_bytes // itemsize // width  # for panels of B, each as deep as a part
    part = (
        depth if depth <= launch_shape.matmul_deepest(itemsize) else _even_part(depth, launch_shape.matmul_depth, width)
    )
    part = max(1, min(part, room))
    whole = depth <= part
    fewest = ceil_div(panels, room // part)  # blocks of columns

    def cycles(blocks: tuple[int, int]) -> float:
        row_blocks, column_blocks = blocks
        units = batches * row_blocks * column_blocks
        strips = row_blocks * ceil_div(ceil_div(tiles, row_blocks), strip)
        packs_a = min(column_blocks, cores) if whole and strips == 1 else column_blocks
        packs_b = min(row_blocks, cores) if whole else row_blocks
        sums = rows * columns / width + strips * columns / 16  # each strip reads B from the cache
        work = batches * (sums + packs_a * rows + packs_b * columns) * depth + _UNIT * units
        return _shared_time(units, work / units, cores) * (1 + cores / units / 4)

    row_splits = [n for n in (*_COUNTS, tiles) if n <= tiles]
    column_splits = [n for n in (*(fewest * n for n in _COUNTS), panels) if n <= panels]
    return Split(*min(itertools.product(row_splits, column_splits), key=cycles), part)


def _shared_time(units: int, unit: float, cores: int) -> float:
    """The time for so many units, each of so many cycles, that cores take from one heap, all but one `_LATE`."""
    others = max(1, cores - 1)
    given = max(0.0, units - _LATE / unit) * (cores - 1) / cores  # to the others, so that all end together
    return min(
        max((units - n) * unit, _LATE + ceil_div(n, others) * unit if n else 0)
        for n in (math.floor(given), math.ceil(given))
    )


def _even_part(depth: int, most: int, multiple: int) -> int:
    """At most `most` of `depth`, so that all parts are about as long."""
    even = ceil_div(depth, ceil_div(depth, most))
    return min(most, ceil_div(even, multiple) * multiple)


def ceil_div(n: int, d: int) -> int:
    """n / d, rounded up."""
    return -(-n // d)
