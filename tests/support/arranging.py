"""The functions of a `World` that put elements elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from support.base import Base
from support.values import Array, Value, promoted


class Arranging(Base):
    """Functions whose results consist of elements of their operands."""

    def _rearrange(self, arrange: Callable[..., Array], *xs: Value) -> Value:
        """A result that consists of elements of `xs`, found by arranging their numbers like their values."""
        dtype = promoted(*(x.dtype for x in xs))
        value = arrange(*(self._cast(x, dtype) for x in xs))

        def rule(k: int) -> Callable[[Array], Array]:
            def back(g: Array) -> Array:
                numbers = [np.full(x.shape, -1) for x in xs]
                numbers[k] = np.arange(xs[k].value.size).reshape(xs[k].shape)
                places = np.asarray(arrange(*numbers)).ravel()
                ours, sums = places >= 0, np.zeros((2, xs[k].value.size))
                np.add.at(sums[0], places[ours], np.ravel(g)[ours])
                np.add.at(sums[1], places[ours], np.abs(np.ravel(g)[ours]))
                most = np.bincount(places[ours]).max(initial=0) if ours.any() else 0
                return self._wobble(sums[0], dtype, self._fold_error(dtype, int(most)), sums[1]).reshape(xs[k].shape)

            return back

        view = any(np.may_share_memory(value, x.value) for x in xs)
        return Value(self, value, dtype, [(x, rule(k)) for k, x in enumerate(xs)], view)

    def reshape(self, x: Value, shape: Any) -> Value:
        return self._rearrange(lambda a: a.reshape(shape), x)

    def flatten(self, x: Value) -> Value:
        return self._rearrange(lambda a: a.reshape(-1), x)

    def permute_dims(self, x: Value, axes: Any) -> Value:
        return self._rearrange(lambda a: a.transpose(axes), x)

    def broadcast_to(self, x: Value, shape: Any) -> Value:
        return self._rearrange(lambda a: np.broadcast_to(a, shape), x)

    def flip(self, x: Value, axis: Any = None) -> Value:
        backwards = [axis is None or a == axis % x.ndim for a in range(x.ndim)]
        return x[tuple(slice(None, None, -1) if b else slice(None) for b in backwards)]

    def expand_dims(self, x: Value, axis: int) -> Value:
        return self._rearrange(lambda a: np.expand_dims(a, axis), x)

    def squeeze(self, x: Value) -> Value:
        return self._rearrange(np.squeeze, x)

    def concat(self, xs: Sequence[Value], axis: int) -> Value:
        return self._rearrange(lambda *arrays: np.concatenate(arrays, axis), *xs)

    def stack(self, xs: Sequence[Value], axis: int) -> Value:
        return self._rearrange(lambda *arrays: np.stack(arrays, axis), *xs)

    def split(self, x: Value, cuts: Sequence[int], axis: int) -> list[Value]:
        lead = (slice(None),) * axis
        return [x[(*lead, slice(a, b))] for a, b in pairwise([0, *cuts, x.shape[axis]])]

    def take(self, x: Value, indices: Any, axis: int) -> Value:
        where = indices.value.astype(np.int64) if isinstance(indices, Value) else np.asarray(indices)
        return self._rearrange(lambda a: np.take(a, where, axis), x)

    def take_along_axis(self, x: Value, indices: Any, axis: int) -> Value:
        where = indices.value.astype(np.int64) if isinstance(indices, Value) else np.asarray(indices)
        return self._rearrange(lambda a: np.take_along_axis(a, where, axis), x)

    def one_hot(self, indices: Value, count: int, dtype: Any) -> Value:
        return Value(self, (indices.value[..., None] == np.arange(count)).astype(np.float64), dtype)
