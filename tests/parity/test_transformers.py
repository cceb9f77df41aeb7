"""Attention layers and transformers with PyTorch's weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.torch_weights import as_torch, load_from_torch

import needle as ndl
from needle import nn

BATCH, LENGTH, MEMORY, SIZE, HEADS = 3, 7, 9, 32, 2
LATER = ~np.tri(LENGTH, dtype=bool)
PADDED = np.arange(LENGTH) >= np.array([[7], [4], [1]])


def sample(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def check(parity: Any, ours: nn.Module, theirs: torch.nn.Module, mine: Any, other: Any, *hosts: np.ndarray) -> None:
    """One pass through both with PyTorch's weights: results, gradients of inputs and of parameters."""
    theirs = theirs.double()
    ours.to(dtype=parity.dtype)
    load_from_torch(ours, theirs)
    pairs = [parity.pair(host) for host in hosts]
    result = mine(ours, *(a for a, _ in pairs))
    expected = other(theirs, *(b for _, b in pairs))
    parity.close(result, expected, "result", atol=1e-9)
    weights = sample(*expected.shape, seed=5)
    result.backward(parity.ours(weights, requires_grad=False))
    expected.backward(torch.tensor(parity.host(weights).astype(np.float64)))
    parity.gradients_close([a for a, _ in pairs], [b for _, b in pairs], "gradient of input", rtol=1e-6, atol=1e-8)
    wanted = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        if wanted[name].grad is not None:
            found = as_torch(ours, name, parameter.grad.numpy())
            np.testing.assert_allclose(
                found, wanted[name].grad.numpy(), rtol=1e-4, atol=parity.atol * 100, err_msg=name
            )


CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "masked": {"attn_mask": LATER},
    "padded": {"key_padding_mask": PADDED},
    "both, with weights": {"attn_mask": LATER, "key_padding_mask": PADDED, "need_weights": True},
}


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("call", CALLS)
def test_multihead_attention(parity: Any, call: str, batch_first: bool) -> None:
    kwargs: dict[str, Any] = {"need_weights": False, **CALLS[call]}
    shape = (BATCH, LENGTH, SIZE) if batch_first else (LENGTH, BATCH, SIZE)
    made = [library.MultiheadAttention(SIZE, HEADS, batch_first=batch_first) for library in (nn, torch.nn)]

    def run(to: Any) -> Any:
        masks = {name: to(x) if isinstance(x, np.ndarray) else x for name, x in kwargs.items()}
        return lambda module, x: sum_of(module(x, x, x, **masks))

    def sum_of(results: Any) -> Any:
        return results[0] if results[1] is None else results[0] * results[1].sum()

    check(parity, *made, run(ndl.asarray), run(torch.tensor), sample(*shape))


def test_attention_to_keys_of_another_size(parity: Any) -> None:
    made = [library.MultiheadAttention(SIZE, HEADS, bias=False, kdim=24, vdim=16) for library in (nn, torch.nn)]
    hosts = sample(LENGTH, BATCH, SIZE), sample(MEMORY, BATCH, 24, seed=1), sample(MEMORY, BATCH, 16, seed=2)

    def run(module: Any, *inputs: Any) -> Any:
        return module(*inputs, need_weights=False)[0]

    check(parity, *made, run, run, *hosts)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_encoder(parity: Any, norm_first: bool, activation: str) -> None:
    made = []
    for library in (nn, torch.nn):
        layer = library.TransformerEncoderLayer(SIZE, HEADS, 64, 0.0, activation, norm_first=norm_first)
        made.append(library.TransformerEncoder(layer, 2, enable_nested_tensor=False))
    check(
        parity, *made, lambda module, x: module(x, is_causal=True),
        lambda module, x: module(x, mask=torch.tensor(LATER), is_causal=True), sample(LENGTH, BATCH, SIZE),
    )  # fmt: skip


def test_transformer(parity: Any) -> None:
    made = [library.Transformer(SIZE, HEADS, 1, 1, 64, dropout=0.0, batch_first=True) for library in (nn, torch.nn)]
    hosts = sample(BATCH, MEMORY, SIZE), sample(BATCH, LENGTH, SIZE, seed=1)
    check(
        parity, *made,
        lambda m, s, t: m(s, t, tgt_is_causal=True, tgt_key_padding_mask=ndl.asarray(PADDED)),
        lambda m, s, t: m(s, t, tgt_mask=torch.tensor(LATER), tgt_key_padding_mask=torch.tensor(PADDED)),
        *hosts,
    )  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"padding_idx": 2}, {"max_norm": 1.0}, {"scale_grad_by_freq": True}], ids=str)
def test_embedding(parity: Any, options: dict[str, Any]) -> None:
    ids = np.array([[1, 2, 2], [0, 6, 1]])
    table = sample(7, 5)
    mine, other = nn.Embedding(7, 5, **options), torch.nn.Embedding(7, 5, **options).double()
    mine.to(dtype=parity.dtype)
    mine.weight.data = parity.ours(table, requires_grad=False)
    other.weight.data = parity.theirs(table, requires_grad=False)
    found, wanted = mine(ndl.asarray(ids)), other(torch.tensor(ids))
    parity.close(found, wanted)
    found.backward(parity.ours(sample(2, 3, 5, seed=1), requires_grad=False))
    wanted.backward(parity.theirs(sample(2, 3, 5, seed=1), requires_grad=False))
    parity.gradients_close([mine.weight], [other.weight])
    parity.close(mine.weight, other.weight, "weight")


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_embedding_bag(parity: Any, mode: str) -> None:
    ids, offsets = np.array([1, 2, 2, 0, 6, 1]), np.array([0, 3, 3])

    def through(module: Any, asarray: Any) -> Any:
        def run(table: Any) -> Any:
            parts = [
                module(asarray(ids), table, asarray(offsets), mode=mode, padding_idx=0),
                module(asarray(ids.reshape(2, 3)), table, mode=mode),
            ]
            return parts[0].sum() + (parts[1] * parts[1]).sum()

        return run

    ours = through(nn.functional.embedding_bag, ndl.asarray)
    theirs_module = torch.nn.functional.embedding_bag
    parity.same(ours, through(theirs_module, torch.tensor), sample(7, 5))
