"""The tensors of a `World`, and what its operations have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray
DEFAULT_FLOAT = np.dtype(np.float32)


class Value:
    """A tensor of a world: float values in float64 under the dtype that they stand for."""

    __array_ufunc__ = None

    def __init__(
        self, world: Any, value: Array, dtype: Any, parents: Sequence[tuple[Value, Any]] = (), view: bool = False
    ) -> None:
        self.world = world
        # What is no view is contiguous, as in needle; NumPy computes in the order of its operands' memory.
        self.value = np.asarray(value, order=None if view else "C")
        self.dtype = np.dtype(dtype)
        self.parents = [(p, rule) for p, rule in parents if p.requires_grad] if self.dtype.kind == "f" else []
        self.requires_grad = bool(self.parents)
        self.depth = 1 + max((p.depth for p, _ in self.parents), default=0)  # of the graph below
        self.grad: Value | None = None

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)

    def __add__(self, other):
        return self.world.add(self, other)

    def __radd__(self, other):
        return self.world.add(other, self)

    def __sub__(self, other):
        return self.world.subtract(self, other)

    def __rsub__(self, other):
        return self.world.subtract(other, self)

    def __mul__(self, other):
        return self.world.multiply(self, other)

    def __rmul__(self, other):
        return self.world.multiply(other, self)

    def __truediv__(self, other):
        return self.world.divide(self, other)

    def __rtruediv__(self, other):
        return self.world.divide(other, self)

    def __matmul__(self, other):
        return self.world.matmul(self, other)

    def __neg__(self):
        return self.world.negative(self)

    def __and__(self, other):
        return self.world.bitwise_and(self, other)

    def __or__(self, other):
        return self.world.bitwise_or(self, other)

    def __xor__(self, other):
        return self.world.bitwise_xor(self, other)

    def __invert__(self):
        return self.world.bitwise_invert(self)

    def __getitem__(self, index: Any) -> Value:
        whole = index if isinstance(index, tuple) else (index,)
        whole = whole if Ellipsis in [i for i in whole if not isinstance(i, slice)] else (*whole, ...)
        return self.world._rearrange(lambda a: a[whole], self)  # with an ellipsis a single element is a view, too

    def __setitem__(self, index: Any, value: Any) -> None:
        given = self.world._cast(value, self.dtype) if isinstance(value, Value) else scalar(value, self.dtype)
        self.value[index] = given

    def detach(self) -> Value:
        return Value(self.world, self.world.detached(self.value), self.dtype, view=True)

    def realize(self) -> Value:
        return self

    def numpy(self) -> Array:
        return self.value

    def backward(self, out_grad: Value, retain_graph: bool = False) -> None:
        for leaf, grad in self.world._propagate(self, out_grad.value).items():
            if not leaf.parents:
                total = grad if leaf.grad is None else self.world._wobble(leaf.grad.value + grad, leaf.dtype)
                leaf.grad = Value(self.world, total, leaf.dtype)


def scalar(value: Any, dtype: np.dtype) -> Array:
    """A Python scalar as an operand of `dtype`: a float after its rounding to it, in float64."""
    rounded = np.asarray(value).astype(dtype)
    return rounded.astype(np.float64) if dtype.kind == "f" else rounded


def promoted(*dtypes: np.dtype) -> np.dtype:
    """The dtype in which needle lets arrays of `dtypes` meet; uint64 does not meet signed integers."""
    floats = [d for d in dtypes if d.kind == "f"]
    return np.result_type(*(floats or dtypes))


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    return tuple(a % ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def kept(g: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    return g.reshape(tuple(1 if a in axes else n for a, n in enumerate(shape)))


def without(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for a, n in enumerate(shape) if a not in axes)


def summed(g: Array, shape: tuple[int, ...]) -> Array:
    """`g` summed over the axes along which `shape` was broadcast to its shape."""
    g = g.sum(tuple(range(g.ndim - len(shape))))
    return g.sum(tuple(a for a, n in enumerate(shape) if n == 1 and g.shape[a] != 1), keepdims=True)
