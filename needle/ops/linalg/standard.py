"""Functions that mean something else in `needle.linalg` (Array API) than in `needle`: they act on the last two axes."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from needle.array import recording
from needle.autograd import Value
from needle.dtypes import DTypeLike
from needle.ops import triangles
from needle.ops.base import check_tensor, takes_tensor
from needle.ops.creation import as_tensor
from needle.ops.linalg.factorizations import inv
from needle.ops.linalg.lapack import check_square
from needle.ops.linalg.products import cross_of
from needle.ops.matmul import matmul
from needle.ops.shape import astype, broadcast_to

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["cross", "diagonal", "matrix_power", "trace"]


@takes_tensor
def cross(x: Tensor, y: Tensor, axis: int = -1) -> Tensor:
    """The vector product of vectors of three elements along `axis`; the other axes broadcast.

    Raises ValueError for another size.
    """
    check_tensor("cross", "y", y)
    return cross_of(x, y, axis)


@takes_tensor
def diagonal(x: Tensor, *, offset: int = 0) -> Tensor:
    """A view of the diagonals of matrices: (..., m, n) gives (..., min(m, n)) for offset 0."""
    return triangles.diagonal(x, offset, -2, -1)


@takes_tensor
def trace(x: Tensor, *, offset: int = 0, dtype: DTypeLike = None) -> Tensor:
    """The sums of the diagonals of matrices; integers are summed in 64 bits."""
    return triangles.trace(x, offset, -2, -1, dtype=dtype)


@takes_tensor
def matrix_power(x: Tensor, n: int) -> Tensor:
    """Square matrices to the whole power n, by repeated squaring; for a negative n their inverse is raised.

    Raises ValueError for matrices that are not square.
    """
    check_square("matrix_power", x)
    power = operator.index(n)
    if power < 0:
        x, power = inv(x), -power
    result: Tensor | None = None
    while power:
        if power & 1:
            result = x if result is None else matmul(result, x)
        power >>= 1
        x = matmul(x, x) if power else x
    return _identities(x) if result is None else result


def _identities(x: Tensor) -> Tensor:
    """Identity matrices of the shape of x; an array for an array."""
    ones: Any = recording.constant((x.shape[-1],), 1, x.dtype, x.device)
    found = broadcast_to(triangles.diag_embed(as_tensor(ones) if isinstance(x, Value) else ones), x.shape)
    return astype(found, x.dtype, copy=True)  # which may be written into
