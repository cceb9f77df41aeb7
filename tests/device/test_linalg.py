"""Linear algebra against NumPy's, with gradients against finite differences, on stacks and on nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.together import gradchecks

import needle as ndl
from needle import linalg

random = np.random.default_rng(3)


def normal(*shape: int) -> np.ndarray:
    return random.standard_normal(shape).astype(np.float32)


X, TALL, WIDE, B = normal(2, 4, 4), normal(2, 5, 3), normal(2, 3, 5), normal(2, 4, 2)
V = normal(4)
SYMMETRIC = X + X.swapaxes(-1, -2) + 8 * np.diag(np.arange(4, dtype=np.float32))
POSITIVE = X @ X.swapaxes(-1, -2) + 4 * np.eye(4, dtype=np.float32)
TRIANGULAR = np.tril(X) + 3 * np.eye(4, dtype=np.float32)
WELL = X + 4 * np.eye(4, dtype=np.float32)


def close(actual: Any, expected: Any) -> None:
    assert actual.shape == np.shape(expected), (actual.shape, np.shape(expected))
    np.testing.assert_allclose(actual.numpy(), expected, rtol=3e-4, atol=3e-5)


# -- products and norms -----------------------------------------------------------------------------

PRODUCTS: dict[str, tuple[Callable[..., Any], Any, tuple[np.ndarray, ...]]] = {
    "tensordot": (lambda x, y: ndl.tensordot(x, y, 2), np.tensordot(TALL, WIDE.T, ((1, 2), (0, 1))), (TALL, WIDE.T)),
    "tensordot of pairs": (
        lambda x, y: ndl.tensordot(x, y, axes=((0, 2), (0, 1))), np.tensordot(TALL, WIDE, ((0, 2), (0, 1))),
        (TALL, WIDE),
    ),
    "tensordot of none": (lambda x, y: ndl.tensordot(x, y, 0), np.tensordot(V, V, 0), (V, V)),
    "vecdot": (lambda x, y: linalg.vecdot(x, y, axis=-2), np.sum(X * X[:1], -2), (X, X[:1])),
    "dot": (lambda x, y: x.dot(y), V @ V, (V, V)),
    "mv": (lambda x, y: x.mv(y), X[0] @ V, (X[0], V)),
    "inner": (lambda x, y: ndl.inner(x, y), np.inner(X, X[0]), (X, X[0])),
    "vdot": (lambda x, y: ndl.vdot(x, y), np.vdot(X, X), (X, X)),
    "outer": (lambda x, y: ndl.outer(x, y), np.outer(V, V[:3]), (V, V[:3])),
    "kron": (lambda x, y: ndl.kron(x, y), np.kron(X[0], TALL[0]), (X[0], TALL[0])),
    "cross": (lambda x, y: linalg.cross(x, y), np.cross(TALL, TALL[:, ::-1]), (TALL, TALL[:, ::-1].copy())),
    "cross of rows": (
        lambda x, y: ndl.cross(x, y, axis=-2), np.cross(WIDE, WIDE[:1] + 1, axis=-2), (WIDE, WIDE[:1] + 1)
    ),
    "addmm": (lambda x, y: ndl.addmm(x, x, y, beta=0.5, alpha=2), 0.5 * X[0] + 2 * X[0] @ X[1], (X[0], X[1])),
    "matrix_power": (lambda x: linalg.matrix_power(x, 3), np.linalg.matrix_power(X, 3), (X,)),
    "matrix_power of -2": (lambda x: linalg.matrix_power(x, -2), np.linalg.matrix_power(WELL, -2), (WELL,)),
    "diagonal": (lambda x: linalg.diagonal(x, offset=1), np.linalg.diagonal(X, offset=1), (X,)),
    "trace": (lambda x: linalg.trace(x), np.linalg.trace(X), (X,)),
    "matrix_transpose": (lambda x: ndl.matrix_transpose(x), TALL.swapaxes(1, 2), (TALL,)),
    "vector_norm": (lambda x: linalg.vector_norm(x, axis=(0, 2)), np.sqrt((X**2).sum((0, 2))), (X,)),
    "vector_norm 1": (lambda x: linalg.vector_norm(x, ord=1), np.abs(X).sum(), (X,)),
    "vector_norm inf": (lambda x: linalg.vector_norm(x, ord=np.inf, axis=0), np.abs(X).max(0), (X,)),
    "vector_norm 3": (lambda x: linalg.vector_norm(x, ord=3, axis=-1), np.linalg.norm(X, 3, -1), (X,)),
    "norm": (lambda x: x.norm(), np.linalg.norm(X), (X,)),
    "norm p": (lambda x: x.norm(p=1, dim=1, keepdim=True), np.linalg.norm(X, 1, 1, True), (X,)),
    "norm of a plane": (lambda x: ndl.norm(x, "nuc", axis=(0, 2)), np.linalg.norm(TALL, "nuc", (0, 2)), (TALL,)),
    **{
        f"matrix_norm {ord}": (
            lambda x, ord=ord: linalg.matrix_norm(x, ord=ord), np.linalg.matrix_norm(TALL, ord=ord), (TALL,)
        )
        for ord in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)
    },
    "cond": (lambda x: linalg.cond(x), np.linalg.cond(WELL), (WELL,)),
}  # fmt: skip

# -- factorisations: their outputs together, weighted, so that one gradient tells of all ------------


def weighted(*outputs: ndl.Tensor) -> ndl.Tensor:
    """A sum of outputs that depends on each element in its own way."""
    total = ndl.zeros((), outputs[0].dtype)
    for output in outputs:
        weights = np.cos(np.arange(output.size)).reshape(output.shape).astype(output.dtype)
        total = total + (output * ndl.asarray(weights)).sum()
    return total


def symmetric(x: Any) -> Any:
    return (x + x.mT) * 0.5


def spans(u: Any, v: Any) -> ndl.Tensor:
    """What does not change with the signs of singular vectors, which LAPACK chooses."""
    return weighted(u * u, v * v)


FACTORIZATIONS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "cholesky": (lambda x: weighted(linalg.cholesky(symmetric(x))), (POSITIVE,)),
    "cholesky, upper": (lambda x: weighted(linalg.cholesky(symmetric(x), upper=True)), (POSITIVE,)),
    "solve": (lambda x, y: weighted(linalg.solve(x, y)), (WELL, B)),
    "solve for a vector": (lambda x, y: weighted(linalg.solve(x, y)), (WELL, V)),
    "solve, broadcast": (lambda x, y: weighted(linalg.solve(x, y)), (WELL[0], B)),
    "solve_triangular": (lambda x, y: weighted(linalg.solve_triangular(x, y)), (TRIANGULAR, B)),
    "solve_triangular, upper": (
        lambda x, y: weighted(linalg.solve_triangular(x.mT, y, upper=True)), (TRIANGULAR, B)
    ),
    "solve_triangular, unit": (
        lambda x, y: weighted(linalg.solve_triangular(x, y, unitriangular=True)), (TRIANGULAR, V)
    ),
    "inv": (lambda x: weighted(linalg.inv(x)), (WELL,)),
    "pinv": (lambda x: weighted(linalg.pinv(x)), (TALL,)),
    "pinv, wide": (lambda x: weighted(linalg.pinv(x)), (WIDE,)),
    "det": (lambda x: weighted(linalg.det(x)), (X,)),
    "slogdet": (lambda x: weighted(linalg.slogdet(x).logabsdet), (X,)),
    "qr": (lambda x: weighted(*linalg.qr(x)), (TALL,)),
    "qr, wide": (lambda x: weighted(*linalg.qr(x)), (WIDE,)),
    "r of qr": (lambda x: weighted(linalg.qr(x).R), (TALL,)),
    "q of qr": (lambda x: weighted(linalg.qr(x).Q), (WIDE,)),
    "eigh": (lambda x: weighted((e := linalg.eigh(symmetric(x))).eigenvalues, e.eigenvectors**2), (SYMMETRIC,)),
    "eigvalsh": (lambda x: weighted(linalg.eigvalsh(symmetric(x))), (SYMMETRIC,)),
    "svd": (lambda x: spans((s := linalg.svd(x)).U, s.Vh) + weighted(s.S), (X,)),
    "svd, tall": (lambda x: spans((s := linalg.svd(x, full_matrices=False)).U, s.Vh) + weighted(s.S), (TALL,)),
    "svd, wide": (lambda x: spans((s := linalg.svd(x, full_matrices=False)).U, s.Vh), (WIDE,)),
    "full svd, values": (lambda x: weighted(linalg.svd(x).S), (TALL,)),
    "svdvals": (lambda x: weighted(linalg.svdvals(x)), (WIDE,)),
    "lstsq": (lambda x, y: weighted(linalg.lstsq(x, y).solution), (TALL, normal(2, 5, 2))),
}  # fmt: skip


#: What is computed on every device: each kind of work that is not left to LAPACK. The rest is of the same parts.
ON_DEVICES = ("tensordot of pairs", "vecdot", "kron", "cross of rows", "vector_norm", "vector_norm inf",
              "matrix_norm 1", "cholesky", "qr, wide")  # fmt: skip


def test_products_and_norms(device: ndl.Device) -> None:
    for name, (function, expected, operands) in PRODUCTS.items():
        if device.name != "numpy" and name not in ON_DEVICES:
            continue
        try:
            close(function(*map(ndl.asarray, operands)), expected)
        except AssertionError as error:
            raise AssertionError(name) from error


def test_gradients(device: ndl.Device) -> None:
    """All of them on NumPy, where nothing is compiled."""
    dtype = np.float64 if device.supports(ndl.float64) else np.float32
    chosen = {n: c for n, c in FACTORIZATIONS.items() if device.name == "numpy" or n in ON_DEVICES}
    cases = {n: (function, [o.astype(dtype) for o in operands]) for n, (function, operands) in chosen.items()}
    if device.name == "numpy":
        cases |= {n: (function, [o.astype(dtype) for o in ops]) for n, (function, _, ops) in PRODUCTS.items()}
    gradchecks(cases)


def test_second_order_gradients() -> None:
    with ndl.device("numpy"):
        for name in ("cholesky", "solve", "inv", "det", "qr", "eigh", "svd, tall", "slogdet"):
            function, operands = FACTORIZATIONS[name]
            first = ndl.grad(lambda *x, f=function: f(*x), 0)
            assert ndl.gradcheck(lambda *x, f=first: f(*x), [ndl.Tensor(o.astype(np.float64)) for o in operands]), name


def test_factorizations_give_their_products(device: ndl.Device) -> None:
    x, tall, positive, symmetric = map(ndl.asarray, (WELL, TALL, POSITIVE, SYMMETRIC))
    lower = linalg.cholesky(positive)
    close(lower @ lower.mT, POSITIVE)
    close(linalg.cholesky(positive, upper=True), lower.mT.numpy())
    for mode, size in (("reduced", 3), ("complete", 5)):
        q, r = linalg.qr(tall, mode=mode)  # type: ignore[arg-type]
        assert q.shape == (2, 5, size) and r.shape == (2, size, 3)
        close(q @ r, TALL)
    u, s, vh = linalg.svd(tall)
    assert u.shape == (2, 5, 5) and s.shape == (2, 3) and vh.shape == (2, 3, 3)
    close(u[..., :3] * s[:, None] @ vh, TALL)
    values, vectors = linalg.eigh(symmetric)
    close(vectors * values[:, None] @ vectors.mT, SYMMETRIC)
    close(linalg.eigvalsh(symmetric), values.numpy())
    close(linalg.svdvals(tall), s.numpy())
    close(linalg.inv(x) @ x, np.broadcast_to(np.eye(4), (2, 4, 4)))
    close(x @ linalg.solve(x, ndl.asarray(B)), B)
    close(linalg.det(x), np.linalg.det(WELL))
    close(linalg.slogdet(x).sign, np.linalg.slogdet(WELL)[0])
    close(linalg.pinv(tall), np.linalg.pinv(TALL))
    solution = linalg.lstsq(tall[0], ndl.asarray(normal(5)))
    assert solution.solution.shape == (3,) and solution.rank.item() == 3 and solution.residuals.shape == ()
    assert linalg.matrix_rank(ndl.asarray(np.outer(V, V))).item() == 1
    assert linalg.matrix_rank(ndl.zeros(2, 3, 3)).tolist() == [0, 0]
    scaled = ndl.asarray(np.stack([np.diag([1.0, 0.1]), np.diag([1.0, 0.5])]))
    assert linalg.matrix_rank(scaled, rtol=ndl.asarray([0.2, 0.2])).tolist() == [1, 2]
    assert linalg.matrix_rank(ndl.zeros(0, 2, 2), rtol=ndl.zeros(0)).shape == (0,)
    assert linalg.matrix_power(x, 0).tolist() == [np.eye(4).tolist()] * 2 and x.device is linalg.inv(x).device


def test_nothing_half_and_integers(device: ndl.Device) -> None:
    none = ndl.zeros(0, 3, 3)
    assert linalg.inv(none).shape == linalg.cholesky(none).shape == linalg.matrix_power(none, 2).shape == (0, 3, 3)
    assert linalg.det(none).shape == (0,) and linalg.det(ndl.zeros(0, 0)).item() == 1
    assert [part.shape for part in linalg.svd(none)] == [(0, 3, 3), (0, 3), (0, 3, 3)]
    assert linalg.det(ndl.asarray([[2, 0], [0, 3]])).dtype == "float32"
    if device.supports(ndl.float16):
        assert linalg.inv(ndl.eye(2, dtype="float16")).dtype == "float16"


def test_gradients_of_singular_matrices_and_zero_vectors() -> None:
    with ndl.device("numpy"):
        x = ndl.Tensor(np.array([[1.0, 2, 3], [2, 4, 6], [1, 0, 1]]))
        linalg.det(x).backward()
        cofactors = [[4, 4, -4], [-2, -2, 2], [0, 0, 0]]
        np.testing.assert_allclose(x.grad.numpy(), cofactors, atol=1e-12)
        zero = ndl.Tensor([0.0, 0.0])
        (linalg.vector_norm(zero) + linalg.vector_norm(zero, ord=3)).backward()
        assert zero.grad.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: linalg.inv(x[:, :3]), ValueError, "square matrices are needed"),
        (lambda x: linalg.inv(x * 0), linalg.LinAlgError, "Singular"),
        (lambda x: linalg.cholesky(-(x @ x.mT)), linalg.LinAlgError, "positive definite"),
        (lambda x: linalg.qr(x[0, 0]), ValueError, "a matrix or a stack of matrices"),
        (lambda x: linalg.qr(x, mode="full"), ValueError, "mode='full'"),
        (lambda x: linalg.solve(x, x[0, :3]), ValueError, "4 unknowns"),
        (lambda x: linalg.lstsq(x, x[0, :3]), ValueError, "4 equations"),
        (lambda x: linalg.solve(x, 3), TypeError, "y=3"),
        (lambda x: linalg.cross(x, x), ValueError, "must have size 3"),
        (lambda x: linalg.matrix_norm(x, ord=3), ValueError, "ord=3"),
        (lambda x: linalg.matrix_norm(x[0, 0]), ValueError, "a matrix or a stack"),
        (lambda x: linalg.cond(x, 1), ValueError, "p=1"),
        (lambda x: ndl.tensordot(x, x, ((0,), (1,))), ValueError, "differ in size"),
        (lambda x: ndl.tensordot(x, x, ((0, 1), (1,))), ValueError, "pairs 2 axes of x with 1"),
        (lambda x: ndl.vecdot(x, x[:, :2], axis=1), ValueError, "differs in size"),
        (lambda x: ndl.dot(x, x), ValueError, "use matmul"),
        (lambda x: ndl.mv(x, x), ValueError, "a matrix and a vector"),
        (lambda x: ndl.matrix_transpose(x[0, 0]), ValueError, "a matrix or a stack"),
        (lambda x: weighted(linalg.svd(x[:, :3]).U).backward(), NotImplementedError, "full_matrices=False"),
        (lambda x: weighted(linalg.qr(x[..., :3], mode="complete").Q).backward(), NotImplementedError, "use reduced"),
    ],
)
def test_bad_arguments_are_refused(call: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with ndl.device("numpy"), pytest.raises(error, match=message):
        call(ndl.Tensor(X))
