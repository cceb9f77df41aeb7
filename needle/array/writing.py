"""Writing into arrays that have memory: one at a time, or many alike together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import prod
from typing import Any
from weakref import ref

import numpy as np

from needle.array.evaluation import adopt, common_device, copy, lock, realize, stand_in
from needle.array.expression import SCALARS, linearize, positions
from needle.array.ndarray import NDArray, cast
from needle.array.operators import operator
from needle.array.recording import constant
from needle.array.storage import Storage
from needle.dtypes import DType, Scalar, converted, is_integer


@operator
def write(target: NDArray, value: Any) -> None:
    """Write `value`, broadcast and cast, into the realized view `target`."""
    if isinstance(value, NDArray):
        common_device("assignment", [target, value])
    elif isinstance(value, (*SCALARS, np.generic)):
        value = constant((), _weak_scalar(value, target.dtype), target.dtype, target.device)
    else:
        value = NDArray.from_numpy(converted(np.asarray(value), target.dtype), target.device)  # it may lack the other
    value = cast(value, target.dtype)
    if value.shape != target.shape:
        value = value.broadcast_to(target.shape)
    with lock:
        assign([target], [value if value._pending is None else stand_in(value)])


def _weak_scalar(value: Any, dtype: DType) -> Scalar:
    """`value` as assignment takes it: a float written into an integer array is cut to an integer."""
    value = value.item() if isinstance(value, np.generic) else value
    return int(value) if isinstance(value, float) and is_integer(dtype) else value


def assign(targets: Sequence[NDArray], values: Sequence[NDArray]) -> None:
    """Compute `values` into `targets`, realized views of one shape on one device, in one launch.

    Each value has the shape and the dtype of its target. The caller gives up pending values: afterwards they share
    the memory of their targets, and after an error they have none. Pending arrays that read the old contents are
    computed first. An inner step of a value is such an array, if somebody else holds it.
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
        targets[0].device.evaluate(expression, targets)
        for value, target, own_readers in zip(values, targets, value_readers, strict=True):
            target.storage.note_write()
            if own_readers is not None:
                own_readers.move_to(target.storage.readers)
                adopt(value, target)


def _realize_readers(storages: Sequence[Storage]) -> None:
    """Compute the pending arrays that read `storages`. After an error, those still pending remain their readers."""
    waiting = [(storage.readers, storage.readers.take()) for storage in storages]
    try:
        realize([array for _, arrays in waiting for array in arrays])
    except BaseException:
        for readers, arrays in waiting:
            for array in arrays:
                if array._pending is not None:
                    readers.add(ref(array))
        raise


def update(compute: Callable[..., list[NDArray]], batch: Sequence[tuple[NDArray, ...]]) -> None:
    """Write compute(*arrays) into the first of the arrays in place, for each tuple of arrays in `batch`.

    `compute` is elementwise and returns a list of values, one for each array that is written. It depends on nothing
    but dtypes and device, which are the same in all tuples. The arrays of a tuple have one shape. Arrays that each
    begin and fill a memory of their own are recorded once and computed together, in common launches. Pending arrays
    that read the old contents are computed first.
    """
    seen = Counter(array._storage for arrays in batch for array in arrays)
    plain = [arrays for arrays in batch if _is_plain(arrays) and all(seen[array._storage] == 1 for array in arrays)]
    if len(plain) < 2:
        plain = []
    else:
        _update_together(compute, plain)
    together = {id(arrays) for arrays in plain}
    for arrays in batch:
        if id(arrays) not in together:
            values = compute(*arrays)
            assign(arrays[: len(values)], values)


def _is_plain(arrays: tuple[NDArray, ...]) -> bool:
    """Whether each array is computed, not empty and begins its memory, its elements in C order."""
    shape = arrays[0].shape
    for array in arrays:
        if array._storage is None or array._offset or array.shape != shape or not array.is_contiguous():
            return False
    return 0 not in shape


def _update_together(compute: Callable[..., list[NDArray]], batch: list[tuple[NDArray, ...]]) -> None:
    first = batch[0]
    with lock:
        values = compute(*first)
        count = len(values)
        linear = linearize(values)
        expression, reads = linear.expression, positions(linear.inputs, first)
        del values, linear  # pending arrays that are still alive were recorded elsewhere, and will be read
        written = [target.storage for arrays in batch for target in arrays[:count]]
        _realize_readers(written)
        first[0].device.evaluate_alike(expression.program, expression.scalars, batch, reads)
        for storage in written:
            storage.note_write()
