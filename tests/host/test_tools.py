"""The scripts of `tools/`: that they notice what is wrong."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from xml.sax.saxutils import quoteattr

import pytest
from support.processes import report

from needle.array.methods import Methods

ROOT = Path(__file__).parents[2]

PYTHON = """\
#!/bin/sh
# Stands for Python: makes an environment that consists of itself, and fails at the module that FAILING names.
if [ "$2" = venv ]; then
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp "$0" "$3/bin/pip"
fi
[ "$2" != "$FAILING" ]
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="a script of bash")
@pytest.mark.parametrize("failing", ["", "needle", "pytest", "benchmarks"])
def test_the_check_of_a_gpu_fails_where_one_of_its_parts_does(tmp_path: Path, failing: str) -> None:
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    done = subprocess.run(
        ["bash", str(ROOT / "tools" / "gpu_check.sh"), "numpy"], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHON": str(python), "TMPDIR": str(tmp_path), "FAILING": failing},
    )  # fmt: skip
    assert "The summary is" in done.stdout, done.stderr
    assert done.returncode == (1 if failing else 0)


# -- generate.py ------------------------------------------------------------------------------------


def test_what_is_generated_is_checked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    generate = importlib.import_module("generate")
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 0
    monkeypatch.delattr(Methods, "tanh")  # as if a declaration had changed
    assert generate.main() == 1
    printed = capsys.readouterr().out
    assert "operations.md is out of date" in printed and "methods.pyi is out of date" in printed


# -- device_matrix.py -------------------------------------------------------------------------------


@pytest.fixture
def matrix(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return importlib.import_module("device_matrix")


def case(name: str, outcome: str = "", *noted: tuple[str, object]) -> str:
    """A test's element in pytest's results."""
    properties = "".join(f"<property name={quoteattr(n)} value={quoteattr(str(v))}/>" for n, v in noted)
    inside = f'<{outcome} message="so"/>' if outcome else ""
    return (
        f'<testcase classname="tests" name={quoteattr(name)}><properties>{properties}</properties>{inside}</testcase>'
    )


def results(folder: Path, environment: str, *cases: str) -> None:
    (folder / f"{environment}.xml").write_text(
        f'<testsuites><testsuite timestamp="2026-01-02T03:04:05">{"".join(cases)}</testsuite></testsuites>'
    )


PLANTED = [case(f"planted[{name}]", "", ("planted", name)) for name in ("bounds", "race")]
CLEAN = case("clean", "", ("reports", 0), ("kernels", 31))


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        ([*PLANTED, CLEAN], "checked: 0 reports from 31 kernels; 2 of 2 planted faults reported (bounds, race)"),
        ([*PLANTED, case("clean", "error")], "NOT CLEAN: ? reports from ? kernels"),
        ([*PLANTED, case("clean", "skipped")], "NOT CLEAN: ? reports"),
        ([*PLANTED, case("clean", "failure", ("reports", 2), ("kernels", 31))], "NOT CLEAN: 2 reports from 31 kernels"),
        ([CLEAN], "NOT CLEAN: 0 reports from 31 kernels; 0 of 0 planted faults"),
        ([PLANTED[0], case("other", "failure", ("planted", "race")), CLEAN], "NOT CLEAN: 0 reports from 31 kernels; 1"),
        ([case("clean", "skipped")], ""),
        ([], ""),
    ],
)  # fmt: skip
def test_the_simulator_is_clean_only_if_all_of_it_ran(
    matrix: ModuleType, tmp_path: Path, cases: list[str], expected: str
) -> None:
    results(tmp_path, "oclgrind", *cases)
    line = matrix.simulator(matrix.junit.read(tmp_path))
    assert expected in line and bool(line) == bool(expected)


def test_the_tables_of_faults_and_of_training(matrix: ModuleType, tmp_path: Path) -> None:
    fork, pool = ("fault", "fork after first use"), ("fault", "pool under pressure")
    results(tmp_path, "pocl-system", case("fork", "", fork, ("device", "pocl")))
    results(
        tmp_path, "nightly",
        case("fork", "", fork, ("device", "pocl")), case("fork long", "", fork, ("device", "pocl"), ("long", "yes")),
        case("fork numpy", "skipped", fork, ("device", "numpy")),
        case("pool", "", pool, ("device", "pocl")), case("pool again", "failure", pool, ("device", "pocl")),
        case("soak", "", ("device", "pocl"), ("steps", 20000), ("resident set", "1048576 1572864 1048576 2097152")),
    )  # fmt: skip
    cases = matrix.junit.read(tmp_path)
    lines = matrix.faults(cases).splitlines()
    assert lines[0] == "| fault | `numpy` | `pocl` | `pocl:1` |"
    assert "| fork after first use | skipped (1) | passed (2, 1 long) | passed (1) |" in lines
    assert "| pool under pressure | – | FAILED (1, 1 passed) | – |" in lines
    assert "| random programs | – | – | – |" in lines
    assert matrix.training(cases).splitlines()[-1] == "| `pocl` | 20000 | 1.00 → 1.50, 100.00% apart | – | – | passed |"
    results(tmp_path, "rusticl", case("a", "skipped"))
    lacking = matrix.lacking(matrix.junit.read(tmp_path), ["intel", "pocl:1", "rusticl"])
    assert {"device intel", "device rusticl", "Oclgrind", "fault: random programs"} <= set(lacking)
    assert not {"device pocl:1", "the long forms", "fault: pool under pressure"} & set(lacking)


def test_the_page_keeps_what_the_results_do_not_tell(
    matrix: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(matrix.PAGE.read_text())
    monkeypatch.setattr(matrix, "run", lambda *arguments, **options: "numpy: all is well\n")
    results(tmp_path, "numpy", case("a"), case("b", "skipped"), case("c", "", ("fault", "killed while saving")))
    assert matrix.main([], tmp_path, page) == 0
    old, new = matrix.PAGE.read_text(), page.read_text()
    row = next(line for line in new.splitlines() if line.startswith("| `numpy`"))
    assert row.endswith("| 2 | 0 | 1 | all is well | 2026-01-02 |")
    assert "| killed while saving | passed (1) |" in new
    kept = [line for line in old.splitlines() if line.startswith(("| `rusticl` | llvm", "Oclgrind,"))]
    assert kept and set(kept) <= set(new.splitlines())
    assert "not in the results: device rusticl" in capsys.readouterr().err
    page.write_text(new.replace("<!-- oclgrind:", "<!-- other:"))
    assert matrix.main([], tmp_path, page) == 1


def test_each_fault_is_shown_by_a_test(matrix: ModuleType) -> None:
    marked = {
        fault for file in (ROOT / "tests").glob("*/test_*.py")
        for fault in re.findall(r'\bpytest\.mark\.fault\("(.*?)"\)', file.read_text())
    }  # fmt: skip
    assert marked == set(matrix.FAULTS)


def test_results_tell_the_device_and_the_fault(matrix: ModuleType, tmp_path: Path) -> None:
    forks = str(ROOT / "tests" / "faults" / "test_forks.py")
    report(f"--junitxml={tmp_path / 'some.xml'}", forks, "-k", "a_forked_process_is_told", NEEDLE_TEST_DEVICES="numpy")
    (fork,) = matrix.junit.read(tmp_path)
    assert (fork.device, fork.faults, fork.outcome, fork.long) == ("numpy", ("fork after first use",), "skipped", False)


def test_long_training_tells_the_figures(matrix: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test of long training notes is what the table of training reads."""
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "faults"))
    soak = importlib.import_module("test_soak")
    mebibyte, noted = 1 << 20, [("fault", "long training"), ("device", "pocl")]
    result = {"samples": [[mebibyte] * 3, [mebibyte] * 3], "first": 2.0, "last": 1.0, "accuracy": 0.9}
    done = subprocess.CompletedProcess((), 0, json.dumps(result), "")
    monkeypatch.setattr(soak, "python", lambda *arguments, **options: done)
    soak.test_memory_stays_flat(SimpleNamespace(name="pocl"), 800, 400, lambda *pair: noted.append(pair))
    results(tmp_path, "pocl", case("soak", "", *noted))
    row = matrix.training(matrix.junit.read(tmp_path)).splitlines()[-1]
    assert row == "| `pocl` | 800 | " + 3 * "1.00 → 1.00, 0.00% apart | " + "passed |"


def test_the_table_of_ci(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    ci_table = importlib.import_module("ci_table")
    (tmp_path / "pocl.xml").write_text(
        '<testsuites><testsuite timestamp="2026-01-01T00:00:00"><testcase classname="a" name="b"/>'
        '<testcase classname="a" name="c"><skipped/></testcase></testsuite></testsuites>'
    )
    log = (
        "==== tox (at 3 s)\nlint: OK\n  lint: OK (20.50=setup[8.25]+cmd[1.25,11.00] seconds)\n"
        "  pocl: FAIL code 1 (300.40=setup[9.60]+cmd[290.80] seconds)\n  congratulations :)\n"
        "\n==== example (at 325 s)\nx\n==== summary (at 340 s)\n"
    )
    assert list(ci_table.rows(log, tmp_path)) == [
        ("tox", "322", ""),
        ("    lint", "20", "(installing: 8 s)"),
        ("    pocl", "300", "FAILED (installing: 10 s) 1 passed, 0 failed, 1 skipped"),
        ("example", "15", ""),
        ("all", "340", ""),
    ]
