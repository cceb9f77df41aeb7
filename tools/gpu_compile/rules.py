"""What is a fault of a kernel on a target, and what is excused, with the reason."""

from __future__ import annotations

from collections.abc import Iterator

from gpu_compile.compilers import Compiled, Result
from gpu_compile.programs import Program, types_of
from gpu_compile.targets import Target
from needle.backend.opencl.building.kernel import Kernel

#: Programs that need not compile: the beginning of a target's name, a type, and why.
REFUSED = (
    ("sm_", "half", "libclc has no conversions of halves for NVIDIA; the vendor's own compiler has them"),
    ("dg2", "double", "the hardware has none"),
    ("tgllp", "double", "the hardware has none"),
)

#: Kernels that may keep an array in memory, or spill, on the targets whose names begin so ("" for all), and why.
IN_MEMORY = (
    ("sm_", "elementwise_batch", "the sizes of the slots are an array, which the loop over slots reads once each"),
    ("", "sort_short", "a row is sorted by insertion in an array that is indexed by data"),
    ("", "attention_rows", "each work-item keeps a query's output, of any length D"),
    ("", "attention_rows_queries", "each work-item keeps a query's gradient, of any length D"),
    ("", "attention_rows_keys", "each work-item keeps the gradients of a key and a value, of any length D"),
)


def refusal_excused(target: Target, program: Program) -> str | None:
    """Why `program` need not compile for `target`; None if it must."""
    types = frozenset().union(*(types_of(kernel) for kernel in program.kernels.values()))
    for beginning, name, reason in REFUSED:
        if target.name.startswith(beginning) and name in types:
            return reason
    return None


def faults(target: Target, program: Program, result: Result) -> Iterator[str]:
    """What there is to say against a program as it was compiled."""
    if result.refused:
        if refusal_excused(target, program) is None:
            yield f"does not compile: {result.refused}"
        return
    missing = program.kernels.keys() - {compiled.kernel for compiled in result.kernels}
    if missing:
        yield f"the compiler tells nothing of {', '.join(sorted(missing))}"
    for compiled in result.kernels:
        if compiled.kernel in program.kernels:
            yield from _kernel_faults(target, program.kernels[compiled.kernel], compiled)


def _kernel_faults(target: Target, kernel: Kernel, compiled: Compiled) -> Iterator[str]:
    name, items = kernel.function_name, work_items(kernel)
    if compiled.spilled + compiled.private and not memory_excused(target, name):
        what = "spills registers" if compiled.spilled else "keeps an array in memory"
        yield f"{name} {what}: {compiled.spilled} + {compiled.private} bytes a work-item"
    if compiled.local_bytes > target.local_bytes:
        yield f"{name} takes {compiled.local_bytes} bytes of local memory, of which there are {target.local_bytes}"
    elif not target.groups_in_flight(items, compiled.registers, compiled.local_bytes, compiled.simd):
        yield f"{name}: a compute unit holds no work-group of {items} with {compiled.registers} registers each"


def memory_excused(target: Target, kernel: str) -> str | None:
    """Why a kernel may keep something in memory; None if it may not."""
    return next((why for start, name, why in IN_MEMORY if target.name.startswith(start) and name == kernel), None)


def work_items(kernel: Kernel) -> int:
    """The work-items of a group, from the defines of the launcher."""
    defines = kernel.defines
    if kernel.function_name == "matmul_registers":
        return int(defines["GX"]) * int(defines["GY"])
    if "GROUP" in defines and kernel.function_name.endswith("tiles"):
        return int(defines["GROUP"]) ** 2
    return int(defines.get("ITEMS", defines.get("LOCAL", 1)))
