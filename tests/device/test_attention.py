"""Scaled dot-product attention: values, gradients of both orders, masks, dropout, what is refused.

All heads have 16 numbers, or are padded to them: the kernels of one head size serve every length.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle.nn import functional as F

attend = F.scaled_dot_product_attention


def drawn(*shape: int, seed: int = 0, dtype: Any = np.float32) -> ndl.Tensor:
    return ndl.Tensor(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


def by_hand(q: Any, k: Any, v: Any, mask: Any = None, causal: bool = False) -> np.ndarray:
    """The formula in NumPy, on one array of heads."""
    q, k, v = (x.numpy().astype(np.float64) for x in (q, k, v))
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    if causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True) @ v


@pytest.mark.every_driver
@pytest.mark.parametrize("shape", [(2, 3, 70, 16), (3, 9, 16), (7, 13), (2, 1, 2, 8, 15)], ids=str)
@pytest.mark.parametrize("causal", [False, True])
def test_values_for_any_number_of_axes(device: ndl.Device, shape: tuple[int, ...], causal: bool) -> None:
    q, k, v = (drawn(*shape, seed=i) for i in range(3))
    np.testing.assert_allclose(attend(q, k, v, is_causal=causal).numpy(), by_hand(q, k, v, None, causal), atol=2e-6)


@pytest.mark.parametrize("mask_shape", [(5, 71), (2, 1, 5, 71), (1, 3, 1, 71), (71,), ()], ids=str)
def test_masks_broadcast(device: ndl.Device, mask_shape: tuple[int, ...]) -> None:
    q, k, v = drawn(2, 3, 5, 16), drawn(2, 3, 71, 16, seed=1), drawn(2, 3, 71, 16, seed=2)
    rng = np.random.default_rng(3)
    seen = np.asarray(rng.random(mask_shape) < 0.7) | (np.arange(71) == 4 if mask_shape else True)
    added = rng.standard_normal(mask_shape).astype(np.float32)
    for mask in (seen, np.asarray(added)):
        found = attend(q, k, v, ndl.asarray(mask))
        np.testing.assert_allclose(found.numpy(), by_hand(q, k, v, mask), atol=2e-6)


def test_shared_heads_and_another_size_of_values(device: ndl.Device) -> None:
    q, k, v = drawn(2, 4, 9, 16), drawn(2, 2, 7, 16, seed=1), drawn(2, 2, 7, 11, seed=2)
    found = attend(q, k, v, enable_gqa=True)
    repeated = [ndl.asarray(np.repeat(x.numpy(), 2, axis=1)) for x in (k, v)]
    np.testing.assert_allclose(found.numpy(), by_hand(q, *repeated), atol=2e-6)


def test_a_query_that_sees_nothing_gets_zeros_and_passes_none_on(device: ndl.Device) -> None:
    q, k, v = drawn(1, 1, 9, 16), drawn(1, 1, 8, 16, seed=1), drawn(1, 1, 8, 16, seed=2)
    mask = np.ones((9, 8), bool)
    mask[3] = False
    out = attend(q, k, v, ndl.asarray(mask))
    out.sum().backward()
    assert not out.numpy()[0, 0, 3].any() and out.numpy()[0, 0, 2].any()
    assert not q.grad.numpy()[0, 0, 3].any() and np.isfinite(k.grad.numpy()).all()


def test_what_is_not_finite_stays_in_its_row(device: ndl.Device) -> None:
    q, k, v = drawn(1, 1, 9, 16), drawn(1, 1, 8, 16, seed=1), drawn(1, 1, 8, 16, seed=2)
    host = q.numpy().copy()
    host[0, 0, 5, 3] = np.nan
    found = attend(ndl.asarray(host), k, v).numpy()[0, 0]
    assert np.isnan(found[5]).all() and np.isfinite(np.delete(found, 5, axis=0)).all()
    large = attend(q * 1e4, k * 1e4, v)
    assert np.isfinite(large.numpy()).all()


@pytest.mark.parametrize("queries", [0, 3])
def test_nothing_to_see(device: ndl.Device, queries: int) -> None:
    q, k = drawn(2, queries, 16), drawn(2, 3 if queries == 0 else 0, 16)
    out = attend(q, k, k)
    out.sum().backward()
    assert out.shape == (2, queries, 16) and not out.numpy().any()
    assert k.grad.shape == k.shape and not k.grad.numpy().any()


CALLS: dict[str, Any] = {
    "plain": {},
    "causal": {"is_causal": True},
    "dropped out": {"dropout_p": 0.25},
    "shared heads": {"enable_gqa": True},
}


@pytest.mark.parametrize("call", CALLS)
def test_gradients_of_both_orders(device: ndl.Device, call: str) -> None:
    heads = 1 if call == "shared heads" else 2
    q, k, v = drawn(1, 2, 9, 16), drawn(1, heads, 7, 16, seed=1), drawn(1, heads, 7, 16, seed=2)

    def f(q: Any, k: Any, v: Any) -> Any:
        ndl.manual_seed(3)  # the same elements are dropped each time
        return attend(q, k, v, **CALLS[call])

    assert ndl.gradcheck(f, [q, k, v])
    if device.supports(ndl.float64):
        for number in range(3):
            assert ndl.gradcheck(ndl.grad(lambda *x: (f(*x) ** 2).sum(), number), [q, k, v], atol=1e-5, rtol=1e-5)


def test_the_gradient_of_an_added_mask(device: ndl.Device) -> None:
    q, k, v, mask = drawn(2, 2, 5, 16), drawn(2, 2, 7, 16, seed=1), drawn(2, 2, 7, 16, seed=2), drawn(2, 1, 7, seed=3)
    assert ndl.gradcheck(attend, [q, k, v, mask])


def test_dropout_keeps_the_same_elements_everywhere(device: ndl.Device) -> None:
    keys, rows = 70, 300
    q, k, v = ndl.zeros((1, rows, 16)), ndl.zeros((1, keys, 16)), ndl.ones((1, keys, 16))
    ndl.manual_seed(5)
    found = attend(q, k, v, dropout_p=0.25)
    ndl.manual_seed(5)
    with ndl.device("numpy"):
        same = attend(*(x.to("numpy") for x in (q, k, v)), dropout_p=0.25)
    np.testing.assert_allclose(found.numpy(), same.numpy(), rtol=1e-5)
    kept = found.numpy()[0, :, 0] * 0.75
    assert abs(kept.mean() - 0.75) < 0.02 and kept.std() > 0.01
    assert not np.array_equal(attend(q, k, v, dropout_p=0.25).numpy(), found.numpy())


def test_halves_are_computed_as_floats(device: ndl.Device) -> None:
    if not device.supports(ndl.float16):
        pytest.skip("no float16 here")
    q, k, v = (drawn(2, 9, 16, seed=i).detach().astype("float16") for i in range(3))
    found = attend(q, k, v)
    assert found.dtype == ndl.float16
    np.testing.assert_allclose(found.numpy(), by_hand(q, k, v), atol=2e-3)


def test_another_length_compiles_nothing(device: ndl.Device) -> None:
    if not hasattr(device, "_kernels"):
        pytest.skip("not an OpenCL device")
    counts = []
    for batch, length in ((2, 70), (3, 33), (1, 129)):
        for call in ({}, {"is_causal": True}, {"dropout_p": 0.5}):
            attend(*(drawn(batch, 2, length, 16, seed=i) for i in range(3)), **call).backward(
                drawn(batch, 2, length, 16)
            )
        counts.append(len(device._kernels) + len(device._expression_kernels))
    assert counts[0] == counts[1] == counts[2]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda: {"key": drawn(2, 7, 8)}, ValueError, "key has 8 numbers on its last axis, query has 16"),
        (lambda: {"value": drawn(2, 6, 16)}, ValueError, "key has 7 positions, value has 6"),
        (lambda: {"value": drawn(3, 7, 16)}, ValueError, r"query of shape \(2, 5, 16\).*do not broadcast"),
        (lambda: {"query": drawn(2, 5, 300), "key": drawn(2, 7, 300)}, ValueError, "300 numbers are longer than 256"),
        (lambda: {"key": drawn(2, 7, 16, dtype=np.float16)}, TypeError, "key has dtype float16"),
        (lambda: {"query": drawn(16)}, ValueError, r"query of shape \(16,\) needs at least two axes"),
        (lambda: {"query": 3.0}, TypeError, "query=3.0 of type float is not a tensor"),
        (lambda: {"attn_mask": [True]}, TypeError, "attn_mask=.*is not a tensor"),
        (lambda: {"attn_mask": drawn(5, 6)}, ValueError, r"attn_mask of shape \(5, 6\) does not broadcast"),
        (lambda: {"attn_mask": ndl.ones((5, 7), dtype="int32")}, TypeError, "attn_mask has dtype int32"),
        (lambda: {"attn_mask": drawn(5, 7), "is_causal": True}, ValueError, "is_causal=True goes without attn_mask"),
        (lambda: {"dropout_p": 1.0}, ValueError, "dropout_p=1.0"),
        (lambda: {"enable_gqa": True, "query": drawn(3, 5, 16)}, ValueError, "heads of key and value that divide"),
    ],
)
def test_what_is_refused(change: Any, error: type[Exception], message: str) -> None:
    with ndl.device("numpy"):
        operands: dict[str, Any] = {"query": drawn(2, 5, 16), "key": drawn(2, 7, 16), "value": drawn(2, 7, 16)}
        with pytest.raises(error, match=message):
            attend(**{**operands, **change()})
