"""Eigenvalues of symmetric matrices and singular values. LAPACK computes them on the host (see `lapack.py`).

The gradients are those of Giles 2008 ("Collected matrix derivative results") and Townsend 2016 ("Differentiating the
singular value decomposition"). Where values are equal, vectors are not differentiable, and their gradients are not
finite; those of the values are right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from needle.array import NDArray
from needle.ops.base import takes_tensor
from needle.ops.linalg.lapack import HostOp, as_matrices, as_squares, transposed
from needle.ops.matmul import matmul
from needle.ops.shape import expand_dims
from needle.ops.triangles import diag_embed

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["eigh", "eigvalsh", "svd", "svdvals"]


def _differences(values: Any) -> Any:
    """values[j] - values[i] in row i and column j, and 1 in place of the zeros on the diagonal."""
    ones = NDArray.from_numpy(np.eye(values.shape[-1], dtype=values.dtype), values.device)
    return expand_dims(values, -2) - expand_dims(values, -1) + ones


def _off_diagonal(x: Any) -> Any:
    """x with zeros on the diagonal."""
    return x * NDArray.from_numpy(1 - np.eye(x.shape[-1], dtype=x.dtype), x.device)


def _added(*parts: Any) -> Any:
    """The sum of those that are not None; None if all are."""
    total = None
    for part in parts:
        total = part if total is None else total if part is None else total + part
    return total


# -- symmetric matrices -----------------------------------------------------------------------------


class Eigh(HostOp):
    """Outputs: eigenvalues and eigenvectors; the latter are saved only, if nobody asked for them."""

    def __init__(self, values_only: bool) -> None:
        self.name = "eigvalsh" if values_only else "eigh"
        self.saved = int(values_only)

    def solve(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, vectors = np.linalg.eigh(x)
        return values, vectors

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        (values, v), (by_values, by_v) = output, grad
        inner: Any = None if by_values is None else diag_embed(by_values)
        if by_v is not None:
            inner = _added(inner, _off_diagonal(matmul(transposed(v), by_v)) / _differences(values))
        full = matmul(matmul(v, inner), transposed(v))
        return (full + transposed(full)) * 0.5


class EighResult(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: Any
    eigenvectors: Any


@takes_tensor
def eigh(x: Tensor) -> EighResult:
    """Eigenvalues (..., n), ascending, and eigenvectors (..., n, n), in columns, of symmetric matrices; on the host.

    The lower triangle of x is read, by LAPACK. Raises ValueError for matrices that are not square.
    """
    return EighResult(*Eigh(values_only=False)(as_squares("eigh", x)))


@takes_tensor
def eigvalsh(x: Tensor) -> Tensor:
    """The eigenvalues of symmetric matrices alone; see `eigh`. On the host by LAPACK."""
    return Eigh(values_only=True)(as_squares("eigvalsh", x))


# -- singular values --------------------------------------------------------------------------------


class SVD(HostOp):
    """Outputs: s, u, vh; the last two are saved only, if nobody asked for them."""

    def __init__(self, full: bool, values_only: bool = False) -> None:
        self.name = "svdvals" if values_only else "svd"
        self.full = full
        self.saved = 2 if values_only else 0

    def solve(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        u, s, vh = np.linalg.svd(x, full_matrices=self.full)
        return s, u, vh

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        (s, u, vh), (by_s, by_u, by_vh) = output, grad
        rows, columns = x.shape[-2:]
        if self.full and rows != columns and not (by_u is None and by_vh is None):
            raise NotImplementedError("singular vectors beyond the reduced ones have no gradient; full_matrices=False")
        if self.full and rows != columns:
            u, vh = u[..., : s.shape[-1]], vh[..., : s.shape[-1], :]
        inner: Any = None if by_s is None else diag_embed(by_s)
        row, column = expand_dims(s, -2), expand_dims(s, -1)
        outer: list[Any] = []
        for vectors, by_vectors in ((u, by_u), (transposed(vh), None if by_vh is None else transposed(by_vh))):
            if by_vectors is None:
                continue
            product = matmul(transposed(vectors), by_vectors)
            turned = _off_diagonal(product - transposed(product)) / _differences(s * s)
            left = vectors is u
            inner = _added(inner, turned * row if left else column * turned)
            if vectors.shape[-2] > vectors.shape[-1]:  # what lies beyond the span of the vectors
                rest = (by_vectors - matmul(vectors, product)) / row
                outer.append(matmul(rest, vh) if left else matmul(u, transposed(rest)))
        return _added(matmul(matmul(u, inner), vh), *outer)


class SVDResult(NamedTuple):
    """What `svd` returns."""

    U: Any
    S: Any
    Vh: Any


@takes_tensor
def svd(x: Tensor, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """U, S and Vh with U @ diag(S) @ Vh = x, the singular values S descending; on the host by LAPACK.

    x is (..., m, n), S (..., k) with k = min(m, n). U is (..., m, m) and Vh (..., n, n); without `full_matrices` they
    are (..., m, k) and (..., k, n), which is what gradients need if m and n differ. Without `compute_uv` it is
    `svdvals`.
    """
    if not compute_uv:
        return svdvals(x)
    s, u, vh = SVD(full_matrices)(as_matrices("svd", x))
    return SVDResult(u, s, vh)


@takes_tensor
def svdvals(x: Tensor) -> Tensor:
    """The singular values of matrices, descending; see `svd`. On the host by LAPACK."""
    return SVD(full=False, values_only=True)(as_matrices("svdvals", x))
