"""The elementwise functions of a `World`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from support.base import Base
from support.functions import BITWISE, COMPARE, EXACT, LOGICAL, SHIFTS, UNARY, from_whole, shifted
from support.values import DEFAULT_FLOAT, Array, Value, promoted, scalar


class Elementwise(Base):
    """Functions of corresponding elements, which broadcast."""

    def __getattr__(self, name: str) -> Callable[..., Value]:
        if name in UNARY:
            return lambda x: self._unary(name, x)
        if name in EXACT:
            return lambda x: self._exact(name, x)
        if name in COMPARE:
            return lambda x, y: self._compare(getattr(np, name), x, y)
        if name in LOGICAL:
            return lambda x, y: self._logical(getattr(np, name), x, y)
        if name in BITWISE:
            return lambda x, y: self._integers(getattr(np, name), x, y)
        if name in SHIFTS:
            return lambda x, y: self._integers(lambda a, b: shifted(a, b, "left" in name), x, y)
        raise AttributeError(name)

    def _operands(self, *operands: Any) -> tuple[list[Array], np.dtype]:
        """Operands in the dtype in which they meet; Python scalars take the arrays'."""
        dtype = promoted(*(o.dtype for o in operands if isinstance(o, Value)))
        if dtype.kind != "f" and any(isinstance(o, float) for o in operands):
            dtype = DEFAULT_FLOAT
        elif dtype.kind == "b" and any(type(o) is int for o in operands):
            dtype = np.dtype(np.int64)
        return [self._cast(o, dtype) if isinstance(o, Value) else scalar(o, dtype) for o in operands], dtype

    def _floats(self, *operands: Any) -> tuple[list[Array], np.dtype]:
        arrays, dtype = self._operands(*operands)
        if dtype.kind == "f":
            return arrays, dtype
        dtype = DEFAULT_FLOAT
        return [self._cast(o, dtype) if isinstance(o, Value) else scalar(o, dtype) for o in operands], dtype

    def _node(self, value: Array, dtype: Any, operands: Sequence[Any], *slopes: Callable[[], Array]) -> Value:
        """A result; `slopes` give its derivative with respect to each operand."""

        def rule(slope: Callable[[], Array]) -> Callable[[Array], Array]:
            return lambda g: self._wobble(g * self._wobble(slope(), dtype, 4), dtype)

        parents = [(o, rule(s)) for o, s in zip(operands, slopes, strict=False) if isinstance(o, Value)]
        return Value(self, value, dtype, parents)

    def _unary(self, name: str, x: Value) -> Value:
        function, slope, relative, absolute = UNARY[name]
        if name == "square" and x.dtype.kind != "f":
            return Value(self, x.value * x.value, x.dtype)
        (a,), dtype = self._floats(x)
        exact = function(a)
        y = self._wobble(exact, dtype, 1, relative * np.abs(exact) + absolute * (np.abs(exact) + np.abs(a)))
        return self._node(y, dtype, [x], lambda: self._wobble(slope(a, y), dtype, absolute, 1.0))

    def _exact(self, name: str, x: Value) -> Value:
        function, slope, margin = EXACT[name]
        if margin is not None and x.dtype.kind == "f":
            self._decide(function(x.value) == 0, margin(x.value))
        return self._node(function(x.value).astype(x.value.dtype), x.dtype, [x], lambda: slope(x.value))

    def add(self, x: Any, y: Any) -> Value:
        (a, b), dtype = self._operands(x, y)
        value = self._wobble(a + b, dtype) if dtype.kind == "f" else a + b
        return self._node(value, dtype, [x, y], lambda: np.float64(1), lambda: np.float64(1))

    def subtract(self, x: Any, y: Any) -> Value:
        (a, b), dtype = self._operands(x, y)
        value = self._wobble(a - b, dtype) if dtype.kind == "f" else a - b
        return self._node(value, dtype, [x, y], lambda: np.float64(1), lambda: np.float64(-1))

    def multiply(self, x: Any, y: Any) -> Value:
        (a, b), dtype = self._operands(x, y)
        value = self._wobble(a * b, dtype) if dtype.kind == "f" else a * b
        return self._node(value, dtype, [x, y], lambda: b, lambda: a)

    def _signed(self, x: Array) -> Array:
        """Float operands whose sign, or being zero, changes the result by a jump."""
        if x.dtype.kind == "f":
            self._decide(np.sign(x), x)
        return x

    def divide(self, x: Any, y: Any) -> Value:
        (a, b), dtype = self._floats(x, y)
        value = self._wobble(a / self._signed(b), dtype, 3)
        return self._node(value, dtype, [x, y], lambda: 1 / b, lambda: -value / b)

    def floor_divide(self, x: Any, y: Any) -> Value:
        (a, b), dtype = self._operands(x, y)
        whole = np.floor_divide(a, self._signed(b))
        return Value(self, self._decide(whole, from_whole(a / b)) if dtype.kind == "f" else whole, dtype)

    def remainder(self, x: Any, y: Any) -> Value:
        (a, b), dtype = self._operands(x, y)
        value = np.remainder(a, self._signed(b))
        if dtype.kind == "f":
            whole = self._decide(np.floor(a / b), from_whole(a / b))
            value = self._wobble(value, dtype, 3, np.abs(a) + np.abs(b))
            return self._node(value, dtype, [x, y], lambda: np.float64(1), lambda: -whole)
        return Value(self, value, dtype)

    def pow(self, x: Any, y: Any) -> Value:
        (a, b), dtype = self._operands(x, y)
        if dtype.kind != "f":
            return Value(self, np.power(a, b), dtype)
        value = self._wobble(np.power(a, b), dtype, 16)
        return self._node(value, dtype, [x, y], lambda: b * np.power(a, b - 1), lambda: value * np.log(a))

    def atan2(self, x: Any, y: Any) -> Value:
        (a, b), dtype = self._floats(x, y)
        value = self._wobble(np.arctan2(self._signed(a), self._signed(b)), dtype, 8)
        return self._node(value, dtype, [x, y], lambda: b / (a * a + b * b), lambda: -a / (a * a + b * b))

    def maximum(self, x: Any, y: Any) -> Value:
        return self._extremum(np.maximum, x, y)

    def minimum(self, x: Any, y: Any) -> Value:
        return self._extremum(np.minimum, x, y)

    def _extremum(self, function: Any, x: Any, y: Any) -> Value:
        (a, b), dtype = self._operands(x, y)
        value = function(a, b)
        apart = a - b if dtype.kind == "f" else np.zeros(())
        ours, theirs = self._decide(value == a, apart), self._decide(value == b, apart)
        return self._node(value, dtype, [x, y], lambda: ours / (1.0 + theirs), lambda: theirs / (1.0 + ours))

    def clip(self, x: Value, low: Any, high: Any) -> Value:
        (a, least, most), dtype = self._operands(x, low, high)
        margin = np.minimum(np.abs(a - least), np.abs(a - most)) if dtype.kind == "f" else np.zeros(())
        inside = self._decide((a >= least) & (a <= most), margin)
        return self._node(np.clip(a, least, most), dtype, [x], lambda: inside * 1.0)

    def _compare(self, function: Any, x: Any, y: Any) -> Value:
        (a, b), dtype = self._operands(x, y)
        return Value(self, self._decide(function(a, b), a - b if dtype.kind == "f" else np.zeros(())), np.bool_)

    def _logical(self, function: Any, x: Any, y: Any) -> Value:
        a, b = (self._cast(o, np.bool_) if isinstance(o, Value) else bool(o) for o in (x, y))
        return Value(self, function(a, b), np.bool_)

    def logical_not(self, x: Value) -> Value:
        return Value(self, ~self._cast(x, np.bool_), np.bool_)

    def _integers(self, function: Any, x: Any, y: Any) -> Value:
        (a, b), dtype = self._operands(x, y)
        return Value(self, function(a, b), dtype)

    def bitwise_invert(self, x: Value) -> Value:
        return Value(self, ~x.value, x.dtype)

    def isnan(self, x: Value) -> Value:
        return Value(self, np.isnan(x.value), np.bool_)

    def isfinite(self, x: Value) -> Value:
        return Value(self, np.isfinite(x.value), np.bool_)

    def where(self, condition: Value, x: Any, y: Any) -> Value:
        chosen = self._cast(condition, np.bool_)
        (a, b), dtype = self._operands(x, y)
        value = np.where(chosen, a, b)
        return self._node(value, dtype, [x, y], lambda: chosen * 1.0, lambda: ~chosen * 1.0)

    def astype(self, x: Value, dtype: Any) -> Value:
        dtype = np.dtype(dtype)
        if x.dtype == dtype:
            return x
        copy = self._cast(x, dtype).copy()  # a wider float has the same float64 values
        return Value(self, copy, dtype, [(x, lambda g: self._wobble(g, x.dtype))])
