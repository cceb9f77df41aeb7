"""Launchers: one module a kernel family of `cl/`, each turning array views into a launch.

All modules of this folder are imported, so that the launchers of primitives register themselves.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from needle.backend.opencl.kernels.argreduce import argreduction
from needle.backend.opencl.kernels.elementwise import elementwise
from needle.backend.opencl.kernels.elementwise_batch import elementwise_batch
from needle.backend.opencl.kernels.launchers import launcher_of, launches
from needle.backend.opencl.kernels.reduce import reduction
from needle.backend.opencl.kernels.scan import scan

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = [
    "argreduction",
    "elementwise",
    "elementwise_batch",
    "launcher_of",
    "launches",
    "reduction",
    "scan",
]
