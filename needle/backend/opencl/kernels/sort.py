"""Launching sorts and top-k (`cl/sort.cl`): rows of a contiguous array, whose elements are seen as their bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.backend.opencl.kernels.folding import Partial, reading
from needle.backend.opencl.kernels.keys import element_types, elements, key_dtype
from needle.backend.opencl.kernels.launchers import launches
from needle.backend.opencl.kernels.scan import COUNTS, scan
from needle.backend.opencl.shapes.groups import Grain, groups_for, parts_for
from needle.backend.protocol import ArrayView, Buffer
from needle.dtypes import DType, uint32, uint64

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

_INT, _LONG = np.dtype(np.int32), np.dtype(np.int64)

#: The longest row that is sorted by insertion.
SHORT = 32
#: The least elements of a part of a row: for less, to wake another core does not pay.
PART = 4096
#: On a GPU, the elements for each work-item, which has counters of its own; fewer where compute units would be idle.
ITEM, _FEWEST = 64, 16
#: The most bytes of scratch that rows sorted side by side take.
_SCRATCH = 1 << 28
#: Parts of all rows together, for each core of a CPU.
_PARTS_PER_CORE = 8
#: The same for a search, each part of which has a start of its own.
_SEARCHED_PER_CORE = 2
#: Elements that a CPU's core sorts rather than wake another.
_SORTED = Grain(group=2048, alone=4096)
#: A row is searched for its first elements without sorting it if it has at least so many times more.
_SEARCHED = 8


@dataclass(frozen=True)
class _Task:
    """Rows to sort: the elements, and where the first `kept` of each row and their positions go."""

    device: OpenCLDevice
    x: ArrayView
    values: Buffer
    positions: Buffer
    kept: int
    descending: bool

    @property
    def length(self) -> int:
        return self.x.shape[-1]

    @property
    def rows(self) -> int:
        return prod(self.x.shape[:-1])

    @property
    def key(self) -> DType:
        """The dtype of a key."""
        return key_dtype(self.x.dtype)

    @property
    def item_bytes(self) -> int:
        """Bytes of a key with its position."""
        return 2 * self.key.itemsize

    @property
    def elements(self) -> tuple[Any, ...]:
        """The arguments for the kernels' ELEMENTS."""
        return elements(self.x, self.descending)

    @property
    def bits(self) -> int:
        """Bits of a digit."""
        return 8 if self.device.launch_shape.on_cpu else 4

    def items(self, count: int) -> Buffer:
        """Memory for so many keys with positions."""
        return self.device.empty(count * self.item_bytes // 8, uint64)

    def launch(self, name: str, groups: int, types: Sequence[Any], *arguments: Any) -> None:
        local = self.device.launch_shape.local_size
        defines = {"LOCAL": local, "KEY_BYTES": self.key.itemsize, "BITS": self.bits, "SHORT": SHORT}
        defines["WIDTH"] = self.device.launch_shape.width(self.key.itemsize)
        kernel = self.device.kernel("sort.cl", name, defines, types, prod(self.x.shape))
        self.device.launch(kernel, (groups,), (local,), *arguments)

    @property
    def element_types(self) -> tuple[Any, ...]:
        return element_types(self.x.dtype)


@launches("sort")
def _sort(device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, descending: bool) -> None:
    values, positions = outputs
    _run(_Task(device, inputs[0], values.buffer, positions.buffer, values.shape[-1], descending))


@launches("sort_values")
def _sort_values(
    device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, descending: bool
) -> None:
    _run(_Task(device, inputs[0], outputs[0].buffer, None, outputs[0].shape[-1], descending))


@launches("argsort")
def _argsort(
    device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, descending: bool
) -> None:
    _run(_Task(device, inputs[0], None, outputs[0].buffer, outputs[0].shape[-1], descending))


@launches("topk")
def _topk(
    device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, k: int, largest: bool
) -> None:
    values, positions = outputs
    _run(_Task(device, inputs[0], values.buffer, positions.buffer, k, largest))


def _run(task: _Task) -> None:
    """Write the first elements of each row in order, and their positions, in the form that suits the shape."""
    if not task.rows or not task.kept:
        return
    launch_shape = task.device.launch_shape
    if task.length <= SHORT:
        groups = groups_for(launch_shape, _SORTED.worth(launch_shape, task.rows * task.length))
        types = (*task.element_types, None, None, _LONG, _LONG, _LONG)
        results = (task.values, task.positions, task.rows, task.length, task.kept)
        task.launch("sort_short", groups, types, *task.elements, *results)
    elif launch_shape.on_cpu and task.kept * _SEARCHED <= task.length:
        _search(task)
    elif (parts := _parts(task, PART)) > 1:
        _sort_together(task, parts)
    else:
        _sort_rows(task, None, task.length)


def _parts(task: _Task, least: int, per_core: int = _PARTS_PER_CORE) -> int:
    """The parts into which to cut each row, for as many work-groups, each of so many elements on a CPU."""
    launch_shape = task.device.launch_shape
    if not launch_shape.on_cpu:
        local = launch_shape.local_size
        moved = Grain(group=PART, item=ITEM, whole=min(_FEWEST, ITEM))
        share = moved.share(launch_shape, task.rows * task.length, local)
        return parts_for(launch_shape, task.rows, task.length // (local * share))
    wanted = per_core * launch_shape.cores // task.rows
    return max(1, min(wanted, task.length // least)) if task.rows < 2 * launch_shape.cores else 1


def _sort_rows(task: _Task, given: Buffer, items: int) -> None:
    """Sort each row by one work-group: its elements, or the `items` that are `given` for each."""
    launch_shape = task.device.launch_shape
    fitting = _SCRATCH // (2 * items * task.item_bytes)
    limits = [max(1, fitting), task.rows]
    if launch_shape.on_cpu:
        limits += [_PARTS_PER_CORE * launch_shape.cores, _SORTED.worth(launch_shape, task.rows * items)]
    groups = groups_for(launch_shape, *limits)
    types = (*task.element_types, *(None,) * 4, *(_LONG,) * 4)
    task.launch(
        "sort_rows", groups, types, *task.elements, given, task.items(2 * items * groups), task.values, task.positions,
        task.rows, task.length, items, task.kept,
    )  # fmt: skip


def _search(task: _Task) -> None:
    """Sort the first elements of each part of a row, which are the candidates for those of the row."""
    launch_shape = task.device.launch_shape
    parts, count = _parts(task, max(PART, 4 * task.kept), _SEARCHED_PER_CORE), task.kept
    room = max(1024, 4 * count) if count > SHORT else count
    groups = groups_for(launch_shape, task.rows * parts, _PARTS_PER_CORE * launch_shape.cores)
    candidates = task.items(task.rows * parts * count)
    types = (*task.element_types, None, None, *(_LONG,) * 5)
    task.launch(
        "topk_parts", groups, types, *task.elements, task.items(2 * room * groups), candidates,
        task.rows, parts, task.length, count, room,
    )  # fmt: skip
    _sort_rows(task, candidates, parts * count)


def _sort_together(task: _Task, parts: int) -> None:
    """Sort rows that `parts` work-groups share each: for each digit they count, and then move."""
    device, rows = task.device, task.rows
    workers = parts * device.launch_shape.local_size
    groups, size = groups_for(device.launch_shape, rows * parts), rows * task.length
    a, b, differs = task.items(size), task.items(size), device.empty(rows * workers, task.key)
    common = rows, parts, task.length
    task.launch(
        "radix_load", groups, (*task.element_types, None, None, *(_LONG,) * 3), *task.elements, a, differs, *common
    )
    shape = rows, workers << task.bits, 1
    counts, places = (Partial(device.empty(prod(shape), uint32), shape, uint32) for _ in range(2))
    seen = workers if device.launch_shape.on_cpu else 0  # a GPU has too many
    types = (*(None,) * 4, *(_LONG,) * 4, _INT)
    for shift in range(0, 8 * task.key.itemsize, task.bits):
        if shift >= 8 * task.x.dtype.itemsize:
            break
        task.launch("radix_count", groups, types, a, b, differs, counts.buffer, *common, seen, shift)
        scan(device, COUNTS, reading(counts), shape, 1, places)
        task.launch("radix_move", groups, types, a, b, differs, places.buffer, *common, seen, shift)
    stored = (None, _INT, *(None,) * 5, *(_LONG,) * 5)
    task.launch(
        "radix_store", groups, stored, task.x.buffer, task.x.dtype.itemsize, a, b, differs, task.values,
        task.positions, *common, seen, task.kept,
    )  # fmt: skip
