"""The command line: its subcommands and their options."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

import needle as ndl
from benchmarks import capture, comparison, document, figures, growth, machine, memory, overhead, peers, start

OUTPUT = Path("build/benchmarks")
Command = Callable[[argparse.Namespace, ndl.Device, Console], int]
COMMANDS = ("run", "overhead", "start", "memory", "capture", "growth")


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand, by default "run"."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] not in (*COMMANDS, "-h", "--help"):
        given.insert(0, "run")
    options = parser().parse_args(given)
    try:
        device = ndl.device(options.device) if options.device else ndl.default_device()
    except ndl.DeviceError as error:
        sys.exit(f"benchmarks: {error}")
    try:
        return int(options.command(options, device, Console(width=None if sys.stdout.isatty() else 170)))
    except peers.UnavailableError as error:
        sys.exit(f"benchmarks: {error}")


def parser() -> argparse.ArgumentParser:
    """The options of every subcommand."""
    whole = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure needle beside other libraries.")
    commands = whole.add_subparsers(required=True, metavar="{" + ",".join(COMMANDS) + "}")
    run = commands.add_parser("run", help="compare with NumPy, PyTorch and tinygrad (the default)")
    run.set_defaults(command=compare)
    add = run.add_argument
    add("--only", action="append", default=[], metavar="TEXT", help="only cases whose name contains or matches this")
    add("--list", action="store_true", help="print the names of the cases and stop")
    add("--quick", action="store_true", help="small sizes and few rounds: shows that all works, measures nothing")
    add("--rounds", type=positive, help=f"rounds of each case (default: {comparison.ROUNDS})")
    add("--peers", default=",".join(peers.NAMES[1:]), help="libraries beside needle (default: %(default)s)")
    add("--seed", type=int, help="of the inputs (default: another one each run)")
    _figures(commands, "overhead", measure_overhead, "Python's time for recording and launching, and a profile of it")
    _figures(commands, "start", measure_start, "import time, and compile time from a cold and from a warm cache")
    _figures(commands, "memory", measure_memory, "peak device memory of training beside PyTorch's, and its growth")
    _figures(commands, "capture", measure_capture, "small steps, eager and captured, beside PyTorch's")
    grow = _figures(commands, "growth", measure_growth, "time over size and launches over depth, as plots")
    for command in (run, grow):
        command.add_argument("--output", type=Path, default=OUTPUT, metavar="FOLDER",
                             help="where plots and JSON are written (default: %(default)s)")  # fmt: skip
    for command in commands.choices.values():
        command.add_argument("--device", help="needle's device, such as pocl; by default the best one found")
        command.add_argument("--write-docs", action="store_true", help="put what was measured into docs/benchmarks.md")
    return whole


def _figures(commands: Any, name: str, command: Command, text: str) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = commands.add_parser(name, help=text)
    added.set_defaults(command=command)
    return added


def positive(text: str) -> int:
    """A whole number of at least 1, from the command line."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} must be at least 1")
    return number


def compare(options: argparse.Namespace, device: ndl.Device, console: Console) -> int:
    """The comparison. Returns 1 if a result of needle's is wrong, never for a time."""
    if options.write_docs and (options.quick or options.only):
        sys.exit("benchmarks: --write-docs documents a whole run, without --quick and --only")
    if options.write_docs and not document.has(f"results {device.name}"):
        sys.exit(f"benchmarks: {document.PAGE} has no section 'results {device.name}' to write to")
    selected = comparison.select(options.only)
    if options.list:
        print("\n".join(comparison.names(selected)))
        return 0
    names = comparison.peer_names(options.peers)
    settings = comparison.Settings(device.name, names, options.rounds, options.quick, options.seed)
    outcome = comparison.run(settings, selected, console)
    comparison.report_run(outcome, console, options.output)
    if options.write_docs:
        comparison.write_docs(outcome)
    return int(any(r.wrong for r in outcome.results))


def measure_overhead(options: argparse.Namespace, device: ndl.Device, console: Console) -> int:
    """Python's share."""
    found = overhead.measure(device)
    figures.show(console, "host time of an operation on 8 elements", found)
    print(overhead.profile(device))
    return _documented(options, device, "overhead", found)


def measure_start(options: argparse.Namespace, device: ndl.Device, console: Console) -> int:
    """Import and compile times."""
    found = start.measure(device.name)
    figures.show(console, "a start", found)
    return _documented(options, device, "start", found)


def measure_memory(options: argparse.Namespace, device: ndl.Device, console: Console) -> int:
    """Peak memory."""
    found = memory.measure(device)
    figures.show(console, "memory of a training step", found)
    return _documented(options, device, "memory", found)


def measure_capture(options: argparse.Namespace, device: ndl.Device, console: Console) -> int:
    """Captured steps."""
    found = capture.measure(device)
    figures.show(console, "small steps", found)
    return _documented(options, device, "capture", found)


def _documented(options: argparse.Namespace, device: ndl.Device, section: str, found: list[figures.Figure]) -> int:
    if options.write_docs:
        facts = machine.describe(device)
        line = f"Measured on {facts['date']}: {facts['processor']}, {facts['device']}.\n\n"
        document.write(section, line + figures.markdown(found))
    return 0


def measure_growth(options: argparse.Namespace, device: ndl.Device, console: Console) -> int:
    """Time over size, launches over depth."""
    folder = document.DOCS if options.write_docs else options.output
    text = growth.measure(device, folder, console)
    if options.write_docs:
        document.write("growth", text)
    return 0
