"""The ways in which the elements of an array may lie in a device's memory.

Each is a function of the values, a NumPy array, and the device. It returns the values that the view then has, which
are others where elements are repeated, and the view. Around the elements of a view lie NaN or the dtype's largest
integer, so that a kernel which reads there is found out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from needle.array import NDArray
from needle.backend.protocol import Device
from needle.dtypes import integer_limits, is_bool, is_float

Arrangement = Callable[[np.ndarray, Device], tuple[np.ndarray, NDArray]]


def plain(values: np.ndarray, device: Device) -> tuple[np.ndarray, NDArray]:
    """In C order, from the first element of the buffer on."""
    return values, NDArray.from_numpy(values, device)


def transposed(values: np.ndarray, device: Device) -> tuple[np.ndarray, NDArray]:
    """The axes in reverse order."""
    turned = NDArray.from_numpy(values.transpose(), device)
    return values, turned.permute(tuple(reversed(range(values.ndim))))


def reversed_(values: np.ndarray, device: Device) -> tuple[np.ndarray, NDArray]:
    """Every axis backwards: strides are negative."""
    return values, NDArray.from_numpy(np.flip(values), device).flip(range(values.ndim))


def sliced(values: np.ndarray, device: Device) -> tuple[np.ndarray, NDArray]:
    """A block out of the middle of a larger array: it has an offset."""
    return _inside(values, device, [n + 3 for n in values.shape], [slice(1, n + 1) for n in values.shape])


def skipping(values: np.ndarray, device: Device) -> tuple[np.ndarray, NDArray]:
    """Every second element along each axis."""
    return _inside(values, device, [2 * n for n in values.shape], [slice(None, None, 2)] * values.ndim)


def repeated_rows(values: np.ndarray, device: Device) -> tuple[np.ndarray, NDArray]:
    """The first element along the first axis, broadcast: the stride is 0."""
    return _repeated(values, device, 0)


def repeated_columns(values: np.ndarray, device: Device) -> tuple[np.ndarray, NDArray]:
    """The first element along the last axis, broadcast: the stride is 0."""
    return _repeated(values, device, values.ndim - 1)


def _inside(values: np.ndarray, device: Device, shape: list[int], window: list[Any]) -> tuple[np.ndarray, NDArray]:
    """`values` as the `window` on the second of two arrays of `shape`."""
    memory = np.full((2, *shape), _outside(values.dtype), values.dtype)
    index = (1, *window)
    memory[index] = values
    return values, NDArray.from_numpy(memory, device)[index]


def _outside(dtype: np.dtype) -> Any:
    if is_float(dtype):
        return np.nan
    return True if is_bool(dtype) else integer_limits(dtype)[1]


def _repeated(values: np.ndarray, device: Device, axis: int) -> tuple[np.ndarray, NDArray]:
    if not values.ndim:
        return plain(values, device)
    first = values[(slice(None),) * axis + (slice(1),)]
    return np.broadcast_to(first, values.shape), NDArray.from_numpy(first, device).broadcast_to(values.shape)


#: By the name that reports give them.
ARRANGEMENTS: Mapping[str, Arrangement] = {
    "plain": plain,
    "transposed": transposed,
    "reversed": reversed_,
    "sliced": sliced,
    "skipping": skipping,
    "repeated rows": repeated_rows,
    "repeated columns": repeated_columns,
}
