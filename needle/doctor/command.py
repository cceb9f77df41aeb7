"""`python -m needle doctor`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from needle.backend import registry
from needle.backend.protocol import DeviceInfo
from needle.doctor.examination import examine
from needle.doctor.families import FAMILIES

_DESCRIPTION = """\
Run every family of kernels on small and awkward sizes and compare with NumPy. The exit status is 1 if a device is wrong
or fails.
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `doctor` to the commands of `python -m needle`."""
    parser = commands.add_parser("doctor", help="test what each device computes", description=_DESCRIPTION)
    parser.add_argument("device", nargs="*", help="the devices to test (default: all that can be used)")
    parser.set_defaults(command=lambda options: examine_devices(options.device))


def examine_devices(names: Sequence[str]) -> int:
    """Test the devices called `names`, or all; the status is 1 if one is wrong, or not there, else 0."""
    infos = {info.name: info for info in registry.devices()}
    problems = {name: info.problem for name, info in infos.items()}
    healthy = True
    for name in names or infos:
        problem = problems.get(name, f"there is no such device; known are {', '.join(infos)}")
        if problem is None:
            healthy &= _is_right(infos[name])
        else:
            print(f"{name}: cannot be used: {problem}\n", flush=True)
            healthy &= not names  # one that nobody asked for is no fault
    return 0 if healthy else 1


def _is_right(info: DeviceInfo) -> bool:
    """Test a device, print a line for each family and the verdict; whether all is right."""
    print(f"{info.name}: {info.description}, {info.driver}", flush=True)
    failed = []
    for report in examine(info.name):
        print(f"  {report}", flush=True)
        if report.verdict != "ok":
            failed.append(report.family)
    verdict = f"NOT RIGHT: {', '.join(failed)}" if failed else f"all {len(FAMILIES)} families are right"
    print(f"  {info.name}: {verdict}\n", flush=True)
    return not failed
