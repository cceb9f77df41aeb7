"""Rows gathered from a table by number, and the gradient, which adds rows into one."""

from __future__ import annotations

from typing import Any

from benchmarks import by_hand
from benchmarks.case import Arrays, Case, Family, labels, normal
from benchmarks.peers.base import Library

WORDS, WIDTH, IDS = 32000, 512, (64, 512)


def _gradient(lib: Library, table: Any, ids: Any, g: Any) -> Any:
    return lib.gradients(lib.take(table, ids), g, (table,))


def _gathered(inputs: Arrays, outputs: Arrays, state: Arrays) -> float:
    return 2.0 * outputs[0].size * 4 + inputs[1].nbytes


def _scattered(inputs: Arrays, outputs: Arrays, state: Arrays) -> float:
    """The rows gathered and written, their gradients read, and the table's written."""
    return 3.0 * inputs[2].size * 4 + outputs[0].size * 4 + inputs[1].nbytes


_TABLE, _IDS = normal(WORDS, WIDTH), labels(*IDS, classes=WORDS)

FAMILIES = (
    Family(
        "embedding",
        "Embedding, 64x512 ids of a 32000x512 table",
        (
            Case("gather", (_TABLE, _IDS), lambda lib, table, ids: lib.take(table, ids), traffic=_gathered),
            Case(
                "gather with gradient",
                (_TABLE, _IDS, normal(*IDS, WIDTH)),
                _gradient,
                gradients=(0,),
                numpy=by_hand.gather_gradient,
                traffic=_scattered,
            ),
        ),
        bar=1.0,
    ),
)
