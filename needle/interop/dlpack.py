"""Sharing arrays with other libraries through DLPack, in the host's memory.

Arrays of the device "numpy" are shared without a copy, in both directions. Memory of an OpenCL device belongs to its
driver, which may move it while others hold a pointer to it: such arrays are copied through the host.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from needle.array import NDArray
from needle.array.ndarray import check_dtype
from needle.array.storage import Storage
from needle.backend.protocol import Device
from needle.backend.registry import device as find_device
from needle.dtypes import as_dtype
from needle.ops.creation import DeviceLike, as_device, as_tensor, asarray
from needle.tensor import Tensor

__all__ = ["from_dlpack"]


def from_dlpack(x: Any, /, *, device: DeviceLike = None, copy: bool | None = None) -> Tensor:
    """An array of another library as a tensor on `device`, by default the default device (Array API).

    `x` has `__dlpack__` and `__dlpack_device__`, as arrays of NumPy and PyTorch do, and lies in the host's memory or
    can be brought there. On the device "numpy" the tensor shares its memory, unless `copy` is true. Raises BufferError
    where `copy=False` cannot be had, TypeError for other things and for dtypes that needle does not have.
    """
    if isinstance(x, Tensor) and device is None:
        device = x.device
    place = as_device(device)
    if isinstance(x, Tensor):
        if copy is False and place is not x.device:
            raise BufferError(f"copy=False, but {x.device.name} and {place.name} share no memory")
        return asarray(x.detach(), device=place, copy=copy or None)
    if not hasattr(x, "__dlpack__"):
        raise TypeError(f"from_dlpack: x of type {type(x).__name__} has no __dlpack__; ndl.asarray takes host data")
    host = np.from_dlpack(x)
    dtype = as_dtype(host.dtype)
    check_dtype(dtype, place)
    shared = place is find_device("numpy") and host.flags.c_contiguous and host.flags.writeable and not copy
    if copy is False and not shared:
        raise BufferError(f"copy=False, but an array of {type(x).__name__} reaches {place.name} only as a copy")
    return as_tensor(_sharing(host, place) if shared else NDArray.from_numpy(host, place))


def _sharing(host: np.ndarray, place: Device) -> NDArray:
    """The very memory of a contiguous NumPy array as an array of the device "numpy"."""
    return NDArray._make(place, host.dtype, host.shape, Storage(host.reshape(-1)))
