"""x[index] and x[index] = value, for any index."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array import NDArray
from needle.array.ndarray import check_writable
from needle.array.operators import TABLE, operator
from needle.array.writing import fitted, source
from needle.autograd import Op, Value
from needle.dtypes import Shape
from needle.ops.base import data_of, takes_tensor
from needle.ops.comparison import where
from needle.ops.indexing.parsing import Selection, is_basic, parse
from needle.ops.indexing.selecting import GatherAt, PutInto, put_at
from needle.ops.rewriting import is_recorded, rewrite
from needle.ops.shape import Slice

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["getitem"]


@operator
@takes_tensor
def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index], for any index that NumPy takes: a view for integers, slices, None and an ellipsis; else a copy.

    Arrays of integers and masks may be lists, NumPy arrays or tensors, several together, and mixed with the others. The
    gradient of an element taken several times is the sum. For a mask on a device the host waits for the number of
    its true elements, which is the size of the result. Raises IndexError for an index that the host knows to be out
    of range (one that only the device knows takes NaN, of integers 0), TypeError for what is no index.
    """
    if is_basic(index):
        return Slice(index)(x)
    chosen = parse(index, x.shape).with_positions()
    view = _view(x, chosen)
    return GatherAt(chosen.axes, chosen.place)(view, *chosen.arrays) if chosen.axes else view


def setitem(x: Any, index: Any, value: Any) -> None:
    """x[index] = value: write `value`, broadcast and cast, where `getitem` reads.

    Of several values for one place the last stays. Where operations are recorded and x or `value` requires a gradient,
    x gets a new node, whose gradients go to what x was and to `value`. A mask needs no reading back where one value, or
    row, is for all of its true elements. Raises what `getitem` does, ValueError for a value that does not broadcast,
    GraphError for a leaf that requires a gradient.
    """
    if not is_recorded("setitem", x, (value,)):
        if is_basic(index):
            x.cached_data[index] = data_of(value)
        else:
            assign_at(x.cached_data, index, data_of(value))
        return
    chosen = parse(index, x.shape)
    view = _view(x, chosen)
    given = value if isinstance(value, Value) else source(value, data_of(view))
    covering = _covering(chosen, view.shape, given)
    if covering is not None:
        mask, spread = covering
        rewrite("setitem", view, lambda old, v: where(mask, v.astype(old.dtype), old), [spread])
    elif chosen.axes:
        chosen = chosen.with_positions()
        op = PutInto(chosen.axes, chosen.place)
        rewrite("setitem", view, op, [_trimmed(given, chosen, view.ndim), *chosen.arrays], in_place=True)
    else:
        rewrite("setitem", view, Overwrite(), [_without_leading(given, view.ndim)])


@operator
def assign_at(x: NDArray, index: Any, value: Any) -> None:
    """x[index] = value for an array, at an index that is not basic."""
    check_writable(x)
    chosen = parse(index, x.shape)
    view = _view(x.realize(), chosen)
    given = source(value, view)
    covering = _covering(chosen, view.shape, given)
    if covering is not None:
        mask, spread = covering
        TABLE["write"](view, where(mask, spread, view))
    elif chosen.axes:
        chosen = chosen.with_positions()
        put_at(view, chosen.axes, chosen.place, given, chosen.arrays)
    else:
        TABLE["write"](view, given)


class Overwrite(Op):
    """Arguments: x, value. The value, broadcast and cast: what x is once it has been overwritten."""

    name = "copy"

    def compute(self, x: NDArray, value: NDArray) -> NDArray:
        return fitted(value, x.shape).astype(x.dtype)

    def vjp(self, index: int, grad: Any, output: Any, x: Any, value: Any) -> Any:
        return grad if index == 1 else None


def _view(x: Any, chosen: Selection) -> Any:
    """The view that the basic part of an index selects; x itself where that is all of x, and more is to come."""
    return x if not chosen.basic and chosen.axes else Slice(chosen.basic)(x)


def _without_leading(value: Any, ndim: int) -> Any:
    """`value` without leading axes of size 1 beyond `ndim` axes, as NumPy assigns."""
    extra = value.ndim - ndim
    fits = extra > 0 and value.shape[:extra] == (1,) * extra
    return value.reshape(value.shape[extra:]) if fits else value


def _trimmed(value: Any, chosen: Selection, ndim: int) -> Any:
    common = max(array.ndim for array in chosen.arrays)
    return _without_leading(value, ndim - len(chosen.axes) + common)


def _covering(chosen: Selection, shape: Shape, value: Any) -> tuple[Any, Any] | None:
    """The mask of an index, and `value`, both as they broadcast over the view of `shape` that the mask is for.

    None where the index is no mask, or the value has elements of its own for the mask's true elements.
    """
    if chosen.mask is None:
        return None
    first, width = chosen.axes[0], len(chosen.axes)
    value = _without_leading(value, len(shape) - width + 1)
    wide: Shape = (*(1,) * (len(shape) - width + 1 - value.ndim), *value.shape)
    if value.ndim > len(shape) - width + 1 or wide[chosen.place] != 1:
        return None
    if prod(wide) == 1:
        value = value.reshape(())
    else:
        rest = [n for k, n in enumerate(wide) if k != chosen.place]
        value = value.reshape((*rest[:first], *(1,) * width, *rest[first:]))  # the axis of size 1 moves
    mask = chosen.mask
    array = NDArray.from_numpy(mask, data_of(value).device) if isinstance(mask, np.ndarray) else data_of(mask)
    return array.reshape((*mask.shape, *(1,) * (len(shape) - first - width))), value
