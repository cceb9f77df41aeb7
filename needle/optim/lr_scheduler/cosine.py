"""Schedules along a cosine (Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts")."""

from __future__ import annotations

from math import cos, pi

from needle.checks import integer
from needle.optim.lr_scheduler.base import LRScheduler
from needle.optim.optimizer import Optimizer

__all__ = ["CosineAnnealingLR", "CosineAnnealingWarmRestarts"]


class CosineAnnealingLR(LRScheduler):
    """eta_min + (initial - eta_min) * (1 + cos(pi * epoch / T_max)) / 2: down in `T_max` epochs, and up again.

    Args:
        optimizer: see `LRScheduler`.
        T_max: epochs to the lowest rate, at least 1.
        eta_min: the lowest rate.
        last_epoch: see `LRScheduler`.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = integer("T_max", T_max)
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def _rate(self, epoch: int, base: float) -> float:
        return self.eta_min + (base - self.eta_min) * self._height(epoch)

    def _height(self, epoch: int) -> float:
        """Where the rate is between `eta_min`, 0, and the initial rate, 1."""
        return (1 + cos(pi * (epoch % (2 * self.T_max)) / self.T_max)) / 2

    def _next(self, present: float, base: float) -> float:
        before = self._height(self.last_epoch - 1)
        if before == 0:  # nothing is left of the present rate to go on from
            return self._rate(self.last_epoch, base)
        return self.eta_min + (present - self.eta_min) * (self._height(self.last_epoch) / before)


class CosineAnnealingWarmRestarts(LRScheduler):
    """eta_min + (initial - eta_min) * (1 + cos(pi * t / T)) / 2, t counting from the last restart, T_0 epochs apart.

    Args:
        optimizer: see `LRScheduler`.
        T_0: epochs to the first restart, at least 1.
        T_mult: by which factor each period is longer than the one before, at least 1.
        eta_min: the lowest rate.
        last_epoch: see `LRScheduler`.

    Attributes:
        T_cur: epochs since the last restart; `step(epoch)` may set it to fractions.
        T_i: the length of the present period.
    """

    _absolute = True
    _state_names = ("T_cur", "T_i")

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_0 = integer("T_0", T_0)
        self.T_mult = integer("T_mult", T_mult)
        self.eta_min = eta_min
        self.T_cur: float = 0
        self.T_i = self.T_0
        super().__init__(optimizer, last_epoch)

    def _begin(self) -> None:
        self._place(self.last_epoch)
        super()._begin()

    def step(self, epoch: float | None = None) -> None:
        """Go on to the next epoch, or to `epoch`, which may be a fraction: epoch + batch / batches after each batch."""
        if epoch is None:
            self.last_epoch += 1
            self._place(self.last_epoch)
        else:
            if epoch < 0:
                raise ValueError(f"epoch={epoch!r} must be at least 0")
            self.last_epoch = int(epoch)
            self._place(epoch)
        super()._begin()

    def _place(self, epoch: float) -> None:
        """Find the period in which `epoch` lies, and how far into it."""
        self.T_cur, self.T_i = epoch, self.T_0
        if self.T_mult == 1:
            self.T_cur = epoch % self.T_0
            return
        while self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult

    def _rate(self, epoch: int, base: float) -> float:
        return self.eta_min + (base - self.eta_min) * (1 + cos(pi * self.T_cur / self.T_i)) / 2
