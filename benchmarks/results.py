"""What a run found, case by case, and its JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

from benchmarks.case import Family
from benchmarks.statistics import Spread, geometric_mean, ratio, spread


@dataclass
class Result:
    """One case: seconds of each round by library, or why a library has none."""

    family: str
    case: str
    seconds: dict[str, list[float]]
    problems: dict[str, str] = field(default_factory=dict)
    wrong: bool = False  # needle's own result is not that of float64
    errors: dict[str, float] = field(default_factory=dict)
    chosen: dict[str, str] = field(default_factory=dict)
    traffic: float = 0.0
    flops: float = 0.0
    floor: float = 0.0

    @property
    def name(self) -> str:
        """Family and case."""
        return f"{self.family}/{self.case}"

    def time(self, library: str) -> Spread | None:
        """The median time of a call in seconds."""
        return spread(self.seconds[library]) if self.seconds.get(library) else None

    def ratio(self, library: str) -> Spread | None:
        """A peer's time over needle's."""
        if not self.seconds.get(library) or not self.seconds.get("needle"):
            return None
        return ratio(self.seconds[library], self.seconds["needle"])

    @property
    def share(self) -> float | None:
        """The floor as a share of needle's time."""
        own = self.time("needle")
        return self.floor / own.median if own and own.median else None


def means(family: Family, results: Iterable[Result], library: str) -> float | None:
    """The geometric mean of a peer's ratios in a family."""
    found = [r.ratio(library) for r in results if r.family == family.name]
    values = [f.median for f in found if f is not None]
    return geometric_mean(values) if values else None


def as_json(
    machine: dict[str, str], libraries: dict[str, str], settings: dict[str, Any], families: Iterable[Family],
    results: list[Result],
) -> dict[str, Any]:  # fmt: skip
    """A run as JSON's types."""
    entries = []
    for family in families:
        own = [r for r in results if r.family == family.name]
        if not own:
            continue
        entry = {
            name: getattr(family, name)
            for name in ("name", "title", "bar", "aim", "mean_bar", "mean_aim", "against", "ahead")
        }
        entry["mean"] = means(family, own, family.against)
        entry["cases"] = [_case_json(r) for r in own]
        entries.append(entry)
    return {"machine": machine, "libraries": libraries, "settings": settings, "families": entries}


def _case_json(result: Result) -> dict[str, Any]:
    found = asdict(result)
    peers = [name for name in result.seconds if name != "needle"]
    found["ratio"] = {name: asdict(r) for name in peers if (r := result.ratio(name)) is not None}
    found["share"] = result.share
    found["errors"] = {name: value if isfinite(value) else None for name, value in result.errors.items()}
    return found
