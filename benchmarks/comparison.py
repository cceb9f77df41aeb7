"""A run of the comparison: open the libraries, measure case after case, report."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

import needle as ndl
from benchmarks import cases, chart, document, floors, machine, peers, report
from benchmarks.case import Case, Family
from benchmarks.measuring import Comparison, Runner, open_runners
from benchmarks.peers.base import Library
from benchmarks.results import Result, as_json
from benchmarks.runner import LocalRunner

ROUNDS, QUICK_ROUNDS = 15, 3
LIMIT, QUICK_LIMIT = 60.0, 8.0  # seconds that a library in its own process has for one answer

Selected = list[tuple[Family, Case]]


@dataclass(frozen=True)
class Settings:
    """What a run was asked for."""

    device: str
    peers: list[str]
    rounds: int | None = None
    quick: bool = False
    seed: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What a run found."""

    facts: dict[str, str]  # of the machine
    libraries: dict[str, str]  # version and note, or why it is not measured
    peers: list[str]  # those measured
    settings: dict[str, object]
    floors: floors.Floors
    families: list[Family]
    results: list[Result]


def select(patterns: list[str]) -> Selected:
    """The cases that the patterns choose. Exits with the names of all if there is none."""
    selected = cases.select(patterns)
    if not selected:
        print("\n".join(names(cases.select([]))))
        sys.exit(f"benchmarks: no case is called {' or '.join(patterns)}; those above are there")
    return selected


def names(selected: Selected) -> list[str]:
    """The full names of cases."""
    return [cases.full_name(family, case) for family, case in selected]


def peer_names(text: str) -> list[str]:
    """The libraries of a comma-separated list. Exits if one is not known."""
    given = [name for name in text.split(",") if name]
    for name in given:
        if name not in peers.NAMES[1:]:
            sys.exit(f"benchmarks: there is no peer {name!r}; known are {', '.join(peers.NAMES[1:])}")
    return given


def run(settings: Settings, selected: Selected, console: Console) -> Outcome:
    """Measure the cases selected, telling of each as it is done."""
    limit = QUICK_LIMIT if settings.quick else LIMIT
    runners, absent = open_runners(["needle", *settings.peers], settings.device, limit)
    try:
        return _run(settings, selected, console, runners, absent)
    finally:
        for runner in runners.values():
            runner.close()


def _run(
    settings: Settings, selected: Selected, console: Console, runners: dict[str, Runner], absent: dict[str, str]
) -> Outcome:
    device, quick = ndl.device(settings.device), settings.quick
    facts = machine.describe(device)
    libraries = {name: " ".join(filter(None, runner.facts())) for name, runner in runners.items()}
    libraries |= {name: f"not measured: {problem}" for name, problem in absent.items()}
    for name, text in (*facts.items(), *libraries.items()):
        console.print(f"{name}: {text}", highlight=False, soft_wrap=True, markup=False)
    measured = _floors(device, [r.lib for r in runners.values() if isinstance(r, LocalRunner)], quick)
    seed = settings.seed if settings.seed is not None else time.time_ns() % 2**32
    rounds = settings.rounds or (QUICK_ROUNDS if quick else ROUNDS)
    comparison = Comparison(runners, peers.load("numpy", settings.device), rounds, quick, seed)
    results: list[Result] = []
    began = time.monotonic()
    for i, (family, case) in enumerate(selected, start=1):
        results.append(comparison.measure(family, case))
        place = f"[{i}/{len(selected)} {time.monotonic() - began:4.0f} s]"
        line = f"{place} {report.progress(results[-1])}"
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    measured = _settled(measured, results)
    return Outcome(
        facts,
        libraries,
        [name for name in runners if name != "needle"],
        {
            "device": device.name,
            "rounds": rounds,
            "quick": quick,
            "seed": seed,
            "bandwidth": measured.bandwidth,
            "peak": measured.peak,
        },
        measured,
        [f for f in cases.FAMILIES if any(r.family == f.name for r in results)],
        results,
    )


def _floors(device: ndl.Device, local: list[Library], quick: bool) -> floors.Floors:
    """What the machine can do. On another device than the CPU only needle tells."""
    on_cpu = device.info.kind in ("cpu", "host")
    probed = local if on_cpu else [lib for lib in local if lib.name == "needle"]
    return floors.Floors(floors.copy_bandwidth(device, quick), floors.peak_flops(probed, quick))


def _settled(measured: floors.Floors, results: list[Result]) -> floors.Floors:
    """Raise the peak to the best rate that a case has shown, and give every result its floor."""
    rates = [r.flops / t.median for r in results if r.flops for name in r.seconds if (t := r.time(name))]
    settled = floors.Floors(measured.bandwidth, max([measured.peak, *rates]))
    for result in results:
        result.floor = settled.seconds(result.traffic, result.flops)
    return settled


def _notes(outcome: Outcome) -> list[str]:
    return [*report.notes(outcome.results, outcome.floors), *report.summary(outcome.families, outcome.results)]


def _caption(outcome: Outcome) -> str:
    facts = outcome.facts
    return f"{facts['date']}, {facts['processor']}, {facts['device'].split(' (')[0]}"


def report_run(outcome: Outcome, console: Console, folder: Path) -> None:
    """The table on the terminal; results.json and chart.png in a folder."""
    console.print()
    report.print_table(console, outcome.families, outcome.results, outcome.peers)
    for line in _notes(outcome):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    folder.mkdir(parents=True, exist_ok=True)
    found = as_json(outcome.facts, outcome.libraries, outcome.settings, outcome.families, outcome.results)
    (folder / "results.json").write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")
    chart.draw(folder / "chart.png", outcome.families, outcome.results, outcome.peers, _caption(outcome))
    console.print(f"written: {folder / 'results.json'}, {folder / 'chart.png'}", highlight=False)


def write_docs(outcome: Outcome) -> None:
    """Put the machine, the chart and the table into docs/benchmarks.md, in the section of the device."""
    device = str(outcome.settings["device"])
    picture = f"benchmarks-{device.replace(':', '-')}.png"
    chart.draw(document.DOCS / picture, outcome.families, outcome.results, outcome.peers, _caption(outcome))
    table = report.markdown(outcome.families, outcome.results, outcome.peers)
    notes = "\n".join(f"- {line}" for line in _notes(outcome))
    facts = document.facts(outcome.facts | outcome.libraries)
    document.write(f"results {device}", f"{facts}\n![each case's ratios]({picture})\n\n{table}\n{notes}\n")
