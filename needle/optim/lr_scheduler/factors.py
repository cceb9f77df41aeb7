"""Schedules that multiply the initial rate by a factor: steps, powers, straight lines and functions of the user's."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

from needle.checks import integer
from needle.optim.lr_scheduler.base import LRScheduler, each_group
from needle.optim.optimizer import Optimizer

__all__ = [
    "ConstantLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "PolynomialLR",
    "StepLR",
]

Factor = Callable[[int], float]


class StepLR(LRScheduler):
    """initial * gamma ** (epoch // step_size).

    Args:
        optimizer: see `LRScheduler`, as for all schedules here; `last_epoch` likewise.
        step_size: epochs between two steps, at least 1.
        gamma: the factor of each step.
        last_epoch: see `LRScheduler`.
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = integer("step_size", step_size)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _rate(self, epoch: int, base: float) -> float:
        return float(base * self.gamma ** (epoch // self.step_size))


class MultiStepLR(LRScheduler):
    """initial * gamma ** (the number of `milestones` that have been reached).

    Args:
        optimizer: see `LRScheduler`.
        milestones: the epochs of the steps, in any order; one given twice counts twice.
        gamma: the factor of each step.
        last_epoch: see `LRScheduler`.
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = sorted(integer("milestones", epoch, 0) for epoch in milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _rate(self, epoch: int, base: float) -> float:
        return float(base * self.gamma ** bisect_right(self.milestones, epoch))


class ExponentialLR(LRScheduler):
    """initial * gamma ** epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _rate(self, epoch: int, base: float) -> float:
        return float(base * self.gamma**epoch)


class ConstantLR(LRScheduler):
    """initial * factor for the first `total_iters` epochs, the initial rate from then on.

    Raises ValueError unless `factor` is from 0 to 1.
    """

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        _check_fraction("factor", factor)
        self.factor = factor
        self.total_iters = integer("total_iters", total_iters, 0)
        super().__init__(optimizer, last_epoch)

    def _rate(self, epoch: int, base: float) -> float:
        return base * self.factor if epoch < self.total_iters else base


class LinearLR(LRScheduler):
    """From initial * start_factor in a straight line to initial * end_factor, reached after `total_iters` epochs.

    Raises ValueError unless `start_factor` is above 0 and both are at most 1.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        _check_fraction("start_factor", start_factor)
        _check_fraction("end_factor", end_factor)
        if start_factor == 0:
            raise ValueError("start_factor=0 must be above 0 and at most 1")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = integer("total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def _rate(self, epoch: int, base: float) -> float:
        done = min(epoch, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * done)


class PolynomialLR(LRScheduler):
    """initial * (1 - epoch / total_iters) ** power, 0 after `total_iters` epochs."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = integer("total_iters", total_iters)
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _rate(self, epoch: int, base: float) -> float:
        return float(base * (1 - min(epoch, self.total_iters) / self.total_iters) ** self.power)


class LambdaLR(LRScheduler):
    """initial * lr_lambda(epoch).

    Args:
        optimizer: see `LRScheduler`.
        lr_lambda: a function of the epoch, or a list of one for each parameter group. It is not part of the state.
        last_epoch: see `LRScheduler`.
    """

    _absolute = True

    def __init__(self, optimizer: Optimizer, lr_lambda: Factor | Sequence[Factor], last_epoch: int = -1) -> None:
        self.lr_lambdas: list[Factor] = each_group("lr_lambda", lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def _begin(self) -> None:
        self._set([base * float(f(self.last_epoch)) for f, base in zip(self.lr_lambdas, self.base_lrs, strict=True)])

    def step(self) -> None:
        self.last_epoch += 1
        self._begin()


class MultiplicativeLR(LRScheduler):
    """The rate before, times lr_lambda(epoch); at epoch 0 the initial rate.

    Args:
        optimizer: see `LRScheduler`.
        lr_lambda: a function of the epoch, or a list of one for each parameter group. It is not part of the state.
        last_epoch: see `LRScheduler`.
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Factor | Sequence[Factor], last_epoch: int = -1) -> None:
        self.lr_lambdas: list[Factor] = each_group("lr_lambda", lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def _begin(self) -> None:
        rates = []
        for factor, rate in zip(self.lr_lambdas, self.base_lrs, strict=True):
            for epoch in range(1, self.last_epoch + 1):
                rate *= float(factor(epoch))
            rates.append(rate)
        self._set(rates)

    def step(self) -> None:
        self.last_epoch += 1
        factors = [float(factor(self.last_epoch)) for factor in self.lr_lambdas]
        self._set([rate * factor for rate, factor in zip(self.get_last_lr(), factors, strict=True)])


def _check_fraction(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name}={value!r} must be from 0 to 1")
