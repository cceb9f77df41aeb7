"""Which functions are methods: those that NumPy's arrays or PyTorch's tensors have as methods."""

from __future__ import annotations

import numpy as np
import pytest
import torch

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
