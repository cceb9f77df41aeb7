"""Layers composed by hand of elementwise operations and reductions, on 16M elements."""

from __future__ import annotations

from typing import Any

from benchmarks import by_hand
from benchmarks.case import Case, Family, normal
from benchmarks.peers.base import Library

ROWS, COLUMNS = 16384, 1024


def _gelu(lib: Library, x: Any) -> Any:
    return 0.5 * x * (1 + lib.erf(x * 0.7071067811865476))


def _layer_norm(lib: Library, x: Any, w: Any, b: Any) -> Any:
    centred = x - lib.mean(x, axis=-1, keepdims=True)
    variance = lib.mean(centred * centred, axis=-1, keepdims=True)
    return centred / lib.sqrt(variance + by_hand.EPS) * w + b


def _layer_norm_gradient(lib: Library, x: Any, w: Any, b: Any, g: Any) -> Any:
    y = _layer_norm(lib, x, w, b)
    return y, *lib.gradients(y, g, (x, w, b))


def _rms_norm(lib: Library, x: Any, w: Any) -> Any:
    return x / lib.sqrt(lib.mean(x * x, axis=-1, keepdims=True) + by_hand.EPS) * w


def _standardized_relu(lib: Library, x: Any, m: Any, s: Any, b: Any) -> Any:
    return lib.relu((x - m) * s + b)


_X, _ROW = normal(ROWS, COLUMNS), normal(COLUMNS)

FAMILIES = (
    Family(
        "composed",
        "Composed by hand, 16384x1024",
        (
            Case("GELU", (_X,), _gelu),
            Case("layer norm", (_X, _ROW, _ROW), _layer_norm),
            Case(
                "layer norm with gradient",
                (_X, _ROW, _ROW, _X),
                _layer_norm_gradient,
                gradients=(0, 1, 2),
                numpy=by_hand.layer_norm_gradient,
                tolerance=1e-4,
            ),
            Case("RMS norm", (_X, _ROW), _rms_norm),
            Case("((x - m) * s + b).relu()", (_X, _ROW, _ROW, _ROW), _standardized_relu),
        ),
        bar=1.5,
        aim=3.0,
    ),
)
