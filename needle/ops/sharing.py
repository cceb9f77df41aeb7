"""Giving tensors to other libraries through DLPack: the methods by which they ask."""

from __future__ import annotations

from typing import Any

import numpy as np

from needle.backend import recordings

#: DLPack's name of the host's memory, and of the only such device.
HOST = (1, 0)


class DLPackMethods:
    """What `from_dlpack` of any library calls."""

    __slots__ = ()

    def __dlpack_device__(self) -> tuple[int, int]:
        """Where the data that `__dlpack__` gives lies: always in the host's memory, DLPack's device (1, 0)."""
        return HOST

    def __dlpack__(
        self: Any,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A capsule of the values, for another library's `from_dlpack`; waits for the device.

        The values of a tensor on the device "numpy" are shared: what the other library writes is seen here, but not by
        operations that have been recorded and not computed. Those of other devices are copied. Raises BufferError
        where `copy=False` needs a copy, for a device that is not the host, for a stream, and for a tensor that
        requires a gradient, which the other library would lose.
        """
        if self.requires_grad:
            raise BufferError("a tensor that requires a gradient is not shared; give x.detach()")
        if dl_device not in (None, HOST):
            raise BufferError(f"dl_device={dl_device}: tensors are shared in the host's memory alone, {HOST}")
        if stream is not None:
            raise BufferError(f"stream={stream!r}: the host's memory has no streams; None is expected")
        recordings.refuse("shares memory with another library", "do so where the function was called")
        array = self.cached_data.realize()
        host: np.ndarray | None = None if copy or array._repeats else array.device.host_view(array)
        if host is None:
            if copy is False:
                raise BufferError(f"copy=False, but values on {array.device.name} reach other libraries as copies")
            host = array.numpy()
        if max_version is None or max_version < (1, 0):
            return host.__dlpack__()
        try:
            return host.__dlpack__(max_version=max_version)  # type: ignore[call-arg, unused-ignore]
        except TypeError:  # NumPy 2.0, which gives the older kind of capsule, as it may
            return host.__dlpack__()
