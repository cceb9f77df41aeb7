"""PyTorch's weights in needle's modules: a `Linear` has its weight transposed and its bias in a row."""

from __future__ import annotations

from typing import Any

import numpy as np

import needle as ndl
from needle import nn


def as_torch(module: nn.Module, name: str, values: np.ndarray) -> np.ndarray:
    """The values of the parameter `name` as PyTorch's module has them."""
    owner = dict(module.named_modules())[name.rpartition(".")[0]]
    if not isinstance(owner, nn.Linear):
        return values
    return values.T if name.endswith("weight") else values.reshape(-1)


def load_from_torch(ours: nn.Module, theirs: Any) -> None:
    """Give needle's module the parameters of PyTorch's."""
    state = {name: tensor.detach().numpy() for name, tensor in theirs.state_dict().items()}
    mine = ours.state_dict()
    modules = dict(ours.named_modules())
    converted = {}
    for name, tensor in mine.items():
        values = state[name]
        if isinstance(modules[name.rpartition(".")[0]], nn.Linear):
            values = values.T if name.endswith("weight") else values.reshape(1, -1)
        converted[name] = ndl.asarray(np.ascontiguousarray(values).astype(tensor.dtype), device=tensor.device)
    ours.load_state_dict(converted)
