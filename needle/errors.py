"""The exceptions that needle raises beside Python's own TypeError, ValueError and IndexError."""

from __future__ import annotations

__all__ = ["CaptureError", "DeviceError", "GraphError", "KernelCompileError", "NeedleError", "OutOfMemoryError"]


class NeedleError(Exception):
    """Base of needle's own exceptions."""


class DeviceError(NeedleError, RuntimeError):
    """A device that does not exist, cannot be used, or does not have what was asked of it."""


class OutOfMemoryError(DeviceError, MemoryError):
    """The device could not provide the memory asked for."""


class KernelCompileError(NeedleError, RuntimeError):
    """A kernel did not compile; the message holds the compiler's words and the numbered source lines."""


class GraphError(NeedleError, RuntimeError):
    """The graph cannot do what was asked: it was freed, or nothing in it requires a gradient."""


class CaptureError(NeedleError, RuntimeError):
    """A captured function does what a replay cannot repeat, such as reading a value on the host."""
