"""`Parameter`: a tensor that modules collect and optimisers train."""

from __future__ import annotations

from typing import Any

from needle.dtypes import DTypeLike, as_dtype, compute_dtype
from needle.ops.creation import DeviceLike
from needle.tensor import Tensor

__all__ = ["Parameter"]


class Parameter(Tensor):
    """A tensor that, kept in a module, is one of its parameters. It requires a gradient.

    Args:
        data: anything that `Tensor` takes. The memory of a tensor on the same device is shared.
        device: where it lives; by default the device of a tensor, else the default device.
        dtype: a floating dtype; by default the data's.

    Raises TypeError for data of no floating dtype.
    """

    __slots__ = ()

    def __init__(self, data: Any, *, device: DeviceLike = None, dtype: DTypeLike | None = None) -> None:
        super().__init__(data, device=device, dtype=dtype, requires_grad=True)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


class Statistic(Tensor):
    """A buffer of sums, such as a running variance: a module that is converted to halves keeps it in float32."""

    __slots__ = ()

    def __init__(self, data: Any, *, device: DeviceLike = None, dtype: DTypeLike = None) -> None:
        wanted = None if dtype is None else compute_dtype(as_dtype(dtype))
        super().__init__(data, device=device, dtype=wanted, requires_grad=False)
