"""Ten kinds of training loop compile few kernels, and none for another length, batch, learning rate, seed or step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle import nn, optim
from needle.backend.opencl.running.device import OpenCLDevice
from needle.nn import functional

#: One step, for a batch and a length: each call is the next step of the loop.
Step = Callable[[int, int], object]


class Unlaunched(OpenCLDevice):
    """A device that makes kernels and launches none of them: what it computes is arbitrary."""

    def launch(self, *launch: Any) -> None:
        self.launches += 1


@pytest.fixture
def unlaunched(device: ndl.Device) -> Unlaunched:
    if device.name != "pocl":
        pytest.skip("what is counted depends on no driver")
    assert isinstance(device, OpenCLDevice)
    return Unlaunched(device.info, device.cl_device)


def numbers(*shape: int) -> ndl.Tensor:
    return ndl.asarray(np.ones(shape, np.float32))


def labels(count: int) -> ndl.Tensor:
    return ndl.asarray(np.arange(count) % 3)


def trained(model: Callable[..., ndl.Tensor], optimizer: optim.Optimizer, x: ndl.Tensor) -> None:
    loss = functional.cross_entropy(model(x), labels(x.shape[0]))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def perceptron(make: Callable[..., optim.Optimizer], *layers: nn.Module, **options: float) -> Step:
    model = nn.Sequential(nn.Linear(8, 8), *layers, nn.Linear(8, 3))
    optimizer = make(model.parameters(), lr=0.1, **options)

    def step(batch: int, length: int) -> None:
        optimizer.param_groups[0]["lr"] *= 0.9
        trained(model, optimizer, numbers(batch, 8))

    return step


def recurrent(cell: Callable[..., tuple[ndl.Tensor, ...]], gates: int) -> Step:
    """A cell by hand over `length` steps."""
    wx, wh, out = nn.Linear(4, gates * 8), nn.Linear(8, gates * 8), nn.Linear(8, 3)
    optimizer = optim.Adam([*wx.parameters(), *wh.parameters(), *out.parameters()], lr=0.1)

    def step(batch: int, length: int) -> None:
        x = numbers(batch, length, 4)

        def run(x: ndl.Tensor) -> ndl.Tensor:
            state: tuple[ndl.Tensor, ...] = (ndl.zeros((batch, 8)), ndl.zeros((batch, 8)))
            for t in range(length):
                state = cell(wx(x[:, t, :]) + wh(state[0]), *state)
            return out(state[0])

        trained(run, optimizer, x)

    return step


def lstm(gates: ndl.Tensor, h: ndl.Tensor, c: ndl.Tensor) -> tuple[ndl.Tensor, ...]:
    i, f, o, n = (gates[:, 8 * k : 8 * k + 8] for k in range(4))
    c = ndl.sigmoid(f) * c + ndl.sigmoid(i) * ndl.tanh(n)
    return ndl.sigmoid(o) * ndl.tanh(c), c


def simple(gates: ndl.Tensor, h: ndl.Tensor, c: ndl.Tensor) -> tuple[ndl.Tensor, ...]:
    return ndl.tanh(gates), 0.9 * c + 0.1 * h


def averaging() -> Step:
    """Gradient descent by hand, with a running loss and an average of the weights."""
    w, average = ndl.Tensor(np.ones((8, 3), np.float32)), ndl.zeros((8, 3))
    total = ndl.zeros(())

    def step(batch: int, length: int) -> None:
        nonlocal w, average, total
        loss = functional.cross_entropy(numbers(batch, 8) @ w, labels(batch))
        loss.backward()
        with ndl.no_grad():
            average = 0.99 * average + 0.01 * w
            total = total + loss
            w = ndl.Tensor((w - 0.1 * w.grad).realize())

    return step


def attention() -> Step:
    query, key, value, out = (nn.Linear(8, 8) for _ in range(4))
    norm, head = nn.LayerNorm1d(8), nn.Linear(8, 3)
    modules = (query, key, value, out, norm, head)
    optimizer = optim.AdamW([p for module in modules for p in module.parameters()], lr=0.1)

    def step(batch: int, length: int) -> None:
        def run(x: ndl.Tensor) -> ndl.Tensor:
            n = norm(x)
            q, k, v = (m(n).reshape((batch, length, 8)) for m in (query, key, value))
            weights = ndl.softmax(q @ ndl.permute_dims(k, (0, 2, 1)) * 0.35, -1)
            return head(functional.gelu(x + out((weights @ v).reshape((batch * length, 8)))))

        trained(run, optimizer, numbers(batch * length, 8))

    return step


def regression() -> Step:
    w = ndl.Tensor(np.ones((8, 1), np.float32))
    optimizer = optim.SGD([w], lr=0.1, momentum=0.9)

    def step(batch: int, length: int) -> None:
        loss = ((numbers(batch, 8) @ w - 1) ** 2).mean() + 1e-3 * (w * w).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


LOOPS: dict[str, tuple[Callable[[], Step], int]] = {
    "regression": (regression, 12),
    "SGD": (lambda: perceptron(optim.SGD, nn.ReLU(), momentum=0.9), 20),
    "Adam": (lambda: perceptron(optim.Adam, nn.ReLU()), 20),
    "AdamW, batch norm, dropout": (lambda: perceptron(optim.AdamW, nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2)), 36),
    "RMSprop, layer norm": (lambda: perceptron(optim.RMSprop, nn.LayerNorm1d(8), nn.Tanh()), 32),
    "sigmoid, L2": (lambda: perceptron(optim.SGD, nn.Sigmoid(), weight_decay=0.01), 20),
    "by hand, averages": (averaging, 20),
    "attention": (attention, 50),
    "recurrent": (lambda: recurrent(simple, 1), 36),
    "LSTM": (lambda: recurrent(lstm, 4), 60),
}


@pytest.mark.parametrize("name", LOOPS)
def test_kernels_of_a_training_loop(unlaunched: Unlaunched, name: str) -> None:
    make, most = LOOPS[name]
    with unlaunched:
        ndl.manual_seed(0)
        step = make()
        for _ in range(6):
            step(12, 20)
        first = set(unlaunched._kernels)
        ndl.manual_seed(1)
        for batch, length in ((12, 20), (20, 20), (12, 24), (12, 41), (36, 30)):
            for _ in range(2):
                step(batch, length)
        later = set(unlaunched._kernels) - first
    assert len(first) <= most, len(first)
    # A softmax of more than 2^14 elements (12 x 41 x 41 here) is recorded in another way than a small one.
    assert len(later) <= (name == "attention"), [(key[:2], dict(key[2:])["COMPUTE"]) for key in later]
