"""Scaled dot-product attention: softmax(q k^T * scale + mask) v for each head, without a matrix of all scores.

The forward pass goes through the keys once with the largest score and the sum so far (Dao et al., "FlashAttention",
2022), and saves the log-sum-exp of each row; the gradient computes the probabilities again from it. Gradients that are
differentiated themselves (`create_graph`) come from the formula written out in operations, which does hold all scores.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from needle.array import NDArray
from needle.autograd import Op, Value, is_grad_enabled, make_value
from needle.backend.records import Example, Operand, Primitive
from needle.dtypes import DType, Shape, bool_, compute_dtype, is_bool
from needle.ops import philox
from needle.ops.comparison import where
from needle.ops.exponential import exp
from needle.ops.matmul import matmul
from needle.ops.reductions import max as maximum_of
from needle.ops.reductions import sum as sum_of
from needle.ops.shape import astype, broadcast_to, reshape, transpose

__all__: list[str] = []

Signature = tuple[tuple[Shape, DType], ...]

#: Random words for dropout come in blocks of four, for four neighbouring keys of a row.
_WORDS = 4
_ALL_KEPT = 1 << 32


# -- the primitives ---------------------------------------------------------------------------------


def blocks_for(q: Any, k: Any) -> int:
    """The counter blocks that dropout takes."""
    return prod(q.shape[:3]) * -(-k.shape[2] // _WORDS)


def kept_elements(heads: int, queries: int, keys: int, seed: int, offset: int, threshold: int) -> np.ndarray:
    """Which elements of the probabilities dropout keeps, as bools of shape (heads, queries, keys)."""
    blocks = -(-keys // _WORDS)
    words = philox.words(heads * queries * blocks, seed, offset)
    return words.reshape(heads, queries, blocks * _WORDS)[..., :keys] < threshold


class _Parts:
    """Scores and probabilities of a call, in NumPy."""

    def __init__(self, q: Any, k: Any, v: Any, mask: Any, params: dict[str, Any]) -> None:
        self.dtype = q.dtype
        real = compute_dtype(q.dtype)
        group = q.shape[1] // k.shape[1]
        self.q = q.astype(real)
        self.k, self.v = (np.repeat(x.astype(real), group, axis=1) for x in (k, v))
        self.scale = real.type(params["scale"])
        (batches, heads, queries), keys = q.shape[:3], k.shape[2]
        scores = self.q @ self.k.swapaxes(2, 3) * self.scale
        if mask is not None:
            scores = scores + (np.where(mask, real.type(0), -np.inf) if is_bool(mask.dtype) else mask.astype(real))
        if params["causal"]:
            scores = np.where(np.tri(queries, keys).astype(bool), scores, -np.inf)
        self.scores = scores.astype(real, copy=False)
        self.kept = np.ones((1, 1, 1, 1), real)
        if params["threshold"] < _ALL_KEPT:
            words = {name: params[name] for name in ("seed", "offset", "threshold")}
            kept = kept_elements(batches * heads, queries, keys, **words)
            self.kept = kept.reshape(scores.shape) * real.type(params["rescale"])


def _reference(q: Any, k: Any, v: Any, mask: Any = None, **params: Any) -> tuple[np.ndarray, np.ndarray]:
    parts = _Parts(q, k, v, mask, params)
    with np.errstate(all="ignore"):
        largest = parts.scores.max(axis=3, keepdims=True, initial=-np.inf)
        powers = np.exp(parts.scores - np.where(largest == -np.inf, 0, largest))
        total = powers.sum(axis=3, keepdims=True)
        seen = total != 0
        probabilities = np.where(seen, powers / np.where(seen, total, 1), 0)
        lse = np.where(seen, largest + np.log(total), -np.inf)[..., 0]
    return ((probabilities * parts.kept) @ parts.v).astype(q.dtype), lse.astype(q.dtype)


def _gradient_reference(
    q: Any, k: Any, v: Any, out: Any, lse: Any, grad: Any, mask: Any = None, **params: Any
) -> tuple[np.ndarray, ...]:
    parts = _Parts(q, k, v, mask, params)
    out, lse, grad = (x.astype(parts.q.dtype) for x in (out, lse, grad))
    with np.errstate(all="ignore"):
        unseen = (lse == -np.inf)[..., None]
        p = np.where(unseen, 0, np.exp(parts.scores - np.where(unseen, 0, lse[..., None])))
    slope = p * (parts.kept * (grad @ parts.v.swapaxes(2, 3)) - (grad * out).sum(axis=3, keepdims=True)) * parts.scale
    shared = (k.shape[0], k.shape[1], -1, *k.shape[2:])

    def of_shared(x: np.ndarray) -> np.ndarray:
        return x.reshape(shared).sum(axis=2) if x.size else np.zeros(k.shape, x.dtype)

    of_keys, of_values = slope.swapaxes(2, 3) @ parts.q, (p * parts.kept).swapaxes(2, 3) @ grad
    return tuple(x.astype(q.dtype) for x in (slope @ parts.k, of_shared(of_keys), of_shared(of_values)))


def _signature(q: Any, k: Any, v: Any, mask: Any = None, **params: Any) -> Signature:
    return (q.shape, q.dtype), (q.shape[:3], q.dtype)


def _gradient_signature(
    q: Any, k: Any, v: Any, out: Any, lse: Any, grad: Any, mask: Any = None, **params: Any
) -> Signature:
    return tuple((x.shape, x.dtype) for x in (q, k, v))


def _products(count: int) -> Any:
    """The arithmetic of so many products of queries and keys, of which a causal mask leaves half."""

    def flops(q: Any, k: Any, *others: Any, **params: Any) -> int:
        return count * 2 * prod(q.shape) * k.shape[2] // (2 if params["causal"] else 1)

    return flops


def _params(causal: bool = False, threshold: int = _ALL_KEPT, scale: float = 0.2) -> dict[str, Any]:
    rescale = _ALL_KEPT / threshold
    return {
        "causal": causal, "scale": scale, "seed": 5, "offset": 2**32 - 3, "threshold": threshold, "rescale": rescale,
    }  # fmt: skip


#: Shapes of q and of k, then of a mask; whether it is causal, and dropped out.
_EXAMPLES: tuple[tuple[Shape, Shape, Operand | None, bool, int], ...] = (
    ((2, 2, 37, 16), (2, 2, 37, 16), None, True, _ALL_KEPT),
    ((1, 4, 5, 16), (1, 2, 71, 16), Operand((1, 4, 5, 71), bool_), False, 3 << 30),
    ((2, 2, 67, 16), (2, 1, 9, 16), Operand((2, 1, 1, 9)), True, 3 << 30),
    ((2, 3, 3, 16), (2, 3, 2, 16), None, False, _ALL_KEPT),
    ((1, 1, 9, 8), (1, 1, 7, 8), None, True, 3 << 30),
    ((2, 2, 3, 16), (2, 2, 0, 16), None, False, _ALL_KEPT),
)


def _examples(of_gradient: bool) -> tuple[Example, ...]:
    examples = []
    for q, k, mask, causal, threshold in _EXAMPLES:
        operands = [Operand(q, low=-1, high=1), Operand(k, low=-1, high=1), Operand(k)]
        if of_gradient:
            operands += [Operand(q), Operand(q[:3], low=2, high=3), Operand(q)]
        operands += [] if mask is None else [mask]
        examples.append(Example(tuple(operands), _params(causal, threshold)))
    return tuple(examples)


ATTENTION = Primitive(
    "attention", _reference, _signature, _products(2), kinds="f", examples=_examples(False), family="attention"
)
ATTENTION_GRADIENT = Primitive(
    "attention_gradient", _gradient_reference, _gradient_signature, _products(5), kinds="f",
    examples=_examples(True), family="attention",
)  # fmt: skip


# -- the operation ----------------------------------------------------------------------------------


class Attention(Op):
    """Arguments: q (batch, heads, queries, D), k and v (batch, shared heads, keys, D), and a mask if there is one.

    The mask has four axes, each of the size of the scores' or 1; it is of bools, true where a key is seen, or of q's
    dtype and added. Shared heads divide the heads. The output is like q; the log-sum-exp of the rows is saved.
    """

    name = "scaled_dot_product_attention"
    saved = 1

    def __init__(self, scale: float, causal: bool, dropout: float = 0.0, seed: int = 0, offset: int = 0) -> None:
        threshold = round((1 - dropout) * _ALL_KEPT)
        self.params: dict[str, Any] = {
            "causal": causal, "scale": scale, "seed": seed, "offset": offset,
            "threshold": threshold, "rescale": 1 / (1 - dropout),
        }  # fmt: skip

    def compute(self, q: NDArray, k: NDArray, v: NDArray, *mask: NDArray) -> Any:
        return q.run(ATTENTION, k, v, *mask, **self.params)

    def gradient(self, out_grad: Any, node: Any) -> Any:
        grad = out_grad[0]
        q, k, v, *mask = node.args
        wants_mask = bool(mask) and isinstance(mask[0], Value) and mask[0].requires_grad
        if is_grad_enabled() or wants_mask:
            found = self._composed(grad, q, k, v, *mask)
        else:
            found = _AttentionGradient(self.params)(q, k, v, *node.outputs, grad, *mask)
        return tuple(g for g, arg in zip((*found, None), node.args, strict=False) if isinstance(arg, Value))

    def _composed(self, grad: Any, q: Any, k: Any, v: Any, mask: Any = None) -> tuple[Any, ...]:
        """The gradients in operations that can be differentiated once more."""
        shape, group = k.shape, q.shape[1] // k.shape[1]
        if group > 1:
            k, v = (_repeated(x, group) for x in (k, v))
        scores = matmul(q, transpose(k)) * self.params["scale"]
        if mask is not None:
            scores = where(mask, scores, -np.inf) if is_bool(mask.dtype) else scores + mask
        if self.params["causal"]:
            seen: Any = NDArray.from_numpy(np.tri(q.shape[2], k.shape[2]).astype(bool), q.device)
            scores = where(seen, scores, -np.inf)
        powers = scores
        if k.shape[2]:
            largest: Any = maximum_of(_detached(scores), axis=3, keepdims=True)
            powers = exp(scores - where(largest == -np.inf, 0, largest))
        total = sum_of(powers, axis=3, keepdims=True)
        p = powers / where(total == 0, 1, total)
        kept = self._kept(q, k)
        by_p = matmul(grad, transpose(v))
        by_p = by_p if kept is None else by_p * kept
        by_score = p * (by_p - sum_of(p * by_p, axis=3, keepdims=True))
        slope = by_score * self.params["scale"]
        of_keys = matmul(transpose(slope), q)
        of_values = matmul(transpose(p if kept is None else p * kept), grad)
        if group > 1:
            shared = (shape[0], shape[1], group, *shape[2:])
            of_keys, of_values = (sum_of(reshape(x, shared), axis=2) for x in (of_keys, of_values))
        gradients = (matmul(slope, k), of_keys, of_values)
        return gradients if mask is None or is_bool(mask.dtype) else (*gradients, by_score)

    def _kept(self, q: Any, k: Any) -> NDArray | None:
        """1 / (1 - p) where dropout keeps an element and 0 elsewhere; None without dropout."""
        if self.params["threshold"] >= _ALL_KEPT:
            return None
        words = {name: self.params[name] for name in ("seed", "offset", "threshold")}
        kept = kept_elements(q.shape[0] * q.shape[1], q.shape[2], k.shape[2], **words)
        host = kept.reshape((*q.shape[:3], k.shape[2])) * self.params["rescale"]
        return NDArray.from_numpy(host.astype(q.dtype), q.device)


class _AttentionGradient(Op):
    """Arguments: those of `Attention`, its output and log-sum-exp and the output's gradient before the mask."""

    name = "attention_gradient"

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params

    def compute(self, q: NDArray, *others: NDArray) -> Any:
        return q.run(ATTENTION_GRADIENT, *others, **self.params)


def _repeated(x: Any, group: int) -> Any:
    """Each head `group` times in a row."""
    batches, heads, keys, size = x.shape
    spread = broadcast_to(reshape(x, (batches, heads, 1, keys, size)), (batches, heads, group, keys, size))
    return reshape(spread, (batches, heads * group, keys, size))


def _detached(x: Any) -> Any:
    return make_value(x.cached_data) if isinstance(x, Value) else x


def attention(
    q: Any, k: Any, v: Any, mask: Any, *, scale: float, causal: bool, dropout: float = 0.0, generator: Any = None
) -> Any:
    """`Attention` on operands of four axes that fit. Halves are computed as floats, and rounded once.

    `generator` gives the random numbers of a `dropout` above 0.
    """
    dtype = q.dtype
    real = compute_dtype(dtype)
    seed, offset = generator.reserve(blocks_for(q, k)) if dropout else (0, 0)
    masks = () if mask is None else (mask if is_bool(mask.dtype) else astype(mask, real),)
    op = Attention(scale, causal, dropout, seed, offset)
    return astype(op(*(astype(x, real) for x in (q, k, v)), *masks), dtype)
