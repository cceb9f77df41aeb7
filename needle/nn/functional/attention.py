"""Scaled dot-product attention."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

from needle import ops
from needle.checks import probability
from needle.dtypes import is_bool, is_float
from needle.ops import creation, random
from needle.ops.attention import attention
from needle.ops.base import check_tensor, takes_tensor
from needle.strides import broadcast_shapes
from needle.tensor import Tensor

__all__ = ["scaled_dot_product_attention"]

#: The longest head that the kernels are made for.
MOST_HEAD_SIZE = 256

_NAME = "scaled_dot_product_attention"


@takes_tensor
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(query @ key.T * scale + mask) @ value over the last two axes (Vaswani et al. 2017).

    One pass over the keys in blocks: no matrix of scores is kept, and the gradient computes them again. (A second
    gradient, or one of an added mask, does hold them.)

    Args:
        query: (..., heads, queries, E), or without heads (queries, E) and (batch, queries, E).
        key: (..., heads, keys, E).
        value: (..., heads, keys, Ev). Axes before the last two broadcast together. E and Ev are at most 256.
        attn_mask: broadcast to (..., heads, queries, keys): bools, true where a key is seen, or numbers of the
            query's dtype that are added to the scores.
        dropout_p: the probability with which an element of the softmax is set to 0, the others being divided by
            1 - dropout_p; from the default generator. It drops whenever it is above 0, as in PyTorch.
        is_causal: query i sees the keys 0 to i alone.
        scale: by default 1 / sqrt(E).
        enable_gqa: key and value may have fewer heads, which divide the query's: neighbouring heads share one.

    Returns: (..., heads, queries, Ev), of the query's dtype. A query whose keys are all masked gets zeros.

    Raises TypeError for operands of other dtypes, ValueError for shapes that do not fit, for a mask together with
    `is_causal`, and unless 0 <= dropout_p < 1.
    """
    if attn_mask is not None and is_causal:
        raise ValueError(f"{_NAME}: is_causal=True goes without attn_mask; put both into the mask")
    return attend(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`scaled_dot_product_attention`, which may be causal and have a mask as well."""
    for name, operand in (("key", key), ("value", value)):
        check_tensor(_NAME, name, operand)
    dropout_p = probability("dropout_p", dropout_p)
    _check_dtypes(query, key, value)
    shape, shared = _batch_shapes(query, key, value, enable_gqa)
    size, value_size = query.shape[-1], value.shape[-1]
    queries, keys = query.shape[-2], key.shape[-2]
    scale = 1 / sqrt(max(1, size)) if scale is None else float(scale)
    if mask is not None:
        mask = _mask_of_four_axes(query, mask, (*shape, queries, keys))
    padded = -(-max(size, value_size, 1) // 8) * 8  # of whole vectors; what zeros are added to does not change
    found = attention(
        _four_axes(query, shape, padded), _four_axes(key, shared, padded), _four_axes(value, shared, padded), mask,
        scale=scale, causal=is_causal, dropout=dropout_p, generator=random.default_generator,
    )  # fmt: skip
    return ops.reshape(found[..., :value_size] if padded != value_size else found, (*shape, queries, value_size))


def _check_dtypes(query: Tensor, key: Tensor, value: Tensor) -> None:
    for name, operand in (("query", query), ("key", key), ("value", value)):
        if not is_float(operand.dtype) or operand.dtype != query.dtype:
            raise TypeError(f"{_NAME}: {name} has dtype {operand.dtype}; query, key and value need one floating dtype")
        if operand.ndim < 2:
            raise ValueError(f"{_NAME}: {name} of shape {operand.shape} needs at least two axes")


def _batch_shapes(query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool) -> tuple[Any, Any]:
    """The axes before the last two, those of the query broadcast, and those of key and value."""
    if key.shape[-1] != query.shape[-1]:
        raise ValueError(f"{_NAME}: key has {key.shape[-1]} numbers on its last axis, query has {query.shape[-1]}")
    if max(query.shape[-1], value.shape[-1]) > MOST_HEAD_SIZE:
        raise ValueError(f"{_NAME}: heads of {max(query.shape[-1], value.shape[-1])} numbers are longer than "
                         f"{MOST_HEAD_SIZE}")  # fmt: skip
    if key.shape[-2] != value.shape[-2]:
        raise ValueError(f"{_NAME}: key has {key.shape[-2]} positions, value has {value.shape[-2]}")
    q, k, v = (x.shape[:-2] for x in (query, key, value))
    if not enable_gqa:
        try:
            shape = broadcast_shapes(q, k, v)
        except ValueError:
            raise ValueError(f"{_NAME}: query of shape {query.shape}, key of shape {key.shape} and value of shape "
                             f"{value.shape} do not broadcast together") from None  # fmt: skip
        return shape, shape
    if min(len(q), len(k), len(v)) < 1 or k[-1] != v[-1] or not k[-1] or q[-1] % k[-1]:
        raise ValueError(f"{_NAME}: enable_gqa=True needs heads of key and value that divide the query's; query has "
                         f"shape {query.shape}, key {key.shape}, value {value.shape}")  # fmt: skip
    batch = broadcast_shapes(q[:-1], k[:-1], v[:-1])
    return (*batch, q[-1]), (*batch, k[-1])


def _four_axes(x: Tensor, shape: tuple[int, ...], size: int) -> Tensor:
    """x broadcast to (*shape, positions, its size), as (batch, heads, positions, size) with zeros at the end."""
    positions = x.shape[-2]
    if x.shape[:-2] != shape:
        x = ops.broadcast_to(x, (*shape, *x.shape[-2:]))
    batch, heads = (prod(shape[:-1]), shape[-1]) if shape else (1, 1)
    x = ops.reshape(x, (batch, heads, positions, x.shape[-1]))
    if x.shape[-1] == size:
        return x
    zeros = creation.zeros((batch, heads, positions, size - x.shape[-1]), dtype=x.dtype, device=x.device)
    return ops.concat([x, zeros], axis=-1)


def _mask_of_four_axes(query: Tensor, mask: Any, scores: tuple[int, ...]) -> Any:
    """The mask with four axes, each of the size of the scores' or 1."""
    check_tensor(_NAME, "attn_mask", mask)
    if not is_bool(mask.dtype) and mask.dtype != query.dtype:
        raise TypeError(f"{_NAME}: attn_mask has dtype {mask.dtype}; it must be bool, or {query.dtype} like query")
    missing = len(scores) - mask.ndim
    fits = missing >= 0 and all(n in (1, m) for n, m in zip(mask.shape, scores[missing:], strict=True))
    if not fits:
        raise ValueError(f"{_NAME}: attn_mask of shape {mask.shape} does not broadcast to the scores' {scores}")
    shape = (*(1,) * missing, *mask.shape)
    if len(shape) > 4 and any(n != 1 for n in shape[:-3]):
        mask = ops.broadcast_to(ops.reshape(mask, shape), (*scores[:-3], *shape[-3:]))
        shape = mask.shape
    shape = (*(1,) * (4 - len(shape)), *shape)
    return ops.reshape(mask, (prod(shape[:-3]), *shape[-3:]))
