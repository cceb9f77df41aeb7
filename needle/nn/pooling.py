"""Pooling layers. Each argument is that of the function of `needle.nn.functional` with the layer's name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from needle.nn import functional as F
from needle.nn.functional.adaptive_pooling import OutputSize
from needle.nn.functional.sizes import Sizes
from needle.nn.module import Module
from needle.tensor import Tensor

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "LPPool1d", "LPPool2d", "LPPool3d", "MaxPool1d",
    "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d",
]  # fmt: skip


class _Pool(Module):
    """A layer of no parameters, which calls the function of its name."""

    function: ClassVar[str]
    kernel_size: Sizes
    stride: Sizes | None

    def _call(self, *args: Any) -> Any:
        return getattr(F, self.function)(*args)

    def extra_repr(self) -> str:
        """The arguments by name."""
        return ", ".join(f"{name}={value}" for name, value in vars(self).items() if name != "training")


class _MaxPool(_Pool):
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, x: Tensor) -> Any:
        return self._call(
            x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )


class _MaxUnpool(_Pool):
    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding

    def forward(self, x: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        result: Tensor = self._call(x, indices, self.kernel_size, self.stride, self.padding, output_size)
        return result


class _AvgPool(_Pool):
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, x: Tensor) -> Tensor:
        arguments = (self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)
        result: Tensor = self._call(x, *arguments, self.divisor_override)
        return result


class _LPPool(_Pool):
    def __init__(
        self, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
    ) -> None:
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.ceil_mode = ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self._call(x, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)
        return result


class _AdaptiveAvgPool(_Pool):
    def __init__(self, output_size: OutputSize) -> None:
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self._call(x, self.output_size)
        return result


class _AdaptiveMaxPool(_Pool):
    def __init__(self, output_size: OutputSize, return_indices: bool = False) -> None:
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, x: Tensor) -> Any:
        return self._call(x, self.output_size, self.return_indices)


class MaxPool1d(_MaxPool):
    """The maximum of each window; see `functional.max_pool1d`."""

    function = "max_pool1d"


class MaxPool2d(_MaxPool):
    """The maximum of each window; see `functional.max_pool2d`."""

    function = "max_pool2d"


class MaxPool3d(_MaxPool):
    """The maximum of each window; see `functional.max_pool3d`."""

    function = "max_pool3d"


class MaxUnpool1d(_MaxUnpool):
    """Maxima put back where they were; see `functional.max_unpool1d`."""

    function = "max_unpool1d"


class MaxUnpool2d(_MaxUnpool):
    """Maxima put back where they were; see `functional.max_unpool2d`."""

    function = "max_unpool2d"


class MaxUnpool3d(_MaxUnpool):
    """Maxima put back where they were; see `functional.max_unpool3d`."""

    function = "max_unpool3d"


class AvgPool1d(_AvgPool):
    """The average of each window; see `functional.avg_pool1d`."""

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool1d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool2d(_AvgPool):
    """The average of each window; see `functional.avg_pool2d`."""

    function = "avg_pool2d"


class AvgPool3d(_AvgPool):
    """The average of each window; see `functional.avg_pool3d`."""

    function = "avg_pool3d"


class LPPool1d(_LPPool):
    """The norm of each window; see `functional.lp_pool1d`."""

    function = "lp_pool1d"


class LPPool2d(_LPPool):
    """The norm of each window; see `functional.lp_pool2d`."""

    function = "lp_pool2d"


class LPPool3d(_LPPool):
    """The norm of each window; see `functional.lp_pool3d`."""

    function = "lp_pool3d"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The averages of so many windows; see `functional.adaptive_avg_pool1d`."""

    function = "adaptive_avg_pool1d"


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The averages of so many windows; see `functional.adaptive_avg_pool2d`."""

    function = "adaptive_avg_pool2d"


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The averages of so many windows; see `functional.adaptive_avg_pool3d`."""

    function = "adaptive_avg_pool3d"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The maxima of so many windows; see `functional.adaptive_max_pool1d`."""

    function = "adaptive_max_pool1d"


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The maxima of so many windows; see `functional.adaptive_max_pool2d`."""

    function = "adaptive_max_pool2d"


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The maxima of so many windows; see `functional.adaptive_max_pool3d`."""

    function = "adaptive_max_pool3d"
