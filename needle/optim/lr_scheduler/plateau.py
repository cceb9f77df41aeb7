"""`ReduceLROnPlateau`: a smaller rate when a measure no longer gets better."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from needle.checks import integer, one_of
from needle.optim.lr_scheduler.base import LRScheduler, each_group
from needle.optim.optimizer import Optimizer

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(LRScheduler):
    """Multiplies the rate by `factor` when a measure has not improved for more than `patience` epochs.

    `step(metrics)` takes the epoch's measure: a number, or a tensor with one element.

    Args:
        optimizer: see `LRScheduler`.
        mode: whether the measure is to be small ("min") or large ("max").
        factor: the factor of the rate, below 1.
        patience: epochs without improvement that are borne.
        threshold: by how much the measure must be better than the best one.
        threshold_mode: whether that is relative ("rel": best * (1 - threshold), for "max" 1 + threshold) or a
            difference ("abs").
        cooldown: epochs after a reduction in which none is counted.
        min_lr: the lowest rate, one for all groups or a list.
        eps: a reduction by less is not made.

    Raises ValueError for a factor of 1 or more, and for another mode.
    """

    _absolute = True
    _state_names = ("best", "num_bad_epochs", "cooldown_counter")

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        one_of("mode", mode, ("min", "max"))
        one_of("threshold_mode", threshold_mode, ("rel", "abs"))
        if not 0 <= factor < 1:
            raise ValueError(f"factor={factor!r} must be at least 0 and below 1")
        self.mode = mode
        self.factor = factor
        self.patience = integer("patience", patience, 0)
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = integer("cooldown", cooldown, 0)
        self.eps = eps
        self.best = inf if mode == "min" else -inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        super().__init__(optimizer)
        self.min_lrs = each_group("min_lr", min_lr, optimizer)

    def _begin(self) -> None:
        """The rates stay as they are until the measure stops improving."""

    def step(self, metrics: Any = None) -> None:
        """Note the measure of an epoch, and reduce the rates if it is time. Raises TypeError without a measure."""
        if metrics is None:
            raise TypeError("ReduceLROnPlateau.step needs the measure of the epoch")
        measure = float(metrics)
        self.last_epoch += 1
        if self._is_better(measure):
            self.best = measure
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0

    def _is_better(self, measure: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        if abs(self.best) == inf:
            return sign * measure < sign * self.best
        margin = self.threshold if self.threshold_mode == "abs" else self.best * self.threshold
        return sign * measure < sign * self.best - margin

    def _reduce(self) -> None:
        for group, lowest in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
            reduced = max(group["lr"] * self.factor, lowest)
            if group["lr"] - reduced > self.eps:
                group["lr"] = reduced
