"""Small training steps, written once for needle and PyTorch: `lib` is either module."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

Call = Callable[[], Any]


def perceptron(lib: Any, sizes: tuple[int, ...], batch: int, optimiser: str) -> Call:
    """A step of a perceptron with cross-entropy; a call takes the next of eight batches."""
    model, loss_of = loss_of_perceptron(lib, sizes)
    chosen = getattr(lib.optim, optimiser)(model.parameters(), lr=1e-3)

    def step(x: Any, y: Any) -> Any:
        loss = loss_of(model(x), y)
        chosen.zero_grad()
        loss.backward()
        chosen.step()
        return loss

    return over_batches(step, [(_normal(lib, batch, sizes[0]), _integers(lib, sizes[-1], batch)) for _ in range(8)])


def loss_of_perceptron(lib: Any, sizes: tuple[int, ...]) -> tuple[Any, Any]:
    """The model and the loss of `perceptron`."""
    nn = lib.nn
    layers: list[Any] = []
    for n, m in pairwise(sizes):
        layers += [nn.Linear(n, m), nn.ReLU()]
    return nn.Sequential(*layers[:-1]), nn.CrossEntropyLoss()


def word_vectors(lib: Any) -> Call:
    """Skip-gram with negative samples: 64 centres, 6 contexts each, of 1,000 words in 32 dimensions."""
    centres, contexts = lib.nn.Embedding(1000, 32), lib.nn.Embedding(1000, 32)
    chosen = lib.optim.SGD([*centres.parameters(), *contexts.parameters()], lr=0.1)
    loss_of = lib.nn.BCEWithLogitsLoss()
    target = _tensor(lib, (np.arange(6) == 0).astype(np.float32)[None].repeat(64, 0))

    def step(centre: Any, context: Any) -> Any:
        scores = (centres(centre)[:, None, :] * contexts(context)).sum(-1)
        loss = loss_of(scores, target)
        chosen.zero_grad()
        loss.backward()
        chosen.step()
        return loss

    return over_batches(step, [(_integers(lib, 1000, 64), _integers(lib, 1000, 64, 6)) for _ in range(8)])


def n_gram(lib: Any) -> Call:
    """A neural n-gram model: three characters of 27 in 10 dimensions, a hidden layer of 64, batch 32."""
    nn = lib.nn
    table, hidden, out = nn.Embedding(27, 10), nn.Linear(30, 64), nn.Linear(64, 27)
    chosen = lib.optim.SGD([*table.parameters(), *hidden.parameters(), *out.parameters()], lr=0.1)
    loss_of = nn.CrossEntropyLoss()

    def step(x: Any, y: Any) -> Any:
        loss = loss_of(out(lib.tanh(hidden(table(x).reshape(32, 30)))), y)
        chosen.zero_grad()
        loss.backward()
        chosen.step()
        return loss

    return over_batches(step, [(_integers(lib, 27, 32, 3), _integers(lib, 27, 32)) for _ in range(8)])


def meta_learning(lib: Any) -> Call:
    """MAML on sines: two inner steps for each of four tasks, differentiated through, then a step of Adam."""
    weights = [_leaf(lib, 1, 40), _leaf(lib, 40), _leaf(lib, 40, 40), _leaf(lib, 40), _leaf(lib, 40, 1), _leaf(lib, 1)]
    chosen = lib.optim.Adam(weights, lr=1e-3)

    def forward(x: Any, w: Any) -> Any:
        h = lib.relu(x @ w[0] + w[1])
        return lib.relu(h @ w[2] + w[3]) @ w[4] + w[5]

    def step(x: Any, y: Any) -> Any:
        total: Any = 0
        for task in range(4):
            fast = weights
            for _ in range(2):
                loss = ((forward(x[task], fast) - y[task]) ** 2).mean()
                grads = lib.autograd.grad(loss, fast, create_graph=True)
                fast = [w - 0.01 * g for w, g in zip(fast, grads, strict=True)]
            total = total + ((forward(x[task], fast) - y[task]) ** 2).mean()
        chosen.zero_grad()
        total.backward()
        chosen.step()
        return total

    return over_batches(step, [(_normal(lib, 4, 10, 1), _normal(lib, 4, 10, 1)) for _ in range(4)])


def generation(lib: Any) -> Call:
    """A token of a transformer of two layers, 4 heads and 64 dimensions, over a window of 64 tokens."""
    nn = lib.nn
    layer = nn.TransformerEncoderLayer(64, 4, 128, 0.0, batch_first=True)
    table, encoder, out = nn.Embedding(65, 64), nn.TransformerEncoder(layer, 2), nn.Linear(64, 65)
    encoder.eval()
    mask = _tensor(lib, np.triu(np.full((64, 64), -np.inf, np.float32), 1))

    def token(window: Any) -> Any:
        with lib.no_grad():
            return lib.argmax(out(encoder(table(window), mask))[:, -1], -1)

    return over_batches(token, [(_integers(lib, 65, 1, 64),) for _ in range(8)])


class over_batches:  # noqa: N801 (a function to those who call it)
    """Calls `step` on the next of some batches; another function of the same kind may take the place of `step`.

    `wait`, where it is set, waits for what was called.
    """

    wait: Call

    def __init__(self, step: Callable[..., Any], batches: list[tuple[Any, ...]]) -> None:
        self.step, self.batches, self._next = step, batches, 0

    def __call__(self) -> Any:
        self._next = (self._next + 1) % len(self.batches)
        return self.step(*self.batches[self._next])


def _normal(lib: Any, *shape: int) -> Any:
    return _tensor(lib, np.random.default_rng().standard_normal(shape).astype(np.float32))


def _integers(lib: Any, bound: int, *shape: int) -> Any:
    return _tensor(lib, np.random.default_rng().integers(0, bound, shape))


def _tensor(lib: Any, array: np.ndarray) -> Any:
    return lib.tensor(array)


def _leaf(lib: Any, *shape: int) -> Any:
    return lib.tensor(np.random.default_rng().standard_normal(shape).astype(np.float32) * 0.3, requires_grad=True)
