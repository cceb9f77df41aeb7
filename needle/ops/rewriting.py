"""Writing into a tensor, so that the graph tells of it.

Without a graph only memory changes. With one, the tensor becomes the result of an operation on what it was before:
its name, and every other name of it, holds the new node. What was recorded earlier keeps the old one, since a node
notes where gradients go when it is recorded. Where the tensor is a view, the tensor that it shows a part of gets a
new history as well; other views take theirs anew when they are used (`needle.autograd.nodes.refresh`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from needle.array import evaluation
from needle.array.evaluation import common_device
from needle.array.ndarray import NDArray, check_writable
from needle.array.writing import overwrite, previous
from needle.autograd import Value, is_grad_enabled
from needle.autograd.nodes import forget, make_value, refresh, take_history
from needle.dtypes import DType
from needle.errors import GraphError
from needle.ops.base import data_of
from needle.ops.shape import astype

#: The target's own class.
T = TypeVar("T", bound=Value)

#: Operations whose gradient rules do not read what was there before.
_LINEAR = frozenset({"add", "subtract", "copy", "setitem"})


def rewrite(
    name: str, target: T, compute: Callable[..., Any], others: Sequence[Any] = (), *, in_place: bool = False
) -> T:
    """Write compute(what target holds, *others) into `target`, and return it.

    With `in_place`, `compute` writes into the array of its first argument itself, and returns it. Raises GraphError for
    a leaf that requires a gradient where operations are recorded, TypeError where the dtype of the result does not fit
    that of the target (NumPy's rule "same_kind"), ValueError where its shape does not or the target repeats elements.
    """
    array = target.cached_data
    check_writable(array)
    if not is_recorded(name, target, others):
        plain = [data_of(other) if isinstance(other, Value) else other for other in others]
        if in_place:
            compute(array, *plain)
        else:
            result = compute(previous(array), *plain)
            _check(name, result, array)
            overwrite(array, _own(result.astype(array.dtype), plain))
        return target
    before = array if in_place else previous(array)
    if before is array and name not in _LINEAR:
        before = evaluation.copy(array)
    old = _outcome(target, before)
    result = compute(old, *(old if other is target else other for other in others))
    _check(name, result, array)
    result = astype(result, array.dtype)
    if not in_place:
        overwrite(array, _own(result.cached_data, [data_of(other) for other in others]))
    _replace(target, result)
    return target


def _own(result: NDArray, others: Sequence[Any]) -> NDArray:
    """`result`, or a second array of the same values where it is one of `others`, which somebody else holds."""
    if result._pending is not None and any(result is other for other in others):
        return evaluation.stand_in(result)
    return result


def check_unfixed(name: str, target: Any) -> None:
    """Raise GraphError if writing into `target` writes into a leaf that requires a gradient."""
    while target is not None:
        if target.node is None and target._requires_grad:
            raise GraphError(
                f"{name}: a leaf that requires a gradient cannot be written into while operations are recorded; write "
                "into its .data, or under ndl.no_grad()"
            )
        target = None if target.view_of is None else target.view_of[1]


def is_recorded(name: str, target: Value, others: Sequence[Any]) -> bool:
    """Whether the graph is to tell of writing into `target`; raises what `check_unfixed` does."""
    if not is_grad_enabled():
        return False
    array: NDArray = target.cached_data
    refresh(target)
    check_unfixed(name, target)
    if target._requires_grad:
        return True
    if not any(isinstance(other, Value) and other.requires_grad for other in others):
        return False
    if array.dtype.kind != "f":
        raise GraphError(
            f"{name}: a tensor that requires a gradient cannot be written into another of dtype {array.dtype}, which "
            "would lose it; write its .data"
        )
    return True


def _outcome(value: Value, array: NDArray) -> Value:
    """A value with the history of `value`, and `array`."""
    old = make_value(array, value._requires_grad)
    old.node, old.index = value.node, value.index
    return old


def _check(name: str, result: Any, target: NDArray) -> None:
    common_device(name, [target, data_of(result)])
    if result.shape != target.shape:
        raise ValueError(f"{name}: a result of shape {result.shape} does not fit in a tensor of shape {target.shape}")
    check_castable(name, result.dtype, target.dtype)


def check_castable(name: str, dtype: DType, target: DType) -> None:
    """Raise TypeError unless NumPy's rule "same_kind" lets what has `dtype` be written into a tensor of `target`."""
    if not np.can_cast(dtype, target, "same_kind"):
        raise TypeError(f"{name}: the result has dtype {dtype}, which a tensor of dtype {target} cannot hold")


def _replace(value: Any, result: Any) -> None:
    """Give `value`, which holds `result` by now, its history, and what `value` is a view of one that tells of it."""
    changed = [value]
    while True:
        forget(value)
        take_history(value, result)
        if value.view_of is None:
            break
        op, base = value.view_of
        # The node gets a value of its own for the view, which holds what it is a view of: that would be a cycle.
        result = op.embed(_outcome(base, base.cached_data), _outcome(value, value.cached_data))
        value = base
        changed.append(base)
    value.rewrites += 1
    for view in changed:
        view.rewrites = value.rewrites
