"""Functions that arrange elements, against NumPy's, with their gradients; diagonals and triangles too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.together import Together, gradchecks

import needle as ndl

X = np.random.default_rng(1).standard_normal((2, 3, 4)).astype(np.float32)
M = X[0]

#: A call of ours beside what NumPy gives for it.
CASES: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "moveaxis": (lambda x: ndl.moveaxis(x, 0, -1), np.moveaxis(X, 0, -1)),
    "moveaxis of two": (lambda x: ndl.moveaxis(x, (0, 1), (2, 0)), np.moveaxis(X, (0, 1), (2, 0))),
    "unsqueeze": (lambda x: x.unsqueeze(-1), X[..., None]),
    "expand": (lambda x: x[:, :1].expand(5, -1, 3, 4), np.broadcast_to(X[:, :1], (5, 2, 3, 4))),
    "ravel": (lambda x: x.ravel(), X.ravel()),
    "unflatten": (lambda x: x.unflatten(-1, (2, -1)), X.reshape(2, 3, 2, 2)),
    "atleast_2d": (lambda x: ndl.atleast_2d(x[0, 0]), X[:1, 0]),
    "unstack": (lambda x: ndl.unstack(x, axis=1)[2], X[:, 2]),
    "chunk": (lambda x: x.chunk(3, dim=-1)[1], X[..., 2:]),
    "array_split": (lambda x: ndl.array_split(x, 3, 2)[0], X[..., :2]),
    "narrow": (lambda x: x.narrow(-1, 1, 2), X[..., 1:3]),
    "tile": (lambda x: ndl.tile(x, (2, 1, 3)), np.tile(X, (2, 1, 3))),
    "tile of more axes": (lambda x: x.tile(2, 1, 1, 2), np.tile(X, (2, 1, 1, 2))),
    "tile of fewer axes": (lambda x: ndl.tile(x, 2), np.tile(X, 2)),
    "method repeat": (lambda x: x.repeat(2, 1, 3), np.tile(X, (2, 1, 3))),
    "method repeat along an axis": (lambda x: x.repeat(2, axis=1), X.repeat(2, axis=1)),
    "repeat": (lambda x: ndl.repeat(x, 3, 1), np.repeat(X, 3, 1)),
    "repeat by numbers": (lambda x: ndl.repeat(x, [2, 0, 1], axis=1), np.repeat(X, [2, 0, 1], axis=1)),
    "repeat flattened": (lambda x: ndl.repeat(x, 2), np.repeat(X, 2)),
    "roll": (lambda x: ndl.roll(x, 1, -1), np.roll(X, 1, -1)),
    "roll of two": (lambda x: x.roll((1, -5), dims=(0, 2)), np.roll(X, (1, -5), (0, 2))),
    "roll flattened": (lambda x: x.roll(7), np.roll(X, 7)),
    "rot90": (lambda x: ndl.rot90(x, 1, (0, 2)), np.rot90(X, 1, (0, 2))),
    "rot90 three times": (lambda x: ndl.rot90(x, -1, (1, 2)), np.rot90(X, -1, (1, 2))),
    "rot90 twice": (lambda x: ndl.rot90(x, 2, (1, 2)), np.rot90(X, 2, (1, 2))),
    "hstack": (lambda x: ndl.hstack([x, x]), np.hstack([X, X])),
    "vstack": (lambda x: ndl.vstack([x[0, 0], x[1, 0]]), np.vstack([X[0, 0], X[1, 0]])),
    "dstack": (lambda x: ndl.dstack([x[0], x[1]]), np.dstack([X[0], X[1]])),
    "meshgrid": (lambda x: ndl.meshgrid(x[0, 0], x[0, :, 0])[1], np.meshgrid(X[0, 0], X[0, :, 0])[1]),
    "meshgrid of rows": (
        lambda x: ndl.meshgrid(x[0, 0], x[0, :, 0], indexing="ij")[1],
        np.meshgrid(X[0, 0], X[0, :, 0], indexing="ij")[1],
    ),
    "diff": (lambda x: ndl.diff(x), np.diff(X)),
    "diff twice": (lambda x: ndl.diff(x, n=2, axis=0), np.diff(X, n=2, axis=0)),
    "diff with ends": (lambda x: x.diff(dim=1, prepend=0.5, append=x[:, :1]),
                       np.diff(X, axis=1, prepend=np.float32(0.5), append=X[:, :1])),
    "diagonal": (lambda x: x.diagonal(), X.diagonal()),
    "diagonal above": (lambda x: ndl.diagonal(x, 2, 1, 2), X.diagonal(2, 1, 2)),
    "diagonal below": (lambda x: ndl.diagonal(x, -1, -1, 0), X.diagonal(-1, -1, 0)),
    "diagonal beyond": (lambda x: ndl.diagonal(x, 9), X.diagonal(9)),
    "diagonal of a view": (lambda x: x.flip(1)[:, ::2].diagonal(0, 1, 2), X[:, ::-1][:, ::2].diagonal(0, 1, 2)),
    "trace": (lambda x: x.trace(1, 1, 2), X.trace(1, 1, 2)),
    "diag of a vector": (lambda x: ndl.diag(x[0, 0], -1), np.diag(X[0, 0], -1)),
    "diag of a matrix": (lambda x: ndl.diag(x[0], 1), np.diag(X[0], 1)),
    "tril": (lambda x: ndl.tril(x), np.tril(X)),
    "tril below": (lambda x: x.tril(-1), np.tril(X, -1)),
    "triu": (lambda x: ndl.triu(x, k=1), np.triu(X, 1)),
    "triu below": (lambda x: x.triu(-1), np.triu(X, -1)),
    "clone": (lambda x: x.clone(), X),
    "contiguous": (lambda x: x.transpose(0, 2).contiguous(), X.transpose(2, 1, 0)),
    "view": (lambda x: x.view(3, -1), X.reshape(3, -1)),
    "split": (lambda x: x.split(2, -1)[1], X[..., 2:]),
}  # fmt: skip


def test_values(device: ndl.Device) -> None:
    results = Together()
    x = results.asarray(X)
    for name, (function, expected) in CASES.items():
        results.add(name, function(x), lambda actual, e=expected: np.testing.assert_allclose(actual, e, rtol=1e-6))
        assert function(x).shape == expected.shape and function(x).dtype == expected.dtype, name
    results.verify()


def test_gradients(device: ndl.Device) -> None:
    """All of them on NumPy, where nothing is compiled; elsewhere those that write into part of an array."""
    dtype = np.float64 if device.supports(ndl.float64) else np.float32
    few = ("tile", "repeat by numbers", "roll", "diff with ends", "diagonal above", "diag of a vector", "tril below")
    chosen = {n: c for n, c in CASES.items() if device.name == "numpy" or n in few}
    gradchecks({name: (function, [X.astype(dtype)]) for name, (function, _) in chosen.items()})


def test_no_elements_and_other_dtypes(device: ndl.Device) -> None:
    empty, integers, bools = (
        ndl.zeros(0, 3),
        ndl.asarray(np.arange(6, dtype=np.int16)),
        ndl.asarray([True, False, True]),
    )
    assert ndl.roll(empty, 1, 1).shape == ndl.roll(empty, 1).shape == ndl.tril(empty).shape == (0, 3)
    assert ndl.tile(empty, (1, 2)).shape == (0, 6) and ndl.repeat(empty, 2, 0).shape == (0, 3)
    assert ndl.diagonal(empty).shape == (0,) and ndl.diag(empty[0:0, 0]).shape == (0, 0)
    assert ndl.diff(empty, axis=0).shape == (0, 3) and [c.shape for c in empty.chunk(2)] == [(0, 3)]
    assert ndl.unstack(empty, axis=0) == ()
    assert ndl.diff(bools).tolist() == [True, True] and ndl.diff(integers, append=9).tolist() == [1, 1, 1, 1, 1, 4]
    assert ndl.tril(integers.reshape(2, 3)).tolist() == [[0, 0, 0], [3, 4, 0]]
    assert ndl.triu(ndl.ones((2, 2), "bool")).tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: ndl.moveaxis(x, (0, 1), 0), ValueError, "differ in their number"),
        (lambda x: ndl.moveaxis(x, (0, 0), (0, 1)), ValueError, "twice"),
        (lambda x: x.expand(-1, 2, 3, 4), ValueError, "does not have"),
        (lambda x: x.unflatten(0, (3, -1)), ValueError, "cannot be cut"),
        (lambda x: x.chunk(0), ValueError, "chunks=0"),
        (lambda x: ndl.array_split(x, 0), ValueError, "sections=0"),
        (lambda x: x.narrow(0, 1, 2), ValueError, "reach beyond axis 0 of size 2"),
        (lambda x: ndl.tile(x, -1), ValueError, "repetitions"),
        (lambda x: ndl.repeat(x, -1, 0), ValueError, "not negative"),
        (lambda x: ndl.repeat(x, [1, 2, 3], 0), ValueError, "2 of them"),
        (lambda x: ndl.repeat(x, 1.5, 0), TypeError, "must be integers"),
        (lambda x: ndl.roll(x, (1, 2), (0, 1, 2)), ValueError, "differ in number"),
        (lambda x: ndl.meshgrid(x), ValueError, "one axis is expected"),
        (lambda x: ndl.meshgrid(x[0, 0], indexing="ab"), ValueError, "indexing='ab'"),
        (lambda x: ndl.diff(x, n=-1), ValueError, "n=-1"),
        (lambda x: x.diagonal(0, 1, 1), ValueError, "one axis of shape"),
        (lambda x: ndl.diag(x), ValueError, "one axis or two"),
        (lambda x: ndl.tril(x[0, 0]), ValueError, "a matrix or a stack"),
        (lambda x: x.transpose(0, 2).view(-1), ValueError, "without a copy; use reshape"),
        (lambda x: x.view(np.int32), TypeError, "use astype"),
        (lambda x: ndl.reshape(x.transpose(0, 2), -1, copy=False), ValueError, "only as a copy"),
        (lambda x: x[0, 0].mT, ValueError, "a matrix or a stack"),
    ],
)
def test_bad_arguments_are_refused(call: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with ndl.device("numpy"), pytest.raises(error, match=message):
        call(ndl.asarray(X))


def test_next_numbers(device: ndl.Device) -> None:
    x = np.array([0.0, 1.0, 1.0, -1.0, np.inf, np.inf, -np.inf, np.nan, 3.4e38, 1e-30], np.float32)
    y = np.array([0.0, 2.0, 0.0, 0.0, 0.0, np.inf, 0.0, 1.0, np.inf, 1.0], np.float32)
    np.testing.assert_array_equal(ndl.nextafter(ndl.asarray(x), ndl.asarray(y)).numpy(), np.nextafter(x, y))
    with pytest.raises(TypeError, match="not defined for dtype float16"):
        ndl.nextafter(ndl.zeros(1, dtype="float16", device="numpy"), 1.0)


def test_views_share_memory_and_copies_do_not(device: ndl.Device) -> None:
    x = ndl.asarray(X.copy()).realize()
    x.diagonal(0, 1, 2)[...] = 7
    np.testing.assert_array_equal(x.numpy()[:, [0, 1, 2], [0, 1, 2]], np.full((2, 3), 7))
    for copied in (x.clone(), x.copy(), x.to(x.dtype, copy=True), ndl.astype(x, x.dtype, copy=True), ndl.tensor(x)):
        copied[...] = 0
    assert x.numpy().any() and x.contiguous() is x and x.to(ndl.float32) is x
