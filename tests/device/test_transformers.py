"""Layers of transformers: a cache gives what the whole gives, positions, sampling, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle import nn
from needle.nn import functional as F


def drawn(*shape: int, seed: int = 0) -> ndl.Tensor:
    return ndl.asarray(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def test_a_cache_gives_what_the_whole_gives(device: ndl.Device) -> None:
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 2, 64, 0.0, batch_first=True), 2).eval()
    x = drawn(2, 9, 32)
    with ndl.no_grad():
        whole = model(x, is_causal=True).numpy()
        caches = [nn.KeyValueCache() for _ in model.layers]
        parts = [
            model(x[:, start:end], is_causal=True, caches=caches) for start, end in ((0, 4), (4, 7), (7, 8), (8, 9))
        ]
    assert [cache.length for cache in caches] == [9, 9]
    np.testing.assert_allclose(np.concatenate([part.numpy() for part in parts], axis=1), whole, atol=2e-6)
    with pytest.raises(ValueError, match="do not continue a cache"):
        model(drawn(3, 1, 32), caches=caches)


def test_one_sequence_needs_no_batch(device: ndl.Device) -> None:
    layer = nn.MultiheadAttention(32, 2)
    x = drawn(5, 32)
    out, weights = layer(x, x, x)
    many, _ = layer(*(ndl.expand_dims(x, 1),) * 3, need_weights=False)
    assert out.shape == (5, 32) and weights.shape == (5, 5)
    np.testing.assert_allclose(out.numpy(), many.numpy()[:, 0], atol=1e-6)
    np.testing.assert_allclose(weights.numpy().sum(axis=1), 1, rtol=1e-5)


def test_rotations_keep_lengths_and_depend_on_differences(device: ndl.Device) -> None:
    x = drawn(3, 6, 8)
    for interleaved in (False, True):
        turned = F.rotary_embedding(x, interleaved=interleaved)
        np.testing.assert_allclose((turned**2).sum(axis=-1).numpy(), (x**2).sum(axis=-1).numpy(), rtol=1e-5)
        later = F.rotary_embedding(x, start=5, interleaved=interleaved)
        np.testing.assert_allclose((later @ later.T).numpy(), (turned @ turned.T).numpy(), atol=1e-4)
    rope = nn.RotaryEmbedding()
    np.testing.assert_array_equal(rope(x)[:, 2:].numpy(), rope(x[:, 2:], start=2).numpy())


def test_sinusoidal_positions(device: ndl.Device) -> None:
    layer = nn.SinusoidalPositions(6, max_length=10)
    found = layer(ndl.zeros((2, 4, 6)), start=3).numpy()
    assert layer.parameters() == [] and layer.state_dict() == {}
    np.testing.assert_allclose(found[1, 2, :2], [np.sin(5), np.cos(5)], atol=1e-6)
    np.testing.assert_allclose(found[0, 2, 4:], [np.sin(5 / 10000 ** (4 / 6)), np.cos(5 / 10000 ** (4 / 6))], atol=1e-6)
    with pytest.raises(ValueError, match="11 positions is longer than max_length=10"):
        layer(ndl.zeros((2, 4, 6)), start=7)


def test_sampling(device: ndl.Device) -> None:
    logits = ndl.asarray(np.log(np.array([[0.5, 0.3, 0.15, 0.05]] * 2000, np.float32)))
    ndl.manual_seed(0)
    shares = np.bincount(F.sample_tokens(logits).numpy(), minlength=4) / 2000
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.15, 0.05], atol=0.04)
    assert set(F.sample_tokens(logits, top_k=2).numpy()) == {0, 1}
    assert set(F.sample_tokens(logits, top_p=0.9).numpy()) == {0, 1, 2}
    assert set(F.sample_tokens(logits, top_p=1e-9).numpy()) == {0}
    assert not F.sample_tokens(logits, temperature=0).numpy().any()
    cold = np.bincount(F.sample_tokens(logits, temperature=0.5).numpy(), minlength=4) / 2000
    np.testing.assert_allclose(cold, np.square([0.5, 0.3, 0.15, 0.05]) / 0.365, atol=0.04)
    first, second = (F.sample_tokens(logits, generator=ndl.ops.random.Generator(3)).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "token": (lambda: nn.Embedding(7, 3)([1, 7]), IndexError, "token id 7 is out of range: it must be from 0 to 6"),
    "negative token": (lambda: nn.Embedding(7, 3)([-1]), IndexError, "token id -1 is out of range"),
    "float token": (lambda: nn.Embedding(7, 3)([0.5]), TypeError, "token id must be an integer"),
    "padding": (lambda: nn.Embedding(7, 3, padding_idx=7), ValueError, "padding_idx=7 must be a row of a table of 7"),
    "sparse": (lambda: nn.Embedding(7, 3, sparse=True), ValueError, "sparse=True is not supported"),
    "heads": (lambda: nn.MultiheadAttention(10, 3), ValueError, "num_heads=3 must divide embed_dim=10"),
    "size": (
        lambda: nn.MultiheadAttention(8, 2)(*(drawn(4, 2, 6),) * 3), ValueError, r"query of shape \(4, 2, 6\)",
    ),
    "batch": (
        lambda: nn.MultiheadAttention(8, 2)(drawn(4, 2, 8), *(drawn(4, 3, 8),) * 2), ValueError, "another batch",
    ),
    "mask": (
        lambda: nn.MultiheadAttention(8, 2)(*(drawn(4, 2, 8),) * 3, attn_mask=ndl.ones((4, 5))), ValueError,
        r"attn_mask of shape \(4, 5\) must have the shape \(4, 4\) or \(4, 4, 4\)",
    ),
    "padding mask": (
        lambda: nn.MultiheadAttention(8, 2)(*(drawn(4, 2, 8),) * 3, ndl.ones((4, 2))), ValueError,
        r"key_padding_mask of shape \(4, 2\) must have the shape \(2, 4\)",
    ),
    "bags": (lambda: nn.EmbeddingBag(7, 3)(ndl.asarray([1, 2]), [0, 3]), ValueError, r"offsets=\[0, 3\] must rise"),
    "mode": (lambda: nn.EmbeddingBag(7, 3, mode="min"), ValueError, "mode='min' is not known"),
    "caches": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2), 2)(drawn(4, 2, 8), caches=[nn.KeyValueCache()]),
        ValueError, "caches: 1 of them do not fit 2 layers",
    ),
    "activation": (lambda: nn.TransformerEncoderLayer(8, 2, activation="swish"), ValueError, "activation='swish'"),
    "top_p": (lambda: F.sample_tokens(drawn(2, 3), top_p=0), ValueError, "top_p=0 must be above 0"),
    "top_k": (lambda: F.sample_tokens(drawn(2, 3), top_k=0), ValueError, "top_k=0 must be at least 1"),
    "odd": (lambda: F.rotary_embedding(drawn(2, 3)), ValueError, "size=3 must be even"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    call, error, message = REFUSED[name]
    with ndl.device("numpy"), pytest.raises(error, match=message):
        call()
