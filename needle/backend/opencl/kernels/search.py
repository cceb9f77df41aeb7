"""Launching the search for places (`cl/search.cl`): of true elements, and of values in sorted rows."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from needle.backend.opencl.kernels.folding import Partial, reading
from needle.backend.opencl.kernels.keys import element_types, elements, key_dtype
from needle.backend.opencl.kernels.launchers import launches
from needle.backend.opencl.kernels.scan import COUNTS, scan
from needle.backend.opencl.shapes.groups import Grain, groups_for
from needle.backend.protocol import ArrayView
from needle.dtypes import int64

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

_INT, _LONG = np.dtype(np.int32), np.dtype(np.int64)

#: Elements of a mask that a work-item counts, on a CPU and on a GPU.
STRETCH, GPU_STRETCH = 4096, 256
#: Elements of a mask that are worth a work-group.
_MASK = Grain(group=1 << 14)
#: Comparisons that are worth a work-group.
_COMPARED = Grain(group=1 << 12)


@launches("nonzero")
def _nonzero(device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, count: int) -> None:
    (mask,), (places,) = inputs, outputs
    size, launch_shape = prod(mask.shape), device.launch_shape
    if not count:
        return
    stretch = STRETCH if launch_shape.on_cpu else GPU_STRETCH
    shape = max(1, -(-size // stretch)), 1, 1
    counts, starts = (Partial(device.empty(shape[0], int64), shape, int64) for _ in range(2))
    groups, local = groups_for(launch_shape, shape[0], _MASK.worth(launch_shape, size)), (launch_shape.local_size,)
    defines = {"LOCAL": launch_shape.local_size}
    kernel = device.kernel("search.cl", "count_true", defines, (None, None, _LONG, _LONG), size)
    device.launch(kernel, (groups,), local, mask.buffer, counts.buffer, size, stretch)
    scan(device, COUNTS, reading(counts), shape, 0, starts)
    kernel = device.kernel("search.cl", "place_true", defines, (*(None,) * 3, *(_LONG,) * 3), size)
    device.launch(kernel, (groups,), local, mask.buffer, starts.buffer, places.buffer, size, stretch, count)


@launches("searchsorted")
def _searchsorted(
    device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, right: bool
) -> None:
    (x, values), (places,) = inputs, outputs
    size = prod(values.shape)
    if not size:
        return
    launch_shape, length = device.launch_shape, x.shape[-1]
    defines = {"LOCAL": launch_shape.local_size, "KEY_BYTES": key_dtype(x.dtype).itemsize}
    types = (*element_types(x.dtype), None, None, *(_LONG,) * 3, _INT, _INT)
    kernel = device.kernel("search.cl", "search_sorted", defines, types, size * length.bit_length())
    shared, count = len(x.shape) == 1, values.shape[-1] if values.shape else 1
    groups = groups_for(launch_shape, _COMPARED.worth(launch_shape, size * length.bit_length()))
    device.launch(
        kernel, (groups,), (launch_shape.local_size,), *elements(x), values.buffer, places.buffer,
        size // count, length, count, int(shared), int(right),
    )  # fmt: skip
