"""Learning-rate schedules: the rates, and the momentum, of every epoch beside PyTorch's."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

import needle as ndl

EPOCHS = 50

#: Each makes a schedule from a library's module of schedules and an optimizer of the library.
CASES: dict[str, Callable[[Any, Any], Any]] = {
    "step": lambda s, o: s.StepLR(o, 7, 0.5),
    "multistep": lambda s, o: s.MultiStepLR(o, [3, 3, 20, 35], 0.3),
    "constant": lambda s, o: s.ConstantLR(o, 0.25, 6),
    "linear": lambda s, o: s.LinearLR(o, 0.1, 0.8, 17),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.93),
    "polynomial": lambda s, o: s.PolynomialLR(o, 30, 2.0),
    "lambda": lambda s, o: s.LambdaLR(o, [lambda e: 0.9**e, lambda e: 1 / (1 + e)]),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, lambda e: 1 - 0.5 / (e + 1)),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 12),
    "cosine above": lambda s, o: s.CosineAnnealingLR(o, 20, 1e-3),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 5, 2, 1e-3),
    "restarts alike": lambda s, o: s.CosineAnnealingWarmRestarts(o, 9),
    "triangular": lambda s, o: s.CyclicLR(o, 0.01, [0.1, 0.5], 4, 7),
    "triangular2": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 5, mode="triangular2", base_momentum=0.5),
    "exp_range": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 5, mode="exp_range", gamma=0.97, cycle_momentum=False),
    "scale_fn": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 5, scale_fn=lambda n: 1 / n, scale_mode="cycle"),
    "one cycle": lambda s, o: s.OneCycleLR(o, [0.1, 1.0], EPOCHS + 1),
    "one cycle of epochs": lambda s, o: s.OneCycleLR(o, 0.1, epochs=11, steps_per_epoch=5, anneal_strategy="linear"),
    "three phases": lambda s, o: s.OneCycleLR(o, 0.1, EPOCHS + 1, three_phase=True, div_factor=10, pct_start=0.4),
    "sequential": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=5), s.StepLR(o, 4, 0.5), s.CosineAnnealingLR(o, 20)], [5, 18]
    ),
    "chained": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 5), s.ExponentialLR(o, 0.9)], o),
}


@pytest.mark.parametrize("make", CASES.values(), ids=CASES)
def test_fifty_epochs(make: Callable[[Any, Any], Any]) -> None:
    ours, theirs = [], []
    for library, kind, rates in ((ndl, ndl.optim, ours), (torch, torch.optim, theirs)):
        a, b = library.zeros(1), library.zeros(1)
        optimizer = kind.SGD([{"params": [a], "lr": 0.5}, {"params": [b]}], lr=0.05, momentum=0.9)
        schedule = make(kind.lr_scheduler, optimizer)
        with warnings.catch_warnings():  # PyTorch wants a step of the optimizer first, and deprecates step(epoch)
            warnings.simplefilter("ignore")
            for epoch in range(EPOCHS + 1):
                rates += [option for g in optimizer.param_groups for option in (g["lr"], g["momentum"])]
                if epoch < EPOCHS:
                    schedule.step()
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12)
    assert len({round(rate, 9) for rate in ours}) > 3


@pytest.mark.parametrize(
    "options",
    [{}, {"mode": "max", "patience": 1, "threshold": 0.2}, {"threshold_mode": "abs", "threshold": 0.3, "cooldown": 3},
     {"patience": 0, "min_lr": [0.01, 0.0], "factor": 0.5}],
)  # fmt: skip
def test_plateaus(options: dict[str, Any]) -> None:
    measures = [math.sin(i * 1.7) / (1 + i / 9) + 2 / (1 + i) - (0.3 if i % 7 == 0 else 0) for i in range(EPOCHS)]
    rates = []
    for library in (ndl, torch):
        groups = [{"params": [library.zeros(1)]}, {"params": [library.ones(1)], "lr": 0.2}]
        optimizer = library.optim.SGD(groups, lr=0.1)
        schedule = library.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **{"patience": 2, **options})
        for measure in measures:
            schedule.step(measure)
            rates.append([group["lr"] for group in optimizer.param_groups])
    for ours, theirs in zip(rates[:EPOCHS], rates[EPOCHS:], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-12)
    assert len({rate for rate, _ in rates}) > 1
