"""The launchers of `cl/recurrent.cl`: all steps of a recurrent layer, forward and backward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.backend.opencl.building.types import element_defines
from needle.backend.opencl.kernels import costs
from needle.backend.opencl.kernels.launchers import launches
from needle.backend.opencl.kernels.prepared import PreparedLaunch
from needle.backend.opencl.shapes.groups import groups_for
from needle.backend.protocol import ArrayView
from needle.dtypes import DType, compute_dtype, float32

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

Arguments = Sequence[ArrayView]

_INT, _LONG = np.dtype(np.int32), np.dtype(np.int64)

#: CELL in the kernels, and the gates of a unit.
CELLS = {"rnn_tanh": (0, 1), "rnn_relu": (1, 1), "lstm": (2, 4), "gru": (3, 3)}

_ROWS = 4  # ROWS in the kernels: batch rows of a tile
_VECTORS = 2  # V in the kernels
_MOST_ITEMS = 64  # of a GPU's work-group, which has few batch rows


@launches("recurrent")
def _recurrent(
    device: OpenCLDevice, inputs: Arguments, outputs: Arguments, *, cell: str, reverse: bool, ragged: bool
) -> None:
    x, w, b_x, b_h, h0, *others = inputs
    steps, batch, _ = x.shape
    size = h0.shape[1]
    if not batch * size:
        return
    c0 = others[0] if cell == "lstm" else h0
    lengths = others[-1] if ragged else h0
    h, *cells, gates = outputs
    c = cells[0] if cells else h
    prepared = device.prepared(_prepare, cell, x.dtype, steps, batch, size, bool(reverse), bool(ragged), False)
    views = (b_x, b_h, h0, c0, lengths, h, c, gates)
    _launch(device, prepared, w, x.buffer, tuple(view.buffer for view in views))


@launches("recurrent_gradient")
def _recurrent_gradient(
    device: OpenCLDevice, inputs: Arguments, outputs: Arguments, *, cell: str, reverse: bool, ragged: bool
) -> None:
    w, h, *others = inputs
    steps, batch, size = h.shape[0] - 1, *h.shape[1:]
    if not batch * size:
        return
    is_lstm = cell == "lstm"
    c = others.pop(0) if is_lstm else h
    gates = others.pop(0)
    lengths = others.pop(0) if ragged else h
    dh, dc = others[0], others[1] if is_lstm else h
    dx, *rest = outputs
    dm = rest.pop(0) if cell == "gru" else dx
    dh0, dc0 = rest[0], rest[1] if is_lstm else rest[0]
    prepared = device.prepared(_prepare, cell, h.dtype, steps, batch, size, bool(reverse), bool(ragged), True)
    views = (h, c, gates, lengths, dh, dc, dx, dm, dh0, dc0)
    _launch(device, prepared, w, None, tuple(view.buffer for view in views))


#: The launch that packs the weights, that of the layer, and the elements of packed weights.
_Prepared = tuple[PreparedLaunch, PreparedLaunch, int]


def _launch(device: OpenCLDevice, prepared: _Prepared, w: ArrayView, x: Any, buffers: tuple[Any, ...]) -> None:
    pack, layer, size = prepared
    packed = device.empty(size, w.dtype)
    pack.launch(device, (w.buffer, packed))
    layer.launch(device, (packed, *buffers) if x is None else (x, packed, *buffers))


def _prepare(
    device: OpenCLDevice, cell: str, dtype: DType, steps: int, batch: int, size: int, reverse: bool, ragged: bool,
    gradient: bool,
) -> _Prepared:  # fmt: skip
    number, gates = CELLS[cell]
    launch_shape = device.launch_shape
    local, width = min(_MOST_ITEMS, launch_shape.local_size), 1
    if launch_shape.on_cpu:
        width = launch_shape.width(compute_dtype(dtype).itemsize)
        while size % width:
            width //= 2
    defines = {
        **element_defines(dtype), "CELL": number, "WIDTH": width, "LOCAL": local,
        "OWN_EXP": int(launch_shape.on_cpu and compute_dtype(dtype) == float32),
    }  # fmt: skip
    depth, columns = (gates * size, size) if gradient else (size, gates * size)
    strides = (size, 1) if gradient else (1, size)
    panel = _VECTORS * local * width
    panels = -(-columns // panel)
    pack = device.kernel("recurrent.cl", "recurrent_pack", defines, (None, None, *(_LONG,) * 4), depth * columns)
    name, pointers = ("recurrent_gradient", 11) if gradient else ("recurrent", 10)
    types = (None,) * pointers + (_LONG,) * 3 + (_INT,) * 2
    kernel = device.kernel("recurrent.cl", name, defines, types, costs.of_products(steps * batch * depth * columns))
    tiles = -(-batch // _ROWS)
    groups = min(tiles, launch_shape.cores) if launch_shape.on_cpu else groups_for(launch_shape, tiles)
    return (
        PreparedLaunch(pack, (groups_for(launch_shape, panels),), (local,), (depth, columns, *strides)),
        PreparedLaunch(kernel, (groups,), (local,), (steps, batch, size, int(reverse), int(ragged))),
        panels * panel * depth,
    )
