"""Schedules made of schedules: one after another, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from needle.checks import integer
from needle.optim.lr_scheduler.base import LRScheduler
from needle.optim.optimizer import Optimizer

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Combined(LRScheduler):
    """A schedule whose state is that of others, beside its own epoch."""

    _absolute = True
    schedulers: list[LRScheduler]

    def _check(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler]) -> None:
        if not schedulers:
            raise ValueError(f"{type(self).__name__} needs at least one schedule")
        for i, schedule in enumerate(schedulers):
            if not isinstance(schedule, LRScheduler):
                raise TypeError(f"schedule {i} of {type(self).__name__} is a {type(schedule).__name__}")
            if schedule.optimizer is not optimizer:
                raise ValueError(f"schedule {i} of {type(self).__name__} is another optimizer's")

    def state_dict(self) -> dict[str, Any]:
        parts = {
            f"schedulers.{i}.{name}": value
            for i, schedule in enumerate(self.schedulers)
            for name, value in schedule.state_dict().items()
        }
        return {"last_epoch": self.last_epoch, **parts}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        wrong = sorted(self.state_dict().keys() ^ state_dict.keys())
        if wrong:
            raise ValueError(f"the state does not fit {type(self).__name__}: {', '.join(map(repr, wrong))}")
        for i, schedule in enumerate(self.schedulers):
            prefix = f"schedulers.{i}."
            schedule.load_state_dict(
                {name.removeprefix(prefix): value for name, value in state_dict.items() if name.startswith(prefix)}
            )
        self.last_epoch = state_dict["last_epoch"]


class SequentialLR(_Combined):
    """One schedule after another: each begins at its milestone, at its own epoch 0.

    Args:
        optimizer: the optimizer of all of them.
        schedulers: the schedules in order.
        milestones: the epochs at which the second and the further ones begin, rising.
        last_epoch: the epoch to go on from; -1 to begin.

    Raises ValueError for another number of milestones than schedules less one, for milestones that do not rise, or for
    a schedule of another optimizer.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        self._check(optimizer, schedulers)
        needed = len(schedulers) - 1
        if len(milestones) != needed:
            raise ValueError(f"{len(schedulers)} schedules need {needed} milestones, not {len(milestones)}")
        if any(a >= b for a, b in pairwise(milestones)):
            raise ValueError(f"milestones={list(milestones)} must rise")
        self.schedulers = list(schedulers)
        self.milestones = [integer("milestones", epoch) for epoch in milestones]
        super().__init__(optimizer, last_epoch)

    def _begin(self) -> None:
        self._present().restart()
        for _ in range(self.last_epoch - ([0, *self.milestones][self._index()])):
            self._present().step()

    def _index(self) -> int:
        return bisect_right(self.milestones, self.last_epoch)

    def _present(self) -> LRScheduler:
        return self.schedulers[self._index()]

    def step(self) -> None:
        self.last_epoch += 1
        if self.last_epoch in self.milestones:
            self._present().restart()
        else:
            self._present().step()


class ChainedScheduler(_Combined):
    """Several schedules at once: each multiplies what the one before has set.

    Args:
        schedulers: schedules of one optimizer.
        optimizer: their optimizer; by default that of the first.

    Raises ValueError for no schedule, or one of another optimizer.
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        found = optimizer if optimizer is not None or not schedulers else schedulers[0].optimizer
        self._check(found, schedulers)  # type: ignore[arg-type]
        self.schedulers = list(schedulers)
        self.optimizer = self.schedulers[0].optimizer
        self.base_lrs = self.schedulers[0].base_lrs
        self.last_epoch = self.schedulers[0].last_epoch

    def step(self) -> None:
        self.last_epoch += 1
        for schedule in self.schedulers:
            schedule.step()
