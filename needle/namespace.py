"""What the Array API standard asks of a library as a whole: its version, and what it and its devices can do."""

from __future__ import annotations

from typing import Any

from needle.backend.protocol import Device
from needle.backend.registry import default_device
from needle.backend.registry import device as find_device
from needle.backend.registry import devices as find_devices
from needle.dtypes import ALL, DEFAULT_FLOAT, DEFAULT_INT, DType, float16
from needle.ops.creation import DeviceLike, as_device
from needle.ops.familiar import ARRAY_API_VERSIONS
from needle.ops.inspection import isdtype

#: The version of the standard that the functions of `needle` follow.
ARRAY_API_VERSION = ARRAY_API_VERSIONS[-1]

#: More axes than anybody has asked for; kernels loop over them.
MAX_DIMENSIONS = 64


class ArrayNamespaceInfo:
    """What `needle.__array_namespace_info__()` returns: the inspection functions of the standard."""

    def capabilities(self) -> dict[str, Any]:
        """What the library can do: masks as indices, results whose shape depends on values, and how many axes."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": MAX_DIMENSIONS}

    def default_device(self) -> Device:
        """The device of tensors for which none is named."""
        return default_device()

    def devices(self) -> list[Device]:
        """Every device that can be used, opened."""
        return [find_device(info.name) for info in find_devices() if info.problem is None]

    def default_dtypes(self, *, device: DeviceLike = None) -> dict[str, DType]:
        """The dtypes of tensors for which none is named. There are no complex ones."""
        return {"real floating": DEFAULT_FLOAT, "integral": DEFAULT_INT, "indexing": DEFAULT_INT}

    def dtypes(self, *, device: DeviceLike = None, kind: Any = None) -> dict[str, DType]:
        """The standard's dtypes that tensors on `device` can have, by name; those of `kind` (see `isdtype`) if given.

        float16 is not among them: the standard does not have it.
        """
        place = as_device(device)
        usable = [dtype for dtype in ALL if dtype != float16 and place.supports(dtype)]
        return {dtype.name: dtype for dtype in usable if kind is None or isdtype(dtype, kind)}
