"""Compiling the kernels that wait: together where they can be in one program, else each in a program of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pyopencl as cl

from needle.backend.opencl.building import caches, groups, programs
from needle.backend.opencl.building.group_index import GroupIndex, digest
from needle.backend.opencl.building.kernel import Kernel
from needle.backend.opencl.building.progress import Progress
from needle.errors import DeviceError, KernelCompileError

#: The most kernels in a program: more would save little, and all of them are compiled again when one has changed.
_MOST = 12

#: The platforms, by how their names begin, whose compilers take long to load, and are much faster without optimising.
_FAST_UNOPTIMISED = ("Portable Computing Language", "Intel(R) OpenCL")

#: A kernel that does nothing.
_NOTHING = "\n__kernel void nothing(__global int *x) {}\n"

#: "1" has all kernels compiled with the driver's optimiser, "0" none, whatever the size of their launches.
OPTIMISE = "NEEDLE_OPTIMISE"


class Builder:
    """Compiles kernels for one context. Not thread-safe: the device holds its lock around each call."""

    def __init__(self, context: cl.Context) -> None:
        self._context = context
        (device,) = context.devices
        platform = device.platform
        self._index = GroupIndex(platform.name, platform.version, device.name, device.driver_version)
        self._starts_slowly = platform.name.startswith(_FAST_UNOPTIMISED)
        self._always = _always_optimised()

    def start(self) -> None:
        """Let the driver load its compiler, in a thread beside the user's own start: PoCL takes 0.4 s for it."""
        if self._starts_slowly:
            threading.Thread(target=self._compile_nothing, name="needle-compiler").start()

    def _compile_nothing(self) -> None:
        with suppress(cl.Error):  # if this fails, the first kernel tells why
            programs.build(self._context, programs.assemble("builtins.h", {}) + _NOTHING, optimised=False)

    def kernel(self, file: str, name: str, defines: programs.Defines, types: Sequence[Any], size: int | None) -> Kernel:
        """A kernel that is yet to be compiled, for launches of `size` elements; None if that says nothing of them."""
        if self._always is not None:
            return Kernel(file, name, defines, types, optimised=self._always, promoted=False)
        return Kernel(file, name, defines, types, optimised=not self._starts_slowly or size is None)

    def compiled(self, kernel: Kernel) -> cl.Kernel:
        """What the driver made of `kernel`, or makes of it now. Raises KernelCompileError."""
        if kernel.compiled is None and kernel.failure is None:
            self.build([kernel])
        if kernel.compiled is None:
            failure, kernel.failure = kernel.failure, None  # the next launch tries again
            assert failure is not None
            raise failure
        return kernel.compiled

    def build(self, kernels: Sequence[Kernel]) -> None:
        """Compile `kernels`. One that does not compile gets a `failure`, and the others are compiled nevertheless."""
        with Progress(len(kernels)) as progress:
            for program in self._divided(self._found(kernels)):
                self._build(program)
                progress.advance(len(program))

    def _found(self, kernels: Sequence[Kernel]) -> list[Kernel]:
        """Compile those of `kernels` that an earlier process compiled, in its programs. Returns the others.

        The driver finds the program of the earlier process in its cache if the source is the same.
        """
        ours = {
            digest(kernel.source, kernel.optimised): kernel for kernel in kernels if groups.common(kernel) is not None
        }
        for source, names in self._index.find(list(ours)):
            members = {name: ours[known] for known, name in names.items() if known in ours}
            self._compile(source, members)
        return [kernel for kernel in kernels if kernel.compiled is None]

    def _divided(self, kernels: Sequence[Kernel]) -> Iterator[list[Kernel]]:
        """The kernels of each program to build."""
        alike: dict[Hashable, list[Kernel]] = {}
        for kernel in kernels:
            common = groups.common(kernel)
            alike.setdefault(kernel if common is None else common, []).append(kernel)
        for members in alike.values():
            for first in range(0, len(members), _MOST):
                yield members[first : first + _MOST]

    def _build(self, kernels: list[Kernel]) -> None:
        """Compile `kernels` as one program; each in its own if there is one, or one of them, that does not compile."""
        if len(kernels) > 1:
            source, names = groups.assemble(kernels)
            if self._compile(source, dict(zip(names, kernels, strict=True))):
                self._note(source, dict(zip(names, kernels, strict=True)))
                return
        for kernel in kernels:
            self._build_alone(kernel)

    def _build_alone(self, kernel: Kernel) -> None:
        kernel.failure = None
        try:
            program = programs.build(self._context, kernel.source, kernel.optimised)
        except cl.RuntimeError as error:
            kernel.failure = KernelCompileError(programs.explain(kernel.file, kernel.defines, str(error)))
            kernel.failure.__cause__ = error
            return
        kernel.program = program
        kernel.compiled = caches.repairing_launchers(_kernel_of, program, kernel.function_name, kernel.types)
        if groups.common(kernel) is not None:
            self._note(kernel.source, {kernel.function_name: kernel})

    def _compile(self, source: str, kernels: dict[str, Kernel]) -> bool:
        """Compile a program for `kernels`, by their names in it; whether it compiled."""
        optimised = next(iter(kernels.values())).optimised
        try:
            program = programs.build(self._context, source, optimised)
        except cl.RuntimeError:
            return False
        for name, kernel in kernels.items():
            kernel.failure = None
            kernel.program = program
            kernel.compiled = caches.repairing_launchers(_kernel_of, program, name, kernel.types)
        return True

    def _note(self, source: str, kernels: dict[str, Kernel]) -> None:
        self._index.add(source, {digest(kernel.source, kernel.optimised): name for name, kernel in kernels.items()})


def _always_optimised() -> bool | None:
    """What NEEDLE_OPTIMISE says of all kernels; None if it is not set. Raises DeviceError for another value."""
    chosen = os.environ.get(OPTIMISE, "")
    if chosen not in ("", "0", "1"):
        raise DeviceError(f"{OPTIMISE}={chosen!r} must be 0, for no kernel, or 1, for all, or not be set")
    return None if not chosen else chosen == "1"


def _kernel_of(program: cl.Program, name: str, types: Sequence[Any]) -> cl.Kernel:
    kernel = getattr(program, name)
    kernel.set_scalar_arg_dtypes(types)
    return kernel
