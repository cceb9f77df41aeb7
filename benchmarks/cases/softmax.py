"""Softmax, its logarithm and cross-entropy with their gradients, on large and on small logits."""

from __future__ import annotations

from typing import Any

from benchmarks import by_hand
from benchmarks.case import Case, Family, labels, normal
from benchmarks.peers.base import Library


def _softmax_gradient(lib: Library, x: Any, g: Any) -> Any:
    y = lib.softmax(x)
    return y, *lib.gradients(y, g, (x,))


def _log_softmax_gradient(lib: Library, x: Any, g: Any) -> Any:
    y = lib.log_softmax(x)
    return y, *lib.gradients(y, g, (x,))


def _cross_entropy_gradient(lib: Library, x: Any, y: Any) -> Any:
    loss = lib.cross_entropy(x, y)
    return loss, *lib.gradients(loss, None, (x,))


def cases(rows: int, columns: int) -> tuple[Case, ...]:
    """The five computations on logits of one shape."""
    x, g, y = normal(rows, columns), normal(rows, columns), labels(rows, classes=columns)
    return (
        Case("softmax", (x,), lambda lib, x: lib.softmax(x)),
        Case("log-softmax", (x,), lambda lib, x: lib.log_softmax(x)),
        Case("softmax with gradient", (x, g), _softmax_gradient, gradients=(0,), numpy=by_hand.softmax_gradient),
        Case(
            "log-softmax with gradient",
            (x, g),
            _log_softmax_gradient,
            gradients=(0,),
            numpy=by_hand.log_softmax_gradient,
        ),
        Case(
            "cross-entropy with gradient",
            (x, y),
            _cross_entropy_gradient,
            gradients=(0,),
            numpy=by_hand.cross_entropy_gradient,
        ),
    )


FAMILIES = (
    Family("softmax", "Softmax of 16384x1024", cases(16384, 1024), bar=1.0, aim=1.2),
    Family("small-softmax", "Softmax of 64x10", cases(64, 10), bar=0.4, aim=1.0),
)
