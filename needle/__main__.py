"""`python -m needle`: a table of the devices that needle finds; `doctor` tests them, `tune` tunes one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import needle as ndl
from needle.backend.registry import ENVIRONMENT_VARIABLE
from needle.doctor import command as doctor
from needle.tuning import command as tuning

_HEADINGS = ("NAME", "TYPE", "MEMORY", "FP64", "FP16", "DEVICE", "VENDOR", "DRIVER")


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m needle", description="List the devices that needle finds.")
    parser.add_argument("--version", action="version", version=f"needle {ndl.__version__}")
    parser.set_defaults(command=list_devices)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    doctor.add_command(commands)
    tuning.add_command(commands)
    options = parser.parse_args(arguments)
    return int(options.command(options))


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
    has = [dtype in info.dtypes for dtype in (ndl.float64, ndl.float16)]
    precisions = [("yes" if there else "no") if known else "-" for there in has]
    return (info.name, info.kind, memory, *precisions, info.description, info.vendor or "-", info.driver or "-")


if __name__ == "__main__":
    sys.exit(main())
