"""Functions and methods that read and write at indices and masks, against PyTorch's, with their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import needle as ndl

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(4, 5))
WHERE = RANDOM.integers(0, 4, (3, 5))  # repeats rows
WHERE[:, :] = np.stack([RANDOM.permutation(4)[:3] for _ in range(5)], 1)  # each column's are different
REPEATED = np.array([[0, 0, 3, 1, 1], [0, 2, 3, 3, 1]])
SOURCE = RANDOM.normal(size=(4, 6))
MASK = X > 0.2


def indices(library: Any, values: np.ndarray) -> Any:
    return torch.tensor(values) if library is torch else ndl.asarray(values)


#: For a library and its x and source, what is compared.
CASES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "gather": lambda lib, x, s: lib.gather(x, 0, indices(lib, REPEATED)),
    "gather of a part": lambda lib, x, s: x.gather(1, indices(lib, REPEATED[:, :3])),
    "scatter": lambda lib, x, s: lib.scatter(x, 0, indices(lib, WHERE), s[:3, :5]),
    "scatter_ of a number": lambda lib, x, s: (x * 1).scatter_(0, indices(lib, WHERE[:, :2]), 7.0),
    "scatter_": lambda lib, x, s: (x * 1).scatter_(0, indices(lib, WHERE), s[:3, :5]),
    "scatter_add": lambda lib, x, s: lib.scatter_add(x, 0, indices(lib, REPEATED), s[:2, :5]),
    "scatter_add of a part": lambda lib, x, s: x.scatter_add(1, indices(lib, REPEATED[:, :3]), s[:2, :3]),
    "scatter_add_": lambda lib, x, s: (x * 1).scatter_add_(0, indices(lib, REPEATED), s[:2, :5]),
    "index_add": lambda lib, x, s: lib.index_add(x, 1, indices(lib, np.array([4, 0, 0])), s[:, :3], alpha=2),
    "index_add_": lambda lib, x, s: (x * 1).index_add_(0, indices(lib, np.array([3, 3])), s[:2, :5]),
    "index_select": lambda lib, x, s: lib.index_select(x, 1, indices(lib, np.array([2, 0, 2]))),
    "take": lambda lib, x, s: x.take(indices(lib, np.array([[0, 19], [7, 7]]))),
    "masked_fill": lambda lib, x, s: x.masked_fill(indices(lib, MASK[:, :1]), 2.5),
    "masked_fill_": lambda lib, x, s: (x * 1).masked_fill_(indices(lib, MASK), 2.5),
    "masked_select": lambda lib, x, s: lib.masked_select(x, indices(lib, MASK)),
    "masked_select of a row": lambda lib, x, s: x[0].masked_select(indices(lib, MASK)),
    "where": lambda lib, x, s: x.where(indices(lib, MASK), s[:, :5]),
    "an index": lambda lib, x, s: x[indices(lib, np.array([0, 0, 3])), indices(lib, np.array([1, 1, 2]))],
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_at_indices(parity: Any, name: str) -> None:
    case = CASES[name]
    parity.same(lambda x, s: case(ndl, x, s), lambda x, s: case(torch, x, s), X, SOURCE)


def test_written_rows(parity: Any) -> None:
    """A tensor that is written into step by step, and its views."""

    def steps(lib: Any, x: Any, s: Any) -> Any:
        out = x * 1
        row = out[1]
        out[0] = s[0, :5] * x[1]
        row += s[1, :5]
        out[:, 2] *= s[:, 0]
        out[indices(lib, MASK)] = 0.5
        out[2:, indices(lib, np.array([0, 3]))] = s[2:, :2]
        return out * row

    parity.same(lambda x, s: steps(ndl, x, s), lambda x, s: steps(torch, x, s), X, SOURCE)


def test_a_source_may_have_more_elements_than_there_are_indices(parity: Any) -> None:
    """PyTorch does not differentiate these; what it computes is the same."""
    (x, y), (s, t) = parity.pair(X, False), parity.pair(SOURCE, False)
    for name, where in (("scatter", WHERE), ("scatter_add", REPEATED)):
        ours, theirs = (getattr(v, name)(0, indices(lib, where), u) for lib, v, u in ((ndl, x, s), (torch, y, t)))
        parity.close(ours, theirs)


def test_nonzero(parity: Any) -> None:
    x, y = parity.pair(np.where(MASK, X, 0), requires_grad=False)
    for ours, theirs in zip(x.nonzero(), y.nonzero(as_tuple=True), strict=True):
        parity.close(ours, theirs)
    parity.close(x.nonzero(as_tuple=False), y.nonzero())
    for ours, theirs in zip(ndl.where(x > 0), torch.where(y > 0), strict=True):
        parity.close(ours, theirs)
