"""Moving tensors between devices, and summing back what broadcasting repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from needle.array import NDArray
from needle.autograd import Op
from needle.backend.protocol import Device
from needle.dtypes import Shape
from needle.ops.base import takes_tensor

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


@takes_tensor
def to_device(x: Tensor, device: Device) -> Tensor:
    """x on `device`, copied through the host; x itself if it is there."""
    return x if x.device is device else ToDevice(device)(x)


@takes_tensor
def sum_to(x: Tensor, shape: Shape) -> Tensor:
    """x summed over the axes along which `shape` broadcasts to the shape of x."""
    return x if x.shape == shape else SumTo(shape)(x)
