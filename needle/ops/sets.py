"""Sets as vectors of distinct elements in ascending order, under NumPy's names. Their sizes are read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from needle.ops.base import takes_tensor
from needle.ops.comparison import logical_not
from needle.ops.creation import asarray
from needle.ops.indexing.access import getitem
from needle.ops.searching import isin
from needle.ops.shape import concat, reshape
from needle.ops.unique import unique_values

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["intersect1d", "setdiff1d", "union1d"]


@takes_tensor
def union1d(x: Tensor, y: Any) -> Tensor:
    """The distinct elements of x and of y together."""
    return unique_values(concat([reshape(x, (-1,)), reshape(asarray(y, device=x.device), (-1,))]))


@takes_tensor
def intersect1d(x: Tensor, y: Any) -> Tensor:
    """The distinct elements of x that y has, too."""
    found = unique_values(x)
    return getitem(found, isin(found, asarray(y, device=x.device)))


@takes_tensor
def setdiff1d(x: Tensor, y: Any) -> Tensor:
    """The distinct elements of x that y does not have."""
    found = unique_values(x)
    return getitem(found, logical_not(isin(found, asarray(y, device=x.device))))
