"""`python -m needle`: a table of the devices that needle finds; `doctor` tests them, `tune` tunes one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import needle as ndl
from needle.backend.registry import ENVIRONMENT_VARIABLE
from needle.tuning import _command as tuning

_HEADINGS = ("NAME", "TYPE", "MEMORY", "FP64", "FP16", "DEVICE", "VENDOR", "DRIVER")


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m needle", description="List the devices that needle finds.")
    parser.add_argument("--version", action="version", version=f"needle {ndl.__version__}")
    parser.set_defaults(command=list_devices)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_doctor(commands)
    tuning.add_command(commands)
    options = parser.parse_args(arguments)
    return int(options.command(options))


def _add_doctor(commands: Any) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="test what each device computes",
        description="Run every family of kernels on small and awkward sizes and compare with NumPy. "
        "The exit status is 1 if a device is wrong or fails.",
    )
    doctor.add_argument("device", nargs="*", help="the devices to test (default: all that can be used)")
    doctor.set_defaults(command=lambda options: examine_devices(options.device))


def list_devices(options: argparse.Namespace) -> int:
    """Print the table; the status is 1 where no default device can be had, else 0."""
    try:
        default = ndl.default_device().name
        problem = None
    except Exception as error:  # whatever a driver raises, the table is what helps to understand it
        default, problem = "", f"no default device: {error}"
    print(table(ndl.devices(), default))
    if problem is not None:
        print(problem, file=sys.stderr)
        return 1
    print(f"\n* the default device; the environment variable {ENVIRONMENT_VARIABLE} names another one")
    return 0


def examine_devices(names: Sequence[str]) -> int:
    """Test the devices called `names`, or all; the status is 1 if one is wrong, or not there, else 0."""
    infos = {info.name: info for info in ndl.devices()}
    problems = {name: info.problem for name, info in infos.items()}
    healthy = True
    for name in names or infos:
        problem = problems.get(name, f"there is no such device; known are {', '.join(infos)}")
        if problem is None:
            healthy &= _examine(infos[name])
        else:
            print(f"{name}: cannot be used: {problem}\n", flush=True)
            healthy &= not names  # one that nobody asked for is no fault
    return 0 if healthy else 1


def _examine(info: ndl.DeviceInfo) -> bool:
    """Test a device, print a line for each family and the verdict; whether all is right."""
    from needle.doctor import FAMILIES, examine

    print(f"{info.name}: {info.description}, {info.driver}", flush=True)
    failed = []
    for report in examine(info.name):
        print(f"  {report}", flush=True)
        if report.verdict != "ok":
            failed.append(report.family)
    verdict = f"NOT RIGHT: {', '.join(failed)}" if failed else f"all {len(FAMILIES)} families are right"
    print(f"  {info.name}: {verdict}\n", flush=True)
    return not failed


def table(devices: Sequence[ndl.DeviceInfo], default: str) -> str:
    """The devices' facts in columns, the default one marked, and under an unusable one the reason."""
    rows = [("", *_HEADINGS), *(("*" if info.name == default else "", *_cells(info)) for info in devices)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for i, info in reversed(list(enumerate(devices, start=1))):
        if info.problem is not None:
            lines.insert(i + 1, f"     cannot be used: {info.problem}")
    return "\n".join(lines)


def _cells(info: ndl.DeviceInfo) -> tuple[str, ...]:
    """What stands in a device's row, `-` where nothing is known."""
    memory = f"{info.memory / 2**30:.1f} GiB" if info.memory else "-"
    known = info.problem is None or info.memory > 0
    precisions = (("yes" if has else "no") if known else "-" for has in (info.float64, info.float16))
    return (info.name, info.kind, memory, *precisions, info.description, info.vendor or "-", info.driver or "-")


if __name__ == "__main__":
    sys.exit(main())
