"""`Tensor`: an array that remembers how it was computed.

A function of needle is a method because its declaration says so (see `needle.ops.base.method`). The methods written
out here differ from the function in their arguments, or arrays implement them themselves.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from needle import ops
from needle.array import NDArray, evaluation, recording
from needle.array.operators import Operators
from needle.array.views import as_shape, is_several
from needle.autograd import Value, backward, check_differentiable, is_grad_enabled, make_value
from needle.backend.protocol import Device
from needle.dtypes import DEFAULT_FLOAT, DType, DTypeLike, Scalar, Shape, is_float
from needle.errors import DeviceError
from needle.ops.creation import DeviceLike, as_array
from needle.ops.familiar import DTypeMethods, FamiliarMethods, Size
from needle.ops.indexing.access import setitem
from needle.ops.inplace import InPlace
from needle.ops.numpy_functions import NumpyFunctions
from needle.ops.sharing import DLPackMethods

__all__ = ["Tensor"]


class Tensor(InPlace, NumpyFunctions, FamiliarMethods, DTypeMethods, DLPackMethods, Operators["Tensor"], Value):
    """An n-dimensional array on a device, with its place in the graph that `backward` walks.

    Args:
        data: a NumPy array (keeps its dtype), nested sequence, number, array or tensor.
        device: where it lives; a Device, a name such as "pocl", or None for the default device.
        dtype: converted to; by default the data's, Python floats being float32.
        requires_grad: whether gradients are computed for it; by default so for floating dtypes, as in the
            course. Raises TypeError if asked for another dtype.
    """

    __slots__ = ()

    def __init__(
        self,
        data: Any,
        *,
        device: DeviceLike = None,
        dtype: DTypeLike = None,
        requires_grad: bool | None = None,
    ) -> None:
        array = as_array(data, dtype, device)
        if requires_grad:
            check_differentiable(array.dtype)
        self._set(array, is_float(array.dtype) if requires_grad is None else requires_grad)

    # -- what it is -----------------------------------------------------------------------------

    @property
    def shape(self) -> Shape:
        return self.cached_data.shape

    @property
    def dtype(self) -> DType:
        return self.cached_data.dtype

    @property
    def device(self) -> Device:
        return self.cached_data.device

    @property
    def ndim(self) -> int:
        return len(self.cached_data.shape)

    @property
    def size(self) -> Size:
        """The number of elements; called, as in PyTorch, the shape."""
        return Size(self.cached_data.size, self.cached_data.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.cached_data.nbytes

    @property
    def T(self) -> Tensor:
        """A view with the last two axes exchanged; of fewer than two axes the tensor itself, as in NumPy."""
        return ops.transpose(self) if self.ndim > 1 else self

    def __iter__(self) -> Iterator[Tensor]:
        """The tensors along the first axis. Raises TypeError for a tensor without axes."""
        if not self.ndim:
            raise TypeError("a tensor of shape () cannot be iterated over; item() is its one element")
        return (self[i] for i in range(len(self)))

    def __len__(self) -> int:
        return len(self.cached_data)

    def __repr__(self) -> str:
        body = np.array2string(self.numpy(), separator=", ", prefix="Tensor(")
        if not self.size and self.ndim != 1:  # which "[]" does not tell
            body += f", shape={self.shape}"
        origin = f", op={self.op!r}" if self.op is not None else ", requires_grad=True" if self.requires_grad else ""
        dtype = "" if self.dtype == DEFAULT_FLOAT else f", dtype={self.dtype}"
        return f"Tensor({body}{dtype}, device={self.device.name}{origin})"

    def __format__(self, spec: str) -> str:
        """The only element formatted by `spec`; without one the repr."""
        return format(self.item(), spec) if spec else repr(self)

    # -- values ---------------------------------------------------------------------------------

    def numpy(self) -> np.ndarray:
        """The values as a NumPy array; waits for the device."""
        return self.cached_data.numpy()

    def item(self) -> Scalar:
        """The only element as a Python scalar. Raises ValueError if there is not exactly one."""
        return self.cached_data.item()

    def tolist(self) -> Any:
        """The values as nested Python lists."""
        return self.numpy().tolist()

    def realize(self) -> Tensor:
        """Compute what is pending, without waiting for the device, and return self."""
        self.cached_data.realize()
        return self

    def realize_cached_data(self) -> NDArray:
        """The array that holds the values, computed (the course's name)."""
        return self.cached_data.realize()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles of leaves go through the host, without the gradient; a computed tensor raises RuntimeError."""
        self._check_leaf()
        return _restore, (type(self), self.cached_data, self.requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        """A leaf's values and its gradient, copied on their device; a computed tensor raises RuntimeError.

        A view becomes a tensor of its own: what is written into its copy does not show in the copy of the whole.
        """
        self._check_leaf()
        copied = _restore(type(self), evaluation.copy(self.cached_data), self.requires_grad)
        memo[id(self)] = copied
        copied.grad = None if self.grad is None else copy.deepcopy(self.grad.detach(), memo)
        return copied

    def _check_leaf(self) -> None:
        if self.op is not None:
            raise RuntimeError("only leaves can be pickled or deep-copied; detach() the tensor first")

    def __array__(self, dtype: DTypeLike = None, copy: bool | None = None) -> np.ndarray:
        """The values for NumPy's functions. Raises RuntimeError where a gradient would be lost; `numpy()` does not."""
        if self.requires_grad and is_grad_enabled():
            raise RuntimeError(
                "NumPy was given a tensor that requires a gradient, which the result would not have; use needle's "
                "own functions (ndl.stack puts tensors together), or give x.detach() or x.numpy()"
            )
        return self.cached_data.__array__(dtype, copy)

    def __bool__(self) -> bool:
        return bool(self.cached_data)

    def __float__(self) -> float:
        return float(self.cached_data)

    def __complex__(self) -> complex:
        return complex(self.cached_data)

    def __int__(self) -> int:
        return int(self.cached_data)

    def __index__(self) -> int:
        return self.cached_data.__index__()

    # -- gradients ------------------------------------------------------------------------------

    def backward(
        self, out_grad: Tensor | None = None, retain_graph: bool | None = None, create_graph: bool = False
    ) -> None:
        """Add the gradient of this tensor to `.grad` of everything it depends on.

        `out_grad`, of this tensor's shape, is the gradient with respect to it; it may be left out for a
        single element. The graph is freed unless `retain_graph` or `create_graph`, which makes the
        gradients differentiable themselves. Raises ValueError for a missing or misshapen `out_grad`,
        GraphError if no gradient is required or the graph was freed.
        """
        backward(self, self._seed(out_grad, create_graph), create_graph, retain_graph)

    def _seed(self, out_grad: Tensor | None, create_graph: bool) -> Any:
        if out_grad is None:
            if self.size != 1:
                raise ValueError(f"backward() on a tensor of shape {self.shape} needs out_grad, of the same shape")
            seed = recording.constant(self.shape, 1, self.dtype, self.device)
            return make_value(seed) if create_graph else seed
        grad = out_grad if isinstance(out_grad, Value) else make_value(as_array(out_grad, None, self.device))
        given = grad.cached_data
        if given.shape != self.shape:
            raise ValueError(f"out_grad has shape {given.shape}; the tensor has {self.shape}")
        if given.device is not self.device:
            raise DeviceError(f"out_grad is on {given.device.name}, the tensor on {self.device.name}")
        return ops.astype(grad, self.dtype) if create_graph else given.astype(self.dtype)

    @property
    def data(self) -> Tensor:
        """The values as a tensor outside the graph, sharing memory. Assigning replaces the values."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"data must be set to a tensor, not {type(value).__name__}")
        if value.shape != self.shape or value.dtype != self.dtype:
            raise ValueError(f"data of shape {value.shape} and dtype {value.dtype} does not fit a tensor of shape "
                             f"{self.shape} and dtype {self.dtype}")  # fmt: skip
        self.cached_data = value.cached_data
        self.view_of = None

    def detach(self) -> Tensor:
        """The same values outside the graph, sharing memory."""
        return make_value(self.cached_data)  # type: ignore[return-value]

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set whether gradients are computed for this leaf, and return it. Raises what setting `requires_grad` does."""
        self.requires_grad = requires_grad
        return self

    # -- selecting and arranging ----------------------------------------------------------------

    def __getitem__(self, index: Any) -> Tensor:
        """What any index of NumPy's selects: a view where it is basic, else a copy (see `getitem`)."""
        return ops.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        """Write `value` where `x[index]` reads, into the tensor's memory; gradients flow to both.

        Raises GraphError for a leaf that requires a gradient, unless under `no_grad`.
        """
        setitem(self, index, value)

    def where(self, condition: Any, other: Any) -> Tensor:
        """This tensor where `condition` is true, else `other`."""
        result: Tensor = ops.where(condition, self, other)
        return result

    def astype(self, dtype: DTypeLike, *, copy: bool = False) -> Tensor:
        """Converted to `dtype`, and with `copy` a copy even where it has that dtype."""
        return ops.astype(self, dtype, copy=copy)

    def reshape(self, *shape: int | Sequence[int]) -> Tensor:
        """Under another shape, given as a sequence or as arguments, one -1 inferred."""
        return ops.reshape(self, shape[0] if len(shape) == 1 and is_several(shape[0]) else shape)  # type: ignore[arg-type]

    def broadcast_to(self, shape: Sequence[int]) -> Tensor:
        """Repeated to `shape`."""
        return ops.broadcast_to(self, as_shape(shape))

    def permute(self, *axes: int | Sequence[int], dims: Sequence[int] | None = None) -> Tensor:
        """With the axes in the order given, as a sequence, as `dims` or as arguments."""
        axes = axes if dims is None else (dims,)
        return ops.permute_dims(self, axes[0] if len(axes) == 1 and is_several(axes[0]) else axes)  # type: ignore[arg-type]

    def flip(self, *axis: int | Sequence[int] | None, **names: Any) -> Tensor:
        """Read backwards along the axes given, as one argument or as several; along all if none is given."""
        return ops.flip(self, *((axis,) if len(axis) > 1 else axis), **names)

    def sum_to(self, shape: Shape) -> Tensor:
        """Summed over the axes along which `shape` was broadcast to this shape."""
        return ops.sum_to(self, shape)


Value.result_class = Tensor


def _restore(cls: type[Tensor], array: NDArray, requires_grad: bool) -> Tensor:
    tensor = cls.__new__(cls)
    tensor._set(array, requires_grad)
    return tensor
