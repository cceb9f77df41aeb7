"""Python's operators, and methods, resolved by name when they are called.

The functions behind them register themselves when they are declared, in layers above the arrays' class, so that
an array can be added, or written into, without its class importing the operations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

#: Name -> function on arrays (or tensors) and scalars; declarations in `needle.ops` fill it, and `operator`.
TABLE: dict[str, Callable[..., Any]] = {}


def operator(name: str) -> Callable[[F], F]:
    """Make the decorated function what the operator or method called `name` does."""

    def install(function: F) -> F:
        TABLE[name] = function
        return function

    return install


def _unary(name: str) -> Callable[[Any], Any]:
    def method(self: Any) -> Any:
        return TABLE[name](self)

    return method


def _reduction(name: str) -> Callable[..., Any]:
    def method(self: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return TABLE[name](self, axis, keepdims)

    method.__doc__ = f"`needle.{name}` over `axis`: an int, several, or None for all."
    method.__name__ = name
    return method


def _function(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any) -> Any:
        return TABLE[name](self, *args)

    method.__doc__ = f"`needle.{name}` of this array."
    method.__name__ = name
    return method


def _binary(name: str) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    def method(self: Any, other: Any) -> Any:
        return TABLE[name](self, other) if _is_ours(other) else NotImplemented

    def reflected(self: Any, other: Any) -> Any:
        return TABLE[name](other, self) if _is_ours(other) else NotImplemented

    return method, reflected


def _equality(name: str) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        return TABLE[name](self, other) if isinstance(other, _OPERANDS) else NotImplemented

    return method


def _is_ours(other: Any) -> bool:
    """Whether to operate with `other`, if only to say what is wrong with it; a foreign class gets its turn."""
    return isinstance(other, _OPERANDS) or type(other).__module__ == "builtins"


class Operators:
    """Operators and the functions that are methods as well, for `NDArray` and `Tensor` alike."""

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

    abs = _function("abs")
    erf = _function("erf")
    exp = _function("exp")
    log = _function("log")
    relu = _function("relu")
    round = _function("round")
    sigmoid = _function("sigmoid")
    sqrt = _function("sqrt")
    tanh = _function("tanh")

    sum = _reduction("sum")
    prod = _reduction("prod")
    mean = _reduction("mean")
    var = _reduction("var")
    std = _reduction("std")
    max = _reduction("max")
    min = _reduction("min")
    any = _reduction("any")
    all = _reduction("all")
    argmax = _reduction("argmax")
    argmin = _reduction("argmin")


#: What operators take.
_OPERANDS = (Operators, int, float, np.ndarray, np.generic)
