"""Write the tables of docs/devices.md: each device's tests and self-test, Oclgrind's reports, faults, long training.

    NEEDLE_TEST_RESULTS=FOLDER .ci/run; NEEDLE_TEST_RESULTS=FOLDER tox -e nightly
    python tools/device_matrix.py --results FOLDER   # from what these left there, the self-test apart
    python tools/device_matrix.py intel              # test this device now (without a name: each), minutes each

A table of which the results have nothing stays as it is, and so does the row of a device; the command says so. The
other rows and tables are made of these results alone, and what they lack is told as well.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path

import junit
from junit import Case

import needle as ndl

#: The tox environment that tests a device of this name; on `pocl` the whole suite, on others a part of it.
ENVIRONMENTS = {
    "numpy": "numpy", "pocl": "pocl", "pocl:1": "pocl-system", "intel": "intel", "rusticl": "rusticl",
    "nvidia": "nvidia", "amd": "amd",
}  # fmt: skip

#: What may go wrong, as the tests' markers call it.
FAULTS = (
    "out of device memory", "launch that the driver refuses", "pool under pressure",
    "damaged, cut or read-only cache", "two cold starts at once", "fork after first use", "DataLoader workers by spawn",
    "eight threads", "long training", "Ctrl-C in a long queue", "cut or hostile checkpoints", "killed while saving",
    "random programs",
)  # fmt: skip

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "devices.md"
BEGIN, END = "<!-- {}: written by tools/device_matrix.py -->", "<!-- end -->"


# -- running ----------------------------------------------------------------------------------------


def run(*arguments: str, device: str = "numpy") -> str:
    """What a command of this Python prints, with the tests for `device` alone."""
    environment = {**os.environ, "NEEDLE_TEST_DEVICES": device, "HYPOTHESIS_PROFILE": "ci", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout


def test(infos: Iterable[ndl.DeviceInfo], folder: Path) -> None:
    """Leave in `folder` the results of the tests that take a device, for each of these, and Oclgrind's."""
    for info in infos:
        file = folder / f"{ENVIRONMENTS.get(info.name, info.name)}.xml"
        selected = ("-n", "2", "-m", "device and not slow and not large", f"--junitxml={file}", "tests")
        run("-m", "pytest", "-q", *selected, device=info.name)
    if shutil.which("oclgrind") is not None:
        run("-m", "pytest", "-q", f"--junitxml={folder / 'oclgrind.xml'}", "tests/device/test_oclgrind.py")


# -- what stands on the page ------------------------------------------------------------------------


def table(headings: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    head, *body = (f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |\n" for line in (headings, *rows))
    return "".join((head, "|", "---|" * len(headings), "\n", *body))


def devices(cases: Sequence[Case], infos: Sequence[ndl.DeviceInfo], old: str) -> str:
    """The table of devices: of those that the results have, and the old rows of others."""
    rows = {line.split("`")[1]: line + "\n" for line in old.splitlines() if line.startswith("| `")}
    for info in infos:
        own = [case for case in cases if case.environment == ENVIRONMENTS.get(info.name, info.name)]
        if all(case.outcome == "skipped" for case in own):  # what it is for was not there
            continue
        verdict = run("-m", "needle", "doctor", info.name).strip().splitlines()[-1].split(": ", 1)[1]
        has = ["yes" if dtype in info.dtypes else "no" for dtype in (ndl.float64, ndl.float16)]
        cells = (
            f"`{info.name}`", info.description, info.driver, *has, *junit.counts(own),
            verdict, own[0].date or date.today(),
        )  # fmt: skip
        rows[info.name] = table(cells, ()).splitlines()[0] + "\n"
    headings = (
        "device", "what it is", "driver", "fp64", "fp16", "tests passed", "failed", "skipped", "self-test", "on",
    )  # fmt: skip
    return table(headings, ()) + "".join(rows.values())


def simulator(cases: Sequence[Case]) -> str:
    """The lines on Oclgrind, or nothing if it was not run."""
    own = [case for case in cases if case.environment == "oclgrind"]
    passed, failed, skipped = junit.counts(own)
    if not passed + failed:
        return ""
    clean = next((case.figures for case in own if "kernels" in case.figures), {})
    planted = [case for case in own if "planted" in case.figures]
    found = [case.figures["planted"] for case in planted if case.outcome == "passed"]
    verdict = (
        f"{clean.get('reports', '?')} reports from {clean.get('kernels', '?')} kernels; {len(found)} of {len(planted)} "
        f"planted faults reported ({', '.join(found)}); tests: {passed} passed, {failed} failed, {skipped} skipped"
    )
    right = not failed + skipped and clean.get("reports") == "0" and planted and len(found) == len(planted)
    return (
        "Oclgrind, with bounds, uninitialised memory and data races checked: "
        f"{'' if right else 'NOT CLEAN: '}{verdict} ({own[0].date}).\n"
    )


def faults(cases: Sequence[Case]) -> str:
    """The table of what each fault led to on each device."""
    shown = [case for case in cases if case.faults]
    columns = sorted({case.device for case in shown}, key=_place)
    if not columns:
        return ""
    rows = [
        (fault, *(outcome([c for c in shown if fault in c.faults and c.device == column]) for column in columns))
        for fault in FAULTS
    ]
    return table(("fault", *(f"`{column}`" if column else "no device" for column in columns)), rows)


def _place(device: str) -> int:
    """The place of a device's column; what takes no device comes last."""
    known = [*ENVIRONMENTS, device]
    return len(known) if device == "" else known.index(device)


def outcome(cases: Sequence[Case]) -> str:
    """What these tests say together, with how many there were."""
    passed, failed, skipped = junit.counts(cases)
    if not cases:
        return "–"
    numbers = {"failed": failed, "passed": passed, "skipped": skipped}
    word = next(word for word, number in numbers.items() if number)
    long = sum(case.long and case.outcome == word for case in cases)
    rest = [f"{number} {other}" for other, number in numbers.items() if number and other != word]
    details = ", ".join([str(numbers[word]), *([f"{long} long"] if long else []), *rest])
    return f"{word.upper() if failed else word} ({details})"


def training(cases: Sequence[Case]) -> str:
    """The table of the memory that long training took, in MiB."""
    found = [case for case in cases if "steps" in case.figures]
    rows = []
    for case in sorted(found, key=lambda case: (_place(case.device), int(case.figures["steps"]))):
        numbers = [_course(case.figures.get(what, "")) for what in ("resident set", "pool in use", "pool held")]
        rows.append((f"`{case.device}`", case.figures["steps"], *numbers, case.outcome))
    headings = ("device", "steps", "resident set, MiB", "pool in use, MiB", "pool held, MiB", "outcome")
    return table(headings, rows) if rows else ""


def _course(noted: str) -> str:
    """How a number of bytes went, noted as `first last least most`."""
    if not noted:
        return "–"
    first, last, least, most = (int(word) for word in noted.split())
    return f"{first / 2**20:.2f} → {last / 2**20:.2f}, {most / least - 1:.2%} apart"


def lacking(cases: Sequence[Case], names: Iterable[str]) -> list[str]:
    """What the results do not tell."""
    environments = {case.environment for case in cases if case.outcome != "skipped"}
    usable = {info.name for info in ndl.devices() if info.problem is None}
    known = {fault: [case for case in cases if fault in case.faults and case.outcome != "skipped"] for fault in FAULTS}
    return [
        *(f"device {name}" for name in names if ENVIRONMENTS.get(name, name) not in environments),
        *(
            f"self-test of {name}, which cannot be used here: its row stays as it is"
            for name in names
            if ENVIRONMENTS.get(name, name) in environments and name not in usable
        ),
        *([] if "oclgrind" in environments else ["Oclgrind"]),
        *([] if any(case.long for case in cases) else ["the long forms"]),
        *(f"fault: {fault}" for fault, shown in known.items() if not shown),
    ]


def replaced(page: str, name: str, write: Callable[[str], str]) -> str:
    """`page` with what stands in the named place given to `write`; if that has nothing to say, as it is."""
    place = re.compile(f"({re.escape(BEGIN.format(name))}\n)(.*?)({re.escape(END)})", re.DOTALL)
    found = place.search(page)
    if found is None:
        raise ValueError(f"the page has no place {BEGIN.format(name)} ... {END}")
    text = write(found[2])
    return page if not text else f"{page[: found.end(1)]}\n{text}\n{page[found.start(3) :]}"


def main(names: Sequence[str], results: Path | None, page: Path) -> int:
    """Test if there are no results, and write; 1 if the page has no place for a table."""
    infos = [info for info in ndl.devices() if info.problem is None and (not names or info.name in names)]
    with tempfile.TemporaryDirectory() as folder:
        if results is None:
            test(infos, Path(folder))
        cases = junit.read(results or Path(folder))
    for missing in lacking(cases, [*ENVIRONMENTS] if results else [info.name for info in infos]):
        print(f"not in the results: {missing}", file=sys.stderr)
    writers: dict[str, Callable[[str], str]] = {
        "devices": lambda old: devices(cases, infos, old),
        "oclgrind": lambda old: simulator(cases),
        "faults": lambda old: faults(cases),
        "long training": lambda old: training(cases),
    }
    try:
        text = page.read_text()
        for name, write in writers.items():
            text = replaced(text, name, write)
    except ValueError as error:
        print(f"{page}: {error}", file=sys.stderr)
        return 1
    page.write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("devices", nargs="*")
    parser.add_argument("--results", type=Path, help="a folder of files that `pytest --junitxml` wrote")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    sys.exit(main(options.devices, options.results, options.page))
