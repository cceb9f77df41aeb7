"""What type checkers and editors see of needle. mypy checks this file (`tox -e lint`); nobody runs it."""

from __future__ import annotations

from typing_extensions import assert_type

import needle as ndl
from needle import NDArray, Tensor, data, init, optim
from needle import ops as operations
from needle.nn import functional as F


def functions(x: Tensor) -> None:
    assert_type(ndl.tanh(x), Tensor)
    assert_type(operations.tanh(x), Tensor)
    assert_type(ndl.sum(x, axis=0, keepdims=True), Tensor)
    assert_type(ndl.zeros((2, 3)), Tensor)
    assert_type(ndl.one_hot([0, 1], 2), Tensor)
    assert_type(init.one_hot(2, [0, 1]), Tensor)
    assert_type(init.rand(2, 3), Tensor)
    assert_type(F.relu(x), Tensor)
    assert_type(F.cross_entropy(x, x), Tensor)
    ndl.tanh("text")  # type: ignore[arg-type]
    ndl.tanhh(x)  # type: ignore[attr-defined]


def methods(x: Tensor, array: NDArray, parameter: ndl.nn.Parameter) -> None:
    assert_type(x.tanh(), Tensor)
    assert_type(x.sin().sum(axes=0).reshape(1), Tensor)
    assert_type(x.max(axis=(0, 1), keepdims=True).squeeze(), Tensor)
    assert_type(parameter.exp(), Tensor)
    assert_type(array.tanh(), NDArray)
    assert_type(array.sum(0).transpose(), NDArray)
    x.gelu()  # type: ignore[attr-defined]
    x.tanh(1)  # type: ignore[call-arg]


def classes(device: ndl.Device) -> None:
    layer: ndl.nn.Module = ndl.nn.Linear(2, 3, device=device)
    optimizer: ndl.optim.Optimizer = optim.SGD(layer.parameters(), lr=0.1)
    optimizer.step()
    assert_type(ndl.float32, ndl.dtypes.DType)
    assert_type(ndl.default_device(), ndl.Device)
    data.DataLoader(data.TensorDataset(ndl.ones((2, 3))))
    raise ndl.DeviceError
