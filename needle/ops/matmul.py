"""The matrix product."""

from __future__ import annotations

from math import prod as product
from typing import TYPE_CHECKING, Any

import numpy as np

from needle.array import NDArray
from needle.array.expression import SCALARS
from needle.array.operators import operator
from needle.autograd import Op
from needle.backend.records import Example, Operand, Primitive
from needle.dtypes import DType, Shape, promote
from needle.ops.base import as_operands
from needle.ops.shape import astype, reshape, transpose
from needle.strides import broadcast_shapes

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["matmul"]


def _signature(a: Any, b: Any) -> tuple[tuple[Shape, DType], ...]:
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return (((*batch, a.shape[-2], b.shape[-1]), a.dtype),)


def _flops(a: Any, b: Any) -> int:
    ((shape, _),) = _signature(a, b)
    return 2 * product(shape) * a.shape[-1]


def _example(a: Shape, b: Shape) -> Example:
    return Example((Operand(a), Operand(b)))


_SIZES = (
    (1, 1, 1), (3, 5, 7), (13, 20, 11), (17, 33, 9), (64, 64, 64), (129, 131, 67), (5, 1000, 3), (3, 0, 4), (0, 3, 4),
)  # fmt: skip
_STACKS = (
    ((4, 17, 9), (4, 9, 5)), ((2, 1, 5, 3), (3, 3, 4)), ((2, 1, 17, 9), (3, 9, 5)), ((2, 1, 2, 4, 6), (3, 1, 6, 5)),
    ((2, 3, 0), (2, 0, 4)),
)  # fmt: skip

MATMUL = Primitive(
    "matmul", np.matmul, _signature, _flops,
    strided=True,
    examples=(
        *(_example((m, k), (k, n)) for m, k, n in _SIZES),
        *(_example((m, k), (k, 1)) for m, k, _ in _SIZES),
        *(_example((1, k), (k, n)) for _, k, n in _SIZES),
        *(_example(a, b) for a, b in _STACKS),
    ),
    family="matrix products",
)  # fmt: skip


class MatMul(Op):
    """The product of stacks of matrices of one dtype; stacks broadcast."""

    name = "matmul"

    def compute(self, a: NDArray, b: NDArray) -> NDArray:
        return a.run(MATMUL, b)

    def vjp(self, index: int, grad: Any, output: Any, a: Any, b: Any) -> Any:
        return matmul(grad, transpose(b)) if index == 0 else matmul(transpose(a), grad)


_matmul = MatMul()


@operator
def matmul(a: Tensor, b: Tensor) -> Tensor:
    """The matrix product of `a` (..., M, K) and `b` (..., K, N), as NumPy's `matmul`.

    Leading axes broadcast; a vector counts as one row on the left, as one column on the right, and its
    axis leaves the result. Integer products wrap around. Raises ValueError for scalars and for shapes that
    do not fit.
    """
    a, b = as_operands("matmul", (a, b))
    a_ndim, b_ndim = (0 if isinstance(x, SCALARS) else len(x.shape) for x in (a, b))
    if not a_ndim or not b_ndim:
        raise ValueError("matmul needs operands of at least one dimension; use * to scale")
    if a.shape[-1] != b.shape[max(b_ndim - 2, 0)]:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit: {a.shape[-1]} columns against "
                         f"{b.shape[max(b_ndim - 2, 0)]} rows")  # fmt: skip
    if a.dtype != b.dtype:
        dtype = promote(a.dtype, b.dtype)
        a, b = astype(a, dtype), astype(b, dtype)
    if b_ndim == 1:
        return reshape(matmul(a, reshape(b, (-1, 1))), a.shape[:-1])
    if a_ndim == 1:
        return reshape(matmul(reshape(a, (1, -1)), b), (*b.shape[:-2], b.shape[-1]))
    if a_ndim > 2 and b_ndim == 2:  # one tall product: its gradients need no sum over the stack
        return reshape(_matmul(reshape(a, (product(a.shape[:-1]), a.shape[-1])), b), (*a.shape[:-1], b.shape[-1]))
    return _matmul(a, b)
