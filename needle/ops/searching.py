"""Finding elements: those that are not zero, the places of values in sorted rows, membership."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array import NDArray
from needle.autograd import Op
from needle.backend.records import Example, Operand, Primitive
from needle.checks import one_of
from needle.dtypes import DType, Shape, int32, int64, promote
from needle.ops.base import takes_tensor
from needle.ops.comparison import equal, not_equal
from needle.ops.creation import as_tensor
from needle.ops.indexing.taking import take
from needle.ops.reductions import Axes, sum
from needle.ops.shape import astype, flatten
from needle.ops.sorting import sort

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["count_nonzero", "isin", "searchsorted"]

Signature = tuple[tuple[Shape, DType], ...]

# -- the primitives ---------------------------------------------------------------------------------


def _search_reference(x: np.ndarray, values: np.ndarray, *, right: bool) -> np.ndarray:
    side: Any = "right" if right else "left"
    if x.ndim == 1:
        return np.asarray(np.searchsorted(x, values, side))
    count = prod(x.shape[:-1])
    rows = zip(x.reshape(count, x.shape[-1]), values.reshape(count, values.shape[-1]), strict=True)
    return np.array([np.searchsorted(a, v, side) for a, v in rows], np.int64).reshape(values.shape)


#: Rows are sorted; those of the examples are of equals, whose order random numbers cannot spoil. Other rows give places
#: that mean nothing, and touch no memory outside.
SEARCHSORTED = Primitive(
    "searchsorted", _search_reference, lambda x, values, *, right: ((values.shape, int64),),
    examples=tuple(
        Example(operands, {"right": right})
        for right in (False, True)
        for operands in (
            (Operand((1,), low=0, high=1), Operand((7,))),
            (Operand((3, 1), low=0, high=1), Operand((3, 5))),
            (Operand((9,), int32, low=1, high=2), Operand((3, 5), int32)),
            (Operand((3, 9), int32, low=1, high=2), Operand((3, 5), int32)),
            (Operand((0,)), Operand((3,))),
            (Operand((3, 1), low=0, high=1), Operand((3, 0))),
        )
    ),
    family="searching",
)  # fmt: skip


class SearchSorted(Op):
    """Arguments: sorted rows, of one axis for all values or one for each row of values, and the values."""

    name = "searchsorted"

    def __init__(self, right: bool) -> None:
        self.right = right

    def compute(self, x: NDArray, values: NDArray) -> NDArray:
        return x.run(SEARCHSORTED, values, right=self.right)


# -- the functions ----------------------------------------------------------------------------------


@takes_tensor
def count_nonzero(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The int64 number of elements that are not zero over `axis` (an int, several, or None for all)."""
    return sum(not_equal(x, 0), axis, keepdims)


def _as_ours(values: Any, like: Any) -> Any:
    """Values from the host as a tensor or an array, as `like` is, on its device."""
    if isinstance(values, (type(like), NDArray)):
        return values
    host = np.asarray(values)
    if isinstance(values, (int, float)) and not isinstance(values, bool):
        host = host.astype(like.dtype)
    array = NDArray.from_numpy(host, like.device)
    return array if isinstance(like, NDArray) else as_tensor(array)


@takes_tensor
def searchsorted(x1: Tensor, x2: Any, *, side: str = "left", sorter: Any = None) -> Tensor:
    """For each element of x2 the int64 place in sorted x1 before which it would be inserted (Array API, NumPy).

    With side="left" all elements before that place are smaller, with side="right" all after it are larger. NaN counts
    as larger than any number. x1 has one axis, or as in PyTorch the same leading axes as x2, each row its own.
    `sorter` are the positions that sort x1, of one axis. Raises ValueError for another side and for shapes that do not
    fit.
    """
    one_of("side", side, ("left", "right"))
    values = _as_ours(x2, x1)
    if x1.ndim == 0 or (x1.ndim > 1 and x1.shape[:-1] != values.shape[:-1]):
        raise ValueError(
            f"searchsorted: x1 of shape {x1.shape} must have one axis, or the leading axes of x2, which has shape "
            f"{values.shape}"
        )
    if sorter is not None:
        if x1.ndim != 1:
            raise ValueError(f"searchsorted: a sorter needs x1 of one axis; this one has shape {x1.shape}")
        x1 = take(x1, sorter, axis=0)
    common = promote(x1.dtype, values.dtype)
    return SearchSorted(side == "right")(astype(x1, common), astype(values, common))


@takes_tensor
def isin(x: Tensor, test_elements: Any, *, invert: bool = False) -> Tensor:
    """Whether each element of x is among `test_elements`, or with `invert` is not; NaN is among none (NumPy)."""
    among = flatten(_as_ours(test_elements, x))
    if not among.size:
        found = not_equal(x, x) & equal(x, x)
    else:
        common = promote(x.dtype, among.dtype)
        ordered, wanted = sort(astype(among, common)), astype(x, common)
        # The last of the elements that are not larger: where there is none, index -1 is another, and not equal.
        places = SearchSorted(True)(ordered, wanted) - 1
        found = equal(take(ordered, places, axis=0), wanted)
    return ~found if invert else found
