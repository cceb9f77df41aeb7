"""`NDArray`: a strided view of device memory, or elementwise work that has not been done yet."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any
from weakref import ref

import numpy as np

from needle.array import evaluation, views
from needle.array.conversions import Conversions
from needle.array.expression import CAST, MAX_AGE, MAX_GENERATIONS, MAX_SIZE, SCALARS, Pending, clock, make_pending
from needle.array.operators import TABLE, Operators
from needle.array.storage import Readers, Storage
from needle.backend import recordings
from needle.backend.protocol import Buffer, Device
from needle.backend.records import Elementwise, Primitive
from needle.backend.registry import chosen_device
from needle.backend.registry import device as find_device
from needle.dtypes import DType, DTypeLike, Shape, as_dtype, is_integer
from needle.errors import DeviceError
from needle.strides import Strides, broadcast_strides, contiguous_strides, is_contiguous, reshape_strides


class NDArray(Conversions, Operators["NDArray"]):
    """An n-dimensional array on a device.

    Slicing, reshaping, permuting, flipping and broadcasting give views wherever NumPy's do. Elementwise
    operations are recorded and run fused when values are needed (see `needle.array.expression`). Writing
    into an array first computes everything recorded that still has to read it.
    """

    __slots__ = (
        "__weakref__",
        "_base",
        "_constant_views",
        "_offset",
        "_pending",
        "_repeats",
        "_storage",
        "_strides",
        "_whole",
        "device",
        "dtype",
        "shape",
    )

    # NumPy's operators give way to ours: `numpy_array + x` becomes `x.__radd__`.
    __array_ufunc__ = None

    shape: Shape
    dtype: DType
    device: Device
    _storage: Storage | None  # None while pending
    _strides: Strides | None  # None for contiguous
    _offset: int
    _pending: Pending | None
    _whole: bool  # whether all elements of the storage are in view
    _repeats: bool  # whether it is a view that repeats elements, or a part of one
    _base: NDArray | None  # of a view of a constant not yet written out: what it is a view of
    _constant_views: Readers | None  # the views that have this array as their base

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("NDArray is not constructed directly; use needle.asarray or NDArray.from_numpy")

    # -- making ---------------------------------------------------------------------------------

    @classmethod
    def _make(
        cls,
        device: Device,
        dtype: DType,
        shape: Shape,
        storage: Storage | None,
        strides: Strides | None = None,
        offset: int = 0,
        pending: Pending | None = None,
    ) -> NDArray:
        array = object.__new__(cls)
        array.device = device
        array.dtype = dtype
        array.shape = shape
        array._storage = storage
        array._strides = strides
        array._offset = offset
        array._pending = pending
        array._whole = True
        array._repeats = False
        array._base = array._constant_views = None
        return array

    @classmethod
    def empty(cls, shape: Shape, dtype: DType, device: Device) -> NDArray:
        """A contiguous array with undefined contents. Raises DeviceError for a dtype the device lacks."""
        check_dtype(dtype, device)
        return cls._make(device, dtype, shape, Storage(device.empty(prod(shape), dtype)))

    @classmethod
    def from_numpy(cls, array: np.ndarray, device: Device) -> NDArray:
        """A copy of a NumPy array on `device`. Raises TypeError or DeviceError for unsupported dtypes."""
        dtype = as_dtype(array.dtype)
        check_dtype(dtype, device)
        host = np.require(array, dtype, "C")  # native byte order; ascontiguousarray would lose 0-d
        bounds = (int(host.min()), int(host.max())) if is_integer(dtype) and host.size else None
        return cls._make(device, dtype, host.shape, Storage(device.upload(host), bounds))

    @classmethod
    def run_new(cls, primitive: Primitive, device: Device, **params: Any) -> Any:
        """The output of a primitive that takes no arrays, on `device`; a tuple if it has several."""
        return run_primitive(primitive, (), device, params)

    def run(self, primitive: Primitive, *others: NDArray, **params: Any) -> Any:
        """The output of `primitive` applied to this array and `others`, which must share its device.

        A tuple of arrays if the signature of `primitive` names several outputs.
        """
        return run_primitive(primitive, (self, *others), self.device, params)

    # -- the view that a backend sees -----------------------------------------------------------

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements; a broadcast view holds fewer in memory."""
        return self.size * self.dtype.itemsize

    @property
    def storage(self) -> Storage:
        """The memory behind the array, computed first if it is pending."""
        if self._pending is not None:
            evaluation.realize([self])
        assert self._storage is not None
        return self._storage

    @property
    def buffer(self) -> Buffer:
        return self.storage.buffer

    @property
    def strides(self) -> Strides:
        """Distances between neighbours along each axis, in elements."""
        if self._strides is None:
            self._strides = contiguous_strides(self.shape)
        return self._strides

    @property
    def offset(self) -> int:
        """Position of the first element in the buffer, in elements."""
        return self._offset

    @property
    def version(self) -> int:
        """A number that changes when elements of the memory are overwritten; views have that of the whole."""
        pending = self._pending
        return pending.version if pending is not None else 0 if self._storage is None else self._storage.version

    @property
    def host_bounds(self) -> tuple[int, int] | None:
        """Smallest and largest element, where the host knows them: of integers that it uploaded as a whole."""
        return self._storage.host_bounds if self._storage is not None and self._whole else None

    @property
    def memory(self) -> object:
        """What arrays have in common that share memory, now or once they are computed."""
        return self._storage if self._pending is None else self._pending

    @property
    def geometry(self) -> views.Geometry:
        return views.Geometry(self.shape, self.strides, self._offset)

    def is_contiguous(self) -> bool:
        """Whether the elements lie in C order without gaps."""
        return self._strides is None or is_contiguous(self.shape, self._strides)

    # -- values ---------------------------------------------------------------------------------

    def realize(self) -> NDArray:
        """Compute what is pending (without waiting for the device) and return self."""
        if self._pending is not None:
            evaluation.realize([self])
        return self

    def numpy(self) -> np.ndarray:
        """The values as a NumPy array; waits for the device."""
        if recordings.active:
            recordings.refuse(
                "reads values on the host", "return the tensor, and read it where the function was called"
            )
        source = self.contiguous().realize()
        return self.device.download(source)

    def to(self, device: Device) -> NDArray:
        """This array on `device`: itself if it is there already, else a copy through the host."""
        return self if device is self.device else NDArray.from_numpy(self.numpy(), device)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles and deep copies go through the host, and come back to the device of the same name.

        Where there is none, a pickle is read onto the device of a `with ndl.device(name):` block, or of NEEDLE_DEVICE.
        """
        return _restore, (self.numpy(), self.device.name)

    def __repr__(self) -> str:
        body = np.array2string(self.numpy(), separator=", ", prefix="NDArray(")
        return f"NDArray({body}, dtype={self.dtype}, device={self.device.name})"

    # -- views ----------------------------------------------------------------------------------

    def _view(self, shape: Shape, strides: Strides, offset: int) -> NDArray:
        """A window on the same memory. A view of a pending constant is pending until the constant is written out."""
        if self._pending is not None and self._pending.constant:
            with evaluation.lock:  # another thread may be writing it out
                if self._pending is not None:
                    return self._constant_view(shape, strides, offset)
        result = NDArray._make(self.device, self.dtype, shape, self.storage, strides, offset)
        result._whole = self._whole and prod(shape) == self.size
        result._repeats = self._repeats
        return result

    def _constant_view(self, shape: Shape, strides: Strides, offset: int) -> NDArray:
        result = NDArray._make(self.device, self.dtype, shape, None, strides, offset, self._pending)
        result._repeats = self._repeats
        result._base = base = self if self._base is None else self._base
        if base._constant_views is None:
            base._constant_views = Readers()
        base._constant_views.add(ref(result))
        return result

    def contiguous(self) -> NDArray:
        """This array if it is in C order, else a copy that is."""
        return self if self.is_contiguous() else evaluation.copy(self)

    def reshape(self, *shape: int | Sequence[int]) -> NDArray:
        """The elements in C order under another shape, one -1 inferred; a view where strides allow it."""
        wanted = shape[0] if len(shape) == 1 and views.is_several(shape[0]) else shape
        target = views.infer_shape(wanted, self.size)  # type: ignore[arg-type]
        if target == self.shape:
            return self
        strides = reshape_strides(self.shape, self.strides, target)
        if strides is None:
            return self.contiguous()._view(target, contiguous_strides(target), 0)
        return self._view(target, strides, self._offset)

    def permute(self, axes: Sequence[int]) -> NDArray:
        """A view with the axes in the order given. Raises ValueError unless `axes` is a permutation."""
        shape, strides = self.shape, self.strides
        order = views.permutation(axes, len(shape))
        return self._view(tuple([shape[a] for a in order]), tuple([strides[a] for a in order]), self._offset)

    def broadcast_to(self, shape: Shape) -> NDArray:
        """A view in which size-1 and missing axes repeat. Raises ValueError where shapes do not fit."""
        strides = broadcast_strides(self.shape, self.strides, shape)
        if shape == self.shape:
            return self
        view = self._view(shape, strides, self._offset)
        view._repeats = view._repeats or view.size > self.size
        return view

    def flip(self, axes: Sequence[int]) -> NDArray:
        """A view that reads the given axes backwards."""
        flipped = {views.normalize_axis(a, self.ndim) for a in axes}
        return self[tuple(slice(None, None, -1) if a in flipped else slice(None) for a in range(self.ndim))]

    def __getitem__(self, index: Any) -> NDArray:
        """A view by basic indexing: ints, slices with any step, None and an ellipsis; else what `ops.getitem` gives."""
        try:
            return self._view(*views.index_view(index, self.geometry))
        except views.NotBasicError:
            result: NDArray = TABLE["getitem"](self, index)
            return result

    def window(self, geometry: views.Geometry) -> NDArray:
        """A view of the same memory with any geometry."""
        result = self.realize()._view(*geometry)
        result._whole = False
        return result

    def __setitem__(self, index: Any, value: Any) -> None:
        """Write `value` (array, NumPy array or scalar, broadcast and cast) into the view at `index`.

        The index may be any that NumPy takes. Raises ValueError for a view that repeats elements, as broadcast_to makes
        them, and for parts of one.
        """
        check_writable(self)
        target = self.realize()
        if index is not Ellipsis:
            try:
                target = self._view(*views.index_view(index, self.geometry))
            except views.NotBasicError:
                TABLE["assign_at"](self, index, value)
                return
        TABLE["write"](target, value)

    # -- computing ------------------------------------------------------------------------------

    def sum_to(self, shape: Shape) -> NDArray:
        """The sum over the axes along which `shape` was broadcast to this array's shape."""
        if self.shape == shape:
            return self
        axes = views.broadcast_axes(self.shape, shape)
        if all(self.shape[a] == 1 for a in axes):
            return self.reshape(shape)
        total: NDArray = TABLE["sum"](self, axes)
        return total.reshape(shape)

    def astype(self, dtype: DTypeLike) -> NDArray:
        """The elements converted to `dtype`; the array itself if it has it."""
        return cast(self, as_dtype(dtype))


def _restore(host: np.ndarray, device: str) -> NDArray:
    """An array that was pickled, on the device of that name; where it is missing, on the one that the reader chose."""
    try:
        place = find_device(device)
    except DeviceError as error:
        chosen = chosen_device()
        if chosen is None:
            raise DeviceError(f"{error}; to read the pickle onto another, do it in `with ndl.device(name):`") from None
        place = chosen
    return NDArray.from_numpy(host, place)


def check_writable(array: NDArray) -> None:
    """Raise ValueError for a view that repeats elements, as broadcast_to makes them, or a part of one."""
    if array._repeats:
        raise ValueError(f"a view of shape {array.shape} that repeats elements cannot be written into; copy it first")


def check_dtype(dtype: DType, device: Device) -> None:
    """Raise DeviceError if arrays of `dtype` cannot live on `device`."""
    if not device.supports(dtype):
        raise DeviceError(f"{device.name} does not support {dtype}; choose another dtype or device")


# -- recording --------------------------------------------------------------------------------------


def cast(array: NDArray, dtype: DType) -> NDArray:
    """`array` converted to `dtype`, recorded; `array` itself where it has that dtype."""
    if array.dtype == dtype:
        return array
    check_dtype(dtype, array.device)
    return record(CAST, (array,), dtype, array.shape, array.device)


def record(operation: Elementwise, operands: tuple[Any, ...], dtype: DType, shape: Shape, device: Device) -> NDArray:
    """An array that is pending: `operation` on `operands`, which have the dtypes that it computes on."""
    size, constant, generation = 1, True, 0
    born = launches = clock.launches
    for operand in operands:
        if operand.__class__ is not NDArray:
            size += 1
            continue
        pending = operand._pending
        if pending is not None and not pending.constant:
            below = pending.generation + (pending.born != launches)
            if below > MAX_GENERATIONS or _store_first(operand, pending, shape):
                operand.realize()
                pending, born = None, clock.launches
            if below > generation:  # also of one that was stored: else what a loop hands on is so every other step
                generation = min(below, MAX_GENERATIONS)
        constant = constant and pending is not None and pending.constant
        size += 1 if pending is None else pending.size
    if size > MAX_SIZE:
        evaluation.realize([o for o in operands if not isinstance(o, SCALARS) and o._pending is not None])
        size, constant, born = 1 + len(operands), False, clock.launches
    if constant and (independent := _constant_operands(operands)) is not None:
        pending = make_pending(operation, independent, size, constant=True)
        return NDArray._make(device, dtype, shape, None, pending=pending)
    pending = make_pending(operation, operands, size, False, born, generation)
    result = NDArray._make(device, dtype, shape, None, pending=pending)
    reader = ref(result)
    for operand in operands:
        if operand.__class__ is NDArray:
            source: Pending | Storage = operand._pending or operand._storage  # type: ignore[assignment]
            source.readers.add(reader)
    return result


def _store_first(operand: NDArray, pending: Pending, shape: Shape) -> bool:
    """Whether to compute a pending operand before an operation of `shape` is recorded on it.

    So where each of many elements would compute it again, and where it is a running total (see MAX_AGE).
    """
    return operand.shape != shape or (not shape and clock.launches - pending.born > MAX_AGE)


def _constant_operands(operands: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Operands for a constant of its own, which stays one when the arrays among `operands` are written out.

    None if another thread has written one out by now.
    """
    with evaluation.lock:
        if any(not isinstance(o, SCALARS) and o._pending is None for o in operands):
            return None
        return tuple(o if isinstance(o, SCALARS) else evaluation.stand_in(o) for o in operands)


# -- primitives -------------------------------------------------------------------------------------


def run_primitive(primitive: Primitive, inputs: tuple[NDArray, ...], device: Device, params: dict[str, Any]) -> Any:
    """The output of `primitive` on arrays of one device: an array, or a tuple for a signature of several outputs."""
    if len(inputs) > 1:
        evaluation.common_device(primitive.name, inputs)
    for array in inputs:
        if array._pending is not None:
            evaluation.realize(inputs)
            break
    outputs = tuple([NDArray.empty(shape, dtype, device) for shape, dtype in primitive.signature(*inputs, **params)])
    if any(output.size for output in outputs):
        clock.launches += 1
        device.run(primitive, _as_launchers_take(primitive, inputs), outputs, **params)
    return outputs[0] if len(outputs) == 1 else outputs


def _as_launchers_take(primitive: Primitive, inputs: tuple[NDArray, ...]) -> tuple[NDArray, ...]:
    """Realized `inputs` as the launchers of `primitive` take them: any view, or contiguous from the buffer's start."""
    if primitive.strided:
        return inputs
    return tuple([x if x.is_contiguous() and x.offset == 0 else evaluation.copy(x) for x in inputs])
