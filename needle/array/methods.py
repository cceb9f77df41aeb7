"""The methods that arrays and tensors have in common with `needle`'s functions.

`needle.ops.base.method` adds a function to `Methods` when the function is declared. Type checkers and editors
cannot see that: they read methods.pyi, which `python tools/generate.py` writes from the declarations.
"""

from __future__ import annotations

from typing import Generic, TypeVar

#: The class of a method's result: arrays for arrays, tensors for tensors.
Result = TypeVar("Result")


class Methods(Generic[Result]):
    """Functions of one array, as its methods; empty until operations are declared."""

    __slots__ = ()
