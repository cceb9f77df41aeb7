"""Examining a device in a process of its own, which a driver may crash or hang.

Families are examined one after the other in a child process. If that dies, or is silent for too long, the
family at work gets the blame and a new process goes on with the next one.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Literal

from needle.backend.registry import device
from needle.doctor.families import FAMILIES

__all__ = ["Report", "examine"]


#: Seconds in which a family must be done; compiling its kernels on a slow driver takes a few minutes at worst.
PATIENCE = 600.0

Verdict = Literal["ok", "WRONG", "FAILED", "CRASHED", "HANGS"]


@dataclass(frozen=True)
class Report:
    """What became of one family on one device."""

    family: str
    verdict: Verdict
    checks: int  # results that were compared
    seconds: float
    detail: str = ""  # where the verdict is not "ok": the first thing wrong

    def __str__(self) -> str:
        line = f"{self.family:<16} {self.verdict:<7} {self.checks:5d} checks {self.seconds:6.1f} s"
        return f"{line}  {self.detail}".rstrip()


def examine(name: str, families: Sequence[str] = tuple(FAMILIES), patience: float = PATIENCE) -> Iterator[Report]:
    """Examine the device called `name`: a report for each family of FAMILIES as soon as it is done."""
    remaining = list(families)
    while remaining:
        for report in _in_process(name, tuple(remaining), patience):
            remaining.remove(report.family)
            yield report


def _in_process(name: str, families: Sequence[str], patience: float) -> Iterator[Report]:
    """The reports of a process, up to and including the family that ended it."""
    # A child that is forked would inherit a driver that does not survive it.
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_examine_all, args=(name, families, writer), daemon=True)
    process.start()
    writer.close()
    try:
        for family in families:
            report = _receive(family, reader, process, patience)
            yield report
            if report.verdict in ("CRASHED", "HANGS"):
                return
    finally:
        process.kill()
        process.join()
        reader.close()


def _receive(family: str, reader: Connection, process: BaseProcess, patience: float) -> Report:
    """The report of `family`, or one on why there is none."""
    start = time.monotonic()
    if not reader.poll(patience):
        return Report(family, "HANGS", 0, time.monotonic() - start, f"no result within {patience:g} s")
    try:
        return reader.recv()
    except EOFError:
        process.join()
        code = process.exitcode or 0
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
        return Report(family, "CRASHED", 0, time.monotonic() - start, f"its process {how}")


def _examine_all(name: str, families: Sequence[str], writer: Connection) -> None:
    """Examine families in this process, which is the child."""
    for family in families:
        writer.send(_examine_family(name, family))
    writer.close()


def _examine_family(name: str, family: str) -> Report:
    start, checks, faults = time.monotonic(), 0, []
    try:
        with device(name) as opened:
            for comparison in FAMILIES[family](opened):
                checks += 1
                fault = comparison.fault()
                if fault is not None:
                    faults.append(fault)
    except Exception as error:  # whatever a strange driver raises is a finding
        summary = str(error).strip().splitlines() or [""]
        return Report(family, "FAILED", checks, time.monotonic() - start, f"{type(error).__name__}: {summary[0]}")
    seconds = time.monotonic() - start
    if faults:
        return Report(family, "WRONG", checks, seconds, f"{len(faults)} wrong; {faults[0]}")
    return Report(family, "ok", checks, seconds)
