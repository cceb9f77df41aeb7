"""`python -m needle tune`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tqdm import tqdm

from needle.backend import registry
from needle.errors import DeviceError
from needle.tuning.tuner import TuningResult, opencl_device, plan, tune
from needle.tuning.workloads import FAMILIES

if TYPE_CHECKING:
    from needle.backend.opencl.running.device import OpenCLDevice

_DESCRIPTION = """\
Search for the launch shapes under which a device is fastest, and save them in the user's cache folder, from where they
are loaded whenever the device is opened. Results do not change. Let the device have nothing else to do meanwhile. The
environment variable NEEDLE_LAUNCH_SHAPE overrides them: by "default", by "gpu" or "cpu", or by another file's name.
"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `tune` to the commands of `python -m needle`."""
    parser = commands.add_parser("tune", help="tune the kernels for a device", description=_DESCRIPTION)
    parser.add_argument("--device", metavar="NAME", help="the device to tune; by default the default device")
    parser.add_argument(
        "--only", metavar="FAMILY,...", type=_families, default=FAMILIES,
        help=f"the families of kernels to tune, of {', '.join(FAMILIES)}; by default all",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", metavar="N", type=_seconds, default=120.0, help="how long to search at most; by default 120"
    )
    parser.add_argument("--dry-run", action="store_true", help="search and show, but save nothing")
    parser.add_argument("--reset", action="store_true", help="remove what was saved for the device, and do no more")
    parser.set_defaults(command=run)


def _families(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in FAMILIES:
            raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(FAMILIES)}")
    return names


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return seconds


def run(options: argparse.Namespace) -> int:
    """Do what the options say and return the exit status: 1 for a device that cannot be tuned."""
    try:
        device = opencl_device(options.device or registry.default_device())
    except DeviceError as error:
        print(error, file=sys.stderr)
        return 1
    from needle.backend.opencl.shapes import saved

    if options.reset:
        path = saved.remove(device.cl_device)
        print(f"removed {path}" if path else f"nothing was saved for {device.name}")
        return 0
    print(f"{device.name}: {device.info.description} ({device.info.driver})")
    result = _search(device, options)
    print(report(result))
    if not result.is_worth_it:
        print("nothing to save: no other launch shape was clearly faster")
    elif options.dry_run:
        print("not saved: a dry run")
    else:
        try:
            print(f"saved in {saved.save(device.cl_device, result.after)}")
        except OSError as error:
            print(f"it cannot be saved: {error}", file=sys.stderr)
            return 1
    return 0


def _search(device: OpenCLDevice, options: argparse.Namespace) -> TuningResult:
    settings, workloads = plan(device, options.only)
    steps = len(workloads) + sum(len(s.values) - 1 for s in settings) + 1  # of one pass; a second one takes a few more
    with tqdm(total=steps, bar_format="{percentage:3.0f}%|{bar}| {elapsed}  {desc}", leave=False) as bar:

        def progress(what: str) -> None:
            bar.total = max(steps, bar.n + 1)
            bar.set_description_str(what, refresh=False)
            bar.update()

        return tune(device, options.only, options.seconds, progress)


def report(result: TuningResult) -> str:
    """The workloads before and after, and what was changed and tried."""
    lines = [f"{'WORKLOAD':24}{'BEFORE ms':>10}{'AFTER ms':>10}{'FASTER':>9}"]
    for name, (before, after) in result.seconds.items():
        lines.append(f"{name:24}{before * 1e3:10.3f}{after * 1e3:10.3f}{before / after:8.2f}x")
    lines.append("")
    outcome = result.outcome
    for change in outcome.changes:
        lines.append(f"{change.field}: {change.old} -> {change.new}, {100 * change.gain:.0f}% less time")
    rest = "" if outcome.complete else "; the time was up before all were tried"
    lines.append(f"{outcome.tried} candidates tried, {len(outcome.skipped)} of them could not be used{rest}")
    lines += [f"  {reason}" for reason in outcome.skipped]
    return "\n".join(lines)
