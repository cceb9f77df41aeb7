"""Methods of tensors alone that PyTorch's tensors and NumPy's arrays have: copies, dtypes, devices, sizes, hooks.

What is a function as well is a method by its declaration (`needle.ops.base.method`) and not listed here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array import NDArray
from needle.array.views import infer_shape
from needle.autograd import Value, register_hook
from needle.autograd.hooks import GradientHandle
from needle.backend.protocol import Device
from needle.backend.registry import device as find_device
from needle.dtypes import (
    DType,
    DTypeLike,
    Scalar,
    Shape,
    as_dtype,
    bool_,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    is_float,
    uint8,
)
from needle.ops import creation
from needle.ops.arranging import repeat, tile
from needle.ops.creation import DeviceLike, as_device
from needle.ops.shape import Copy, astype, broadcast_to, reshape, transpose
from needle.ops.transfer import to_device
from needle.strides import is_contiguous, reshape_strides

if TYPE_CHECKING:
    from needle.tensor import Tensor

#: The versions of the Array API standard that needle's functions fit; each contains the ones before.
ARRAY_API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")

#: Kinds of devices whose memory is the host's.
_HOST_KINDS = ("cpu", "host")


class Size(int):
    """The number of elements, an int. Called as a method, as PyTorch's `size`, it gives the shape or a part of it."""

    shape: Shape

    def __new__(cls, count: int = 0, shape: Shape = ()) -> Size:
        """The number `count` of the elements of `shape`. A class of numbers makes one of a number alone."""
        size = super().__new__(cls, count)
        size.shape = shape
        return size

    def __call__(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def __reduce__(self) -> Any:
        return Size, (int(self), self.shape)


class _Contiguous(Copy):
    """The elements in C order without gaps, copied where they do not lie so."""

    name = "contiguous"

    def compute(self, x: NDArray) -> NDArray:
        return x.contiguous()


_clone, _contiguous = Copy(), _Contiguous()


class FamiliarMethods:
    """What `Tensor` has under the names of other libraries."""

    __slots__ = ()

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """The module whose functions take this tensor (Array API). Raises ValueError for a version it does not know."""
        if api_version not in (None, *ARRAY_API_VERSIONS):
            raise ValueError(f"api_version={api_version!r} must be one of {', '.join(ARRAY_API_VERSIONS)}")
        return sys.modules["needle"]

    # -- shape ----------------------------------------------------------------------------------

    @property
    def mT(self: Any) -> Tensor:
        """A view with the last two axes exchanged. Raises ValueError for a tensor of fewer than two axes."""
        if self.ndim < 2:
            raise ValueError(f"mT of a tensor of shape {self.shape}: a matrix or a stack of matrices is needed")
        return transpose(self)

    def dim(self: Any) -> int:
        """The number of axes."""
        return len(self.shape)

    def numel(self: Any) -> int:
        """The number of elements."""
        return int(self.cached_data.size)

    nelement = numel
    ndimension = dim

    def stride(self: Any, dim: int | None = None) -> Any:
        """Distances between neighbours in memory along each axis, or along `dim`, in elements."""
        strides = self.cached_data.strides
        return strides if dim is None else strides[dim]

    def is_contiguous(self: Any) -> bool:
        """Whether the elements lie in C order without gaps."""
        return bool(is_contiguous(self.shape, self.cached_data.strides))

    def view(self: Any, *shape: Any) -> Tensor:
        """The same memory under another shape, one -1 inferred; ValueError where only a copy would do (`reshape`).

        Raises TypeError for a dtype: bits are not read as another dtype. `astype` converts.
        """
        wanted = shape[0] if len(shape) == 1 and not isinstance(shape[0], (int, np.integer)) else shape
        if not isinstance(wanted, Sequence):
            raise TypeError(f"view: shape={wanted!r} must be of ints; to convert to a dtype use astype")
        target = infer_shape(wanted, self.numel())
        if reshape_strides(self.shape, self.cached_data.strides, target) is None:
            raise ValueError(
                f"view: memory of shape {self.shape} and strides {self.cached_data.strides} cannot be read as "
                f"{target} without a copy; use reshape"
            )
        return reshape(self, target)

    def view_as(self: Any, other: Tensor) -> Tensor:
        """`view` under the shape of `other`."""
        viewed: Tensor = self.view(other.shape)
        return viewed

    def reshape_as(self: Any, other: Tensor) -> Tensor:
        """`reshape` to the shape of `other`."""
        return reshape(self, other.shape)

    def expand_as(self: Any, other: Tensor) -> Tensor:
        """A view repeated to the shape of `other`."""
        return broadcast_to(self, other.shape)

    def repeat(self: Any, *repeats: Any, axis: int | None = None) -> Tensor:
        """The whole tensor repeated, so many times along each axis: PyTorch's `repeat`, which is `tile`.

        With `axis` each slice along it is repeated: NumPy's `repeat`, which is the function `ndl.repeat`.
        """
        if axis is None:
            return tile(self, *repeats)
        return repeat(self, repeats[0] if len(repeats) == 1 else repeats, axis)

    # -- copies ---------------------------------------------------------------------------------

    def clone(self: Any) -> Tensor:
        """A copy in memory of its own, through which gradients flow back."""
        copied: Tensor = _clone(self)
        return copied

    copy = clone

    def contiguous(self: Any) -> Tensor:
        """The tensor itself if its elements lie in C order without gaps, else a copy in which they do."""
        return self if self.is_contiguous() else _contiguous(self)

    # -- devices and dtypes ---------------------------------------------------------------------

    def to(self: Any, *args: Any, device: DeviceLike = None, dtype: DTypeLike = None, **others: Any) -> Tensor:
        """Converted to a dtype, moved to a device, or both; gradients flow back to this tensor.

        `to(device)`, `to(dtype)`, `to(device, dtype)` or `to(other)`, for the device and dtype of another tensor. A
        device is a Device or its name, a dtype is one of needle's or NumPy's. `copy=True` copies in any case;
        `non_blocking` is PyTorch's and makes no difference.
        """
        unknown = set(others) - {"copy", "non_blocking"}
        if unknown:
            raise TypeError(f"to() has no argument {min(unknown)}")
        for arg in args:
            if isinstance(arg, Value):
                device, dtype = arg.device, arg.dtype  # type: ignore[attr-defined]
            elif isinstance(arg, (str, Device)):
                device = arg
            elif isinstance(arg, bool):
                continue  # PyTorch's third argument, non_blocking
            elif arg is not None:
                dtype = arg
        moved: Any = self if device is None else to_device(self, as_device(device))
        moved = moved if dtype is None else astype(moved, dtype)
        return _clone(moved) if others.get("copy") and moved is self else moved

    def to_device(self: Any, device: DeviceLike, /, *, stream: Any = None) -> Tensor:
        """The tensor on another device (Array API). Raises ValueError for a stream: devices have one queue."""
        return to_device(self, as_device(device), stream=stream)

    def cpu(self: Any) -> Tensor:
        """The tensor in the host's memory: itself if its device is the processor, else on the device "numpy"."""
        return self if self.device.info.kind in _HOST_KINDS else to_device(self, find_device("numpy"))

    def type(self: Any, dtype: DTypeLike = None) -> Any:
        """The name of the dtype, or the tensor converted to `dtype`."""
        return self.dtype.name if dtype is None else astype(self, dtype)

    def type_as(self: Any, other: Tensor) -> Tensor:
        """Converted to the dtype of `other`."""
        return astype(self, other.dtype)

    def is_floating_point(self: Any) -> bool:
        """Whether the dtype is floating."""
        return is_float(self.dtype)

    def element_size(self: Any) -> int:
        """Bytes of an element."""
        return int(self.dtype.itemsize)

    @property
    def itemsize(self: Any) -> int:
        """Bytes of an element."""
        return int(self.dtype.itemsize)

    # -- tensors like this one ------------------------------------------------------------------

    def _like(self: Any, dtype: DTypeLike, device: DeviceLike) -> dict[str, Any]:
        place = self.device if device is None else device
        return {"dtype": self.dtype if dtype is None else as_dtype(dtype), "device": place}

    def new_zeros(self: Any, *sizes: Any, dtype: DTypeLike = None, device: DeviceLike = None) -> Tensor:
        """Zeros of another shape, with the dtype and device of this tensor."""
        return creation.zeros(*sizes, **self._like(dtype, device))

    def new_ones(self: Any, *sizes: Any, dtype: DTypeLike = None, device: DeviceLike = None) -> Tensor:
        """Ones of another shape, with the dtype and device of this tensor."""
        return creation.ones(*sizes, **self._like(dtype, device))

    def new_empty(self: Any, *sizes: Any, dtype: DTypeLike = None, device: DeviceLike = None) -> Tensor:
        """Undefined values of another shape, with the dtype and device of this tensor."""
        return creation.empty(*sizes, **self._like(dtype, device))

    def new_full(
        self: Any, size: Any, fill_value: Scalar, dtype: DTypeLike = None, device: DeviceLike = None
    ) -> Tensor:
        """One value in another shape, with the dtype and device of this tensor."""
        return creation.full(size, fill_value, **self._like(dtype, device))

    def new_tensor(self: Any, data: Any, dtype: DTypeLike = None, device: DeviceLike = None) -> Tensor:
        """Other data, copied, with the dtype and device of this tensor."""
        return creation.tensor(data, **self._like(dtype, device))

    # -- the graph ------------------------------------------------------------------------------

    def register_hook(self: Any, hook: Callable[[Tensor], Tensor | None]) -> GradientHandle:
        """Call `hook` with the gradient of this tensor in each backward pass; what it returns takes its place.

        Returns a handle whose `remove()` ends that. Raises ValueError for a tensor that requires no gradient.
        """
        return register_hook(self, hook)

    def retain_grad(self: Any) -> None:
        """Nothing: `.grad` of every tensor that somebody holds is kept. PyTorch keeps it of leaves alone."""


def _conversion(name: str, dtype: DType) -> Callable[[Any], Any]:
    def convert(self: Any) -> Any:
        return astype(self, dtype)

    convert.__name__ = name
    convert.__doc__ = f"Converted to {dtype}."
    return convert


class DTypeMethods:
    """PyTorch's names of conversions, apart from other methods: in this class `float` is one of them."""

    __slots__ = ()

    half = _conversion("half", float16)
    float = _conversion("float", float32)
    double = _conversion("double", float64)
    bool = _conversion("bool", bool_)
    byte = _conversion("byte", uint8)
    char = _conversion("char", int8)
    short = _conversion("short", int16)
    int = _conversion("int", int32)
    long = _conversion("long", int64)
