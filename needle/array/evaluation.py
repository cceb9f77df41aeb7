"""Computing what is pending: realize arrays, copy them, fold them.

These functions take arrays and make arrays of the same class by its methods; the class itself is defined above.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING

from needle.array.expression import MAX_SIZE, MAX_USES, Linearized, clock, linearize, make_pending
from needle.backend.protocol import Device
from needle.backend.records import Reduction, Scan
from needle.dtypes import Shape, kind_of
from needle.errors import DeviceError
from needle.locks import freed_in_children

if TYPE_CHECKING:
    from needle.array.ndarray import NDArray

#: Held while pending arrays are computed. A second thread that wants the same array finds it done. Recording an
#: operation takes no lock.
lock = freed_in_children(threading.RLock())


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


def stand_in(array: NDArray) -> NDArray:
    """A second array, pending in the same way but without readers: computing one leaves the other pending."""
    pending = array._pending
    assert pending is not None
    same = make_pending(pending.record, pending.operands, pending.size, pending.constant, pending.born)
    return array._make(array.device, array.dtype, array.shape, None, pending=same)


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


def _compute(arrays: list[NDArray]) -> None:
    """Compute pending arrays of one shape in one launch, and store the steps that were computed MAX_USES times."""
    linear = linearize(arrays)
    repeated = _repeated_steps(linear, arrays)
    if repeated:
        arrays = arrays + repeated
        linear = linearize(arrays)
    outputs = [array.empty(array.shape, array.dtype, array.device) for array in arrays]
    _evaluate(linear, outputs)
    for array, output in zip(arrays, outputs, strict=True):
        assert array._pending is not None and output._storage is not None
        output._storage.readers = array._pending.readers  # the very object: another thread may be adding to it
        output._storage.version = array._pending.version
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


def _evaluate(linear: Linearized, outputs: Sequence[NDArray]) -> None:
    """Run the program `linear` into the memory of `outputs`, which have one shape."""
    if prod(outputs[0].shape):
        clock.launches += 1
        outputs[0].device.evaluate(linear.expression, outputs)
        _count_uses(linear)


def _repeated_steps(linear: Linearized, wanted: Sequence[NDArray]) -> list[NDArray]:
    """The steps of `linear`, apart from `wanted`, that MAX_USES launches have computed already."""
    repeated = [a for a in linear.steps if (p := a._pending) is not None and p.uses >= MAX_USES and not p.constant]
    if repeated:
        chosen = {id(array._pending) for array in wanted}
        repeated = [a for a in repeated if id(a._pending) not in chosen]
    return repeated


def _count_uses(linear: Linearized) -> None:
    for array in linear.steps:
        pending = array._pending  # another thread may store the array at any moment
        if pending is not None:
            pending.uses += 1


def adopt(array: NDArray, source: NDArray) -> None:
    """Give a pending array the memory of `source`, which holds its values by now."""
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
        output = array.empty(array.shape, array.dtype, array.device)
        _evaluate(linearize([array]), [output])
    assert output._storage is not None
    output._storage.host_bounds = array.host_bounds
    return output


# -- reductions -------------------------------------------------------------------------------------


def reduce(reduction: Reduction, array: NDArray, axes: tuple[int, ...], keepdims: bool = False) -> NDArray:
    """Fold `array` over `axes` (normalized). If it is pending, the same launch computes its elements.

    Raises TypeError for a dtype that the reduction is not defined for.
    """
    if kind_of(array.dtype) not in reduction.kinds:
        raise TypeError(f"{reduction.name} is not defined for dtype {array.dtype}")
    kept = [1 if a in axes else n for a, n in enumerate(array.shape) if keepdims or a not in axes]
    output = array.empty(tuple(kept), reduction.result(array.dtype), array.device)
    if output.size:
        with lock:  # nobody may write into the inputs between linearize and the launch
            _fold(reduction, array, axes, output)
    return output


def scan(record: Scan, array: NDArray, axis: int, target: NDArray) -> None:
    """Write the scan of `array` along `axis` (normalized) into `target`, a realized view of its shape and dtype.

    If the array is pending, the same launch computes its elements. Raises TypeError for a dtype that the scan is not
    defined for.
    """
    if kind_of(array.dtype) not in record.kinds:
        raise TypeError(f"{record.name} is not defined for dtype {array.dtype}")
    if target.size:
        with lock:  # as in `reduce`
            linear = _stored_where_used(array)
            clock.launches += 1
            array.device.scan(record, linear.expression, array.shape, axis, target)
            _count_uses(linear)


def _fold(reduction: Reduction, array: NDArray, axes: tuple[int, ...], output: NDArray) -> None:
    linear = _stored_where_used(array)
    clock.launches += 1
    array.device.reduce(reduction, linear.expression, array.shape, axes, output)
    _count_uses(linear)


def _stored_where_used(array: NDArray) -> Linearized:
    """The program of `array`, as a load step: what earlier launches have computed already is stored first."""
    pending = array._pending
    if pending is not None and pending.uses and not pending.constant:
        array.realize()  # an earlier launch has computed it already: this one stores it
    linear = linearize([array])
    repeated = _repeated_steps(linear, [array])
    if repeated:
        realize(repeated)
        linear = linearize([array])
    return linear
