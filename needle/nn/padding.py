"""Layers that put borders around images; see `functional.pad`."""

from __future__ import annotations

from typing import ClassVar

from needle.nn import functional as F
from needle.nn.functional.sizes import Sizes
from needle.nn.module import Module
from needle.tensor import Tensor

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d",
    "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _Pad(Module):
    """Borders of `padding` places: one number, or two for each axis, before and after, the last axis first."""

    axes: ClassVar[int]
    mode: ClassVar[str] = "constant"
    value: float | None = None

    def __init__(self, padding: Sizes) -> None:
        numbers = (padding,) * (2 * self.axes) if isinstance(padding, int) else tuple(padding)
        if len(numbers) != 2 * self.axes:
            raise ValueError(f"padding={padding!r} must be one number, or {2 * self.axes} of them")
        self.padding = numbers

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        """The borders."""
        return f"{self.padding}" if self.value is None else f"padding={self.padding}, value={self.value}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Sizes, value: float) -> None:
        super().__init__(padding)
        self.value = value


class ZeroPad1d(_Pad):
    """Borders of zeros, on the last axis."""

    axes = 1


class ZeroPad2d(_Pad):
    """Borders of zeros, on the last two axes."""

    axes = 2


class ZeroPad3d(_Pad):
    """Borders of zeros, on the last three axes."""

    axes = 3


class ConstantPad1d(_ConstantPad):
    """Borders of `value`, on the last axis."""

    axes = 1


class ConstantPad2d(_ConstantPad):
    """Borders of `value`, on the last two axes."""

    axes = 2


class ConstantPad3d(_ConstantPad):
    """Borders of `value`, on the last three axes."""

    axes = 3


class ReflectionPad1d(_Pad):
    """Borders that mirror the image, without its edge, on the last axis."""

    axes = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """Borders that mirror the image, without its edge, on the last two axes."""

    axes = 2
    mode = "reflect"


class ReflectionPad3d(_Pad):
    """Borders that mirror the image, without its edge, on the last three axes."""

    axes = 3
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """Borders that repeat the edge, on the last axis."""

    axes = 1
    mode = "replicate"


class ReplicationPad2d(_Pad):
    """Borders that repeat the edge, on the last two axes."""

    axes = 2
    mode = "replicate"


class ReplicationPad3d(_Pad):
    """Borders that repeat the edge, on the last three axes."""

    axes = 3
    mode = "replicate"


class CircularPad1d(_Pad):
    """Borders that come from the other side, on the last axis."""

    axes = 1
    mode = "circular"


class CircularPad2d(_Pad):
    """Borders that come from the other side, on the last two axes."""

    axes = 2
    mode = "circular"


class CircularPad3d(_Pad):
    """Borders that come from the other side, on the last three axes."""

    axes = 3
    mode = "circular"
