"""Which functions are methods: those that NumPy's arrays or PyTorch's tensors have as methods."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support.guides import DOCS

import needle as ndl


def test_a_function_of_one_operand_is_a_method_where_numpy_or_pytorch_has_it() -> None:
    names = [name for name, d in ndl.ops.registry.items() if d.record.arity == 1 and not name.startswith("_")]
    known = {name for name in names if hasattr(torch.Tensor, name) or hasattr(np.ndarray, name)}
    assert {name for name in names if hasattr(ndl.Tensor, name)} == known
    assert {name for name in names if hasattr(ndl.NDArray, name)} == known


@pytest.mark.parametrize("value", [1.5, 3, True, [1.0, 2.0]])
def test_torch_takes_our_tensors(value: object) -> None:
    x = ndl.asarray(value)
    assert torch.tensor(x).tolist() == torch.as_tensor(x).tolist() == torch.from_dlpack(x).tolist() == value


#: Methods of indexing and sorting, which have pages of their own.
INDEXING = {
    "argsort", "bincount", "count_nonzero", "cumprod", "cumsum", "gather", "index_add", "index_select", "masked_fill",
    "masked_select", "nonzero", "scatter", "scatter_add", "sort", "take", "topk", "unique", "where",
}  # fmt: skip

#: Groups that the page names by their first.
GROUPS = ("is_", "q_", "to_sparse", "resolve_")


@pytest.mark.skipif(not DOCS.is_dir(), reason="the guides are not part of an installed package")
def test_the_page_names_each_method_of_pytorch_that_is_left_out() -> None:
    named = set(re.findall(r"\w+", (DOCS / "coming-from-pytorch.md").read_text()))
    methods = {name for name in dir(torch.Tensor) if not name.startswith("_") and not name.endswith("_")}
    missing = {name for name in methods if not hasattr(ndl.Tensor, name) and not name.startswith(GROUPS)}
    assert missing - named - INDEXING == set()


def test_tensors_are_shared_without_a_copy() -> None:
    with ndl.device("numpy"):
        theirs = torch.arange(6.0).reshape(2, 3)
        ours = ndl.from_dlpack(theirs, copy=False)
        back = torch.from_dlpack(ours)
        theirs[0, 0] = 5
        ours[1, 2] = 7
        assert back.tolist() == ours.tolist() == theirs.tolist() == [[5, 1, 2], [3, 4, 7]]


def test_names_mean_the_same() -> None:
    host = np.arange(24, dtype=np.float32).reshape(2, 3, 4) - 5
    with ndl.device("numpy"):
        for call in SAME:
            ours, theirs = call(ndl, ndl.asarray(host)), call(torch, torch.from_numpy(host))
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)


#: Calls that give the same in both libraries.
SAME: list[Callable[[Any, Any], Any]] = [
    lambda lib, x: lib.cat([x, x], dim=-1), lambda lib, x: x.unsqueeze(1).expand(-1, 2, -1, -1),
    lambda lib, x: x.transpose(0, 2).reshape(4, 6), lambda lib, x: x.repeat(1, 2, 1), lambda lib, x: x.permute(2, 0, 1),
    lambda lib, x: x.chunk(2, dim=1)[1], lambda lib, x: x.unbind(1)[2], lambda lib, x: x.narrow(1, 1, 2),
    lambda lib, x: x.roll(1, dims=2), lambda lib, x: x.flip(0, 2), lambda lib, x: x.var(dim=1, unbiased=True),
    lambda lib, x: x.std(dim=(0, 1), correction=1, keepdim=True), lambda lib, x: x.clamp(min=0, max=3),
    lambda lib, x: x.softmax(dim=1), lambda lib, x: x.logsumexp(dim=2), lambda lib, x: x.norm(p=2, dim=1),
    lambda lib, x: x.tril(diagonal=-1), lambda lib, x: x.triu(1), lambda lib, x: x.diagonal(0, 1, 2),
    lambda lib, x: lib.diff(x, dim=1), lambda lib, x: lib.repeat_interleave(x, 2, dim=1),
    lambda lib, x: x.movedim(0, 2),
    lambda lib, x: lib.tensordot(x, x, dims=3), lambda lib, x: lib.einsum("bij,bkj->bik", x, x),
    lambda lib, x: x[0].t(),
    lambda lib, x: lib.addmm(x[0], x[0], x[1].t() @ x[0]), lambda lib, x: x.float().double().int().float(),
    lambda lib, x: lib.lerp(x, x * 2, 0.25), lambda lib, x: x.unflatten(2, (2, 2)), lambda lib, x: lib.hypot(x, x),
]  # fmt: skip
