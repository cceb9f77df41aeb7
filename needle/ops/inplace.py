"""Python's in-place operators, and PyTorch's methods whose names end with an underscore.

They write into the tensor, so that views and other names of it see the result. What the result is in the graph is told
in `needle.ops.rewriting`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from needle.array.operators import TABLE, is_ours
from needle.autograd import Value
from needle.autograd.nodes import forget
from needle.ops.arithmetic import clip
from needle.ops.base import data_of
from needle.ops.indexing.access import setitem
from needle.ops.indexing.functions import indexed_sums, masked_fill, scatter_into, scattered_sums
from needle.ops.places import sums_at
from needle.ops.rewriting import rewrite

#: The tensor's own class.
T = TypeVar("T", bound="InPlace")


def apply_in_place(name: str, x: Any, *others: Any) -> Any:
    """x with the outcome of the function `name` on x and `others` written into it."""
    return rewrite(name, x, TABLE[name], others)


def _operator(name: str) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        return apply_in_place(name, self, other) if is_ours(other) else NotImplemented

    method.__doc__ = f"Write the outcome of `{name}` into this tensor, and return it."
    return method


class InPlace(Value):
    """The in-place operators and methods of tensors.

    Each raises GraphError for a leaf that requires a gradient, unless under `no_grad`; TypeError where the dtype of the
    result does not fit this tensor's (NumPy's rule "same_kind"); ValueError where its shape does not.
    """

    __slots__ = ()

    __iadd__ = _operator("add")
    __isub__ = _operator("subtract")
    __imul__ = _operator("multiply")
    __itruediv__ = _operator("divide")
    __ifloordiv__ = _operator("floor_divide")
    __imod__ = _operator("remainder")
    __ipow__ = _operator("pow")
    __imatmul__ = _operator("matmul")
    __iand__ = _operator("bitwise_and")
    __ior__ = _operator("bitwise_or")
    __ixor__ = _operator("bitwise_xor")
    __ilshift__ = _operator("bitwise_left_shift")
    __irshift__ = _operator("bitwise_right_shift")

    def add_(self: T, other: Any, *, alpha: float = 1) -> T:
        """Add `other`, times `alpha`."""
        return apply_in_place("add", self, other if alpha == 1 else other * alpha)

    def sub_(self: T, other: Any, *, alpha: float = 1) -> T:
        """Subtract `other`, times `alpha`."""
        return apply_in_place("subtract", self, other if alpha == 1 else other * alpha)

    def mul_(self: T, other: Any) -> T:
        """Multiply by `other`."""
        return apply_in_place("multiply", self, other)

    def div_(self: T, other: Any) -> T:
        """Divide by `other`."""
        return apply_in_place("divide", self, other)

    def pow_(self: T, exponent: Any) -> T:
        """Raise to the power `exponent`."""
        return apply_in_place("pow", self, exponent)

    def clamp_(self: T, min: Any = None, max: Any = None) -> T:
        """Bring elements below `min` up to it and those above `max` down to it; None is no bound."""
        return rewrite("clip", self, clip, (min, max))

    def masked_fill_(self: T, mask: Any, value: Any) -> T:
        """Write `value` where `mask`, which broadcasts to this tensor, is true."""
        return rewrite("masked_fill", self, masked_fill, (mask, value))

    def scatter_(self: T, dim: int, index: Any, src: Any) -> T:
        """Write the elements of `src` where `gather` would read (see `scatter`)."""
        result: T = scatter_into(self, dim, index, src)
        return result

    def scatter_add_(self: T, dim: int, index: Any, src: Any) -> T:
        """Add the elements of `src` where `gather` would read (see `scatter_add`)."""
        return apply_in_place("add", self, scattered_sums(self, dim, index, src))

    def index_add_(self: T, dim: int, index: Any, source: Any, *, alpha: float = 1) -> T:
        """Add slices of `source` at indices along `dim` (see `index_add`)."""
        return apply_in_place("add", self, indexed_sums(self, dim, index, source, alpha))

    def index_put_(self: T, indices: Any, values: Any, accumulate: bool = False) -> T:
        """Write `values` at arrays of indices of the first axes, or with `accumulate` add them (see `index_put`)."""
        if accumulate:
            return self.copy_(sums_at(self, tuple(indices), values))  # type: ignore[arg-type]
        setitem(self, tuple(indices), values)
        return self

    def fill_(self: T, value: Any) -> T:
        """Write `value`, a number or a tensor of one, into every element."""
        if isinstance(value, Value) and data_of(value).size != 1:
            raise ValueError(f"fill_: value has shape {data_of(value).shape}; it must be one number")
        return self.copy_(value)

    def zero_(self: T) -> T:
        """Write 0 into every element."""
        return self.copy_(0)

    def copy_(self: T, source: Any) -> T:
        """Write `source`, broadcast and cast, into this tensor."""
        setitem(self, Ellipsis, source)
        return self

    def detach_(self: T) -> T:
        """Take this tensor out of the graph: a leaf that requires no gradient, with the same values."""
        forget(self)
        self.node, self.index, self._requires_grad, self.view_of = None, 0, False, None
        return self
