"""`LRScheduler`: what learning-rate schedules have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from needle.backend import recordings
from needle.checks import integer
from needle.optim.optimizer import Optimizer

__all__ = ["LRScheduler"]


def each_group(name: str, value: Any, optimizer: Optimizer) -> list[Any]:
    """`value` for each parameter group: a list of as many, or one for all. Raises ValueError for another number."""
    count = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name} has {len(value)} values; the optimizer has {count} parameter groups")
    return list(value)


class LRScheduler:
    """Base of the schedules. Subclass it and define `_rate`.

    The rate of epoch 0 is set when the schedule is made, that of the next one by each `step()`. What is changed in
    `optimizer.param_groups` by hand, or by another schedule, is kept: a step multiplies the present rate.

    Args:
        optimizer: its parameter groups have an option "lr". The rate that a group has when its first schedule is made
            is kept under "initial_lr" in the group: all schedules start from it.
        last_epoch: the epoch to go on from; -1 to begin.

    Attributes:
        last_epoch: the number of the present epoch.
        base_lrs: the initial learning rate of each group.

    Raises:
        TypeError: for something that is not an optimizer, or an epoch that is no int.
        ValueError: for an epoch below -1.
    """

    #: Whether `_rate` is the rate itself, whatever the group has now.
    _absolute = False

    #: The attributes that, beside those of every schedule, make up its state.
    _state_names: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = recordings.repeated(_CapturedStep)(cls.__dict__["step"])  # type: ignore[method-assign]

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"a schedule takes an optimizer, not a {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.base_lrs: list[float] = [group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups]
        self.last_epoch = integer("last_epoch", last_epoch, -1) + 1
        self._join()

    def _rate(self, epoch: int, base: float) -> float:
        """The learning rate at `epoch` of a group whose initial one is `base`."""
        raise NotImplementedError(f"{type(self).__name__} defines no rate")

    def _join(self) -> None:
        """Set the rates of the first epoch, on top of what other schedules of the optimizer have set."""
        before = self.get_last_lr()
        self._begin()
        if not self._absolute:
            rates = zip(before, self.get_last_lr(), self.base_lrs, strict=True)
            self._set([present * (rate / base) if base else rate for present, rate, base in rates])

    def _begin(self) -> None:
        """Set each group to the rate of the present epoch, whatever it is now."""
        self._set([self._rate(self.last_epoch, base) for base in self.base_lrs])

    def restart(self) -> None:
        """Go back to epoch 0."""
        self.last_epoch = 0
        self._begin()

    @recordings.repeated(lambda self, method, args, options: _CapturedStep(self, method, args, options))
    def step(self) -> None:
        """Go on to the next epoch and set its learning rates."""
        self.last_epoch += 1
        groups = self.optimizer.param_groups
        self._set([self._next(group["lr"], base) for group, base in zip(groups, self.base_lrs, strict=False)])

    def _next(self, present: float, base: float) -> float:
        """The rate of the present epoch, for a group that has `present` from the one before."""
        rate = self._rate(self.last_epoch, base)
        before = 0.0 if self._absolute else self._rate(self.last_epoch - 1, base)
        return present * (rate / before) if before else rate

    def _set(self, rates: Sequence[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=False):
            group["lr"] = rate

    def get_last_lr(self) -> list[float]:
        """The learning rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    # -- state ----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The state as a flat dict of numbers, which `needle.save` takes. The rates themselves are the optimizer's."""
        state = {name: getattr(self, name) for name in ("last_epoch", *self._state_names)}
        return {**state, **{f"base_lrs.{i}": rate for i, rate in enumerate(self.base_lrs)}}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the `state_dict` of such a schedule. Raises ValueError naming keys that are missing or unknown."""
        expected = self.state_dict()
        if expected.keys() != state_dict.keys():
            wrong = sorted(expected.keys() ^ state_dict.keys())
            raise ValueError(f"the state does not fit {type(self).__name__}: {', '.join(map(repr, wrong))}")
        for name in ("last_epoch", *self._state_names):
            setattr(self, name, state_dict[name])
        self.base_lrs = [state_dict[f"base_lrs.{i}"] for i in range(len(self.base_lrs))]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(last_epoch={self.last_epoch}, lr={self.get_last_lr()})"


class _CapturedStep:
    """A step of a schedule, as a captured step takes it anew in each replay (`needle.backend.recordings.Action`)."""

    def __init__(
        self, scheduler: LRScheduler, step: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        self._scheduler = scheduler
        self._step = partial(step, scheduler, *args, **options)
        self._before: tuple[dict[str, Any], list[dict[str, Any]]] = {}, []

    def run(self) -> tuple[()]:
        """Take the step, which gives no numbers itself: those of the optimiser's step are computed anew."""
        self._before = self._scheduler.state_dict(), [dict(group) for group in self._scheduler.optimizer.param_groups]
        self._step()
        return ()

    def undo(self) -> None:
        """Go back to where `run` began."""
        state, options = self._before
        self._scheduler.load_state_dict(state)
        for group, before in zip(self._scheduler.optimizer.param_groups, options, strict=True):
            group.update(before)
