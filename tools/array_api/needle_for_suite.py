"""needle as the public Array API suite imports it (tools/array_api_suite.sh).

The suite asks for the dtype of a complex number when it is imported, even where complex dtypes are left out.
"""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import needle


def __getattr__(name: str) -> Any:
    return getattr(needle, name)


@functools.wraps(needle.asarray)
def asarray(obj: Any, /, *args: Any, **kwargs: Any) -> Any:
    """`needle.asarray`, and for a complex number something whose dtype is none."""
    return SimpleNamespace(dtype=None) if isinstance(obj, complex) else needle.asarray(obj, *args, **kwargs)
