"""Transformers (Vaswani et al. 2017) under PyTorch's names: encoders, decoders, and both together."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from needle import init
from needle.checks import integer, one_of
from needle.dtypes import DTypeLike
from needle.nn import functional as F
from needle.nn.attention import KeyValueCache, MultiheadAttention
from needle.nn.containers import ModuleList
from needle.nn.dropout import Dropout
from needle.nn.linear import Linear
from needle.nn.module import Module
from needle.nn.normalization import LayerNorm1d
from needle.ops.creation import DeviceLike
from needle.tensor import Tensor

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]

Activation = str | Callable[[Tensor], Tensor]


def _norm(dim: int, eps: float, bias: bool, place: dict[str, Any]) -> LayerNorm1d:
    norm = LayerNorm1d(dim, eps, **place)
    if not bias:
        norm.bias = None  # type: ignore[assignment]
    return norm


def _function(activation: Activation) -> Callable[[Tensor], Tensor]:
    if callable(activation):
        return activation
    one_of("activation", activation, ("relu", "gelu"))
    return F.relu if activation == "relu" else F.gelu


class _Layer(Module):
    """What the layers of encoders and decoders share: attention to oneself, and the products after it."""

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int,
        dropout: float,
        activation: Activation,
        layer_norm_eps: float,
        batch_first: bool,
        norm_first: bool,
        bias: bool,
        place: dict[str, Any],
    ) -> None:
        options: dict[str, Any] = {"bias": bias, "batch_first": batch_first, **place}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, **options)
        if isinstance(self, TransformerDecoderLayer):
            self.multihead_attn = MultiheadAttention(d_model, nhead, dropout, **options)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **place)
        self.norm_first = norm_first
        self.norm1 = _norm(d_model, layer_norm_eps, bias, place)
        self.norm2 = _norm(d_model, layer_norm_eps, bias, place)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation = _function(activation)

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))

    def _to_self(self, x: Tensor, mask: Any, padding: Any, causal: bool, cache: KeyValueCache | None) -> Tensor:
        found, _ = self.self_attn(x, x, x, padding, False, mask, is_causal=causal, cache=cache)
        return self.dropout1(found)


class TransformerEncoderLayer(_Layer):
    """Attention to oneself and two products, each with a way around it and a layer norm.

    Args:
        d_model: the size of inputs and results.
        nhead: the number of heads, which divide it.
        dim_feedforward: the size between the two products.
        dropout: the probability of dropout while training.
        activation: "relu", "gelu" or a function, between the two products.
        layer_norm_eps: added to the variances.
        batch_first: whether inputs are (batch, length, d_model); else (length, batch, d_model).
        norm_first: whether the norms come before what they belong to; else after the sum.
        bias: whether products and norms have biases.
        device: where the parameters live.
        dtype: their floating dtype.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: DeviceLike = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        super().__init__(
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias,
            {"device": device, "dtype": dtype},
        )  # fmt: skip

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Like `src`. Masks are those of `MultiheadAttention`; `is_causal` needs no mask beside it."""
        masks = (src_mask, src_key_padding_mask, is_causal, cache)
        if self.norm_first:
            x = src + self._to_self(self.norm1(src), *masks)
            return x + self.dropout2(self._feed_forward(self.norm2(x)))
        x = self.norm1(src + self._to_self(src, *masks))
        return self.norm2(x + self.dropout2(self._feed_forward(x)))


class TransformerDecoderLayer(_Layer):
    """Attention to oneself, attention to the encoder's results, and two products.

    The arguments are those of `TransformerEncoderLayer`.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: DeviceLike = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        place = {"device": device, "dtype": dtype}
        super().__init__(
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, place
        )
        self.norm3 = _norm(d_model, layer_norm_eps, bias, place)
        self.dropout3 = Dropout(dropout)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Like `tgt`; `memory` is what the encoder gave. Masks are those of `MultiheadAttention`."""
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal, cache)
        others = (memory, memory_mask, memory_key_padding_mask, memory_is_causal)
        if self.norm_first:
            x = tgt + self._to_self(self.norm1(tgt), *own)
            x = x + self._to_memory(self.norm2(x), *others)
            return x + self.dropout3(self._feed_forward(self.norm3(x)))
        x = self.norm1(tgt + self._to_self(tgt, *own))
        x = self.norm2(x + self._to_memory(x, *others))
        return self.norm3(x + self.dropout3(self._feed_forward(x)))

    def _to_memory(self, x: Tensor, memory: Tensor, mask: Any, padding: Any, causal: bool) -> Tensor:
        found, _ = self.multihead_attn(x, memory, memory, padding, False, mask, is_causal=causal)
        return self.dropout2(found)


class _Stack(Module):
    """Copies of a layer, one after another, and perhaps a norm after them."""

    def __init__(self, layer: Module, num_layers: int, norm: Module | None) -> None:
        self.layers = ModuleList(copy.deepcopy(layer) for _ in range(integer("num_layers", num_layers)))
        self.num_layers = num_layers
        self.norm = norm

    def _through(self, x: Tensor, caches: Sequence[KeyValueCache] | None, *args: Any) -> Tensor:
        if caches is not None and len(caches) != self.num_layers:
            raise ValueError(f"caches: {len(caches)} of them do not fit {self.num_layers} layers")
        for layer, cache in zip(self.layers, caches or (None,) * self.num_layers, strict=True):
            x = layer(x, *args, cache)
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """`num_layers` copies of `encoder_layer`, which begin with equal parameters, and perhaps a norm after them.

    `enable_nested_tensor` and `mask_check` are PyTorch's, and change nothing here.
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__(encoder_layer, num_layers, norm)

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
        caches: Sequence[KeyValueCache] | None = None,
    ) -> Tensor:
        """Like `src`. `caches` has one for each layer."""
        return self._through(src, caches, mask, src_key_padding_mask, is_causal)


class TransformerDecoder(_Stack):
    """`num_layers` copies of `decoder_layer`, which begin with equal parameters, and perhaps a norm after them."""

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
        caches: Sequence[KeyValueCache] | None = None,
    ) -> Tensor:
        """Like `tgt`. `caches` has one for each layer."""
        return self._through(
            tgt, caches, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask, tgt_is_causal,
            memory_is_causal,
        )  # fmt: skip


class Transformer(Module):
    """An encoder and a decoder, each with a norm after its layers.

    Args:
        num_encoder_layers, num_decoder_layers: how many layers they have.
        custom_encoder, custom_decoder: modules in their place.

    The others are those of `TransformerEncoderLayer`. Matrices begin by Xavier's uniform rule, as in PyTorch.
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: DeviceLike = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        place: dict[str, Any] = {"device": device, "dtype": dtype}
        options: tuple[Any, ...] = (
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias,
        )  # fmt: skip
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        self.encoder = custom_encoder or TransformerEncoder(
            TransformerEncoderLayer(*options, **place), num_encoder_layers, _norm(d_model, layer_norm_eps, bias, place)
        )
        self.decoder = custom_decoder or TransformerDecoder(
            TransformerDecoderLayer(*options, **place), num_decoder_layers, _norm(d_model, layer_norm_eps, bias, place)
        )
        for parameter in self.parameters():
            if parameter.ndim > 1 and 1 not in parameter.shape:  # the biases of needle's Linear have two axes
                parameter.data = init.xavier_uniform(*parameter.shape, **place)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool = False,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Like `tgt`: what the decoder makes of `tgt` and of the encoder's results for `src`."""
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        return self.decoder(
            tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask, tgt_is_causal,
            memory_is_causal,
        )  # fmt: skip
