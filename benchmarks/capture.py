"""Small steps, eager and captured, beside PyTorch's: `python -m benchmarks capture`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

import needle as ndl
from benchmarks import peers, small_steps
from benchmarks.figures import Figure
from benchmarks.peers import UnavailableError

Call = Callable[[], Any]
ROUNDS = 25
SECONDS = 0.02  # of a sample


@dataclass(frozen=True)
class Workload:
    """A step, with what PyTorch's time over needle's must be at least: eager and captured."""

    name: str
    make: Callable[[Any], Any]
    eager: float | None = None
    captured: float | None = None
    compiled: float | None = None
    sizes: tuple[int, ...] = ()


def _perceptron(name: str, sizes: tuple[int, ...], batch: int, optimiser: str, captured: float) -> Workload:
    make = partial(small_steps.perceptron, sizes=sizes, batch=batch, optimiser=optimiser)
    return Workload(name, make, captured=captured, compiled=1.0, sizes=sizes)


WORKLOADS = (
    _perceptron("MLP 64-32-10, batch 32, SGD", (64, 32, 10), 32, "SGD", 3.0),
    _perceptron("MLP 784-256-256-10, batch 64, Adam", (784, 256, 256, 10), 64, "Adam", 1.4),
    _perceptron("MLP 600-300-300-12, batch 48, SGD", (600, 300, 300, 12), 48, "SGD", 1.4),
    Workload("word vectors", small_steps.word_vectors, eager=0.6),
    Workload("n-gram MLP", small_steps.n_gram, eager=0.5),
    Workload("MAML", small_steps.meta_learning, eager=0.3),
    Workload("a token of a transformer", small_steps.generation, eager=0.6),
)


def measure(device: ndl.Device, compiled: bool = True) -> list[Figure]:
    """PyTorch's time over needle's for each step; with `compiled` also that of PyTorch's compiled model and loss."""
    try:
        import torch
    except ImportError as error:
        raise UnavailableError("benchmarks capture compares with PyTorch, which is not installed") from error
    torch.set_num_threads(2)
    figures = []
    for workload in WORKLOADS:
        with device:
            eager = workload.make(ndl)
            captured = workload.make(ndl)
            captured.step = ndl.capture(captured.step)
        calls: dict[str, Call] = {"eager": eager, "captured": captured, "PyTorch": workload.make(torch)}
        if compiled and workload.compiled is not None:
            calls["compiled"] = _compiled(torch, workload)
            if "Adam" in workload.name and (jitted := _jitted(device, workload)) is not None:
                calls["tinygrad"] = jitted
        seconds = _interleaved(calls, device)
        peer = seconds["PyTorch"]
        figures += [
            Figure(f"{workload.name}: PyTorch", peer * 1e6, "µs"),
            Figure(f"{workload.name}: PyTorch / needle", peer / seconds["eager"], "", workload.eager, least=True),
            Figure(
                f"{workload.name}: PyTorch / needle, captured",
                peer / seconds["captured"], "", workload.captured, least=True,
            ),
        ]  # fmt: skip
        if "compiled" in seconds:
            ratio = seconds["compiled"] / seconds["captured"]
            figures.append(
                Figure(f"{workload.name}: torch.compile / needle, captured", ratio, "", workload.compiled, least=True)
            )
        if "tinygrad" in seconds:
            ratio = seconds["tinygrad"] / seconds["captured"]
            figures.append(Figure(f"{workload.name}: tinygrad's TinyJit / needle, captured", ratio, "", 5, least=True))
    return figures


def _compiled(torch: Any, workload: Workload) -> Call:
    """PyTorch's step with model and loss compiled together, without the overhead of launches where there is some."""
    model, loss_of = small_steps.loss_of_perceptron(torch, workload.sizes)
    loss_of_model = torch.compile(lambda x, y: loss_of(model(x), y), mode="reduce-overhead")
    plain = workload.make(torch)
    name = "Adam" if "Adam" in workload.name else "SGD"
    chosen = getattr(torch.optim, name)(model.parameters(), lr=1e-3)

    def step(x: Any, y: Any) -> Any:
        loss = loss_of_model(x, y)
        chosen.zero_grad()
        loss.backward()
        chosen.step()
        return loss

    plain.step = step
    call: Call = plain
    return call


def _jitted(device: ndl.Device, workload: Workload) -> Call | None:
    """The same step by tinygrad's TinyJit on the same device, with Adam; None where tinygrad is not installed."""
    try:
        lib = peers.load("tinygrad", device.name)
    except UnavailableError:
        return None
    rng = np.random.default_rng()
    weights = [rng.standard_normal(shape, np.float32) * shape[0] ** -0.5 for shape in pairwise(workload.sizes)]
    step = lib.trainer(weights)
    x, y = rng.standard_normal((64, workload.sizes[0]), np.float32), rng.integers(0, workload.sizes[-1], 64, np.int32)
    call = small_steps.over_batches(step, [(lib.tensor(x), lib.tensor(y))])
    call.wait = lib.wait
    return call


def _interleaved(calls: dict[str, Call], device: ndl.Device) -> dict[str, float]:
    """The least seconds of each call, in rounds that take each in turn."""
    counts = {}
    for name, call in calls.items():
        for _ in range(5):
            call()
        device.synchronize()
        began = time.perf_counter()
        call()
        device.synchronize()
        counts[name] = max(1, int(SECONDS / (time.perf_counter() - began)))
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for name, call in calls.items():
            began = time.perf_counter()
            for _ in range(counts[name]):
                call()
            getattr(call, "wait", device.synchronize)()
            best[name] = min(best[name], (time.perf_counter() - began) / counts[name])
    return best
