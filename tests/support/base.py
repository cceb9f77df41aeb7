"""What every operation of a `World` rests on: rounding errors, decisions, the graph."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from support.functions import from_whole, least
from support.values import Array, Value, summed

#: How much larger than rounding the errors of a world are.
AMPLIFY = 8


class Base:
    """One run of a program: exact without a seed, with random rounding errors under one."""

    float32, float64, float16 = "float32", "float64", "float16"

    def __init__(self, seed: int | None = None) -> None:
        self.rng = None if seed is None else np.random.default_rng(seed)
        self.decisions: list[tuple[Array, Array]] = []
        self.shift = 0.0  # how far along `direction` the variables are moved
        self.variables = 0
        self.constants: list[Array] = []  # the values that were detached
        self.fixed: Iterator[Array] | None = None  # those of the world from which this one is moved

    @staticmethod
    def direction(number: int, shape: tuple[int, ...]) -> Array:
        """The direction in which variable `number` is moved."""
        return np.random.default_rng(1000 + number).standard_normal(shape)

    def detached(self, value: Array) -> Array:
        """The memory of a detached value; in a moved world, what it holds where nothing is moved: it is constant."""
        if self.fixed is not None:
            return next(self.fixed).copy()
        self.constants.append(value.copy())
        return value

    # -- rounding -------------------------------------------------------------------------------

    def _wobble(self, exact: Array, dtype: Any, ulps: float = 1, scale: Array | float | None = None) -> Array:
        """`exact` with an error of up to `ulps` units of rounding of |exact|, or of `scale`, and of underflow."""
        exact = np.asarray(exact, np.float64)
        if self.rng is None or not exact.size:
            return exact
        size = np.abs(exact) if scale is None else np.broadcast_to(scale, exact.shape)
        size = np.where(np.isfinite(size), size, np.abs(exact))  # atan(inf) is rounded, too
        error = AMPLIFY * ulps * float(np.finfo(dtype).eps) / 2 * size + least(dtype) * (ulps > 0) * (exact != 0)
        noise = self.rng.uniform(-1, 1, exact.shape) * np.where(np.isfinite(error), error, 0)
        return np.where(np.isfinite(exact), exact + noise, exact)

    def _decide(self, decision: Array, margin: Array) -> Array:
        """Record a decision, and how far what it depends on is from where it would turn out otherwise."""
        self.decisions.append((np.asarray(decision), np.asarray(margin)))
        return decision

    def _cast(self, x: Value, dtype: Any) -> Array:
        """The values of x as operands of `dtype`."""
        dtype = np.dtype(dtype)
        if x.dtype == dtype:
            return x.value
        if dtype.kind == "f":
            if x.dtype.kind != "f":
                return x.value.astype(dtype).astype(np.float64)
            return self._wobble(x.value, dtype) if dtype.itemsize < x.dtype.itemsize else x.value
        if x.dtype.kind == "f":
            whole = x.value != 0 if dtype.kind == "b" else np.trunc(x.value)
            margin = x.value if dtype.kind == "b" else from_whole(x.value)
            return self._decide(whole, margin).astype(dtype)
        return x.value.astype(dtype)

    # -- making ---------------------------------------------------------------------------------

    def asarray(self, data: Any, dtype: Any = None) -> Value:
        host = np.asarray(data)
        dtype = np.dtype(host.dtype if dtype is None else dtype)
        rounded = host.astype(dtype)
        return Value(self, rounded.astype(np.float64) if dtype.kind == "f" else rounded.copy(), dtype)

    def Tensor(self, data: Any, dtype: Any = None) -> Value:  # noqa: N802 (as needle's)
        leaf = self.asarray(data, dtype)
        if self.shift:
            leaf.value = leaf.value + self.shift * self.direction(self.variables, leaf.shape)
        self.variables += 1
        leaf.requires_grad = True
        return leaf

    def full(self, shape: Any, value: Any, dtype: Any) -> Value:
        return self.asarray(np.full(shape, value), dtype)

    # -- backward -------------------------------------------------------------------------------

    def _propagate(self, root: Value, seed: Array) -> dict[Value, Array]:
        """The gradient with respect to every value that `root` depends on."""
        order: list[Value] = []
        seen: set[int] = set()

        def visit(value: Value) -> None:
            if id(value) not in seen:
                seen.add(id(value))
                for parent, _ in value.parents:
                    visit(parent)
                order.append(value)

        visit(root)
        grads: dict[Value, Array] = {root: np.asarray(seed, np.float64)}
        for value in reversed(order):
            if value not in grads:
                continue
            for parent, rule in value.parents:
                given = np.asarray(rule(grads[value]))
                size = summed(np.abs(given), parent.shape)
                count = given.size // max(1, math.prod(parent.shape))
                given = self._wobble(
                    summed(given, parent.shape), parent.dtype, self._fold_error(parent.dtype, count), size
                )
                known = grads.get(parent)
                grads[parent] = given if known is None else self._wobble(known + given, parent.dtype)
        return grads
