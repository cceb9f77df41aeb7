"""Cholesky's and QR factorisations, inverses and determinants. LAPACK computes them on the host (see `lapack.py`).

The gradients are those of Murray 2016 ("Differentiation of the Cholesky decomposition") and of Walter and Lehmann 2012
("Algorithmic differentiation of linear algebra functions"), that of the pseudo-inverse Golub and Pereyra's (1973).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from needle.array import NDArray
from needle.dtypes import compute_dtype
from needle.ops.base import data_of, takes_tensor
from needle.ops.indexing.access import getitem
from needle.ops.linalg.lapack import HostOp, as_matrices, as_squares, transposed
from needle.ops.linalg.triangular import SolveTriangular
from needle.ops.matmul import matmul
from needle.ops.shape import concat, reshape
from needle.ops.triangles import tril

if TYPE_CHECKING:
    from needle.tensor import Tensor

__all__ = ["cholesky", "det", "inv", "pinv", "qr", "slogdet"]


def _on_upper(r: Any, x: Any) -> Any:
    """x @ inverse(r).T for an upper triangular r."""
    return transposed(SolveTriangular(upper=True)(r, transposed(x)))


class Cholesky(HostOp):
    name = "cholesky"

    def solve(self, x: np.ndarray) -> np.ndarray:
        return np.linalg.cholesky(x)

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        product = matmul(transposed(output), grad)
        halved = (tril(product) + tril(product, -1)) * 0.5
        inner = SolveTriangular(upper=True)(transposed(output), halved)
        full = _on_upper(transposed(output), inner)
        return (full + transposed(full)) * 0.5


@takes_tensor
def cholesky(x: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangular L with L @ L.T = x, or with `upper` its transpose; on the host by LAPACK.

    x (..., n, n) must be symmetric and positive definite; its lower triangle is read. Raises LinAlgError where it is
    not positive definite.
    """
    lower = Cholesky()(as_squares("cholesky", x))
    return transposed(lower) if upper else lower


class QR(HostOp):
    """Outputs: q and r."""

    name = "qr"

    def __init__(self, mode: Literal["reduced", "complete"]) -> None:
        self.mode = mode

    def solve(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        q, r = np.linalg.qr(x, self.mode)
        return q, r

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        (q, r), (by_q, by_r) = output, grad
        rows, columns = x.shape[-2:]
        if self.mode == "complete" and rows > columns:
            raise NotImplementedError("the complete QR factorisation of a tall matrix has no gradient; use reduced")
        if rows >= columns:
            return _qr_gradient(q, r, by_q, by_r)
        left = (..., slice(None), slice(None, rows))
        right = (..., slice(None), slice(rows, None))
        by_left = None if by_r is None else getitem(by_r, left)
        if by_r is None:
            by_right = None
        else:
            more = matmul(getitem(x, right), transposed(getitem(by_r, right)))
            by_q = more if by_q is None else by_q + more
            by_right = matmul(q, getitem(by_r, right))
        first = _qr_gradient(q, getitem(r, left), by_q, by_left)
        return concat([first, getitem(x, right) * 0 if by_right is None else by_right], -1)


def _qr_gradient(q: Any, r: Any, by_q: Any, by_r: Any) -> Any:
    """The gradient for as many rows as columns, or more."""
    inner: Any = None if by_r is None else matmul(r, transposed(by_r))
    if by_q is not None:
        product = matmul(transposed(by_q), q)
        inner = -product if inner is None else inner - product
    below = tril(inner, -1)
    full = matmul(q, tril(inner) + transposed(below))
    return _on_upper(r, full if by_q is None else full + by_q)


class QRResult(NamedTuple):
    """What `qr` returns."""

    Q: Any
    R: Any


@takes_tensor
def qr(x: Tensor, *, mode: Literal["reduced", "complete"] = "reduced") -> QRResult:
    """Q with orthonormal columns and an upper triangular R, with Q @ R = x; on the host by LAPACK.

    x is (..., m, n). Q is (..., m, k) and R (..., k, n), with k = min(m, n), or k = m if `mode` is "complete". Raises
    ValueError for another mode.
    """
    if mode not in ("reduced", "complete"):
        raise ValueError(f'qr: mode={mode!r} must be "reduced" or "complete"')
    return QRResult(*QR(mode)(as_matrices("qr", x)))


# -- inverses ---------------------------------------------------------------------------------------


class Inverse(HostOp):
    name = "inv"

    def solve(self, x: np.ndarray) -> np.ndarray:
        return np.linalg.inv(x)

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        turned = transposed(output)
        return -matmul(matmul(turned, grad), turned)


@takes_tensor
def inv(x: Tensor) -> Tensor:
    """The inverses of square matrices, on the host by LAPACK. Raises LinAlgError for a singular one."""
    return Inverse()(as_squares("inv", x))


class PseudoInverse(HostOp):
    name = "pinv"

    def __init__(self, rtol: float | None) -> None:
        self.rtol = rtol

    def solve(self, x: np.ndarray) -> np.ndarray:
        rtol = max(x.shape[-2:]) * np.finfo(x.dtype).eps if self.rtol is None else self.rtol
        return np.linalg.pinv(x, rcond=rtol) if x.size else np.zeros((*x.shape[:-2], x.shape[-1], x.shape[-2]))

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        p, pt, gt = output, transposed(output), transposed(grad)
        first = matmul(matmul(pt, grad), pt)
        left = matmul(gt, matmul(p, pt))
        right = matmul(matmul(pt, p), gt)
        return left - matmul(x, matmul(p, left)) + right - matmul(matmul(right, p), x) - first


@takes_tensor
def pinv(x: Tensor, *, rtol: float | None = None) -> Tensor:
    """The pseudo-inverses (..., n, m) of matrices (..., m, n), by their singular values; on the host by LAPACK.

    Singular values at most `rtol` times the largest count as 0; by default max(m, n) times the dtype's spacing at 1.
    The gradient is right where the rank does not change nearby.
    """
    return PseudoInverse(rtol)(as_matrices("pinv", x))


# -- determinants -----------------------------------------------------------------------------------


class Determinant(HostOp):
    name = "det"

    def solve(self, x: np.ndarray) -> np.ndarray:
        return np.linalg.det(x)

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        scale = reshape(grad, (*grad.shape, 1, 1))
        if bool(np.all(data_of(output).numpy() != 0)):
            return scale * reshape(output, (*output.shape, 1, 1)) * transposed(Inverse()(x))
        return scale * _cofactors(data_of(x))


def _cofactors(x: NDArray) -> NDArray:
    """The derivative of the determinant by each element, of singular matrices too; without a gradient of its own."""
    host = x.numpy().astype(compute_dtype(x.dtype))
    u, s, vh = np.linalg.svd(host)
    # The product of all other singular values, for each of them.
    size = s.shape[-1]
    others = np.where(np.eye(size, dtype=bool), 1, s[..., None, :]).prod(-1)
    sign = (np.linalg.det(u) * np.linalg.det(vh))[..., None, None]
    return NDArray.from_numpy((sign * (u * others[..., None, :]) @ vh).astype(x.dtype), x.device)


@takes_tensor
def det(x: Tensor) -> Tensor:
    """The determinants of square matrices (..., n, n), of shape (...); on the host by LAPACK.

    The gradient at a singular matrix is right, but cannot be differentiated there again.
    """
    return Determinant()(as_squares("det", x))


class SignAndLogarithm(HostOp):
    """Outputs: the sign of the determinant, and the logarithm of its absolute value."""

    name = "slogdet"

    def solve(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sign, logarithm = np.linalg.slogdet(x)
        return sign, logarithm

    def vjp(self, index: int, grad: Any, output: Any, x: Any) -> Any:
        if grad[1] is None:
            return None
        return reshape(grad[1], (*grad[1].shape, 1, 1)) * transposed(Inverse()(x))


class SlogdetResult(NamedTuple):
    """What `slogdet` returns."""

    sign: Any
    logabsdet: Any


@takes_tensor
def slogdet(x: Tensor) -> SlogdetResult:
    """The signs and the logarithms of the absolute values of determinants; on the host by LAPACK.

    0 and -inf for a singular matrix. The sign has no gradient.
    """
    return SlogdetResult(*SignAndLogarithm()(as_squares("slogdet", x)))
