"""Write docs/devices.md, what is known of each device: the tests' counts, the self-test, Oclgrind's reports.

    python tools/device_matrix.py                    # every usable device, minutes each
    python tools/device_matrix.py intel              # this one; the rows of the others stay as they are
    .ci/run | tee log; python tools/device_matrix.py --log log

For each device it runs `python -m needle doctor` and the tests that take a device; with `--log`, what tox printed, it
takes the counts of the environments in ENVIRONMENTS from there. Oclgrind is run where it is installed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import needle as ndl

#: The tox environment that tests a device of this name; on `pocl` the whole suite, with `numpy` beside it.
ENVIRONMENTS = {
    "numpy": "numpy", "pocl": "pocl", "pocl:1": "pocl-system", "intel": "intel", "rusticl": "rusticl",
    "nvidia": "nvidia", "amd": "amd",
}  # fmt: skip

#: Tests that passed, failed and were skipped.
Counts = tuple[int, int, int]

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "devices.md"
BEGIN, END = "<!-- written by tools/device_matrix.py -->", "<!-- end -->"
HEADER = """\
| device | what it is | driver | fp64 | fp16 | tests passed | failed | skipped | self-test | on |
|---|---|---|---|---|---|---|---|---|---|
"""


def run(*arguments: str, device: str = "numpy") -> str:
    """What a command of this Python prints, with the tests for `device` alone."""
    environment = {**os.environ, "NEEDLE_TEST_DEVICES": device, "HYPOTHESIS_PROFILE": "ci", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout


def tests(device: str) -> Counts:
    """The counts of the tests that take a device."""
    selected = ("-n", "2", "-m", "device and not slow and not large", "tests")
    return counted(run("-m", "pytest", "-q", *selected, device=device).strip().splitlines()[-1])


def counted(summary: str) -> Counts:
    """The counts in the last line that pytest prints."""
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", summary)}
    failed = counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0)
    return counts.get("passed", 0), failed, counts.get("skipped", 0)


def logged(log: str) -> dict[str, Counts]:
    """The counts of each tox environment in what tox printed."""
    found: dict[str, Counts] = {}
    environment = ""
    for line in log.splitlines():
        if started := re.match(r"([a-z-]+): commands\[\d+\].*> pytest ", line):
            environment = started[1]
        elif environment and re.fullmatch(r"=+ .*\d+ (passed|failed|error).* =+", line):
            found[environment], environment = counted(line), ""
    return found


def row(info: ndl.DeviceInfo, known: dict[str, Counts]) -> str:
    """The table's row for a device."""
    passed, failed, skipped = known.get(ENVIRONMENTS.get(info.name, "")) or tests(info.name)
    verdict = run("-m", "needle", "doctor", info.name).strip().splitlines()[-1].split(": ", 1)[1]
    yes = {True: "yes", False: "no"}
    cells = (
        f"`{info.name}`", info.description, info.driver, yes[info.float64], yes[info.float16], passed, failed,
        skipped, verdict, date.today(),
    )  # fmt: skip
    return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"


def simulator() -> str:
    """The line on Oclgrind."""
    if shutil.which("oclgrind") is None:
        return ""
    last = run("-m", "pytest", "-q", "tests/test_oclgrind.py").strip().splitlines()[-1]
    verdict = "no report from any kernel" if "failed" not in last else "REPORTS; see tests/test_oclgrind.py"
    return f"Oclgrind, with bounds, uninitialised memory and data races checked: {verdict} ({date.today()}).\n"


def main(names: list[str], known: dict[str, Counts]) -> int:
    """Measure and write; 1 if the page has no place for the table."""
    before, begin, rest = TARGET.read_text().partition(BEGIN)
    old, end, after = rest.partition(END)
    if not (begin and end):
        print(f"{TARGET} lacks {BEGIN} or {END}", file=sys.stderr)
        return 1
    rows = {line.split("`")[1]: line for line in old.splitlines() if line.startswith("| `")}
    for info in ndl.devices():
        if info.problem is None and (not names or info.name in names):
            rows[info.name] = row(info, known)
            print(rows[info.name], flush=True)
    kept = next((line + "\n" for line in old.splitlines() if line.startswith("Oclgrind")), "")
    table = HEADER + "".join(f"{line}\n" for line in rows.values())
    TARGET.write_text(f"{before}{BEGIN}\n\n{table}\n{simulator() or kept}\n{END}{after}")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("devices", nargs="*")
    parser.add_argument("--log", type=argparse.FileType())
    options = parser.parse_args()
    sys.exit(main(options.devices, logged(options.log.read()) if options.log else {}))
