"""Products of vectors, matrices and stacks of them, each by matrix products or fused sums on the device."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from needle.array.views import normalize_axes, normalize_axis
from needle.dtypes import promote
from needle.ops.arranging import moveaxis
from needle.ops.base import check_tensor, method, takes_tensor
from needle.ops.indexing.access import getitem
from needle.ops.matmul import matmul
from needle.ops.reductions import sum
from needle.ops.shape import permute_dims, reshape, stack, swapaxes
from needle.strides import broadcast_shapes

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = [
    "addmm", "dot", "inner", "kron", "matrix_transpose", "mv", "outer", "tensordot", "vdot", "vecdot",
]  # fmt: skip


@takes_tensor
def matrix_transpose(x: Tensor) -> Tensor:
    """A view of x with its last two axes exchanged. Raises ValueError for a tensor of fewer than two axes."""
    if x.ndim < 2:
        raise ValueError(f"matrix_transpose: x has shape {x.shape}; a matrix or a stack of matrices is needed")
    return swapaxes(x, -2, -1)


@takes_tensor
def tensordot(x: Tensor, y: Tensor, axes: int | Sequence[Sequence[int]] = 2) -> Tensor:
    """Products of x and y summed over pairs of axes: the last `axes` of x with the first of y, or a pair of lists.

    The result has the remaining axes of x, then those of y. One matrix product. Raises ValueError for axes that differ
    in size or number.
    """
    check_tensor("tensordot", "y", y)
    if isinstance(axes, Sequence):
        ours, theirs = (tuple(a) if isinstance(a, Sequence) else (a,) for a in axes)
    else:
        ours, theirs = tuple(range(x.ndim - axes, x.ndim)), tuple(range(axes))
    if len(ours) != len(theirs):
        raise ValueError(f"tensordot: axes={axes} pairs {len(ours)} axes of x with {len(theirs)} of y")
    for given, tensor in ((ours, x), (theirs, y)):
        normalize_axes(given, tensor.ndim)  # which refuses what is not there, or there twice
    ours = tuple(normalize_axis(a, x.ndim) for a in ours)
    theirs = tuple(normalize_axis(a, y.ndim) for a in theirs)
    if [x.shape[a] for a in ours] != [y.shape[a] for a in theirs]:
        raise ValueError(f"tensordot: axes={axes} of shapes {x.shape} and {y.shape} differ in size")
    rows = [a for a in range(x.ndim) if a not in ours]
    columns = [a for a in range(y.ndim) if a not in theirs]
    inner_size = prod(x.shape[a] for a in ours)
    left = reshape(permute_dims(x, (*rows, *ours)), (prod(x.shape[a] for a in rows), inner_size))
    right = reshape(permute_dims(y, (*theirs, *columns)), (inner_size, prod(y.shape[a] for a in columns)))
    return reshape(matmul(left, right), (*(x.shape[a] for a in rows), *(y.shape[a] for a in columns)))


@takes_tensor
def vecdot(x: Tensor, y: Tensor, axis: int = -1) -> Tensor:
    """The sum of x * y along `axis`, which counts before x and y broadcast together; in their common dtype.

    Raises ValueError where the axis differs in size.
    """
    check_tensor("vecdot", "y", y)
    places = [normalize_axis(axis, t.ndim) for t in (x, y)]
    if x.shape[places[0]] != y.shape[places[1]]:
        raise ValueError(f"vecdot: axis={axis} differs in size in shapes {x.shape} and {y.shape}")
    left, right = (moveaxis(t, place, -1) for t, place in zip((x, y), places, strict=True))
    return sum(left * right, -1, dtype=promote(x.dtype, y.dtype))


def _vectors(function: str, *tensors: Tensor) -> None:
    for position, tensor in enumerate(tensors):
        check_tensor(function, "xy"[position], tensor)
        if tensor.ndim != 1:
            raise ValueError(f"{function}: {'xy'[position]} has shape {tensor.shape}; a vector is expected")


@takes_tensor
@method
def dot(x: Tensor, y: Tensor) -> Tensor:
    """The product of two vectors, x · y, or of matrices, where NumPy's `dot` is `matmul`; a tensor without axes scales.

    Raises ValueError for y of more than two axes: NumPy's meaning for these is `tensordot(x, y, axes=(-1, -2))`.
    """
    check_tensor("dot", "y", y)
    if not x.ndim or not y.ndim:
        return x * y
    if y.ndim > 2:
        raise ValueError(f"dot: y has shape {y.shape}; use matmul or tensordot(x, y, axes=((-1,), (-2,)))")
    return matmul(x, y)


@takes_tensor
@method
def vdot(x: Tensor, y: Tensor) -> Tensor:
    """The product of x and y, flattened, as vectors."""
    check_tensor("vdot", "y", y)
    return vecdot(reshape(x, (-1,)), reshape(y, (-1,)))


@takes_tensor
@method
def inner(x: Tensor, y: Tensor) -> Tensor:
    """Sums of products over the last axes of x and y; a tensor without axes scales."""
    check_tensor("inner", "y", y)
    return tensordot(x, y, ((-1,), (-1,))) if x.ndim and y.ndim else x * y


@takes_tensor
@method
def mv(x: Tensor, y: Tensor) -> Tensor:
    """The product of a matrix and a vector. Raises ValueError for other shapes."""
    check_tensor("mv", "y", y)
    if x.ndim != 2 or y.ndim != 1:
        raise ValueError(f"mv: a matrix and a vector are expected, not shapes {x.shape} and {y.shape}")
    return matmul(x, y)


@takes_tensor
@method
def outer(x: Tensor, y: Tensor) -> Tensor:
    """Every element of x times every one of y: (n,) and (m,) give (n, m). Other shapes are flattened first."""
    check_tensor("outer", "y", y)
    return reshape(x, (-1, 1)) * reshape(y, (1, -1))


@takes_tensor
def kron(x: Tensor, y: Tensor) -> Tensor:
    """The Kronecker product: y times each element of x, in the place of that element."""
    check_tensor("kron", "y", y)
    ndim = max(x.ndim, y.ndim)
    a, b = ((1,) * (ndim - t.ndim) + t.shape for t in (x, y))
    left = reshape(x, [n for size in a for n in (size, 1)])
    right = reshape(y, [n for size in b for n in (1, size)])
    return reshape(left * right, [n * m for n, m in zip(a, b, strict=True)])


@takes_tensor
def addmm(x: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * x + alpha * (mat1 @ mat2), as PyTorch's."""
    product = matmul(mat1, mat2)
    return (x if beta == 1 else x * beta) + (product if alpha == 1 else product * alpha)


def cross_of(x: Tensor, y: Tensor, axis: int) -> Tensor:
    """The vector product along `axis`, of size 3 in both; the others broadcast."""
    ndim = max(x.ndim, y.ndim)
    if not -min(x.ndim, y.ndim) <= axis < ndim or 3 not in (x.shape[axis], y.shape[axis]):
        raise ValueError(f"cross: axis={axis} must have size 3 in shapes {x.shape} and {y.shape}")
    broadcast_shapes(x.shape, y.shape)
    place = normalize_axis(axis, ndim)
    parts: list[list[Any]] = []
    for tensor in (x, y):
        own = tensor if tensor.ndim == ndim else reshape(tensor, (*(1,) * (ndim - tensor.ndim), *tensor.shape))
        if own.shape[place] != 3:
            raise ValueError(f"cross: axis={axis} must have size 3 in shapes {x.shape} and {y.shape}")
        parts.append([getitem(own, (*(slice(None),) * place, i)) for i in range(3)])
    a, b = parts
    return stack([a[i] * b[j] - a[j] * b[i] for i, j in ((1, 2), (2, 0), (0, 1))], place)
