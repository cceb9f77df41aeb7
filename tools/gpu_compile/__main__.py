"""The command: see the package."""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gpu_compile import planted, rules, table
from gpu_compile.compilers import Result, compile_for
from gpu_compile.programs import Program, of_launch_shape
from gpu_compile.targets import TARGETS, Target
from gpu_compile.tools import Tools, find

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/gpus.md"

Job = tuple[Target, Program]


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """The command's arguments."""
    parser = argparse.ArgumentParser(prog="gpu_compile", description=__doc__)
    parser.add_argument("--targets", default=",".join(TARGETS), help="names among %(default)s")
    parser.add_argument("--quick", action="store_true", help="the kernels of common work alone, in float32")
    parser.add_argument("--only", default="", help="programs whose names contain a word")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT.name}")
    parser.add_argument("--keep", type=Path, help="a folder for the sources and what was made of them")
    parser.add_argument("--ocloc", type=Path, default=Path.home() / ".cache/needle/ocloc", help="where it is unpacked")
    return parser.parse_args(given)


def jobs(targets: Iterable[Target], quick: bool, only: str) -> Iterator[Job]:
    """Each program of each target. Targets of one launch shape but for the number of groups share the programs."""
    made: dict[object, list[Program]] = {}
    for target in targets:
        shape = target.launch_shape
        if shape not in made:
            made[shape] = of_launch_shape(shape, quick)
        yield from ((target, program) for program in made[shape] if only in program.stem)


def blind_to(targets: Iterable[Target], tools: Tools, folder: Path) -> list[str]:
    """The planted faults that would pass, each with its target."""
    kinds = [(target, kind) for target in targets for kind in planted.FAULTS]
    found = compiled([(target, planted.program(kind)) for target, kind in kinds], tools, folder)
    missed = []
    for (target, kind), (_, program, result) in zip(kinds, found, strict=True):
        said = " ".join(rules.faults(target, program, result))
        if not re.search(planted.FAULTS[kind][0] + "|does not compile", said):
            missed.append(f"{kind} ({target.name}): {said or 'nothing'}")
    return missed


def compiled(work: Sequence[Job], tools: Tools, folder: Path) -> list[tuple[Target, Program, Result]]:
    """What becomes of each program, compiled by as many processes as there are processors."""

    def one(job: Job) -> tuple[Target, Program, Result]:
        target, program = job
        source = folder / f"{program.stem}.{target.name}.cl"
        source.write_text(program.source)
        return target, program, compile_for(target, source, tools, folder / f"{program.stem}.{target.name}.out")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, work))


def main(given: Sequence[str]) -> int:
    """Check, and return the exit status."""
    options = arguments(given)
    began = time.monotonic()
    targets = [TARGETS[name] for name in options.targets.split(",")]
    tools = find(any(target.is_intel for target in targets), options.ocloc)
    if tools.missing:
        print("missing:", "; ".join(tools.missing))
        return 1 if os.environ.get("NEEDLE_TEST_MISSING") == "error" else 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if missed := blind_to(targets, tools, folder):
            print("planted faults are not found:", *missed, sep="\n  ")
            return 1
        work = list(jobs(targets, options.quick, options.only))
        print(f"{len(work)} programs to compile after {time.monotonic() - began:.0f} s", flush=True)
        done = compiled(work, tools, folder)
    faults = list(dict.fromkeys(f"{t.name}: {p.stem}: {said}" for t, p, r in done for said in rules.faults(t, p, r)))
    print(*faults, sep="\n")
    rows = [
        table.Row(target.name, program.kernels[made.kernel], made)
        for target, program, result in done
        for made in result.kernels
        if made.kernel in program.kernels
    ]
    if options.write:
        table.write(DOCUMENT, rows)
    excused = sum(bool(result.refused) for _, _, result in done) - sum("does not compile" in fault for fault in faults)
    print(
        f"{len(done)} programs, {len(rows)} kernels, {excused} excused, {len(faults) or 'no'} faults, "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
