"""Launching the search for the places of values in sorted rows (`cl/search.cl`)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from needle.backend.opencl.kernels.keys import element_types, elements, key_dtype
from needle.backend.opencl.kernels.launchers import launches
from needle.backend.opencl.shapes.groups import Grain, groups_for
from needle.backend.protocol import ArrayView

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

_INT, _LONG = np.dtype(np.int32), np.dtype(np.int64)

#: Comparisons that are worth a work-group.
_COMPARED = Grain(group=1 << 12)


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
