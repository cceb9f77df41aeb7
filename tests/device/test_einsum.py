"""Sums of products by Einstein's notation against NumPy's, and einops on tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.together import gradchecks

import needle as ndl

random = np.random.default_rng(5)
A, B, C, S = (random.standard_normal(s).astype(np.float32) for s in ((3, 4, 5), (3, 5, 2), (2, 4), (4, 4)))

CASES: list[tuple[str, tuple[np.ndarray, ...]]] = [
    ("bij,bjk->bik", (A, B)), ("bij,bjk->bk", (A, B)), ("bij,bjk,kl->bl", (A, B, C)), ("ij,jk,kl->il", (S, S, S)),
    ("bij->", (A,)), ("bij->jb", (A,)), ("bij", (A,)), ("ii", (S,)), ("ii->i", (S,)),
    ("aab,b->a", (np.stack([S] * 4), C[0])),
    ("...ij,...jk->...ik", (A, B)), ("...i->...", (A,)), ("i...,j->...ij", (A, C[0])), ("i,j->ij", (C[0], C[1])),
    ("ij,ij->ij", (S, S)), ("ij,ij", (S, S)), ("ij,jk", (S, S)), ("ab,cd->abcd", (S, C)), ("i,ij,j->", (C[0], S, C[1])),
    ("ij,kj->ik", (S[:1], S)), ("ij,jk->ik", (S, S[:1])), ("bij,j->b", (A, A[0, 0])), (" ij , jk -> ki ", (S, S)),
    ("bij,bij->b", (A, A[:1])), ("ij,ij->", (A[:0, 0], A[:0, 0])),
]  # fmt: skip

#: What is computed on every device; the rest is of the same parts.
ON_DEVICES = ("bij,bjk,kl->bl", "aab,b->a", "i...,j->...ij", "i,ij,j->")


def test_values(device: ndl.Device) -> None:
    for equation, operands in CASES:
        if device.name == "numpy" or equation in ON_DEVICES:
            found, expected = ndl.einsum(equation, *map(ndl.asarray, operands)), np.einsum(equation, *operands)
            assert found.shape == expected.shape and found.dtype == np.float32, equation
            np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5, err_msg=equation)


def test_gradients(device: ndl.Device) -> None:
    dtype = np.float64 if device.supports(ndl.float64) else np.float32
    gradchecks({
        equation: (lambda *x, e=equation: ndl.einsum(e, *x), [o.astype(dtype) for o in operands])
        for equation, operands in CASES
        if device.name == "numpy" or equation == "bij,bjk,kl->bl"
    })  # fmt: skip


def test_lists_of_indices_and_dtypes() -> None:
    with ndl.device("numpy"):
        a, b = ndl.asarray(A), ndl.asarray(B)
        expected = np.einsum(A, [0, 1, 2], B, [0, 2, 3], [0, 3])
        np.testing.assert_allclose(
            ndl.einsum(a, [0, 1, 2], b, [0, 2, 3], [0, 3]).numpy(), expected, rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(ndl.einsum("bij,bjk->bk", [a, b]).numpy(), expected, rtol=1e-4, atol=1e-5)
        integers = ndl.asarray(np.arange(6, dtype=np.int8).reshape(2, 3))
        assert ndl.einsum("ij,ij->", integers, integers).dtype == "int8"
        assert (
            ndl.einsum("ij->i", integers).dtype == "int8"
            and ndl.einsum("ij,j->i", integers, a[0, 0, :3]).dtype == "float32"
        )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: ndl.einsum("ij,jk->ik", x, x[:3]), ValueError, "index 'j' has sizes 4 and 3"),
        (lambda x: ndl.einsum("ii->i", x[:3]), ValueError, "index 'i' has sizes 3 and 4"),
        (lambda x: ndl.einsum("ijk->i", x), ValueError, "names 3 axes"),
        (lambda x: ndl.einsum("ij->k", x), ValueError, "k"),
        (lambda x: ndl.einsum("ij->ii", x), ValueError, "i"),
        (lambda x: ndl.einsum("ij,jk", x), ValueError, "operands"),
        (lambda x: ndl.einsum("ij"), ValueError, "at least one operand"),
        (lambda x: ndl.einsum("ij,jk", x, [[1.0]]), TypeError, "is not a tensor"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with ndl.device("numpy"), pytest.raises(error, match=message):
        call(ndl.asarray(S))


def test_einops() -> None:
    einops = pytest.importorskip("einops")
    with ndl.device("numpy"):
        x = ndl.Tensor(A)
        for function, arguments in (
            (einops.rearrange, ("b h w -> w (b h)", {})),
            (einops.rearrange, ("b (h one) w -> b h w one", {"one": 1})),
            (einops.reduce, ("b h w -> b w", {"reduction": "mean"})),
            (einops.reduce, ("b h w -> ", {"reduction": "max"})),
            (einops.reduce, ("(b c) h w -> b h w", {"b": 1, "reduction": "prod"})),
            (einops.repeat, ("b h w -> b (h two) w", {"two": 2})),
        ):
            pattern, keywords = arguments
            found = function(x, pattern, **keywords)
            assert isinstance(found, ndl.Tensor)
            np.testing.assert_allclose(found.numpy(), function(A, pattern, **keywords), rtol=1e-6)
        found = einops.einsum(x, ndl.asarray(B), "b i j, b j k -> b k i")
        np.testing.assert_allclose(found.numpy(), np.einsum("bij,bjk->bki", A, B), rtol=1e-4, atol=1e-5)
        packed, shapes = einops.pack([x, x[:, :1]], "b * w")
        assert packed.shape == (3, 5, 5) and [part.shape for part in einops.unpack(packed, shapes, "b * w")] == [
            (3, 4, 5),
            (3, 1, 5),
        ]
        einops.reduce(x * x, "b h w -> b", "sum").sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), 2 * A, rtol=1e-6)
