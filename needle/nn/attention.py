"""`MultiheadAttention`, and the cache of keys and values with which it generates step by step."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from needle import init, ops
from needle.checks import integer, probability
from needle.dtypes import DTypeLike, is_bool
from needle.nn import functional as F
from needle.nn.functional.attention import attend
from needle.nn.linear import Linear
from needle.nn.module import Module
from needle.nn.parameter import Parameter
from needle.ops.creation import DeviceLike, asarray
from needle.tensor import Tensor

__all__ = ["KeyValueCache", "MultiheadAttention"]


class KeyValueCache:
    """The keys and values of the positions so far, (batch, heads, positions, size), for one attention layer."""

    def __init__(self) -> None:
        self.key: Tensor | None = None
        self.value: Tensor | None = None

    @property
    def length(self) -> int:
        """The number of positions that are kept."""
        return 0 if self.key is None else self.key.shape[2]

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Keep those of further positions, and return those of all. Raises ValueError for another batch or size."""
        if self.key is not None and self.value is not None:
            if (*key.shape[:2], key.shape[3]) != (*self.key.shape[:2], self.key.shape[3]):
                raise ValueError(f"keys of shape {key.shape} do not continue a cache of shape {self.key.shape}")
            key, value = (ops.concat([old, new], axis=2) for old, new in ((self.key, key), (self.value, value)))
        self.key, self.value = key.realize(), value.realize()
        return key, value

    def clear(self) -> None:
        """Forget all positions."""
        self.key = self.value = None


class MultiheadAttention(Module):
    """Attention of several heads, with products before and after it (Vaswani et al. 2017).

    Args:
        embed_dim: the size of queries and of results; the heads divide it.
        num_heads: the number of heads.
        dropout: the probability with which an element of the softmax is set to 0 while training.
        bias: whether the products have biases.
        add_bias_kv, add_zero_attn: must be False; they are not supported.
        kdim, vdim: the sizes of keys and of values, by default `embed_dim`.
        batch_first: whether inputs are (batch, length, size); else (length, batch, size).
        device: where the parameters live.
        dtype: their floating dtype.

    Attributes:
        in_proj_weight: of shape (3 embed_dim, embed_dim), rows for queries, keys and values, as in PyTorch; None where
            `kdim` or `vdim` differ, for q_proj_weight, k_proj_weight and v_proj_weight, each (embed_dim, its size).
        in_proj_bias: of shape (3 embed_dim,), zeros at first.
        out_proj: a `Linear`.

    Raises ValueError for heads that do not divide `embed_dim` and for inputs whose shapes do not fit.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: DeviceLike = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        self.embed_dim = size = integer("embed_dim", embed_dim)
        self.num_heads = integer("num_heads", num_heads)
        if size % self.num_heads:
            raise ValueError(f"num_heads={num_heads} must divide embed_dim={embed_dim}")
        for name, value in (("add_bias_kv", add_bias_kv), ("add_zero_attn", add_zero_attn)):
            if value:
                raise ValueError(f"{name}={value!r} is not supported")
        self.head_dim = size // self.num_heads
        self.dropout = probability("dropout", dropout)
        self.batch_first = batch_first
        self.kdim = size if kdim is None else integer("kdim", kdim)
        self.vdim = size if vdim is None else integer("vdim", vdim)
        place: dict[str, Any] = {"device": device, "dtype": dtype}

        def weight(rows: int, columns: int) -> Parameter:
            bound = sqrt(6 / (rows + columns))  # Glorot and Bengio 2010
            return Parameter(init.rand(rows, columns, low=-bound, high=bound, **place))

        self.in_proj_weight: Parameter | None = None
        if self.kdim == self.vdim == size:
            self.in_proj_weight = weight(3 * size, size)
        else:
            self.q_proj_weight = weight(size, size)
            self.k_proj_weight = weight(size, self.kdim)
            self.v_proj_weight = weight(size, self.vdim)
        self.in_proj_bias = Parameter(init.zeros(3 * size, **place)) if bias else None
        self.out_proj = Linear(size, size, bias, **place)
        if self.out_proj.bias is not None:
            self.out_proj.bias.data = init.zeros(1, size, **place)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
        cache: KeyValueCache | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """(result, weights): the result is like `query`.

        Args:
            query: (length, batch, size), with `batch_first` (batch, length, size); or (length, size).
            key: likewise, of size `kdim` and perhaps of another length.
            value: likewise, of size `vdim` and the length of `key`.
            key_padding_mask: (batch, keys): bools, true where a key is left out, or numbers that are added.
            need_weights: whether to return the weights, which then are held in memory; without, they are None.
            attn_mask: (queries, keys) or (batch * heads, queries, keys); as `key_padding_mask`.
            average_attn_weights: whether the weights are the mean over the heads, (batch, queries, keys), or
                (batch, heads, queries, keys).
            is_causal: a query sees the keys up to its own position. It needs no mask beside it, unlike PyTorch's.
            cache: the keys and values of earlier positions, to which those of `key` and `value` are added; the queries
                then see all of them, `is_causal` counting from what the cache held before.
        """
        single = query.ndim == 2
        if single:
            query, key, value = (ops.expand_dims(x, 0 if self.batch_first else 1) for x in (query, key, value))
        self._check(query, key, value)
        q, k, v = (self._heads(x) for x in self._projected(query, key, value))
        past = 0
        if cache is not None:
            past = cache.length
            k, v = cache.append(k, v)
        batch, _, queries, _ = q.shape
        mask = self._mask(attn_mask, key_padding_mask, batch, queries, k.shape[2])
        if is_causal and past:
            is_causal = False
            if queries > 1:
                later = ~np.tri(queries, k.shape[2], past).astype(bool)
                mask = _joined(mask, self._mask(asarray(later, device=q.device), None, batch, queries, k.shape[2]))
        dropout = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            weights = _weights(q, k, mask, is_causal)
            out = ops.matmul(F.dropout(weights, dropout) if dropout else weights, v)
            weights = ops.mean(weights, axis=1) if average_attn_weights else weights
            weights = ops.squeeze(weights, 0) if single else weights
        else:
            out = attend(q, k, v, mask, dropout, is_causal)
        out = ops.permute_dims(out, (0, 2, 1, 3) if self.batch_first else (2, 0, 1, 3))
        out = self.out_proj(ops.reshape(out, (*out.shape[:2], self.embed_dim)))
        return (ops.squeeze(out, 0 if self.batch_first else 1) if single else out), weights

    def _check(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        batch = 0 if self.batch_first else 1
        for name, x, size in (("query", query, self.embed_dim), ("key", key, self.kdim), ("value", value, self.vdim)):
            if x.ndim != 3 or x.shape[-1] != size:
                raise ValueError(f"MultiheadAttention: {name} of shape {x.shape} must have two or three axes, "
                                 f"the last of {size}")  # fmt: skip
            if x.shape[batch] != query.shape[batch]:
                raise ValueError(f"MultiheadAttention: {name} of shape {x.shape} has another batch than query, "
                                 f"{query.shape[batch]}")  # fmt: skip
        if key.shape[:2] != value.shape[:2]:
            raise ValueError(f"MultiheadAttention: key of shape {key.shape} and value of shape {value.shape} differ")

    def _projected(self, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
        """Queries, keys and values after their products."""
        size, bias = self.embed_dim, self.in_proj_bias
        if self.in_proj_weight is not None and query is key is value:
            all_three = query @ self.in_proj_weight.T
            all_three = all_three if bias is None else all_three + bias
            return [all_three[..., i * size : (i + 1) * size] for i in range(3)]
        if self.in_proj_weight is not None:
            weights: list[Tensor] = [self.in_proj_weight[i * size : (i + 1) * size] for i in range(3)]
        else:
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        found = [x @ w.T for x, w in zip((query, key, value), weights, strict=True)]
        return found if bias is None else [x + bias[i * size : (i + 1) * size] for i, x in enumerate(found)]

    def _heads(self, x: Tensor) -> Tensor:
        """(batch, heads, length, size of a head)."""
        x = ops.reshape(x, (*x.shape[:2], self.num_heads, self.head_dim))
        return ops.permute_dims(x, (0, 2, 1, 3) if self.batch_first else (1, 2, 0, 3))

    def _mask(self, attn_mask: Any, key_padding_mask: Any, batch: int, queries: int, keys: int) -> Any:
        """One mask as `functional.scaled_dot_product_attention` takes it, where true is what is seen."""
        found = None
        if attn_mask is not None:
            _check_mask("attn_mask", attn_mask, (queries, keys), (batch * self.num_heads, queries, keys))
            if attn_mask.ndim == 3:
                attn_mask = ops.reshape(attn_mask, (batch, self.num_heads, queries, keys))
            found = ops.logical_not(attn_mask) if is_bool(attn_mask.dtype) else attn_mask
        if key_padding_mask is not None:
            _check_mask("key_padding_mask", key_padding_mask, (batch, keys), *(((keys,),) if batch == 1 else ()))
            padding = ops.reshape(key_padding_mask, (batch, 1, 1, keys))
            found = _joined(found, ops.logical_not(padding) if is_bool(padding.dtype) else padding)
        return found

    def extra_repr(self) -> str:
        return f"{self.embed_dim}, {self.num_heads}, dropout={self.dropout}, batch_first={self.batch_first}"


def _check_mask(name: str, mask: Any, *shapes: tuple[int, ...]) -> None:
    if not isinstance(mask, Tensor):
        raise TypeError(f"{name} must be a tensor, not a {type(mask).__name__}")
    if mask.shape not in shapes:
        raise ValueError(f"{name} of shape {mask.shape} must have the shape {' or '.join(map(str, shapes))}")


def _joined(one: Any, other: Any) -> Any:
    """The mask of two: bools where a key is seen, or numbers to add."""
    if one is None or other is None:
        return other if one is None else one
    if is_bool(one.dtype) and is_bool(other.dtype):
        return ops.logical_and(one, other)
    return _added(one) + _added(other)


def _added(mask: Any) -> Any:
    return ops.where(mask, 0.0, -np.inf) if is_bool(mask.dtype) else mask


def _weights(q: Tensor, k: Tensor, mask: Any, is_causal: bool) -> Tensor:
    """The softmax of the scores; zeros where a query sees no key."""
    scores = ops.matmul(q, ops.transpose(k)) * (1 / sqrt(q.shape[-1]))
    if is_causal:
        seen = asarray(np.tri(q.shape[2], k.shape[2]).astype(bool), device=q.device)
        scores = ops.where(seen, scores, -np.inf)
    if mask is None:
        return F.softmax(scores)
    scores = ops.where(mask, scores, -np.inf) if is_bool(mask.dtype) else scores + mask
    unseen = ops.max(scores.detach(), axis=-1, keepdims=True) == -np.inf
    return ops.where(unseen, 0.0, F.softmax(ops.where(unseen, 0.0, scores)))
