"""The command line's subcommands."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console

import needle as ndl
from benchmarks import cases, chart, floors, machine, peers, report
from benchmarks.compare import Comparison, Runner, open_runners
from benchmarks.peers.library import Library
from benchmarks.results import Result, as_json
from benchmarks.runner import LocalRunner

ROUNDS, QUICK_ROUNDS = 15, 3
LIMIT, QUICK_LIMIT = 60.0, 8.0  # seconds that a library in its own process has for one answer
OUTPUT = Path("build/benchmarks")
COMMANDS = ("run", "overhead", "start", "memory", "growth")


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand, by default "run"."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] not in (*COMMANDS, "-h", "--help"):
        given.insert(0, "run")
    options = parser().parse_args(given)
    try:
        options.device = (ndl.device(options.device) if options.device else ndl.default_device()).name
    except ndl.DeviceError as error:
        sys.exit(f"benchmarks: {error}")
    return int(options.command(options))


def parser() -> argparse.ArgumentParser:
    """The options of every subcommand."""
    whole = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure needle beside other libraries.")
    commands = whole.add_subparsers(required=True, metavar="{" + ",".join(COMMANDS) + "}")
    compare = commands.add_parser("run", help="compare with NumPy, PyTorch and tinygrad (the default)")
    compare.set_defaults(command=run)
    add = compare.add_argument
    add("--only", action="append", default=[], metavar="TEXT", help="only cases whose name contains or matches this")
    add("--list", action="store_true", help="print the names of the cases and stop")
    add("--quick", action="store_true", help="small sizes and few rounds: shows that all works, measures nothing")
    add("--rounds", type=int, help=f"rounds of each case (default: {ROUNDS})")
    add("--peers", default=",".join(peers.NAMES[1:]), help="libraries beside needle (default: %(default)s)")
    add("--output", type=Path, default=OUTPUT, metavar="FOLDER", help="of the results (default: %(default)s)")
    add("--seed", type=int, help="of the inputs (default: another one each run)")
    for command in (compare,):
        command.add_argument("--device", help="needle's device, such as pocl; by default the best one found")
    return whole


def run(options: argparse.Namespace) -> int:
    """The comparison. Returns 1 if a result of needle's is wrong, never for a time."""
    selected = cases.select(options.only)
    if options.list or not selected:
        print("\n".join(cases.full_name(f, c) for f, c in selected or cases.select([])))
        if not selected:
            sys.exit(f"benchmarks: no case is called {' or '.join(options.only)}; those above are there")
        return 0
    names = [p for p in options.peers.split(",") if p]
    unknown = sorted(set(names) - set(peers.NAMES))
    if unknown:
        sys.exit(f"benchmarks: there is no peer {unknown[0]!r}; known are {', '.join(peers.NAMES[1:])}")
    console = Console(width=None if sys.stdout.isatty() else 170)
    runners, absent = open_runners(["needle", *names], options.device, QUICK_LIMIT if options.quick else LIMIT)
    try:
        return _compare(options, console, selected, runners, absent)
    finally:
        for runner in runners.values():
            runner.close()


def _compare(
    options: argparse.Namespace, console: Console, selected: list[Any], runners: dict[str, Runner],
    absent: dict[str, str],
) -> int:  # fmt: skip
    device = ndl.device(options.device)
    facts = machine.describe(device)
    libraries = {name: " ".join(filter(None, runner.facts())) for name, runner in runners.items()}
    for name, text in (*facts.items(), *libraries.items()):
        console.print(f"{name}: {text}", highlight=False, soft_wrap=True)
    for name, problem in absent.items():
        console.print(f"{name} is not measured: {problem}", style="yellow", soft_wrap=True)
    local = [r.library for r in runners.values() if isinstance(r, LocalRunner)]
    measured = _floors(device, local, options.quick)
    seed = options.seed if options.seed is not None else time.time_ns() % 2**32
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    comparison = Comparison(runners, peers.load("numpy", options.device), rounds, options.quick, seed)
    results: list[Result] = []
    began = time.monotonic()
    for i, (family, case) in enumerate(selected, start=1):
        results.append(comparison.measure(family, case))
        _progress(console, i, len(selected), time.monotonic() - began, results[-1], list(runners))
    measured = _settle_floors(measured, results)
    families = [f for f in cases.FAMILIES if any(r.family == f.name for r in results)]
    shown = [name for name in runners if name != "needle"]
    console.print()
    report.print_table(console, families, results, shown)
    for line in _notes(results, measured):
        console.print(line, soft_wrap=True, highlight=False)
    for line in report.summary(families, results):
        console.print(line, highlight=False)
    settings = {"rounds": rounds, "quick": options.quick, "seed": seed, "bandwidth": measured.bandwidth,
                "peak": measured.peak}  # fmt: skip
    found = as_json(
        facts, libraries | {n: f"not measured: {p}" for n, p in absent.items()}, settings, families, results
    )
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    caption = f"{facts['date']}, {facts['processor']}, {facts['device'].split(' (')[0]}"
    chart.draw(options.output / "chart.png", families, results, shown, caption)
    console.print(f"written: {options.output / 'results.json'}, {options.output / 'chart.png'}", highlight=False)
    return int(any(r.wrong for r in results))


def _floors(device: ndl.Device, local: list[Library], quick: bool) -> floors.Floors:
    """What the machine can do. On another device than the CPU only needle tells."""
    on_cpu = device.info.kind in ("cpu", "host")
    probed = local if on_cpu else [lib for lib in local if lib.name == "needle"]
    return floors.Floors(floors.copy_bandwidth(device, quick), floors.peak_flops(probed, quick))


def _settle_floors(measured: floors.Floors, results: list[Result]) -> floors.Floors:
    """Raise the peak to the best rate that a case has shown, and give every result its floor."""
    rates = [r.flops / min(t) for r in results if r.flops for t in r.seconds.values() if t]
    settled = floors.Floors(measured.bandwidth, max([measured.peak, *rates]))
    for result in results:
        result.floor = settled.seconds(result.traffic, result.flops)
    return settled


def _progress(console: Console, i: int, count: int, elapsed: float, result: Result, names: list[str]) -> None:
    parts = [f"{n} {report.seconds(t.median)}" for n in names if (t := result.time(n))]
    parts += [f"{n}: {p}" for n, p in result.problems.items()]
    text = f"[{i}/{count} {elapsed:4.0f} s] {result.name}: {', '.join(parts)}"
    console.print(text, soft_wrap=True, highlight=False, markup=False)


def _notes(results: list[Result], measured: floors.Floors) -> list[str]:
    """What the table cannot say."""
    lines = [
        f"floors: copies {measured.bandwidth / 1e9:.1f} GB/s, read and written; float32 {measured.peak / 1e9:.0f} GFLOP/s"
    ]
    chosen = [f"{r.case}: {way}" for r in results for way in r.chosen.values()]
    if chosen:
        lines.append(f"PyTorch's optimiser, the faster of fused and foreach: {'; '.join(chosen)}")
    most = max((len(t) for r in results for t in r.seconds.values()), default=0)
    fewer = sorted({n for r in results for n, t in r.seconds.items() if 0 < len(t) < most})
    if fewer:
        lines.append(f"fewer rounds where a library is far behind: {', '.join(fewer)}")
    return lines
