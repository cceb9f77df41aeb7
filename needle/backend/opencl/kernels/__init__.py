"""Launchers: one module a kernel family of `cl/`, each turning array views into a launch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from needle.backend.opencl.kernels import index, matmul, random, softmax
from needle.backend.opencl.kernels.argreduce import argreduction
from needle.backend.opencl.kernels.elementwise import elementwise
from needle.backend.opencl.kernels.elementwise_batch import elementwise_batch
from needle.backend.opencl.kernels.reduce import reduction

#: The launcher of each primitive: `(device, inputs, outputs, **params)`.
PRIMITIVES: Mapping[str, Callable[..., None]] = {
    "matmul": matmul.matmul,
    **softmax.PRIMITIVES,
    **index.PRIMITIVES,
    **random.PRIMITIVES,
}


def primitive(name: str) -> Callable[..., None]:
    """The launcher of primitive `name`. Raises NotImplementedError for one without a kernel."""
    try:
        return PRIMITIVES[name]
    except KeyError:
        raise NotImplementedError(f"the OpenCL backend has no kernel for {name!r}") from None


__all__ = [
    "argreduction",
    "elementwise",
    "elementwise_batch",
    "primitive",
    "reduction",
]
