"""Learning-rate schedules: their state, what users change by hand, and errors. Their values: tests/parity."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import needle as ndl
from needle.optim import SGD, Adam
from needle.optim import lr_scheduler as schedules


def optimizer_of(**options: Any) -> SGD:
    return SGD([ndl.zeros(1, device="numpy")], **{"lr": 0.1, "momentum": 0.9, **options})


MAKERS: dict[str, Callable[[Any], Any]] = {
    "StepLR": lambda o: schedules.StepLR(o, 3),
    "MultiplicativeLR": lambda o: schedules.MultiplicativeLR(o, lambda epoch: 0.9),
    "CosineAnnealingLR": lambda o: schedules.CosineAnnealingLR(o, 10, 0.01),
    "CosineAnnealingWarmRestarts": lambda o: schedules.CosineAnnealingWarmRestarts(o, 3, 2),
    "CyclicLR": lambda o: schedules.CyclicLR(o, 0.01, 0.2, 4),
    "OneCycleLR": lambda o: schedules.OneCycleLR(o, 0.2, 30),
    "SequentialLR": lambda o: schedules.SequentialLR(o, [schedules.LinearLR(o), schedules.ExponentialLR(o, 0.9)], [6]),
    "ChainedScheduler": lambda o: schedules.ChainedScheduler([schedules.ExponentialLR(o, 0.9), schedules.StepLR(o, 2)]),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_schedule_goes_on_from_a_file(make: Callable[[Any], Any], tmp_path: Path) -> None:
    whole = optimizer_of()
    schedule = make(whole)
    rates = []
    for epoch in range(20):
        if epoch == 8:
            ndl.save(tmp_path / "state", {"optimizer": whole, "schedule": schedule})
        rates.append(whole.lr)
        schedule.step()
    loaded = ndl.load(tmp_path / "state")
    again = optimizer_of()
    resumed = make(again)
    for name, part in (("optimizer", again), ("schedule", resumed)):
        part.load_state_dict({k.removeprefix(f"{name}."): v for k, v in loaded.items() if k.startswith(f"{name}.")})
    found = []
    for _ in range(8, 20):
        found.append(again.lr)
        resumed.step()
    assert found == rates[8:]


def test_a_plateau_goes_on_from_a_file(tmp_path: Path) -> None:
    measures = [3, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2]
    whole = optimizer_of()
    schedule = schedules.ReduceLROnPlateau(whole, patience=2)
    for i, measure in enumerate(measures):
        if i == 4:
            ndl.save(tmp_path / "state", schedule)
            rate = whole.lr
        schedule.step(ndl.asarray(measure, device="numpy"))
    again = optimizer_of(lr=rate)
    resumed = schedules.ReduceLROnPlateau(again, patience=2)
    resumed.load_state_dict(ndl.load(tmp_path / "state"))
    for measure in measures[4:]:
        resumed.step(measure)
    assert again.lr == whole.lr < rate


def test_what_the_user_changes_is_kept() -> None:
    optimizer = optimizer_of()
    schedule = schedules.ExponentialLR(optimizer, 0.5)
    optimizer.lr = 8.0
    schedule.step()
    assert optimizer.lr == 4.0 == schedule.get_last_lr()[0]


def test_a_second_schedule_starts_from_the_initial_rate() -> None:
    optimizer = optimizer_of()
    schedules.ConstantLR(optimizer, 0.5)
    assert schedules.StepLR(optimizer, 5).base_lrs == [0.1]
    assert "param_groups.0.initial_lr" not in optimizer.state_dict()


def test_going_on_from_an_epoch() -> None:
    assert schedules.ExponentialLR(optimizer_of(), 0.5, last_epoch=2).get_last_lr() == [0.1 * 0.5**3]


def test_a_schedule_of_batches_in_fractions_of_epochs() -> None:
    optimizer = optimizer_of()
    schedule = schedules.CosineAnnealingWarmRestarts(optimizer, 2)
    schedule.step(1.0)
    assert optimizer.lr == pytest.approx(0.05)
    schedule.step(4.5)
    assert schedule.T_cur == 0.5


def test_adam_s_momentum_is_beta1() -> None:
    optimizer = Adam([ndl.zeros(1, device="numpy")])
    schedules.OneCycleLR(optimizer, 0.1, 10)
    assert optimizer.param_groups[0]["beta1"] == 0.95


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda o: schedules.StepLR(None, 3), TypeError, "takes an optimizer, not a NoneType"),
        (lambda o: schedules.StepLR(o, 0), ValueError, "step_size=0 must be at least 1"),
        (lambda o: schedules.MultiStepLR(o, [1, -2]), ValueError, "milestones=-2"),
        (lambda o: schedules.ConstantLR(o, 1.5), ValueError, r"factor=1\.5 must be from 0 to 1"),
        (lambda o: schedules.LinearLR(o, 0), ValueError, "start_factor=0 must be above 0"),
        (lambda o: schedules.LambdaLR(o, [abs, abs]), ValueError, "lr_lambda has 2 values; the optimizer has 1"),
        (lambda o: schedules.CyclicLR(o, 0.1, 0.2, mode="round"), ValueError, "mode='round' is not known"),
        (lambda o: schedules.OneCycleLR(o, 0.1), ValueError, "needs total_steps, or both epochs and steps_per_epoch"),
        (lambda o: schedules.OneCycleLR(o, 0.1, 5, pct_start=2), ValueError, "pct_start=2 must be from 0 to 1"),
        (lambda o: schedules.ReduceLROnPlateau(o, factor=1), ValueError, "factor=1 must be"),
        (lambda o: schedules.ReduceLROnPlateau(o).step(), TypeError, "needs the measure"),
        (lambda o: schedules.SequentialLR(o, [], []), ValueError, "needs at least one schedule"),
        (
            lambda o: schedules.SequentialLR(o, [schedules.StepLR(o, 1)], [3]),
            ValueError,
            "need 0 milestones, not 1",
        ),
        (
            lambda o: schedules.SequentialLR(o, [schedules.StepLR(o, 1)] * 3, [3, 3]),
            ValueError,
            r"milestones=\[3, 3\] must rise",
        ),
        (
            lambda o: schedules.ChainedScheduler([schedules.StepLR(o, 1), schedules.StepLR(optimizer_of(), 1)]),
            ValueError,
            "schedule 1 of ChainedScheduler is another optimizer's",
        ),
        (lambda o: schedules.CosineAnnealingWarmRestarts(o, 2).step(-1), ValueError, "epoch=-1 must be at least 0"),
        (lambda o: schedules.StepLR(o, 1).load_state_dict({"last_epoch": 1}), ValueError, r"'base_lrs\.0'"),
        (lambda o: schedules.LRScheduler(o), NotImplementedError, "LRScheduler defines no rate"),
    ],
)
def test_errors(make: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(optimizer_of())


def test_a_cycle_has_an_end_and_needs_momentum() -> None:
    schedule = schedules.OneCycleLR(optimizer_of(), 0.1, 3)
    schedule.step()
    schedule.step()
    with pytest.raises(ValueError, match="step 3 is beyond the 3 steps"):
        schedule.step()
    adagrad = ndl.optim.Adagrad([ndl.zeros(1, device="numpy")])
    with pytest.raises(ValueError, match="needs an optimizer with momentum or betas; Adagrad has none"):
        schedules.CyclicLR(adagrad, 0.1, 0.2)
