"""Python's operators, and methods, resolved by name when they are called.

The functions behind them register themselves when they are declared, in layers above the arrays' class, so that
an array can be added, or written into, without its class importing the operations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from needle.array.methods import Methods, Result

F = TypeVar("F", bound=Callable[..., Any])

#: A function's name -> the function, on arrays (or tensors) and scalars; `operator` fills it.
TABLE: dict[str, Callable[..., Any]] = {}


def operator(function: F) -> F:
    """Let Python's operators, and the layers below, find the decorated function by its name."""
    TABLE[function.__name__] = function
    return function


def _unary(name: str) -> Callable[[Any], Any]:
    def method(self: Any) -> Any:
        return TABLE[name](self)

    return method


def _binary(name: str) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    def method(self: Any, other: Any) -> Any:
        return TABLE[name](self, other) if is_ours(other) else NotImplemented

    def reflected(self: Any, other: Any) -> Any:
        return TABLE[name](other, self) if is_ours(other) else NotImplemented

    return method, reflected


def _equality(name: str) -> Callable[[Any, Any], Any]:
    """A comparison that anything may stand beside, such as None; sequences are refused as other operators do."""

    def method(self: Any, other: Any) -> Any:
        return TABLE[name](self, other) if isinstance(other, (*_OPERANDS, list, tuple)) else NotImplemented

    return method


def is_ours(other: Any) -> bool:
    """Whether to operate with `other`, if only to say what is wrong with it; a foreign class gets its turn."""
    return isinstance(other, _OPERANDS) or type(other).__module__ == "builtins"


class Operators(Methods[Result]):
    """Python's operators, for `NDArray` and `Tensor` alike."""

    __slots__ = ()

    __add__, __radd__ = _binary("add")
    __sub__, __rsub__ = _binary("subtract")
    __mul__, __rmul__ = _binary("multiply")
    __truediv__, __rtruediv__ = _binary("divide")
    __floordiv__, __rfloordiv__ = _binary("floor_divide")
    __mod__, __rmod__ = _binary("remainder")
    __pow__, __rpow__ = _binary("pow")
    __matmul__, __rmatmul__ = _binary("matmul")
    __and__, __rand__ = _binary("bitwise_and")
    __or__, __ror__ = _binary("bitwise_or")
    __xor__, __rxor__ = _binary("bitwise_xor")
    __lshift__, __rlshift__ = _binary("bitwise_left_shift")
    __rshift__, __rrshift__ = _binary("bitwise_right_shift")
    __neg__ = _unary("negative")
    __pos__ = _unary("positive")
    __abs__ = _unary("abs")
    __invert__ = _unary("bitwise_invert")
    __lt__ = _binary("less")[0]
    __le__ = _binary("less_equal")[0]
    __gt__ = _binary("greater")[0]
    __ge__ = _binary("greater_equal")[0]
    __eq__ = _equality("equal")
    __ne__ = _equality("not_equal")
    __hash__ = object.__hash__

    def __contains__(self, value: Any) -> bool:
        """Whether an element equals `value`, a number or an array that broadcasts. Waits for the device."""
        return bool(TABLE["any"](TABLE["equal"](self, value)))


#: What operators take.
_OPERANDS = (Operators, int, float, np.ndarray, np.generic)
