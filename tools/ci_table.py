"""Print what `.ci/run` spent its time on, how many tests passed, and what failed: python tools/ci_table.py LOG RESULTS.

LOG holds a line `==== NAME (at N s)` where each part begins, and what tox says of its environments. RESULTS is the
folder of the files that the environments' tests left, ENVIRONMENT.xml.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import junit

PART = re.compile(r"^==== (.*) \(at (\d+) s\)$", re.MULTILINE)
ENVIRONMENT = re.compile(
    r"^  ([\w-]+): (OK|FAIL).*?\(([\d.]+)=setup\[([\d.]+)\](?:\+cmd\[([\d.,]+)\])? seconds\)$", re.MULTILINE
)


def rows(log: str, results: Path) -> Iterator[tuple[str, str, str]]:
    """Each part's name, seconds and tests, and below it those of the environments of tox in it."""
    cases = junit.read(results)
    parts = [(found[1], int(found[2]), found.end()) for found in PART.finditer(log)]
    for (name, begin, start), (_, end, stop) in pairwise(parts):
        yield name, str(end - begin), ""
        for environment, verdict, seconds, setup, _ in ENVIRONMENT.findall(log[start:stop]):
            own = [case for case in cases if case.environment == environment]
            passed, failed, skipped = junit.counts(own)
            told = f"{passed} passed, {failed} failed, {skipped} skipped" if own else ""
            told = f"{'FAILED ' if verdict == 'FAIL' else ''}(installing: {float(setup):.0f} s) {told}".strip()
            yield f"    {environment}", f"{float(seconds):.0f}", told
    if parts:
        yield "all", str(parts[-1][1]), ""


def main(log: Path, results: Path) -> int:
    """Print the table."""
    for name, seconds, told in rows(log.read_text(), results):
        print(f"{name:<66} {seconds:>5} s  {told}".rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
