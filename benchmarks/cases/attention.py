"""Scaled dot-product attention and its gradient, full and causal."""

from __future__ import annotations

from typing import Any

from benchmarks import by_hand
from benchmarks.case import Arrays, Case, Family, normal
from benchmarks.peers.base import Library


def _gradient(causal: bool) -> Any:
    def run(lib: Library, q: Any, k: Any, v: Any, g: Any) -> Any:
        out = lib.attention(q, k, v, causal)
        return out, *lib.gradients(out, g, (q, k, v))

    return run


def _flops(products: int, causal: bool) -> Any:
    def flops(inputs: Arrays, outputs: Arrays, state: Arrays) -> float:
        return products * 2.0 * inputs[0].size * inputs[1].shape[2] / (2 if causal else 1)

    return flops


def cases(batch: int, heads: int, length: int, size: int, causal: bool) -> tuple[Case, ...]:
    """Forward and with gradient, on one shape."""
    x = normal(batch, heads, length, size)
    return (
        Case(
            "forward",
            (x,) * 3,
            lambda lib, q, k, v: lib.attention(q, k, v, causal),
            numpy=lambda q, k, v: by_hand.attention(q, k, v, causal),
            flops=_flops(2, causal),
        ),
        Case(
            "with gradient",
            (x,) * 4,
            _gradient(causal),
            gradients=(0, 1, 2),
            numpy=lambda q, k, v, g: by_hand.attention_gradient(q, k, v, g, causal),
            flops=_flops(7, causal),
        ),
    )


_LARGE, _SMALL = (4, 8, 512, 64), (16, 4, 128, 32)

FAMILIES = (
    Family("attention", "Attention, 4 times 8 heads of 512x64", cases(*_LARGE, False), bar=1.2, aim=1.4),
    Family("causal-attention", "The same, causal", cases(*_LARGE, True), bar=2.0, aim=2.4),
    Family("small-attention", "Attention, 16 times 4 heads of 128x32", cases(*_SMALL, False), bar=1.6, aim=1.9),
    Family("small-causal-attention", "The same, causal", cases(*_SMALL, True), bar=2.2, aim=2.8),
)
