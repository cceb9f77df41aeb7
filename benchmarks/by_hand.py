"""Gradients written out for NumPy, in the dtype of what they are given."""

from __future__ import annotations

from typing import Any

import numpy as np

from needle.ops.recurrent import RECURRENT, RECURRENT_GRADIENT

EPS = 1e-5  # of layer norm and RMS norm


def softmax(x: np.ndarray) -> np.ndarray:
    """Softmax over the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    result: np.ndarray = e / e.sum(axis=-1, keepdims=True)
    return result


def log_softmax(x: np.ndarray) -> np.ndarray:
    """The logarithm of softmax over the last axis."""
    shifted = x - x.max(axis=-1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def softmax_gradient(x: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Softmax, and the gradient with respect to x, given that of the result."""
    y = softmax(x)
    return y, y * (g - (g * y).sum(axis=-1, keepdims=True))


def log_softmax_gradient(x: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logarithm of softmax, and the gradient with respect to x, given that of the result."""
    y = log_softmax(x)
    return y, g - np.exp(y) * g.sum(axis=-1, keepdims=True)


def cross_entropy_gradient(x: np.ndarray, y: np.ndarray) -> tuple[Any, np.ndarray]:
    """The mean cross-entropy of logits x and labels y, and its gradient with respect to x."""
    log_p = log_softmax(x)
    rows = np.arange(len(y))
    gradient = np.exp(log_p)
    gradient[rows, y] -= 1
    gradient /= len(y)
    return -log_p[rows, y].mean(), gradient


def layer_norm_gradient(x: np.ndarray, w: np.ndarray, b: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, ...]:
    """Layer norm over the last axis, and its gradients with respect to x, w and b."""
    centred = x - x.mean(axis=-1, keepdims=True)
    scale = 1 / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + EPS)
    normed = centred * scale
    gw = g * w
    gx = scale * (gw - gw.mean(axis=-1, keepdims=True) - normed * (gw * normed).mean(axis=-1, keepdims=True))
    return normed * w + b, gx, (g * normed).sum(axis=0), g.sum(axis=0)


def gather_gradient(table: np.ndarray, ids: np.ndarray, g: np.ndarray) -> np.ndarray:
    """The gradient with respect to `table` of its rows taken by number."""
    result = np.zeros_like(table)
    np.add.at(result, ids, g)
    return result


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, causal: bool) -> np.ndarray:
    """Scaled dot-product attention over the last two axes."""
    result: np.ndarray = _weights(q, k, causal) @ v
    return result


def attention_gradient(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, g: np.ndarray, causal: bool
) -> tuple[np.ndarray, ...]:
    """Attention, and its gradients with respect to q, k and v."""
    p = _weights(q, k, causal)
    by_p = g @ v.swapaxes(-1, -2)
    by_score = p * (by_p - (by_p * p).sum(axis=-1, keepdims=True)) / np.sqrt(q.shape[-1])
    return p @ v, by_score @ k, by_score.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ g


def _weights(q: np.ndarray, k: np.ndarray, causal: bool) -> np.ndarray:
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    return softmax(np.where(np.tri(*scores.shape[-2:]) > 0, scores, -np.inf) if causal else scores)


def recurrent(kind: str, x: np.ndarray, w_ih: np.ndarray, w_hh: np.ndarray, g: np.ndarray | None) -> Any:
    """The outputs of an LSTM or a GRU without biases, and given `g` the gradients of x and of both weights."""
    batch, size = x.shape[1], w_hh.shape[1]
    params: dict[str, Any] = {"cell": kind, "reverse": False, "ragged": False}
    bias, zeros = np.zeros((1, len(w_hh)), x.dtype), np.zeros((batch, size), x.dtype)
    firsts = (zeros,) * (2 if kind == "lstm" else 1)
    *states, gates = RECURRENT.reference(x @ w_ih.T, w_hh, bias, bias, *firsts, **params)
    y = states[0][1:]
    if g is None:
        return y
    by_states = [np.concatenate([zeros[None], g]), np.zeros_like(states[0])][: len(states)]
    by_x, *rest = RECURRENT_GRADIENT.reference(w_hh, *states, gates, *by_states, **params)
    by_h = rest[0] if kind == "gru" else by_x
    flat, flat_h = by_x.reshape(-1, len(w_ih)), by_h.reshape(-1, len(w_hh))
    return y, by_x @ w_ih, flat.T @ x.reshape(-1, x.shape[2]), flat_h.T @ states[0][:-1].reshape(-1, size)
