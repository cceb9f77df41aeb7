"""Convolutional layers, and transposed ones, of one to three dimensions."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

from needle import init
from needle.checks import integer, one_of
from needle.dtypes import DTypeLike
from needle.nn import functional as F
from needle.nn.functional.sizes import Sizes, per_axis
from needle.nn.module import Module
from needle.nn.parameter import Parameter
from needle.ops.creation import DeviceLike
from needle.tensor import Tensor

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Module):
    """What all of them are: sizes, and a weight and a bias drawn as PyTorch draws them."""

    axes: ClassVar[int]
    transposed: ClassVar[bool] = False
    bias: Parameter | None

    def _make(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes, padding: str | Sizes,
        dilation: Sizes, groups: int, bias: bool, padding_mode: str, device: DeviceLike, dtype: DTypeLike,
    ) -> None:  # fmt: skip
        self.in_channels = integer("in_channels", in_channels)
        self.out_channels = integer("out_channels", out_channels)
        self.groups = integer("groups", groups)
        for name, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if channels % self.groups:
                raise ValueError(f"{name}={channels} must be divisible by groups={self.groups}")
        self.kernel_size = per_axis("kernel_size", kernel_size, self.axes)
        self.stride = per_axis("stride", stride, self.axes)
        self.dilation = per_axis("dilation", dilation, self.axes)
        one_of("padding_mode", padding_mode, _MODES)
        self.padding_mode = padding_mode
        self.padding: Any
        if isinstance(padding, str):
            one_of("padding", padding, ("same", "valid"))
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError(f"padding='same' needs a stride of 1; stride={self.stride}")
            self.padding = padding
        else:
            self.padding = per_axis("padding", padding, self.axes, 0)
        first, second = self.out_channels, self.in_channels
        if self.transposed:
            first, second = second, first
        shape = (first, second // self.groups, *self.kernel_size)
        bound = (shape[1] * prod(self.kernel_size)) ** -0.5
        self.weight = Parameter(init.rand(*shape, low=-bound, high=bound, device=device, dtype=dtype))
        drawn = init.rand(self.out_channels, low=-bound, high=bound, device=device, dtype=dtype) if bias else None
        self.bias = None if drawn is None else Parameter(drawn)

    def extra_repr(self) -> str:
        """The sizes, those that are not the default ones by name."""
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        parts += [f"padding={self.padding!r}"] if self.padding not in ((0,) * self.axes, "valid") else []
        parts += [f"dilation={self.dilation}"] if self.dilation != (1,) * self.axes else []
        parts += [f"groups={self.groups}"] if self.groups != 1 else []
        parts += ["bias=False"] if self.bias is None else []
        parts += [f"padding_mode={self.padding_mode!r}"] if self.padding_mode != "zeros" else []
        return ", ".join(parts)


class _Conv(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: str | Sizes = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: DeviceLike = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        self._make(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )

    def forward(self, x: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            x = F.pad(x, self._borders(), self.padding_mode)
            padding = 0
        conv = getattr(F, f"conv{self.axes}d")
        result: Tensor = conv(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
        return result

    def _borders(self) -> list[int]:
        """The places before and after each axis, the last axis first, as `functional.pad` takes them."""
        if self.padding == "valid":
            return [0] * (2 * self.axes)
        if self.padding == "same":
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return [n for total in reversed(totals) for n in (total // 2, total - total // 2)]
        return [n for p in reversed(self.padding) for n in (p, p)]


class _ConvTranspose(_Convolution):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        device: DeviceLike = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        one_of("padding_mode", padding_mode, ("zeros",))
        self._make(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )
        self.output_padding = per_axis("output_padding", output_padding, self.axes, 0)

    def forward(self, x: Tensor, output_size: Any = None) -> Tensor:
        extra = self.output_padding if output_size is None else self._extra(x, output_size)
        conv = getattr(F, f"conv_transpose{self.axes}d")
        result: Tensor = conv(x, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)
        return result

    def _extra(self, x: Tensor, output_size: Any) -> tuple[int, ...]:
        """The output padding that leads to `output_size`. Raises ValueError if none does."""
        wanted = per_axis("output_size", tuple(output_size)[-self.axes :], self.axes)
        along = zip(x.shape[-self.axes :], self.stride, self.padding, self.dilation, self.kernel_size, strict=True)
        least = tuple((n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in along)
        extra = tuple(w - n for w, n in zip(wanted, least, strict=True))
        if any(not 0 <= e < s for e, s in zip(extra, self.stride, strict=True)):
            raise ValueError(f"output_size={tuple(output_size)} must be from {least} to less than a stride more")
        return extra


class Conv1d(_Conv):
    """Convolution of (N, C, L), or of that without N; see `functional.conv1d`.

    Args:
        in_channels: the channels C of the input.
        out_channels: the channels of the output.
        kernel_size: taps along each axis, one number or 1.
        stride: places between two windows.
        padding: zeros at both ends, "valid" for none, "same" to keep the size at stride 1.
        dilation: places between two taps.
        groups: parts into which the channels are divided, each with weights of its own.
        bias: whether there is a bias; without one, `bias` is None.
        padding_mode: "zeros", "reflect", "replicate" or "circular".
        device: where the parameters live.
        dtype: their floating dtype.

    Attributes:
        weight: of shape (out_channels, in_channels / groups, *kernel_size), drawn uniformly from +-1 / sqrt(fan_in).
        bias: of shape (out_channels,), drawn alike.

    Raises ValueError for sizes that do not fit each other, and for inputs that do not fit.
    """

    axes = 1


class Conv2d(_Conv):
    """Convolution of (N, C, H, W), or of that without N; see `functional.conv2d`.

    Args:
        in_channels: the channels C of the input.
        out_channels: the channels of the output.
        kernel_size: taps along each axis, one number or 2.
        stride: places between two windows.
        padding: zeros at both ends, "valid" for none, "same" to keep the size at stride 1.
        dilation: places between two taps.
        groups: parts into which the channels are divided, each with weights of its own.
        bias: whether there is a bias; without one, `bias` is None.
        padding_mode: "zeros", "reflect", "replicate" or "circular".
        device: where the parameters live.
        dtype: their floating dtype.

    Attributes:
        weight: of shape (out_channels, in_channels / groups, *kernel_size), drawn uniformly from +-1 / sqrt(fan_in).
        bias: of shape (out_channels,), drawn alike.

    Raises ValueError for sizes that do not fit each other, and for inputs that do not fit.
    """

    axes = 2


class Conv3d(_Conv):
    """Convolution of (N, C, D, H, W), or of that without N; see `functional.conv3d`.

    Args:
        in_channels: the channels C of the input.
        out_channels: the channels of the output.
        kernel_size: taps along each axis, one number or 3.
        stride: places between two windows.
        padding: zeros at both ends, "valid" for none, "same" to keep the size at stride 1.
        dilation: places between two taps.
        groups: parts into which the channels are divided, each with weights of its own.
        bias: whether there is a bias; without one, `bias` is None.
        padding_mode: "zeros", "reflect", "replicate" or "circular".
        device: where the parameters live.
        dtype: their floating dtype.

    Attributes:
        weight: of shape (out_channels, in_channels / groups, *kernel_size), drawn uniformly from +-1 / sqrt(fan_in).
        bias: of shape (out_channels,), drawn alike.

    Raises ValueError for sizes that do not fit each other, and for inputs that do not fit.
    """

    axes = 3


class ConvTranspose1d(_ConvTranspose):
    """The transpose of `Conv1d`, which makes images larger; see `functional.conv_transpose1d`.

    The arguments are those of `Conv1d`, in PyTorch's order, with `output_padding`: places at the end of each axis
    beyond the smallest result. `weight` is (in_channels, out_channels / groups, *kernel_size). A call may name the
    `output_size` instead.
    """

    axes = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of `Conv2d`, which makes images larger; see `functional.conv_transpose2d`.

    The arguments are those of `Conv2d`, in PyTorch's order, with `output_padding`: places at the end of each axis
    beyond the smallest result. `weight` is (in_channels, out_channels / groups, *kernel_size). A call may name the
    `output_size` instead.
    """

    axes = 2


class ConvTranspose3d(_ConvTranspose):
    """The transpose of `Conv3d`, which makes images larger; see `functional.conv_transpose3d`.

    The arguments are those of `Conv3d`, in PyTorch's order, with `output_padding`: places at the end of each axis
    beyond the smallest result. `weight` is (in_channels, out_channels / groups, *kernel_size). A call may name the
    `output_size` instead.
    """

    axes = 3
