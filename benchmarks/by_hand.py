"""Gradients written out for NumPy, in the dtype of what they are given."""

from __future__ import annotations

from typing import Any

import numpy as np

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
