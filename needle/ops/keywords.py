"""The names that other libraries give to arguments: `dim` for `axis`, `keepdim` for `keepdims`, and the like.

A function keeps one name for an argument in its signature. `other_names` lets callers use those of PyTorch, of NumPy
and of the course as well. `takes_tensor` and `method` (`needle.ops.base`) apply it, so that every function on tensors
has it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

#: For an argument of ours the names that callers may use in its place.
OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "x": ("input",),
    "axis": ("dim", "dims", "axes"),
    "axes": ("dims", "axis"),
    "keepdims": ("keepdim",),
    "correction": ("unbiased", "ddof"),
    "shift": ("shifts",),
    "k": ("diagonal",),
}


def other_names(function: F) -> F:
    """Let the decorated function take its arguments under the names of `OTHER_NAMES` as well.

    Giving one argument under two names raises TypeError. A name that the signature has for an argument of its own
    keeps that meaning.
    """
    if hasattr(function, "other_names"):
        return function
    parameters = inspect.signature(function).parameters
    own = {
        other: name for name in parameters for other in OTHER_NAMES.get(name, ()) if other not in parameters
    }  # fmt: skip
    if not own:
        return function
    places = {name: place for place, name in enumerate(parameters)}

    @functools.wraps(function)
    def public(*args: Any, **kwargs: Any) -> Any:
        if kwargs and not own.keys().isdisjoint(kwargs):
            kwargs = _own_names(function.__name__, own, places, args, kwargs)
        return function(*args, **kwargs)

    public.other_names = own  # type: ignore[attr-defined]
    return public  # type: ignore[return-value]


def _own_names(
    function: str, own: Mapping[str, str], places: Mapping[str, int], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """`kwargs` under the function's own names. Raises TypeError for an argument that was given twice."""
    found: dict[str, Any] = {}
    for given, value in kwargs.items():
        name = own.get(given, given)
        if name in found or (given != name and places[name] < len(args)):
            names = " and ".join(n for n in kwargs if own.get(n, n) == name)
            before = "in its place and as" if places[name] < len(args) else "as"
            raise TypeError(f"{function}: the argument {name} was given more than once, {before} {names}")
        found[name] = int(bool(value)) if given == "unbiased" else value
    return found
