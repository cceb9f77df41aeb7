"""How long the first training steps of some models take: `python -m benchmarks.first_steps MODEL` prints the seconds.

The models are small, so that what is timed is compiling: a perceptron with batch norm and dropout, a transformer block,
an LSTM written out over 20 steps, and a network of convolutions. The loss is read after each step.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np

import needle as ndl
from benchmarks.cases.networks import make_cnn
from needle import nn, optim
from needle.nn import functional

Step = Callable[[], float]


def perceptron() -> Step:
    """Batch norm, dropout and AdamW on 96 rows of 64."""
    model = nn.Sequential(
        nn.Linear(64, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(128, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10),
    )  # fmt: skip
    return _training(model, model.parameters(), _numbers(96, 64), 96)


class Block(nn.Module):
    """A transformer block, 64 wide with 4 heads, and a linear layer on top of it."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm1d(64), nn.LayerNorm1d(64)
        self.query, self.key, self.value, self.out = (nn.Linear(64, 64) for _ in range(4))
        self.wide, self.narrow, self.head = nn.Linear(64, 256), nn.Linear(256, 64), nn.Linear(64, 50)

    def forward(self, x: ndl.Tensor) -> ndl.Tensor:
        batch, length, width = x.shape
        flat = x.reshape((batch * length, width))
        normal = self.before(flat)
        query, key, value = (
            ndl.permute_dims(layer(normal).reshape((batch, length, 4, width // 4)), (0, 2, 1, 3))
            for layer in (self.query, self.key, self.value)
        )
        weights = ndl.softmax((query @ ndl.permute_dims(key, (0, 1, 3, 2))) * 0.25, -1)
        mixed = ndl.permute_dims(weights @ value, (0, 2, 1, 3)).reshape((batch * length, width))
        flat = flat + self.out(mixed)
        return self.head(flat + self.narrow(functional.gelu(self.wide(self.between(flat)))))


def transformer() -> Step:
    """The block on 8 sequences of 32."""
    block = Block()
    return _training(block, block.parameters(), _numbers(8, 32, 64), 8 * 32)


class Recurrent(nn.Module):
    """An LSTM of 64 units, written out."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs, self.states, self.out = nn.Linear(16, 256), nn.Linear(64, 256), nn.Linear(64, 10)

    def forward(self, x: ndl.Tensor) -> ndl.Tensor:
        h = c = ndl.zeros((x.shape[0], 64))
        for t in range(x.shape[1]):
            gates = self.inputs(x[:, t, :]) + self.states(h)
            i, f, o, n = (gates[:, 64 * k : 64 * k + 64] for k in range(4))
            c = ndl.sigmoid(f) * c + ndl.sigmoid(i) * ndl.tanh(n)
            h = ndl.sigmoid(o) * ndl.tanh(c)
        return self.out(h)


def lstm() -> Step:
    """The LSTM on 32 sequences of 24."""
    model = Recurrent()
    return _training(model, model.parameters(), _numbers(32, 24, 16), 32)


def cnn() -> Step:
    """The network of examples/images.py, without dropout, on 128 images of 28 x 28."""
    model: nn.Module = make_cnn(nn)
    return _training(model, model.parameters(), _numbers(128, 1, 28, 28), 128)


MODELS = {"perceptron": perceptron, "transformer block": transformer, "LSTM by hand": lstm, "CNN": cnn}


def _numbers(*shape: int) -> ndl.Tensor:
    return ndl.asarray(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def _training(model: nn.Module, parameters: list[nn.Parameter], x: ndl.Tensor, count: int) -> Step:
    optimizer = optim.AdamW(parameters, lr=1e-3)
    labels = ndl.asarray(np.random.default_rng(1).integers(0, 10, count))

    def step() -> float:
        loss = functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step


def main() -> None:
    """Print the seconds that making the model and its first three steps take, as JSON."""
    began = time.perf_counter()
    step = MODELS[sys.argv[1]]()
    seconds = [time.perf_counter() - began]
    for _ in range(3):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
