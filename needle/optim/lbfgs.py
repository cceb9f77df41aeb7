"""`LBFGS`: steps along the gradient, bent by what the last steps have shown of the curvature."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, NamedTuple

from needle.array import NDArray, evaluation, recording, writing
from needle.checks import integer
from needle.ops.shape import concat
from needle.optim.line_search import Point, strong_wolfe
from needle.optim.optimizer import Optimizer, Params, check_range, evaluated, memory_of
from needle.tensor import Tensor

__all__ = ["LBFGS"]


class _Pair(NamedTuple):
    """What an iteration has shown: the change of the gradient, that of the parameters, and 1 / their product."""

    change: NDArray
    moved: NDArray
    inverse: float


class LBFGS(Optimizer):
    """Limited-memory BFGS (Liu & Nocedal 1989; Nocedal & Wright, "Numerical Optimization", algorithm 7.5).

    A step evaluates the closure up to `max_eval` times and reads the loss each time, so that it waits for the device.
    There is one parameter group; a parameter without a gradient counts as one whose gradient is 0. Arguments, their
    defaults and when a step ends are PyTorch's.

    Args:
        params: leaf tensors of one device and dtype.
        lr: the length of a step, the first one divided by the sum of the gradient's magnitudes if that is above 1.
        max_iter: the most iterations of a step.
        max_eval: the most evaluations of the closure in a step; by default max_iter * 5 / 4.
        tolerance_grad: a step ends when no element of the gradient is larger.
        tolerance_change: a step ends when neither a parameter nor the loss changes by more.
        history_size: how many pairs of changes are remembered.
        line_search_fn: None, or "strong_wolfe" to search the length of each step (algorithms 3.5 and 3.6).

    Raises:
        ValueError: for an option out of its range, several groups, or parameters of several devices or dtypes.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        iterations = integer("max_iter", max_iter)
        options: dict[str, Any] = {
            "lr": lr,
            "max_iter": iterations,
            "max_eval": iterations * 5 // 4 if max_eval is None else integer("max_eval", max_eval),
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": integer("history_size", history_size),
            "line_search_fn": "" if line_search_fn is None else line_search_fn,
        }
        super().__init__(params, options)
        if len(self.param_groups) != 1:
            raise ValueError(f"LBFGS takes one parameter group, not {len(self.param_groups)}")
        kinds = {(p.device.name, p.dtype) for p in self.params}
        if len(kinds) != 1:
            raise ValueError(f"LBFGS takes parameters of one device and dtype, not of {len(kinds)}")
        self._pairs: deque[_Pair] = deque(maxlen=options["history_size"])
        self._scale = 1.0  # of the inverse Hessian before the pairs change it
        self._direction: NDArray | None = None
        self._length = 0.0
        self._last_gradient: NDArray | None = None
        self._iterations = 0

    def _check_options(self, group: Mapping[str, Any]) -> None:
        check_range(group, lr=(0, inf), tolerance_grad=(0, inf), tolerance_change=(0, inf))
        if group["line_search_fn"] not in ("", "strong_wolfe"):
            raise ValueError(f"line_search_fn={group['line_search_fn']!r} must be None or 'strong_wolfe'")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take up to `max_iter` iterations, and return the loss before the first.

        `closure` forgets the gradients, computes the loss, calls its `backward()` and returns it. Raises TypeError
        without one.
        """
        if closure is None:
            raise TypeError("LBFGS.step needs a closure, which computes the loss and its gradients")
        group = self.param_groups[0]
        first = evaluated(closure)
        loss, gradient = float(first), self._gradient()
        evaluations = 1
        if _largest(gradient) <= group["tolerance_grad"]:
            return first
        for iteration in range(1, group["max_iter"] + 1):
            self._iterations += 1
            self._turn(gradient)
            direction = self._direction
            assert direction is not None
            length = float(group["lr"])
            if self._iterations == 1:
                length *= min(1.0, 1 / float(abs(gradient).sum()))
            slope = _dot(gradient, direction)
            if slope > -group["tolerance_change"]:
                break
            before = loss
            if group["line_search_fn"]:
                found, tried = self._search(closure, Point(0.0, loss, gradient, slope), direction, length)
                length, loss, gradient = found.length, found.loss, found.gradient
            else:
                self._move(direction, length)
                tried = 0
                if iteration != group["max_iter"]:  # nobody needs the gradient after the last iteration
                    loss, gradient = float(evaluated(closure)), self._gradient()
                    tried = 1
            self._length = length
            evaluations += tried
            if evaluations >= group["max_eval"] or _largest(gradient) <= group["tolerance_grad"]:
                break
            change = group["tolerance_change"]
            if _largest(direction) * length <= change or abs(loss - before) < change:
                break
        return first

    def _turn(self, gradient: NDArray) -> None:
        """Find the direction of this iteration, and remember the change since the last one."""
        if self._last_gradient is None or self._direction is None:
            self._direction = (-gradient).realize()
        else:
            change, moved = (gradient - self._last_gradient).realize(), (self._direction * self._length).realize()
            curvature = _dot(change, moved)
            if curvature > 1e-10:
                self._pairs.append(_Pair(change, moved, 1 / curvature))
                self._scale = curvature / _dot(change, change)
            self._direction = self._bent(gradient)
        self._last_gradient = gradient

    def _bent(self, gradient: NDArray) -> NDArray:
        """Minus the gradient times the inverse Hessian that the remembered changes tell (algorithm 7.4)."""
        direction = (-gradient).realize()
        weights = []
        for pair in reversed(self._pairs):
            weights.append(_dot(pair.moved, direction) * pair.inverse)
            direction = (direction - weights[-1] * pair.change).realize()
        direction = (direction * self._scale).realize() if self._pairs else direction
        for pair, weight in zip(self._pairs, reversed(weights), strict=True):
            direction = (direction + (weight - _dot(pair.change, direction) * pair.inverse) * pair.moved).realize()
        return direction

    def _search(self, closure: Callable[[], Any], start: Point, direction: NDArray, length: float) -> tuple[Point, int]:
        """The point that the line search finds, to which the parameters have moved, and how often it evaluated."""
        origin = [evaluation.copy(memory_of(p)) for p in self.params]

        def evaluate(length: float) -> Point:
            self._restore(origin)
            self._move(direction, length)
            loss = float(evaluated(closure))
            gradient = self._gradient()
            return Point(length, loss, gradient, _dot(gradient, direction))

        tolerance = float(self.param_groups[0]["tolerance_change"]) / max(_largest(direction), 1e-300)
        found, evaluations = strong_wolfe(evaluate, start, length, tolerance)
        self._restore(origin)
        self._move(direction, found.length)
        return found, evaluations

    # -- the parameters as one vector ------------------------------------------------------------------------

    def _gradient(self) -> NDArray:
        """The gradients of all parameters in one vector, in memory of its own."""
        parts = [
            recording.constant((p.size,), 0, p.dtype, p.device) if p.grad is None else p.grad.cached_data.reshape((-1,))
            for p in self.params
        ]
        joined: Any = concat(parts)  # type: ignore[arg-type]
        return evaluation.copy(joined).realize()

    def _move(self, direction: NDArray, length: float) -> None:
        """Add `length` times its part of `direction` to each parameter, in place."""
        start = 0
        for param in self.params:
            part = direction[start : start + param.size].reshape(param.shape)
            start += param.size
            target = memory_of(param)
            writing.assign([target], [target + part * length])

    def _restore(self, values: list[NDArray]) -> None:
        for param, value in zip(self.params, values, strict=True):
            writing.write(memory_of(param), value)

    # -- state -------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Options and state as a flat dict of numbers and tensors, which `needle.save` takes."""
        state = {**super().state_dict(), "iterations": self._iterations, "length": self._length, "scale": self._scale}
        if self._direction is not None and self._last_gradient is not None:
            state["direction"] = Tensor(self._direction, requires_grad=False)
            state["last_gradient"] = Tensor(self._last_gradient, requires_grad=False)
        for i, pair in enumerate(self._pairs):
            state[f"change.{i}"] = Tensor(pair.change, requires_grad=False)
            state[f"moved.{i}"] = Tensor(pair.moved, requires_grad=False)
            state[f"inverse.{i}"] = pair.inverse
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the `state_dict` of an LBFGS of like parameters. Raises ValueError naming the key that is wrong."""
        rest = dict(state_dict)
        numbers = [_number(rest, name) for name in ("iterations", "length", "scale")]
        vectors = {name: self._vector(rest, name) for name in ("direction", "last_gradient") if name in rest}
        pairs: list[_Pair] = []
        while f"inverse.{len(pairs)}" in rest:
            i = len(pairs)
            change, moved = self._vector(rest, f"change.{i}"), self._vector(rest, f"moved.{i}")
            pairs.append(_Pair(change, moved, _number(rest, f"inverse.{i}")))
        super().load_state_dict(rest)
        self._iterations, self._length, self._scale = int(numbers[0]), *numbers[1:]
        self._direction, self._last_gradient = vectors.get("direction"), vectors.get("last_gradient")
        self._pairs = deque(pairs, maxlen=self.param_groups[0]["history_size"])

    def _vector(self, state: dict[str, Any], name: str) -> NDArray:
        """The copy of a vector as long as all parameters, taken out of `state`."""
        value, length = state.pop(name, None), sum(p.size for p in self.params)
        if not isinstance(value, Tensor) or value.shape != (length,):
            raise ValueError(f"{name!r} must be a tensor of shape ({length},), as long as all parameters")
        first = self.params[0]
        return evaluation.copy(value.cached_data.to(first.device).astype(first.dtype))


def _number(state: dict[str, Any], name: str) -> float:
    """A number taken out of `state`."""
    value = state.pop(name, None)
    if not isinstance(value, (int, float)):
        raise ValueError(f"the state of LBFGS lacks the number {name!r}")
    return value


def _dot(a: NDArray, b: NDArray) -> float:
    return float((a * b).sum())


def _largest(x: NDArray) -> float:
    """The largest magnitude; 0 of no elements."""
    return float(abs(x).max()) if x.size else 0.0
