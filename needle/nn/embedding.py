"""Layers for tokens: their vectors, and where they stand."""

from __future__ import annotations

from typing import Any

from needle import init
from needle.checks import integer, one_of
from needle.dtypes import DTypeLike
from needle.nn import functional as F
from needle.nn.module import Module
from needle.nn.parameter import Parameter
from needle.ops.creation import DeviceLike, asarray
from needle.tensor import Tensor

__all__ = ["Embedding", "EmbeddingBag", "RotaryEmbedding", "SinusoidalPositions"]


class _Table(Module):
    """A row for each token."""

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        scale_grad_by_freq: bool,
        weight: Any,
        device: DeviceLike,
        dtype: DTypeLike,
    ) -> None:
        self.num_embeddings = rows = integer("num_embeddings", num_embeddings)
        self.embedding_dim = integer("embedding_dim", embedding_dim)
        if padding_idx is not None:
            if not -rows <= padding_idx < rows:
                raise ValueError(f"padding_idx={padding_idx} must be a row of a table of {rows}")
            padding_idx %= rows
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        if weight is None:
            drawn = init.randn(rows, self.embedding_dim, device=device, dtype=dtype)
            if padding_idx is not None:
                drawn[padding_idx] = 0
        else:
            drawn = asarray(weight, device=device)
            if drawn.shape != (rows, self.embedding_dim):
                raise ValueError(f"a weight of shape {drawn.shape} does not fit {(rows, self.embedding_dim)}")
        self.weight = Parameter(drawn)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        norm = "" if self.max_norm is None else f", max_norm={self.max_norm}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}{norm}"


class Embedding(_Table):
    """A vector for each token: integers of any shape become vectors along a new last axis; see `functional.embedding`.

    Args:
        num_embeddings: the number of tokens.
        embedding_dim: the size of a vector.
        padding_idx: a token whose vector is zeros at first and is not trained.
        max_norm: vectors that are looked up and longer are shortened to this norm first, in place.
        norm_type: the p of that norm.
        scale_grad_by_freq: divide a vector's gradient by the times that it was looked up.
        sparse: must be False; gradients are dense.
        device: where the parameter lives.
        dtype: its floating dtype.

    Attributes:
        weight: of shape (num_embeddings, embedding_dim), normal numbers at first.

    Raises IndexError for a host-known token out of range, ValueError and TypeError for arguments that do not fit.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Any = None,
        _freeze: bool = False,
        device: DeviceLike = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        if sparse:
            raise ValueError(f"sparse={sparse!r} is not supported; gradients are dense")
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, _weight, device, dtype
        )
        if _freeze:
            self.weight.requires_grad_(False)

    @classmethod
    def from_pretrained(cls, embeddings: Any, freeze: bool = True, **options: Any) -> Embedding:
        """A layer with the rows of `embeddings`, (tokens, size), which by default are not trained."""
        rows, size = asarray(embeddings).shape
        return cls(rows, size, _weight=embeddings, _freeze=freeze, **options)

    def forward(self, input: Any) -> Tensor:
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq
        )  # fmt: skip


class EmbeddingBag(_Table):
    """The sum, mean or maximum of the vectors of each bag of tokens; see `functional.embedding_bag`.

    The arguments are those of `Embedding` and
        mode: "sum", "mean" or "max".
        include_last_offset: whether `offsets` also says where the last bag ends.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Any = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: DeviceLike = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        if sparse:
            raise ValueError(f"sparse={sparse!r} is not supported; gradients are dense")
        one_of("mode", mode, ("sum", "mean", "max"))
        self.mode = mode
        self.include_last_offset = include_last_offset
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, _weight, device, dtype
        )

    def forward(self, input: Tensor, offsets: Any = None, per_sample_weights: Tensor | None = None) -> Tensor:
        return F.embedding_bag(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode, False,
            per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip


class SinusoidalPositions(Module):
    """Adds to each vector that of its position (Vaswani et al. 2017); see `functional.sinusoidal_positions`.

    Args:
        dim: the size of the vectors, even.
        max_length: the most positions; ValueError for an input that is longer.
        base: the longest wave has 2 pi times as many positions.
        device: where the table lives, which is no parameter and is not saved.
        dtype: its floating dtype.
    """

    table: Tensor

    def __init__(
        self, dim: int, max_length: int = 5000, base: float = 10000.0, device: DeviceLike = None,
        dtype: DTypeLike = "float32",
    ) -> None:  # fmt: skip
        self.max_length = integer("max_length", max_length)
        table = F.sinusoidal_positions(max_length, dim, base, dtype=dtype, device=device)
        self.register_buffer("table", table, persistent=False)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """x, (..., length, dim), plus the vectors of the positions from `start` on."""
        end = start + x.shape[-2]
        if end > self.max_length:
            raise ValueError(f"an input of {end} positions is longer than max_length={self.max_length}")
        return x + self.table[start:end]


class RotaryEmbedding(Module):
    """Turns pairs of elements by angles that grow with the position; see `functional.rotary_embedding`."""

    def __init__(self, base: float = 10000.0, interleaved: bool = False) -> None:
        self.base = base
        self.interleaved = interleaved

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        return F.rotary_embedding(x, start, self.base, self.interleaved)
