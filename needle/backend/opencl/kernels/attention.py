"""The launchers of attention: `cl/attention_lanes.cl` and its gradient on CPUs, `cl/attention_rows.cl` elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.backend.opencl.building.types import element_defines, is_narrow
from needle.backend.opencl.kernels import costs
from needle.backend.opencl.kernels.launchers import launches
from needle.backend.opencl.kernels.prepared import PreparedLaunch
from needle.backend.opencl.shapes.groups import Grain, groups_for
from needle.backend.protocol import ArrayView
from needle.dtypes import DType, Shape, bool_, compute_dtype, float32

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

_INT, _LONG, _ULONG = np.dtype(np.int32), np.dtype(np.int64), np.dtype(np.uint64)

_TILE = 6  # TILE in the kernels: the fewest keys that they take
_VECTORS = 2  # V in the kernels: vectors of queries in a strip
_KEYS, _KEYS_OF_GRADIENT = 64, 48  # of a block
_QUERIES = 64  # of a block of the gradient, where local memory suffices
_ROWS = Grain(group=1, item=1, rounded_up=True)  # a work-item takes one row, which goes through all keys
_ROW_ITEMS = 64  # of a GPU's work-group: each has long to do, and few groups would leave compute units idle

Arguments = Sequence[ArrayView]
_Mask = tuple[Shape, DType] | None


@launches("attention")
def _attention(device: OpenCLDevice, inputs: Arguments, outputs: Arguments, **params: Any) -> None:
    _run(device, inputs[:3], inputs[3:], outputs, params, gradient=False)


@launches("attention_gradient")
def _attention_gradient(device: OpenCLDevice, inputs: Arguments, outputs: Arguments, **params: Any) -> None:
    _run(device, inputs[:6], inputs[6:], outputs, params, gradient=True)


def _run(
    device: OpenCLDevice, inputs: Arguments, masks: Arguments, outputs: Arguments, params: dict[str, Any],
    gradient: bool,
) -> None:  # fmt: skip
    q, k = inputs[:2]
    mask = (masks[0].shape, masks[0].dtype) if masks else None
    prepared = device.prepared(
        _prepare, q.shape, k.shape, q.dtype, mask, params["scale"], bool(params["causal"]), gradient
    )
    after = tuple(params[name] for name in ("seed", "offset", "threshold", "rescale"))
    pointer = masks[0].buffer if masks else q.buffer  # not read where there is no mask
    for launch, first, last, counter in prepared:
        buffers = [view.buffer for view in (*inputs, *outputs[first:last])]
        launch.launch(device, (*buffers, pointer), (*after, device.counter) if counter else after)


#: Launches, each with the outputs that it gets, from one number to another, and whether it takes the counter.
_Prepared = tuple[tuple[PreparedLaunch, int, int, bool], ...]


def _prepare(
    device: OpenCLDevice, q: Shape, k: Shape, dtype: DType, mask: _Mask, scale: float, causal: bool, gradient: bool
) -> _Prepared:
    """The launches of a call on q and k of these shapes."""
    real = compute_dtype(dtype)
    group = q[1] // k[1] if k[1] else 1
    kind = 0 if mask is None else 1 if mask[1] == bool_ else 2
    extents = (q[0], q[1], group, q[2], k[2], scale, int(causal), kind, *_mask_strides(mask))
    scalars = (None, *(_LONG,) * 5, real, _INT, _INT, *(_LONG,) * 4, _ULONG, _ULONG, _ULONG, real)
    defines = {**element_defines(dtype), "D": q[3]}
    shaped = _in_lanes(device, q, k, dtype, gradient)
    if shaped is not None:
        name = "attention_lanes_gradient" if gradient else "attention_lanes"
        pointers = (None,) * (9 if gradient else 5)
        kernel = device.kernel(f"{name}.cl", name, defines | shaped, (*pointers, *scalars, None), _cost(q, k))
        groups = max(2, device.launch_shape.cores)  # on a single core too: one group is taken for a short launch
        return ((PreparedLaunch(kernel, (groups,), (1,), extents), 0, 3, True),)
    parts = (
        [("attention_rows_queries", 0, 1, prod(q[:3])), ("attention_rows_keys", 1, 3, prod(k[:3]))]
        if gradient
        else [("attention_rows", 0, 2, prod(q[:3]))]
    )
    cost = _cost(q, k)
    return tuple(_by_rows(device, defines, scalars, extents, gradient, cost, *part) for part in parts if part[3])


def _cost(q: Shape, k: Shape) -> int:
    """The cost of the two products of attention."""
    return costs.of_products(2 * prod(q) * k[2])


def _by_rows(
    device: OpenCLDevice, defines: dict[str, Any], scalars: tuple[Any, ...], extents: tuple[Any, ...], gradient: bool,
    cost: int, name: str, first: int, last: int, rows: int,
) -> tuple[PreparedLaunch, int, int, bool]:  # fmt: skip
    launch_shape = device.launch_shape
    kind = 0 if not gradient else 1 if first == 0 else 2
    pointers = (None,) * ((6 if gradient else 3) + last - first)
    local = min(_ROW_ITEMS, launch_shape.local_size)
    defines = defines | {"KIND": kind, "LOCAL": local}
    kernel = device.kernel("attention_rows.cl", name, defines, (*pointers, *scalars), cost)
    groups = groups_for(launch_shape, _ROWS.worth(launch_shape, rows, local))
    return PreparedLaunch(kernel, (groups,), (local,), extents), first, last, False


def _mask_strides(mask: _Mask) -> tuple[int, ...]:
    """The strides of a contiguous mask, 0 along axes of one element."""
    if mask is None:
        return (0, 0, 0, 0)
    shape = mask[0]
    return tuple(0 if n == 1 else prod(shape[axis + 1 :]) for axis, n in enumerate(shape))


def _in_lanes(device: OpenCLDevice, q: Shape, k: Shape, dtype: DType, gradient: bool) -> dict[str, int] | None:
    """The defines of the kernels with queries in lanes; None where those cannot do it."""
    launch_shape, size, itemsize = device.launch_shape, q[3], dtype.itemsize
    if not launch_shape.on_cpu or is_narrow(dtype) or not prod(q) or k[2] < _TILE or size % 4:
        return None
    width = launch_shape.width(itemsize)
    while width > 2 and size % width:
        width //= 2
    if width < 4:
        return None
    strip, there = _VECTORS * width, device.cl_device.local_mem_size
    defines = {"WIDTH": width, "OWN_EXP": int(dtype == float32)}
    if not gradient:
        needed = (2 * size + _TILE + _KEYS) * strip * itemsize
        return defines | {"KEYS": _KEYS} if needed <= there else None
    row = (3 * size + 2 * (_KEYS_OF_GRADIENT + _TILE) + 2) * itemsize
    queries = max(_QUERIES, strip)
    while queries > strip and queries * row > there:
        queries //= 2
    if queries * row > there:
        return None
    spread = 2 if size % (2 * width) == 0 else 1
    return defines | {"KEYS": _KEYS_OF_GRADIENT, "QUERIES": queries, "SPREAD": spread}
