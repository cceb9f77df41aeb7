"""Recording elementwise work on arrays, and doing it: realize, reduce, run."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from math import prod
from typing import Any
from weakref import ref

import numpy as np

from needle.array.expression import (
    CAST,
    FULL,
    MAX_AGE,
    MAX_SIZE,
    MAX_USES,
    SCALARS,
    Linearized,
    Pending,
    check_scalar,
    linearize,
    operand_dtypes,
)
from needle.array.ndarray import NDArray, Storage, check_dtype
from needle.array.operators import TABLE
from needle.backend.protocol import Device
from needle.backend.records import Elementwise, Primitive, Reduction
from needle.dtypes import DType, Scalar, Shape, bool_
from needle.errors import DeviceError
from needle.locks import freed_in_children
from needle.strides import broadcast_shapes, broadcast_strides, contiguous_strides

#: Two threads may want the same pending array: one computes it, the other finds it done. Recording takes no lock.
lock = freed_in_children(threading.RLock())


#: Numbers of less than this are in the range of every floating dtype.
_FITS_ALL = float(np.finfo(np.float16).max)


# -- recording --------------------------------------------------------------------------------------


def full(shape: Shape, value: Scalar, dtype: DType, device: Device) -> NDArray:
    """A constant, which costs no memory until something needs it written out."""
    check_dtype(dtype, device)
    value = check_scalar(value, dtype)
    if -_FITS_ALL < value < _FITS_ALL:
        value = dtype.type(value).item()
    else:
        with np.errstate(over="ignore"):  # a float beyond the dtype's range is infinite
            value = dtype.type(value).item()
    return NDArray._make(device, dtype, shape, None, pending=Pending(FULL, (value,), 1, constant=True))


def cast(array: NDArray, dtype: DType) -> NDArray:
    """`array` converted to `dtype`, recorded; `array` itself where it has that dtype."""
    if array.dtype == dtype:
        return array
    check_dtype(dtype, array.device)
    return _record(CAST, (array,), dtype, array.shape, array.device)


def elementwise(record: Elementwise, operands: Sequence[Any]) -> NDArray:
    """Record `record` on `operands`: arrays of one device that broadcast together, and Python scalars.

    Raises TypeError for dtypes that do not fit the operation, ValueError for shapes that do not broadcast,
    DeviceError for arrays of different devices.
    """
    first: NDArray | None = None
    same_shape = True
    kinds: list[Any] = []  # an array's dtype, a scalar's type: what the dtypes of the operation depend on
    for operand in operands:
        if isinstance(operand, NDArray):
            kinds.append(operand.dtype)
            if first is None:
                first = operand
            elif operand.device is not first.device:
                common_device(record.name, [first, operand])
            elif operand.shape != first.shape:
                same_shape = False
        else:
            kinds.append(type(operand))
    if first is None:
        raise TypeError(f"{record.name} needs at least one array; got {', '.join(map(repr, operands))}")
    wanted, result = operand_dtypes(record, tuple(kinds))
    shape = first.shape
    if not same_shape:
        shape = broadcast_shapes(*(o.shape for o in operands if isinstance(o, NDArray)))
    fitted = [
        o if o.__class__ is NDArray and o.dtype is dtype else _fit(o, dtype)
        for o, dtype in zip(operands, wanted, strict=True)
    ]
    return _record(record, tuple(fitted), result, shape, first.device)


def _fit(operand: Any, dtype: DType) -> Any:
    """An operand as the operation computes on it: an array of `dtype`, or a scalar that `dtype` holds."""
    if isinstance(operand, NDArray):
        return operand if operand.dtype is dtype else cast(operand, dtype)
    if dtype is bool_:
        return bool(operand)
    return operand if type(operand) is float else check_scalar(operand, dtype)


def common_device(what: str, arrays: Sequence[NDArray]) -> Device:
    """The device of all `arrays`. Raises DeviceError naming the devices if they differ."""
    device = arrays[0].device
    for array in arrays:
        if array.device is not device:
            raise DeviceError(
                f"{what}: operands are on different devices, {device.name} and {array.device.name}; "
                "move one of them with .to(device)"
            )
    return device


def _record(record: Elementwise, operands: tuple[Any, ...], dtype: DType, shape: Shape, device: Device) -> NDArray:
    size, constant = 1, True
    for operand in operands:
        if operand.__class__ is not NDArray:
            size += 1
            continue
        pending = operand._pending
        if pending is not None and not pending.constant and _had_better_be_stored(operand, pending, shape):
            operand.realize()
            pending = None
        constant = constant and pending is not None and pending.constant
        size += 1 if pending is None else pending.size
    if size > MAX_SIZE:
        realize([o for o in operands if not isinstance(o, SCALARS) and o._pending is not None])
        size, constant = 1 + len(operands), False
    if constant:  # of its own, whatever becomes of the operands
        with lock:  # but another thread may have written one out by now
            constant = all(isinstance(o, SCALARS) or o._pending is not None for o in operands)
            if constant:
                operands = tuple(o if isinstance(o, SCALARS) else stand_in(o) for o in operands)
                return NDArray._make(device, dtype, shape, None, pending=Pending(record, operands, size, constant))
    work = Pending(record, operands, size, constant, device.launches)
    result = NDArray._make(device, dtype, shape, None, pending=work)
    reader = ref(result)
    for operand in operands:
        if operand.__class__ is NDArray:
            source: Pending | Storage = operand._pending or operand._storage  # type: ignore[assignment]
            source.readers.add(reader)
    return result


def _had_better_be_stored(operand: NDArray, pending: Pending, shape: Shape) -> bool:
    """Whether it would be computed again for each of many elements, or is a running total (see MAX_AGE)."""
    return operand.shape != shape or (not shape and operand.device.launches - pending.born > MAX_AGE)


def stand_in(array: NDArray) -> NDArray:
    """Another array with the same pending work but no readers: computing either leaves the other as it is."""
    pending = array._pending
    assert pending is not None
    work = Pending(pending.record, pending.operands, pending.size, pending.constant)
    return NDArray._make(array.device, array.dtype, array.shape, None, pending=work)


# -- computing --------------------------------------------------------------------------------------


def realize(arrays: Sequence[NDArray]) -> None:
    """Compute pending `arrays`; those of one shape and device together, in one launch up to MAX_SIZE."""
    with lock:
        wanted = [a for a in (a if a._base is None else a._base for a in arrays) if a._pending is not None]
        if len(wanted) == 1:
            _compute(wanted)
            return
        groups: dict[tuple[Shape, Device], dict[int, NDArray]] = {}
        for array in wanted:
            groups.setdefault((array.shape, array.device), {})[id(array)] = array
        for group in groups.values():
            for members in _batches(group.values()):
                _compute(members)


def _compute(members: list[NDArray]) -> None:
    """Compute pending arrays of one shape in one launch, and with them the steps that had better be stored."""
    work = linearize(members)
    worn = _worn(work, members)
    if worn:
        members = members + worn
        work = linearize(members)
    outputs = [NDArray.empty(a.shape, a.dtype, a.device) for a in members]
    _evaluate(work, outputs)
    for array, output in zip(members, outputs, strict=True):
        assert array._pending is not None and output._storage is not None
        output._storage.readers = array._pending.readers  # the very object: another thread may be adding to it
        adopt(array, output)


def _batches(arrays: Iterable[NDArray]) -> Iterator[list[NDArray]]:
    """Those of `arrays` that are pending, in lists whose expressions together stay within MAX_SIZE."""
    batch: list[NDArray] = []
    size = 0
    for array in arrays:
        if batch and array._pending is not None and size + array._pending.size > MAX_SIZE:
            yield batch
            batch, size = [], 0
        if array._pending is not None:  # it may have been stored with an earlier batch
            batch.append(array)
            size += array._pending.size
    if batch:
        yield batch


def _evaluate(work: Linearized, outputs: Sequence[NDArray]) -> None:
    """Run `work`, the program of values of one shape, into the memory of `outputs`."""
    if prod(outputs[0].shape):
        outputs[0].device.evaluate(work.expression, outputs)
        _count_uses(work)


def _worn(work: Linearized, outputs: Sequence[NDArray]) -> list[NDArray]:
    """The steps of `work` that have been computed often enough, and had better be stored with `outputs`."""
    worn = [a for a in work.steps if (p := a._pending) is not None and p.uses >= MAX_USES and not p.constant]
    if worn:
        chosen = {id(v._pending) for v in outputs}
        worn = [a for a in worn if id(a._pending) not in chosen]
    return worn


def _count_uses(work: Linearized) -> None:
    for array in work.steps:
        pending = array._pending  # another thread may store the array at any moment
        if pending is not None:
            pending.uses += 1


def adopt(array: NDArray, source: NDArray) -> None:
    """Let a pending array have the memory of `source`, into which it has been computed."""
    array._storage, array._strides, array._offset = source._storage, source._strides, source._offset
    array._pending = None
    if array._constant_views is not None:
        for view in array._constant_views.take():
            view._storage, view._pending, view._base = array._storage, None, None
            view._whole = view.size == array.size
        array._constant_views = None


def copy(array: NDArray) -> NDArray:
    """A contiguous copy; of a constant another constant."""
    with lock:
        if array._pending is not None and array._pending.constant:
            return stand_in(array)
        output = NDArray.empty(array.shape, array.dtype, array.device)
        _evaluate(linearize([array]), [output])
    assert output._storage is not None
    output._storage.host_bounds = array.host_bounds
    return output


# -- reductions and primitives ----------------------------------------------------------------------


def reduce(reduction: Reduction, array: NDArray, axes: tuple[int, ...], keepdims: bool = False) -> NDArray:
    """Fold `array` over `axes` (normalized). Pending work of `array` is done on the fly, once."""
    if array.dtype.kind not in reduction.kinds:
        raise TypeError(f"{reduction.name} is not defined for dtype {array.dtype}")
    kept = [1 if a in axes else n for a, n in enumerate(array.shape) if keepdims or a not in axes]
    output = NDArray.empty(tuple(kept), reduction.result(array.dtype), array.device)
    if output.size:
        with lock:  # nobody may write into what is read between its recording and its launch
            _fold(reduction, array, axes, output)
    return output


def _fold(reduction: Reduction, array: NDArray, axes: tuple[int, ...], output: NDArray) -> None:
    pending = array._pending
    if pending is not None and pending.uses and not pending.constant:
        array.realize()  # it has been folded before: a second reader had better store it
    work = linearize([array])
    worn = _worn(work, [array])
    if worn:
        realize(worn)
        work = linearize([array])
    array.device.reduce(reduction, work.expression, array.shape, axes, output)
    _count_uses(work)


@lru_cache(maxsize=4096)
def _broadcast_axes(wide: Shape, narrow: Shape) -> tuple[int, ...]:
    """The axes along which `narrow` was repeated to become `wide`."""
    broadcast_strides(narrow, contiguous_strides(narrow), wide)  # raises if it was not
    extra = len(wide) - len(narrow)
    return (*range(extra), *(extra + a for a, n in enumerate(narrow) if n == 1 and wide[extra + a] != 1))


def sum_to(array: NDArray, shape: Shape) -> NDArray:
    """The sum of `array` over the axes along which `shape` was broadcast to the array's shape."""
    if array.shape == shape:
        return array
    axes = _broadcast_axes(array.shape, shape)
    if all(array.shape[a] == 1 for a in axes):
        return array.reshape(shape)
    return TABLE["sum"](array, axes).reshape(shape)


def run_primitive(primitive: Primitive, inputs: tuple[NDArray, ...], device: Device, params: dict[str, Any]) -> NDArray:
    """The output of `primitive` on arrays of one device."""
    if len(inputs) > 1:
        common_device(primitive.name, inputs)
    for array in inputs:
        if array._pending is not None:
            realize(inputs)
            break
    ((shape, dtype),) = primitive.signature(*inputs, **params)
    output = NDArray.empty(shape, dtype, device)
    if output.size:
        device.run(primitive, _as_launchers_take(primitive, inputs), [output], **params)
    return output


def _as_launchers_take(primitive: Primitive, inputs: tuple[NDArray, ...]) -> tuple[NDArray, ...]:
    """Realized `inputs` as the launchers of `primitive` take them: any view, or contiguous from the buffer's start."""
    if primitive.strided:
        return inputs
    return tuple([x if x.is_contiguous() and x.offset == 0 else copy(x) for x in inputs])
