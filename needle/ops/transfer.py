"""Moving tensors between devices, and summing back what broadcasting repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from needle.array import NDArray
from needle.array.operators import operator
from needle.autograd import Op
from needle.backend.protocol import Device
from needle.dtypes import Shape
from needle.ops.base import takes_tensor
from needle.ops.creation import as_device

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["sum_to", "to_device"]


class ToDevice(Op):
    name = "to_device"

    def __init__(self, device: Device) -> None:
        self.device = device

    def compute(self, x: NDArray) -> NDArray:
        return x.to(self.device)

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return grad.to(x.device)


class SumTo(Op):
    name = "sum_to"

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def compute(self, x: NDArray) -> NDArray:
        return x.sum_to(self.shape)

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        return grad.broadcast_to(x.shape)


@operator
@takes_tensor
def to_device(x: Tensor, device: Device | str, *, stream: object = None) -> Tensor:
    """x on `device`, copied through the host; x itself if it is there.

    Raises ValueError for a `stream` (Array API): a device has one queue.
    """
    if stream is not None:
        raise ValueError(f"stream={stream!r}: a device has one queue; None is expected")
    device = as_device(device)
    return x if x.device is device else ToDevice(device)(x)


@takes_tensor
def sum_to(x: Tensor, shape: Shape) -> Tensor:
    """x summed over the axes along which `shape` broadcasts to the shape of x."""
    return x if x.shape == shape else SumTo(shape)(x)
