"""What the arguments of `.to(...)` mean: a device, a dtype, or a tensor that has both."""

from __future__ import annotations

from typing import Any

import numpy as np

from needle.array import NDArray
from needle.autograd import Value
from needle.backend.protocol import Device
from needle.dtypes import ALL, DType, as_dtype
from needle.ops.creation import as_device

_DTYPE_NAMES = frozenset(dtype.name for dtype in ALL)


def destination(args: tuple[Any, ...], device: Any = None, dtype: Any = None) -> tuple[Device | None, DType | None]:
    """The device and the dtype that `.to(*args, device=..., dtype=...)` names, None for what it leaves as it is.

    An argument may be a `Device`, the name of a device or of a dtype, a dtype, a Python number type, or a tensor whose
    device and dtype are taken. Raises TypeError for anything else, and for a device or dtype that is given twice.
    """
    found: dict[str, Any] = {}

    def note(kind: str, value: Any) -> None:
        if kind in found:
            raise TypeError(f"to(): a {kind} is given twice, {found[kind]!r} and {value!r}")
        found[kind] = value

    for arg in (*args, *(value for value in (device,) if value is not None)):
        if isinstance(arg, (Value, NDArray)):
            array = arg.cached_data if isinstance(arg, Value) else arg
            note("device", array.device)
            note("dtype", array.dtype)
        elif isinstance(arg, (np.dtype, type)) or (isinstance(arg, str) and arg in _DTYPE_NAMES):
            note("dtype", as_dtype(arg))
        elif isinstance(arg, (Device, str)):
            note("device", as_device(arg))
        elif arg is not None:
            raise TypeError(f"to(): {arg!r} is neither a device nor a dtype nor a tensor")
    if dtype is not None:
        note("dtype", as_dtype(dtype))
    return found.get("device"), found.get("dtype")
