"""The launchers of `cl/compact.cl`: where a mask is true."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from needle.backend.opencl.kernels.launchers import launches
from needle.backend.opencl.shapes.groups import Grain, groups_for
from needle.backend.protocol import ArrayView

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

_LONG = np.dtype(np.int64)
_LOOKED_AT = Grain(group=1 << 14, rounded_up=True)  # elements of the mask


@launches("count_true")
def _count_true(device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, parts: int) -> None:
    _launch(device, "count_true", (inputs[0], outputs[0]), parts)


@launches("true_positions")
def _true_positions(
    device: OpenCLDevice, inputs: Sequence[ArrayView], outputs: Sequence[ArrayView], *, count: int
) -> None:
    _launch(device, "true_positions", (*inputs, outputs[0]), prod(inputs[1].shape))


def _launch(device: OpenCLDevice, name: str, arrays: Sequence[ArrayView], parts: int) -> None:
    size, launch_shape = prod(arrays[0].shape), device.launch_shape
    local = launch_shape.local_size
    kernel = device.kernel("compact.cl", name, {"LOCAL": local}, (None,) * len(arrays) + (_LONG, _LONG), size)
    groups = groups_for(launch_shape, -(-parts // local), _LOOKED_AT.worth(launch_shape, size))
    device.launch(kernel, (groups,), (local,), *(array.buffer for array in arrays), size, parts)
