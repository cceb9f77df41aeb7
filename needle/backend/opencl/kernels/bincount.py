"""Launching the counting of integers (`cl/bincount.cl`)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from needle.backend.opencl.kernels.launchers import launches
from needle.backend.opencl.shapes.groups import Grain, groups_for
from needle.backend.protocol import ArrayView
from needle.dtypes import is_signed, uint32

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

_INT, _LONG = np.dtype(np.int32), np.dtype(np.int64)

#: Elements that are worth counters of their own.
_COUNTED = Grain(group=1 << 13, item=16)
#: Counters that are worth a work-group to sum them.
_SUMMED = Grain(group=1 << 13)
#: The most copies of the counters: for each core of a CPU, and on a GPU.
_COPIES_PER_CORE, _GPU_COPIES = 4, 256


@launches("bincount")
def _bincount(device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, bins: int) -> None:
    (x,), (sums,) = inputs, outputs
    if not bins:
        return
    size, launch_shape = prod(x.shape), device.launch_shape
    most = _COPIES_PER_CORE * launch_shape.cores if launch_shape.on_cpu else _GPU_COPIES
    copies = groups_for(launch_shape, most, max(1, size // bins), _COUNTED.worth(launch_shape, size))
    counts, defines, local = device.empty(copies * bins, uint32), {"LOCAL": launch_shape.local_size}, (
        launch_shape.local_size,
    )  # fmt: skip
    kernel = device.kernel("bincount.cl", "count_bins", defines, (None, _INT, _INT, None, *(_LONG,) * 3), size)
    kind = x.dtype.itemsize, int(is_signed(x.dtype))
    device.launch(kernel, (copies,), local, x.buffer, *kind, counts, size, bins, copies)
    kernel = device.kernel("bincount.cl", "sum_bins", defines, (None, None, _LONG, _LONG), copies * bins)
    groups = groups_for(launch_shape, _SUMMED.worth(launch_shape, copies * bins))
    device.launch(kernel, (groups,), local, counts, sums.buffer, bins, copies)
