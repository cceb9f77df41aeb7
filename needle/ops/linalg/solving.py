"""Systems of linear equations. LAPACK solves them on the host (see `lapack.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from needle.ops.base import check_tensor, takes_tensor
from needle.ops.creation import asarray
from needle.ops.linalg.factorizations import pinv
from needle.ops.linalg.lapack import HostOp, as_matrices, as_squares, in_common, transposed
from needle.ops.linalg.spectral import svdvals
from needle.ops.linalg.triangular import SolveTriangular
from needle.ops.matmul import matmul
from needle.ops.reductions import sum
from needle.ops.shape import expand_dims, squeeze

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["lstsq", "matrix_rank", "solve", "solve_triangular"]


class Solve(HostOp):
    """Arguments: square matrices and right-hand sides, matrices both."""

    name = "solve"

    def solve(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.linalg.solve(a, b)

    def vjp(self, index: int, grad: Any, output: Any, a: Any, b: Any) -> Any:
        by_b = Solve()(transposed(a), grad)
        return by_b if index == 1 else -matmul(by_b, transposed(output))


def _applied(function: str, op: HostOp, x: Tensor, y: Tensor) -> Tensor:
    """`op` on x and y, where y may be a vector."""
    check_tensor(function, "y", y)
    a, b = in_common(as_squares(function, x), y)
    if b.ndim == 0 or b.shape[-1 if b.ndim == 1 else -2] != a.shape[-1]:
        raise ValueError(f"{function}: shapes {x.shape} and {y.shape} do not fit: {a.shape[-1]} unknowns")
    return squeeze(op(a, expand_dims(b, 1)), -1) if b.ndim == 1 else op(a, b)


@takes_tensor
def solve(x: Tensor, y: Tensor) -> Tensor:
    """The solution z of x @ z = y, computed on the host by LAPACK's LU factorisation.

    x is (..., n, n); y is a vector (n,) or matrices (..., n, k); stacks broadcast. Raises LinAlgError for a singular
    matrix, ValueError for shapes that do not fit.
    """
    return _applied("solve", Solve(), x, y)


@takes_tensor
def solve_triangular(x: Tensor, y: Tensor, *, upper: bool = False, unitriangular: bool = False) -> Tensor:
    """The solution z of x @ z = y, where only a triangle of x counts, by default the lower; on the host by LAPACK.

    With `unitriangular` the diagonal counts as ones. Shapes and errors are those of `solve`.
    """
    return _applied("solve_triangular", SolveTriangular(upper, unitriangular), x, y)


@takes_tensor
def matrix_rank(x: Tensor, *, rtol: float | Tensor | None = None) -> Tensor:
    """The number of singular values above rtol times the largest, int64 of shape x.shape[:-2]; on the host.

    `rtol` is a number or a tensor with one for each matrix, by default max(m, n) times the dtype's spacing at 1
    (`finfo(x).eps`). It has no gradient.
    """
    values = svdvals(as_matrices("matrix_rank", x)).numpy().astype(np.float64)
    relative = max(x.shape[-2:]) * float(np.finfo(values_dtype(x)).eps) if rtol is None else rtol
    largest = values.max(-1, keepdims=True, initial=0)
    return asarray((values > np.asarray(relative)[..., None] * largest).sum(-1).astype(np.int64), device=x.device)


def values_dtype(x: Tensor) -> Any:
    """The dtype in which the singular values of x are computed."""
    return np.float32 if x.dtype.kind != "f" or x.dtype.itemsize < 4 else x.dtype


class LstsqResult(NamedTuple):
    """What `lstsq` returns, as NumPy and PyTorch name it."""

    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any


@takes_tensor
def lstsq(x: Tensor, y: Tensor, rcond: float | None = None) -> LstsqResult:
    """The z of least length that makes the length of x @ z - y least, by the pseudo-inverse of x; on the host.

    x is (..., m, n); y a vector (m,) or matrices (..., m, k). Returns the solution, the sums of squares that remain,
    the rank of x and its singular values; those at most `rcond` times the largest count as 0.
    """
    check_tensor("lstsq", "y", y)
    a, b = in_common(as_matrices("lstsq", x), y)
    matrices = expand_dims(b, 1) if b.ndim == 1 else b
    if matrices.shape[-2] != a.shape[-2]:
        raise ValueError(f"lstsq: shapes {x.shape} and {y.shape} do not fit: {a.shape[-2]} equations")
    found = matmul(pinv(a, rtol=rcond), matrices)
    apart = matmul(a, found) - matrices
    remaining = sum(apart * apart, -2)
    if b.ndim == 1:
        found, remaining = squeeze(found, -1), squeeze(remaining, -1)
    return LstsqResult(found, remaining, matrix_rank(a, rtol=rcond), svdvals(a))
