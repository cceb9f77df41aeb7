"""Recurrent layers: gradients of both orders, lengths, programs, what is refused. Values are in tests/parity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle import nn
from needle.ops.recurrent import GATES, Recurrence

HIDDEN = 8


def drawn(*shape: int, seed: int = 0) -> ndl.Tensor:
    return ndl.Tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def operands(cell: str, steps: int, batch: int) -> list[ndl.Tensor]:
    rows = GATES[cell] * HIDDEN
    shapes = [(steps, batch, rows), (rows, HIDDEN), (rows,), (rows,), (batch, HIDDEN)]
    shapes += [(batch, HIDDEN)] if cell == "lstm" else []
    return [drawn(*shape, seed=i) * 0.7 for i, shape in enumerate(shapes)]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh"])
def test_gradients_of_both_orders(device: ndl.Device, cell: str) -> None:
    lengths = ndl.asarray(np.array([3, 1], np.int32))
    arguments = [ndl.Tensor(x.numpy()) for x in operands(cell, 3, 2)]

    def f(*args: Any) -> Any:
        found = Recurrence(cell, cell == "gru", True)(*args, lengths)
        return found[0] * found[1] if isinstance(found, tuple) else found

    assert ndl.gradcheck(f, arguments)
    if device.name == "numpy":  # of many small kernels, which would take minutes to compile
        for number in (0, 1, 4):
            second = ndl.grad(lambda *x: (f(*x) ** 2).sum(), number)
            assert ndl.gradcheck(second, arguments, atol=1e-5, rtol=1e-5)


@pytest.mark.every_driver
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_device_gives_what_numpy_gives(device: ndl.Device, cell: str) -> None:
    hosts = [x.numpy() for x in operands(cell, 4, 9)]

    def run() -> list[np.ndarray]:
        leaves = [ndl.Tensor(host) for host in hosts]
        found = Recurrence(cell)(*leaves)
        found = found if isinstance(found, tuple) else (found,)
        sum(((x * x).sum() for x in found), 0.0).backward()
        return [*(x.numpy() for x in found), *(leaf.grad.numpy() for leaf in leaves)]

    with ndl.device("numpy"):
        expected = run()
    for actual, wanted in zip(run(), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-5)


def test_later_steps_of_a_row_do_not_matter(device: ndl.Device) -> None:
    layer = nn.GRU(4, HIDDEN, bidirectional=True)
    x = drawn(5, 2, 4).numpy()
    other = x.copy()
    other[2:, 1] = np.nan
    (one, last), (two, same) = (layer(ndl.asarray(values), lengths=[5, 2]) for values in (x, other))
    assert not one.numpy()[2:, 1].any()
    np.testing.assert_array_equal(one.numpy(), two.numpy())
    np.testing.assert_array_equal(last.numpy(), same.numpy())


def test_another_length_or_batch_compiles_nothing(device: ndl.Device) -> None:
    if not hasattr(device, "_kernels"):
        pytest.skip("not an OpenCL device")
    layer = nn.LSTM(4, HIDDEN)
    counts = []
    for steps, batch in ((3, 2), (7, 9), (4, 5)):
        layer.zero_grad()
        layer(drawn(steps, batch, 4))[0].sum().backward()
        counts.append(len(device._kernels) + len(device._expression_kernels))
    assert counts[1] == counts[2]


REFUSED: dict[str, tuple[Any, str]] = {
    "input": (lambda: nn.LSTM(4, 8)(drawn(3, 2, 5)), r"input of shape \(3, 2, 5\) must have two or three axes.*of 4"),
    "state": (
        lambda: nn.GRU(4, 8)(drawn(3, 2, 4), drawn(1, 3, 8)), r"state h of shape \(1, 3, 8\).*\(1, 2, 8\)",
    ),
    "pair": (lambda: nn.LSTM(4, 8)(drawn(3, 2, 4), drawn(1, 2, 8)), "hx must be a pair"),
    "length 0": (lambda: nn.LSTM(4, 8)(drawn(3, 2, 4), lengths=[3, 0]), r"lengths=\[3, 0\] must be from 1 to 3"),
    "long": (lambda: nn.LSTM(4, 8)(drawn(3, 2, 4), lengths=[3, 4]), r"lengths=\[3, 4\] must be from 1 to 3"),
    "count": (lambda: nn.LSTM(4, 8)(drawn(3, 2, 4), lengths=[3]), r"lengths of shape \(1,\).*2 ints"),
    "cell": (lambda: nn.LSTMCell(4, 8)(drawn(2, 5)), r"input of shape \(2, 5\) must be \(batch, 4\)"),
    "cell's state": (lambda: nn.GRUCell(4, 8)(drawn(2, 4), drawn(2, 9)), r"a state of shape \(2, 9\)"),
    "nonlinearity": (lambda: nn.RNN(4, 8, nonlinearity="gelu"), "nonlinearity='gelu' is not known"),
    "layers": (lambda: nn.LSTM(4, 8, num_layers=0), "num_layers=0 must be at least 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    call, message = REFUSED[name]
    with ndl.device("numpy"), pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRUCell])
def test_an_array_of_numpy_is_no_input(layer: type[nn.Module]) -> None:
    with ndl.device("numpy"), pytest.raises(TypeError, match=f"{layer.__name__}: input=.*ndarray is not a tensor"):
        layer(3, 4)(np.zeros((2, 3), np.float32))
