"""A kernel of `cl/`, compiled when the first launch of it is enqueued and not when it is first asked for.

Kernels that wait to be compiled are compiled together (`builder`), which takes a fraction of the time. Some drivers
compile three times faster without their optimiser, and a kernel that computes a few thousand elements runs as fast
then. Such a kernel is compiled without it at first; it is compiled again, optimised, when a large launch needs it or
when it has computed enough elements. Results are the same, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import pyopencl as cl

from needle.backend.opencl.building import programs
from needle.errors import KernelCompileError

#: The most elements that a kernel computes in one launch without having been optimised.
LARGEST_UNOPTIMISED = 1 << 16

#: The elements that a kernel computes in all before it is optimised: they took a few hundredths of a second.
ENOUGH = 1 << 25


class Kernel:
    """Kernel `function_name` of `cl/<file>` under `defines`.

    `types` has an entry for each parameter: None for a pointer, else the scalar's NumPy dtype. `promoted` tells whether
    a kernel that is not optimised at first will be. A device changes a kernel only while it holds its lock.
    """

    def __init__(
        self,
        file: str,
        name: str,
        defines: programs.Defines,
        types: Sequence[Any],
        optimised: bool = True,
        promoted: bool = True,
    ) -> None:
        self.file, self.function_name, self.defines, self.types = file, name, defines, types
        #: What the driver made of it; None before it is compiled, and before it is compiled once more.
        self.compiled: cl.Kernel | None = None
        #: The program that `compiled` is of.
        self.program: cl.Program | None = None
        #: Why it did not compile when that was last tried.
        self.failure: KernelCompileError | None = None
        self.optimised = optimised
        #: The launches after which it is optimised; 0 if it is, or never will be.
        self.launches_left = ENOUGH if promoted and not optimised else 0

    def serve(self, size: int) -> None:
        """Prepare for launches that compute so many elements."""
        if self.launches_left:
            if size > LARGEST_UNOPTIMISED:
                self.optimise()
            else:
                self.launches_left = min(self.launches_left, ENOUGH // max(1, size))

    def optimise(self) -> None:
        """Be compiled with the driver's optimiser, before the next launch."""
        self.launches_left = 0
        if not self.optimised:
            self.optimised, self.compiled = True, None

    def another(self) -> cl.Kernel:
        """A kernel object of its own, whose arguments nobody else sets; of a kernel that is compiled."""
        assert self.compiled is not None and self.program is not None
        return cl.Kernel(self.program, self.compiled.function_name)

    @property
    def source(self) -> str:
        """The source of a program that holds this kernel alone."""
        return programs.assemble(self.file, self.defines)

    @cached_property
    def written(self) -> tuple[int, ...]:
        """The parameters through which it may write results (see `programs.written`)."""
        return programs.written(self.file, self.function_name, self.defines)
