"""The table of docs/gpus.md: what each kernel of common work takes on each target."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gpu_compile import programs
from gpu_compile.compilers import Compiled
from gpu_compile.rules import work_items
from gpu_compile.targets import TARGETS
from needle.backend.opencl.building.kernel import Kernel

_BEGIN, _END = "<!-- table: PYTHONPATH=tools python -m gpu_compile --quick --write -->", "<!-- end of the table -->"


@dataclass(frozen=True)
class Row:
    """A kernel on a target."""

    target: str
    kernel: Kernel
    compiled: Compiled

    def cells(self) -> list[str]:
        """Kernel, target, registers, spilled + private bytes, local memory, widest load, FMA, groups in flight."""
        made, code = self.compiled, self.compiled.code
        flight = TARGETS[self.target].groups_in_flight(
            work_items(self.kernel), made.registers, made.local_bytes, made.simd
        )
        share = f"{code.fma_share(_turns(self.kernel)):.0%}" if code is not None and _multiplies(self.kernel) else ""
        return [
            label(self.kernel), self.target, str(made.registers), str(made.spilled + made.private),
            str(made.local_bytes), str(code.load_bits()) if code is not None else "", share, str(flight),
        ]  # fmt: skip


def _turns(kernel: Kernel) -> int:
    """How often the loop over a staged step turns, which is unrolled AHEAD (4) times in cl/matmul_registers.cl."""
    return int(kernel.defines["STEP"]) // 4 if kernel.function_name == "matmul_registers" else 1


def _multiplies(kernel: Kernel) -> bool:
    return kernel.function_name.startswith(("matmul_reg", "matmul_tiles", "convolve", "attention"))


def label(kernel: Kernel) -> str:
    """A kernel's name, for register tiles with their form."""
    form = programs.label(kernel)
    return form if isinstance(form, str) else kernel.function_name


def lines(rows: Iterable[Row]) -> list[str]:
    """The table: of kernels with the same label the one that takes most registers."""
    heads = ["kernel", "target", "registers", "spilled", "local", "load bits", "FMA", "groups"]
    worst: dict[tuple[str, ...], Row] = {}
    for row in rows:
        key = (label(row.kernel), row.target)
        if key not in worst or row.compiled.registers > worst[key].compiled.registers:
            worst[key] = row
    order = list(TARGETS)
    cells = sorted((row.cells() for row in worst.values()), key=lambda cell: (cell[0], order.index(cell[1])))
    return [f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *cells)]


def write(document: Path, rows: Iterable[Row]) -> None:
    """Put the table in its place in `document`."""
    before, rest = document.read_text().split(_BEGIN)
    after = rest.split(_END)[1]
    document.write_text("\n".join([f"{before}{_BEGIN}", "", *lines(rows), "", f"{_END}{after}"]))
