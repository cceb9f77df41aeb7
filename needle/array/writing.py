"""Writing into arrays that have memory: one at a time, or many alike together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from math import prod
from typing import Any
from weakref import ref

import numpy as np

from needle.array.evaluation import adopt, common_device, copy, lock, realize, stand_in
from needle.array.expression import SCALARS, clock, linearize, positions
from needle.array.ndarray import NDArray, cast, check_writable
from needle.array.operators import operator
from needle.array.recording import constant
from needle.array.renewal import Renewal
from needle.array.storage import Readers, Storage
from needle.backend import recordings
from needle.backend.protocol import Expression
from needle.backend.records import Primitive
from needle.dtypes import DType, Scalar, Shape, converted, is_integer


@operator
def write(target: NDArray, value: Any) -> None:
    """Write `value`, broadcast and cast, into the realized view `target`."""
    value = fitted(source(value, target), target.shape)
    with lock:
        assign([target], [value if value._pending is None else stand_in(value)])


def source(value: Any, target: NDArray) -> NDArray:
    """`value` (an array, a scalar, or what NumPy takes for an array) as an array of the target's dtype and device."""
    if isinstance(value, NDArray):
        common_device("assignment", [target, value])
    elif isinstance(value, (*SCALARS, np.generic)):
        value = constant((), _weak_scalar(value, target.dtype), target.dtype, target.device)
    else:
        value = NDArray.from_numpy(converted(np.asarray(value), target.dtype), target.device)  # it may lack the other
    return cast(value, target.dtype)


def fitted(value: NDArray, shape: Shape) -> NDArray:
    """`value` broadcast to `shape`, without leading axes of size 1 that it has beyond it, as NumPy assigns."""
    if value.shape == shape:
        return value
    extra = len(value.shape) - len(shape)
    if extra > 0 and value.shape[:extra] == (1,) * extra:
        value = value.reshape(value.shape[extra:])
    return value.broadcast_to(shape)


def previous(target: NDArray) -> NDArray:
    """What `target` holds, as an operand for what `overwrite` is to give it: a stand-in, if it is still pending."""
    with lock:
        return stand_in(target) if _may_stay_pending(target) else target.realize()


def _may_stay_pending(target: NDArray) -> bool:
    """Whether `target` is pending, and no view shows what it is written out to."""
    return target._pending is not None and target._base is None and target._constant_views is None


def overwrite(target: NDArray, value: NDArray) -> None:
    """Give `target` the elements of `value`, of its shape and dtype, computed from `previous(target)`.

    Into memory that exists they are written by one launch. A pending target stays pending, so that the operations
    fuse; what was recorded on it before is computed first. The caller gives up `value`, which may be the target's
    memory afterwards. Raises ValueError for a view that repeats elements.
    """
    check_writable(target)
    with lock:
        pending = target._pending
        if pending is None or not _may_stay_pending(target):
            assign([target.realize()], [value])
            return
        _realize_held(pending.readers)
        if target._pending is not pending:  # a reader's launch has stored it
            overwrite(target, value)
            return
        if value._pending is None:
            adopt(target, copy(value))
            target.storage.version = pending.version + 1
            return
        target._pending = stand_in(value)._pending
        assert target._pending is not None
        target._pending.version = pending.version + 1
        for operand in target._pending.operands:
            if isinstance(operand, NDArray):
                source = operand._pending or operand._storage
                source.readers.add(ref(target))  # type: ignore[union-attr]


def run_into(primitive: Primitive, target: NDArray, *others: NDArray) -> None:
    """Let `primitive`, whose first input and only output is `target`, write into that realized view.

    Pending arrays that read the old contents are computed first.
    """
    common_device(primitive.name, [target, *others])
    with lock:
        inputs = [copy(a) if a.realize()._storage is target._storage else a for a in others]
        _realize_held(target.storage.readers)
        clock.launches += 1
        target.device.run(primitive, (target, *inputs), (target,))
        target.storage.note_write()


def _weak_scalar(value: Any, dtype: DType) -> Scalar:
    """`value` as assignment takes it: a float written into an integer array is cut to an integer."""
    value = value.item() if isinstance(value, np.generic) else value
    return int(value) if isinstance(value, float) and is_integer(dtype) else value


def assign(targets: Sequence[NDArray], values: Sequence[NDArray], renewal: Renewal | None = None) -> None:
    """Compute `values` into `targets`, realized views of one shape on one device, in one launch.

    Each value has the shape and the dtype of its target. The caller gives up pending values: afterwards they share
    the memory of their targets, and after an error they have none. Pending arrays that read the old contents are
    computed first. An inner step of a value is such an array, if somebody else holds it. While a step is captured,
    `renewal` provides the numbers of the values in later steps.
    """
    if not prod(targets[0].shape):
        return
    with lock:
        spaces = {id(t.storage): t.geometry for t in targets}
        linear = linearize(values)
        if any(spaces.get(id(a._storage), a.geometry) != a.geometry for a in linear.inputs):
            values = [copy(v) for v in values]  # an input overlaps a target, with its elements in other places
            linear = linearize(values)
        expression = linear.expression
        del linear  # it holds the inner steps of the values
        value_readers = [None if v._pending is None else v._pending.readers for v in values]
        for value in values:
            value._pending = None
        # Nothing here holds an inner step any more. One that is still alive is held elsewhere, and will be read.
        _realize_readers([target.storage for target in targets])
        clock.launches += 1
        with _renewed(renewal, expression):
            targets[0].device.evaluate(expression, targets)
        for value, target, own_readers in zip(values, targets, value_readers, strict=True):
            target.storage.note_write()
            if own_readers is not None:
                own_readers.move_to(target.storage.readers)
                adopt(value, target)


def before_writing(storages: Iterable[Storage]) -> None:
    """Compute the pending arrays that read `storages`, whose elements are about to be overwritten."""
    read = [storage for storage in storages if storage.readers]
    if read:
        _realize_readers(read)


def _realize_readers(storages: Sequence[Storage]) -> None:
    """Compute the pending arrays that read `storages`. After an error, those still pending remain their readers."""
    _realize_held(*(storage.readers for storage in storages))


def _realize_held(*held: Readers) -> None:
    waiting = [(readers, readers.take()) for readers in held]
    try:
        realize([array for _, arrays in waiting for array in arrays])
    except BaseException:
        for readers, arrays in waiting:
            for array in arrays:
                if array._pending is not None:
                    readers.add(ref(array))
        raise


def _renewed(renewal: Renewal | None, expression: Expression) -> AbstractContextManager[None]:
    """A block in which launches are recorded, if any are, as launches of `expression` with numbers from `renewal`."""
    recording = None if renewal is None else recordings.current()
    if renewal is None or recording is None:
        return nullcontext()
    renewal.begin(expression)
    return recording.renewing(renewal)


def update(
    compute: Callable[..., list[NDArray]], batch: Sequence[tuple[NDArray, ...]], renewal: Renewal | None = None
) -> None:
    """Write compute(*arrays) into the first of the arrays in place, for each tuple of arrays in `batch`.

    `compute` is elementwise and returns a list of values, one for each array that is written. It depends on nothing
    but dtypes and device, which are the same in all tuples. The arrays of a tuple have one shape. Arrays that each
    begin and fill a memory of their own are recorded once and computed together, in common launches. Pending arrays
    that read the old contents are computed first. `renewal` is as for `assign`.
    """
    seen = Counter(array._storage for arrays in batch for array in arrays)
    plain = [arrays for arrays in batch if _is_plain(arrays) and all(seen[array._storage] == 1 for array in arrays)]
    if len(plain) < 2:
        plain = []
    else:
        _update_together(compute, plain, renewal)
    together = {id(arrays) for arrays in plain}
    for arrays in batch:
        if id(arrays) not in together:
            values = compute(*arrays)
            assign(arrays[: len(values)], values, renewal)


def _is_plain(arrays: tuple[NDArray, ...]) -> bool:
    """Whether each array is computed, not empty and begins its memory, its elements in C order."""
    shape = arrays[0].shape
    for array in arrays:
        if array._storage is None or array._offset or array.shape != shape or not array.is_contiguous():
            return False
    return 0 not in shape


def _update_together(
    compute: Callable[..., list[NDArray]], batch: list[tuple[NDArray, ...]], renewal: Renewal | None
) -> None:
    first = batch[0]
    with lock:
        values = compute(*first)
        count = len(values)
        linear = linearize(values)
        expression, reads = linear.expression, positions(linear.inputs, first)
        del values, linear  # pending arrays that are still alive were recorded elsewhere, and will be read
        written = [target.storage for arrays in batch for target in arrays[:count]]
        _realize_readers(written)
        clock.launches += 1
        with _renewed(renewal, expression):
            first[0].device.evaluate_alike(expression.program, expression.scalars, batch, reads)
        for storage in written:
            storage.note_write()
