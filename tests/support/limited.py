"""A device that has less than the one it runs on: it says so, and refuses whatever a device like that could not do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any
from unittest import mock

import pyopencl as cl

from needle.backend.opencl.building import programs
from needle.backend.opencl.building.builder import Builder
from needle.backend.opencl.building.kernel import Kernel
from needle.backend.opencl.running.device import OpenCLDevice
from needle.backend.opencl.running.submission import Submission
from needle.backend.opencl.shapes.defaults import default_launch_shape
from needle.dtypes import REQUIRED

#: Macros and extensions by which OpenCL C tells of float64, float16 and sub-groups.
OPTIONAL = re.compile(r"cl_khr_fp64|cl_khr_fp16|cl_\w*subgroup\w*|__opencl_c_(?:fp64|subgroups)")

#: Their types and functions. `vload_half`, `vstore_half` and the like only store, and are there on every device.
WORDS = re.compile(r"\b(?:(?:double|half)\d*|(?:as|convert)_(?:double|half)\w*|\w*sub_group\w*)\b")

#: The last line of `cl/builtins.h`.
END_OF_BUILTINS = "#endif  // NEEDLE_BUILTINS_H\n"

#: OpenCL C of this version and older is what a device of OpenCL 1.2 compiles.
STANDARDS = ("-cl-std=CL1.0", "-cl-std=CL1.1", "-cl-std=CL1.2")


class Reported:
    """A device's properties, some of them replaced."""

    def __init__(self, real: cl.Device, limits: Mapping[str, Any]) -> None:
        kept = [name for name in real.extensions.split() if not OPTIONAL.fullmatch(name)]
        self._real, self._limits = real, {"extensions": " ".join(kept), **limits}

    def __getattr__(self, name: str) -> Any:
        return self._limits[name] if name in self._limits else getattr(self._real, name)


def without_optional(source: str) -> str:
    """`source` so that it compiles only if what is left of it after preprocessing uses nothing optional."""
    words = sorted(set(WORDS.findall(source)))
    macros = sorted({"cl_khr_fp64", "cl_khr_fp16", *OPTIONAL.findall(source)})
    # The words are there where the built-in functions are declared: one may take a pointer to halves.
    declarations, end, program = source.rpartition(END_OF_BUILTINS)
    undefined = [f"#undef {macro}" for macro in macros]
    renamed = [f"#define {word} {word}_is_missing_here" for word in words]
    return "\n".join([*undefined, declarations + end, *renamed, program])


class LimitedBuilder(Builder):
    """Refuses programs that the device could not run."""

    def build(self, kernels: Sequence[Kernel]) -> None:
        with mock.patch.object(programs, "compiled", _limited(programs.compiled)):
            super().build(kernels)


class LimitedSubmission(Submission):
    """Refuses launches that the device could not run."""

    def __init__(self, builder: LimitedBuilder, limits: Reported, real: cl.Device) -> None:
        super().__init__(builder)
        self.limits, self.real = limits, real

    def add(self, kernel: Kernel, size: Sequence[int], local: Sequence[int], arguments: tuple[Any, ...]) -> int:
        name, limits = kernel.function_name, self.limits
        compiled = self._builder.compiled(kernel)
        assert prod(local) <= limits.max_work_group_size, f"{name}: work-groups of {local}"
        whole = len(size) == len(local) and all(n % group == 0 for n, group in zip(size, local, strict=True))
        assert whole, f"{name}: {size} work-items are no whole number of work-groups of {local}"
        # A kernel whose registers allow fewer work-items than the device does is compiled to fit, if it says how many.
        stated = compiled.get_work_group_info(cl.kernel_work_group_info.COMPILE_WORK_GROUP_SIZE, self.real)
        assert list(stated) == [*local, 1, 1][:3], f"{name}: work-groups of {local}, compiled for {stated}"
        used = compiled.get_work_group_info(cl.kernel_work_group_info.LOCAL_MEM_SIZE, self.real)
        assert used <= limits.local_mem_size, f"{name}: {used} bytes of local memory"
        return super().add(kernel, size, local, arguments)


class LimitedDevice(OpenCLDevice):
    """A device of OpenCL 1.2 without float64, float16 and sub-groups, within `limits`, on the hardware of `real`."""

    def __init__(self, real: OpenCLDevice, limits: Mapping[str, Any]) -> None:
        super().__init__(replace(real.info, name="limited", dtypes=REQUIRED), real.cl_device)
        self.limits = Reported(real.cl_device, limits)
        self.launch_shape = default_launch_shape(self.limits)  # type: ignore[arg-type]
        self.launch_shape.check(self.limits)  # type: ignore[arg-type]
        self._memory.largest = self.limits.max_mem_alloc_size
        self._builder = LimitedBuilder(self.context)
        self._submission = LimitedSubmission(self._builder, self.limits, real.cl_device)


Compile = Callable[[cl.Context, str, Sequence[str]], cl.Program]


def _limited(compiled: Compile) -> Compile:
    """The compiler, as that of a device which has nothing optional."""

    def compiled_within_limits(context: cl.Context, source: str, options: Sequence[str]) -> cl.Program:
        standards = [option for option in options if option.startswith("-cl-std")]
        assert set(standards) <= set(STANDARDS), f"built with {options}, newer than OpenCL C 1.2"
        return compiled(context, without_optional(source), options)

    return compiled_within_limits
