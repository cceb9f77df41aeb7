"""The reductions and products of a `World`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from support.base import Base
from support.values import DEFAULT_FLOAT, Array, Value, axes_of, kept, summed, without


class Reductions(Base):
    """Functions that fold elements into one, and products of matrices."""

    def _fold_error(self, dtype: np.dtype, count: int) -> float:
        """Units of rounding, of the sum of the absolute values, that a sum may be off."""
        if count < 2:
            return 0
        return 2 + (count / 4 if dtype == np.float16 else math.log2(count))

    def sum(self, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        axes = axes_of(axis, x.ndim)
        if x.dtype.kind != "f":
            wide = np.uint64 if x.dtype.kind == "u" else np.int64
            return Value(self, x.value.sum(axes, wide, keepdims=keepdims), wide)
        return self._sum(x, axes, keepdims, 1.0)

    def mean(self, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        axes = axes_of(axis, x.ndim)
        count = math.prod(x.shape[a] for a in axes)
        if not count:
            shape = x.value.sum(axes, keepdims=keepdims).shape
            dtype = x.dtype if x.dtype.kind == "f" else DEFAULT_FLOAT
            return Value(self, np.full(shape, np.nan), dtype, [(x, lambda g: np.zeros(x.shape))])
        floating = self.astype(x, x.dtype if x.dtype.kind == "f" else DEFAULT_FLOAT)
        return self._sum(floating, axes, keepdims, 1 / count)

    def _sum(self, x: Value, axes: tuple[int, ...], keepdims: bool, factor: float) -> Value:
        count = math.prod(x.shape[a] for a in axes)
        error = self._fold_error(x.dtype, count) + (factor != 1)
        scale = factor * np.abs(x.value).sum(axes, keepdims=keepdims)
        value = self._wobble(factor * x.value.sum(axes, keepdims=keepdims), x.dtype, error, scale)

        def rule(g: Array) -> Array:
            return np.broadcast_to(self._wobble(factor * kept(g, x.shape, axes), x.dtype, 2 * (factor != 1)), x.shape)

        return Value(self, value, x.dtype, [(x, rule)])

    def prod(self, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        axes = axes_of(axis, x.ndim)
        if x.dtype.kind != "f":
            wide = np.uint64 if x.dtype.kind == "u" else np.int64
            return Value(self, x.value.prod(axes, wide, keepdims=keepdims), wide)
        count = math.prod(x.shape[a] for a in axes)
        value = self._wobble(x.value.prod(axes, keepdims=keepdims), x.dtype, count)

        def rule(g: Array) -> Array:
            rest = [a for a in range(x.ndim) if a not in axes]
            rows = x.value.transpose((*rest, *axes)).reshape((*(x.shape[a] for a in rest), count))
            others = np.where(np.eye(count, dtype=bool), 1.0, rows[..., None, :]).prod(-1)
            others = others.reshape([x.shape[a] for a in (*rest, *axes)])
            back = others.transpose(np.argsort([*rest, *axes]))
            return self._wobble(kept(g, x.shape, axes) * back, x.dtype, count + 4)

        return Value(self, value, x.dtype, [(x, rule)])

    def max(self, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        return self._extreme(np.max, x, axis, keepdims)

    def min(self, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        return self._extreme(np.min, x, axis, keepdims)

    def _extreme(self, function: Any, x: Value, axis: Any, keepdims: bool) -> Value:
        axes = axes_of(axis, x.ndim)
        full = function(x.value, axis=axes, keepdims=True)
        chosen = self._decide(x.value == full, x.value - full if x.dtype.kind == "f" else np.zeros(()))
        share = chosen / np.maximum(chosen.sum(axes, keepdims=True), 1)

        def rule(g: Array) -> Array:
            return self._wobble(kept(g, x.shape, axes) * share, x.dtype, 2)

        return Value(self, full if keepdims else full.reshape(without(x.shape, axes)), x.dtype, [(x, rule)])

    def argmax(self, x: Value, axis: int | None = None, keepdims: bool = False) -> Value:
        return self._place(np.argmax, np.max, x, axis, keepdims)

    def argmin(self, x: Value, axis: int | None = None, keepdims: bool = False) -> Value:
        return self._place(np.argmin, np.min, x, axis, keepdims)

    def _place(self, find: Any, best: Any, x: Value, axis: int | None, keepdims: bool) -> Value:
        margin = x.value - best(x.value, axis=axis, keepdims=True) if x.dtype.kind == "f" else np.zeros(())
        return Value(self, self._decide(find(x.value, axis, keepdims=keepdims), margin), np.int64)

    def any(self, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        return Value(self, self._cast(x, np.bool_).any(axes_of(axis, x.ndim), keepdims=keepdims), np.bool_)

    def all(self, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        return Value(self, self._cast(x, np.bool_).all(axes_of(axis, x.ndim), keepdims=keepdims), np.bool_)

    def var(self, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
        away = self.subtract(x, self.mean(x, axis, True))
        return self.mean(self.multiply(away, away), axis, keepdims)

    def softmax(self, x: Value, axis: int = -1) -> Value:
        (a,), dtype = self._floats(x)
        away = a - a.max(axis, keepdims=True, initial=-np.inf)
        powers = self._wobble(np.exp(away), dtype, 8, np.exp(away) * (1 + np.abs(away)))
        y = self._wobble(powers / powers.sum(axis, keepdims=True), dtype, 4 + self._fold_error(dtype, a.shape[axis]))

        def rule(g: Array) -> Array:
            dot, size = ((f(g * y)).sum(axis, keepdims=True) for f in (np.positive, np.abs))
            error = 2 + self._fold_error(dtype, a.shape[axis])
            return self._wobble(y * (g - dot), dtype, error, y * (np.abs(g) + size))

        return Value(self, y, dtype, [(x, rule)] if isinstance(x, Value) else [])

    def log_softmax(self, x: Value, axis: int = -1) -> Value:
        (a,), dtype = self._floats(x)
        total = self._log_sum(a, axis)
        error = 8 + self._fold_error(dtype, a.shape[axis])
        exact = np.where(np.isposinf(total), np.nan, a - total)  # as of the softmax: NaN beside an infinity
        y = self._wobble(exact, dtype, error, 1 + np.abs(a) + np.abs(total))

        def rule(g: Array) -> Array:
            sums = [f(g).sum(axis, keepdims=True) for f in (np.positive, np.abs)]
            return self._wobble(g - np.exp(y) * sums[0], dtype, error, np.abs(g) + np.exp(y) * sums[1])

        return Value(self, y, dtype, [(x, rule)])

    def logsumexp(self, x: Value, axis: int = -1, keepdims: bool = False) -> Value:
        (a,), dtype = self._floats(x)
        error = 8 + self._fold_error(dtype, a.shape[axis])
        exact = self._log_sum(a, axis)
        y = self._wobble(exact, dtype, error, 1 + np.abs(exact))

        def rule(g: Array) -> Array:
            return self._wobble(kept(g, a.shape, (axis % a.ndim,)) * np.exp(a - y), dtype, 8)

        return Value(self, y if keepdims else y.squeeze(axis), dtype, [(x, rule)])

    def _log_sum(self, a: Array, axis: int) -> Array:
        most = a.max(axis, keepdims=True, initial=-np.inf)
        shift = np.where(np.isinf(most), 0, most)
        return np.log(np.exp(a - shift).sum(axis, keepdims=True)) + shift

    # -- products -------------------------------------------------------------------------------

    def matmul(self, x: Value, y: Value) -> Value:
        (a, b), dtype = self._operands(x, y)
        if dtype.kind != "f":
            return Value(self, np.matmul(a, b), dtype)
        value = self._product(a, b, dtype)
        rows, columns = (a if a.ndim > 1 else a[None, :]), (b if b.ndim > 1 else b[:, None])

        def opened(g: Array) -> Array:
            """The gradient with the axes that a vector operand has taken from the result."""
            g = g[..., None] if b.ndim == 1 else g
            return g[..., None, :] if a.ndim == 1 else g

        def of_x(g: Array) -> Array:
            return self._product(opened(g), np.swapaxes(columns, -1, -2), dtype, rows.shape).reshape(a.shape)

        def of_y(g: Array) -> Array:
            return self._product(np.swapaxes(rows, -1, -2), opened(g), dtype, columns.shape).reshape(b.shape)

        return Value(self, value, dtype, [(x, of_x), (y, of_y)])

    def _product(self, a: Array, b: Array, dtype: np.dtype, shape: Any = None) -> Array:
        exact, size, depth = np.matmul(a, b), np.matmul(np.abs(a), np.abs(b)), a.shape[-1]
        if shape is not None:  # summed over the axes of a stack that one operand was repeated along
            depth *= max(1, exact.size // max(1, math.prod(shape)))
            exact, size = summed(exact, shape), summed(size, shape)
        error = 0 if depth < 1 else 2 + (depth if dtype == np.float16 else math.sqrt(depth))
        return self._wobble(exact, dtype, error, size)
