"""What a driver's errors mean.

Which status says that memory is missing is the driver's choice, and PyOpenCL has a class of its own for one alone.
"""

from __future__ import annotations

import pyopencl as cl

_NO_RESOURCES: int = cl.status_code.OUT_OF_RESOURCES
_NO_MEMORY = (cl.status_code.MEM_OBJECT_ALLOCATION_FAILURE, cl.status_code.OUT_OF_HOST_MEMORY, _NO_RESOURCES)


def lacks_memory(error: BaseException | None) -> bool:
    """Whether memory was missing, or may have been."""
    return isinstance(error, cl.Error) and _status(error) in _NO_MEMORY


def lacks_resources(error: BaseException | None) -> bool:
    """Whether memory may have been missing, or what no memory that is freed can provide."""
    return isinstance(error, cl.Error) and _status(error) == _NO_RESOURCES


def _status(error: cl.Error) -> int | None:
    return getattr(error, "code", None)  # one that was made of a text has none
