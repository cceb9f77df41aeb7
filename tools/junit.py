"""Reading what pytest wrote by `--junitxml`: each test, its outcome, and what it noted of itself.

The environments of tox leave such a file each, ENVIRONMENT.xml. `tests/conftest.py` notes the device of a test, the
fault that it shows, and whether it is the long form; tests note figures of their own by `record_property`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

OUTCOMES = {"failure": "failed", "error": "failed", "skipped": "skipped"}

#: What a device is called in an environment -> on the machine, if that differs.
RENAMED = {("pocl-system", "pocl"): "pocl:1"}


@dataclass(frozen=True)
class Case:
    """One test in one environment."""

    environment: str
    date: str
    name: str
    outcome: str  # passed, failed or skipped
    device: str  # "" if it takes none
    faults: tuple[str, ...]  # what goes wrong in it
    long: bool
    figures: dict[str, str]


def read(folder: Path) -> list[Case]:
    """Every test of every file in `folder`."""
    return [case for file in sorted(folder.glob("*.xml")) for case in _cases(file)]


def _cases(file: Path) -> Iterable[Case]:
    for suite in ET.parse(file).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            noted = [(p.get("name", ""), p.get("value", "")) for p in case.iter("property")]
            figures = dict(noted)
            device = figures.pop("device", "")
            yield Case(
                environment=file.stem,
                date=suite.get("timestamp", "")[:10],
                name=f"{case.get('classname')}::{case.get('name')}",
                outcome=next((OUTCOMES[child.tag] for child in case if child.tag in OUTCOMES), "passed"),
                device=RENAMED.get((file.stem, device), device),
                faults=tuple(value for name, value in noted if name == "fault"),
                long="long" in figures,
                figures=figures,
            )


def counts(cases: Iterable[Case]) -> tuple[int, int, int]:
    """How many passed, failed and were skipped."""
    outcomes = [case.outcome for case in cases]
    return outcomes.count("passed"), outcomes.count("failed"), outcomes.count("skipped")
