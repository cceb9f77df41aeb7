"""Recurrent layers with PyTorch's weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.torch_weights import load_from_torch

import needle as ndl
from needle import nn

STEPS, BATCH, INPUT, HIDDEN = 5, 3, 6, 8


def sample(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def pair(parity: Any, kind: str, *args: Any, **options: Any) -> tuple[Any, Any]:
    ours, theirs = getattr(nn, kind)(*args, **options), getattr(torch.nn, kind)(*args, **options).double()
    ours.to(dtype=parity.dtype)
    load_from_torch(ours, theirs)
    return ours, theirs


def flat(results: Any) -> list[Any]:
    return [results] if not isinstance(results, tuple) else [x for part in results for x in flat(part)]


def check(parity: Any, ours: Any, theirs: Any, mine: Any, other: Any, leaves: list[tuple[Any, Any]]) -> None:
    """Results, and the gradients of a weighted sum of all of them."""
    found, wanted = flat(mine), flat(other)
    for number, (a, b) in enumerate(zip(found, wanted, strict=True)):
        parity.close(a, b, f"result {number}")
    weights = [sample(*b.shape, seed=number) for number, b in enumerate(wanted)]
    total = sum(((a * parity.ours(w, requires_grad=False)).sum() for a, w in zip(found, weights, strict=True)), 0.0)
    total.backward()
    sum((b * parity.theirs(w, requires_grad=False)).sum() for b, w in zip(wanted, weights, strict=True)).backward()
    parity.gradients_close([a for a, _ in leaves], [b for _, b in leaves], rtol=1e-6, atol=1e-8)
    named = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        parity.close(parameter.grad, named[name].grad, f"gradient of {name}", rtol=1e-6, atol=parity.atol * 10)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True}], ids=str)
def test_layers_with_first_states(parity: Any, kind: str, options: dict[str, Any]) -> None:
    ours, theirs = pair(parity, kind, INPUT, HIDDEN, **options)
    count = 4 if options else 1
    shape = (BATCH, STEPS, INPUT) if options else (STEPS, BATCH, INPUT)
    x = parity.pair(sample(*shape))
    states = [parity.pair(sample(count, BATCH, HIDDEN, seed=i + 1)) for i in range(2 if kind == "LSTM" else 1)]
    hx = [tuple(s[i] for s in states) if kind == "LSTM" else states[0][i] for i in range(2)]
    check(parity, ours, theirs, ours(x[0], hx[0]), theirs(x[1], hx[1]), [x, *states])


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_lengths_in_place_of_packed_sequences(parity: Any, kind: str) -> None:
    ours, theirs = pair(parity, kind, INPUT, HIDDEN, bidirectional=True)
    lengths = [5, 1, 3]
    x = parity.pair(sample(STEPS, BATCH, INPUT))
    packed = torch.nn.utils.rnn.pack_padded_sequence(x[1], torch.tensor(lengths), enforce_sorted=False)
    output, last = theirs(packed)
    output = torch.nn.utils.rnn.pad_packed_sequence(output)[0]
    check(parity, ours, theirs, ours(x[0], lengths=lengths), (output, last), [x])


@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell", "RNNCell"])
def test_cells(parity: Any, kind: str) -> None:
    ours, theirs = pair(parity, kind, INPUT, HIDDEN)
    x = parity.pair(sample(BATCH, INPUT))
    check(parity, ours, theirs, ours(x[0]), theirs(x[1]), [x])


def test_relu_without_bias_and_without_a_batch(parity: Any) -> None:
    ours, theirs = pair(parity, "RNN", INPUT, HIDDEN, nonlinearity="relu", bias=False)
    x = parity.pair(sample(STEPS, INPUT))
    check(parity, ours, theirs, ours(x[0]), theirs(x[1]), [x])


def test_dropout_between_layers_alone(parity: Any) -> None:
    layer = nn.LSTM(INPUT, HIDDEN, num_layers=2, dropout=0.5)
    x = ndl.asarray(sample(STEPS, BATCH, INPUT).astype(np.float32))
    first, second = (layer(x)[0].numpy() for _ in range(2))
    assert not np.array_equal(first, second)
    layer.eval()
    np.testing.assert_array_equal(layer(x)[0].numpy(), layer(x)[0].numpy())
