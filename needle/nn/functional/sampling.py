"""Drawing the next token from a model's scores. Scores are small: this is done on the host, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from needle.checks import integer
from needle.ops import random
from needle.ops.base import takes_tensor
from needle.ops.creation import asarray
from needle.tensor import Tensor

__all__ = ["sample_tokens"]


@takes_tensor
def sample_tokens(
    logits: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: random.Generator | None = None,
) -> Tensor:
    """A token for each row of `logits`, (..., vocabulary), drawn from their softmax: int64 of shape (...).

    Args:
        logits: the scores of the tokens.
        temperature: what they are divided by; 0 takes the highest.
        top_k: draw from the so many highest alone.
        top_p: draw from the fewest of the highest whose probabilities reach it together: the nucleus (Holtzman et al.
            2020). With `top_k`, that comes first.
        generator: where the random numbers come from; by default the default generator.

    Waits for the device. Raises ValueError for a negative temperature, `top_k` below 1, `top_p` outside (0, 1], and
    for logits without an axis or with none that can be drawn (NaN, or all -infinity).
    """
    if not temperature >= 0:
        raise ValueError(f"temperature={temperature} must not be negative")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p={top_p} must be above 0 and at most 1")
    if logits.ndim == 0 or not logits.shape[-1]:
        raise ValueError(f"sample_tokens: logits of shape {logits.shape} must be (..., vocabulary)")
    scores = logits.numpy().astype(np.float64)
    rows = scores.reshape(-1, scores.shape[-1])
    if np.isnan(rows).any() or (rows.max(axis=1) == -np.inf).any():
        raise ValueError("sample_tokens: a row of logits has NaN, or -infinity alone")
    if temperature == 0:
        chosen = rows.argmax(axis=1)
    else:
        rows = _highest(rows / temperature, top_k)
        chosen = _drawn(_nucleus(_softmax(rows), top_p), generator)
    return asarray(chosen.reshape(scores.shape[:-1]).astype(np.int64), device=logits.device)


def _highest(rows: np.ndarray, top_k: int | None) -> np.ndarray:
    """The rows with all but the `top_k` highest at -infinity; of equal ones the first count as higher."""
    if top_k is None or integer("top_k", top_k) >= rows.shape[1]:
        return rows
    order = np.argsort(-rows, axis=1, kind="stable")[:, :top_k]
    kept = np.full_like(rows, -np.inf)
    np.put_along_axis(kept, order, np.take_along_axis(rows, order, axis=1), axis=1)
    return kept


def _softmax(rows: np.ndarray) -> np.ndarray:
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _nucleus(probabilities: np.ndarray, top_p: float | None) -> np.ndarray:
    """The probabilities with those outside the nucleus at 0."""
    if top_p is None:
        return probabilities
    order = np.argsort(-probabilities, axis=1, kind="stable")
    sorted_ones = np.take_along_axis(probabilities, order, axis=1)
    before = np.cumsum(sorted_ones, axis=1) - sorted_ones
    kept = np.zeros_like(probabilities)
    np.put_along_axis(kept, order, np.where(before < top_p, sorted_ones, 0), axis=1)
    return kept


def _drawn(weights: np.ndarray, generator: random.Generator | None) -> np.ndarray:
    """For each row the number of an element, drawn in proportion to the weights."""
    uniform: Any = random.uniform((len(weights),), dtype="float64", device="numpy", generator=generator).numpy()
    sums = np.cumsum(weights, axis=1)
    chosen = (sums <= uniform[:, None] * sums[:, -1:]).sum(axis=1)
    last = weights.shape[1] - 1 - np.argmax(weights[:, ::-1] > 0, axis=1)
    return np.minimum(chosen, last)
