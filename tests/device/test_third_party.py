"""A backend in a package of somebody else: installed by pip, listed, passing the generated tests, examined."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import needle as ndl
from needle.doctor import FAMILIES, examine

pytest.importorskip("pip", reason="the package is installed by pip")

TESTS = Path(__file__).parents[1]
METADATA = {
    "METADATA": "Metadata-Version: 2.1\nName: needle-abacus\nVersion: 1.0\n",
    "WHEEL": "Wheel-Version: 1.0\nGenerator: needle's tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "entry_points.txt": "[needle.backends]\nabacus = needle_abacus:AbacusBackend\n",
}


def build_wheel(folder: Path) -> Path:
    """The wheel of `packages/needle_abacus.py`, written by hand: building one would need the network."""
    wheel = folder / "needle_abacus-1.0-py3-none-any.whl"
    files = {f"needle_abacus-1.0.dist-info/{name}": text for name, text in METADATA.items()}
    files["needle_abacus.py"] = (TESTS / "packages" / "needle_abacus.py").read_text()
    record = [f"{name},sha256={digest(text)},{len(text.encode())}\n" for name, text in files.items()]
    files["needle_abacus-1.0.dist-info/RECORD"] = "".join(record) + "needle_abacus-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


def digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the package is installed."""
    folder = tmp_path_factory.mktemp("abacus")
    command = ["pip", "install", "--quiet", "--no-index", "--no-deps", "--no-cache-dir", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", *command, "--target", folder / "site", build_wheel(folder)],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "site"


def python(site: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), str(Path(ndl.__file__).parents[1]), *sys.path])
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_XDIST", "NEEDLE_TEST", "NEEDLE_DEVICE"))}
    return subprocess.run(
        [sys.executable, *arguments], env={**kept, "PYTHONPATH": path, **environment}, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip


def test_it_is_listed(site: Path) -> None:
    done = python(site, "-m", "needle")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["abacus", "other", "0.0", "GiB", "yes", "yes", "beads", "on", "wires", "wood", "1.0"] in rows
    assert "     cannot be used: a bead is missing" in done.stdout.splitlines()


def test_it_passes_the_generated_tests(site: Path) -> None:
    done = python(
        site, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(TESTS.parent / "pyproject.toml"),
        "--rootdir", str(TESTS.parent), str(TESTS / "device" / "test_ops_generated.py"), NEEDLE_TEST_DEVICES="abacus",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "[abacus-" not in done.stdout
    last = done.stdout.splitlines()[-1]
    assert int(last.split(" passed")[0].split()[-1]) > 150 and "failed" not in last


# -- the self-test ----------------------------------------------------------------------------------


def test_the_doctor_finds_nothing_wrong(site: Path) -> None:
    done = python(site, "-m", "needle", "doctor", "abacus")
    assert done.returncode == 0, done.stdout + done.stderr
    title, *lines, verdict = done.stdout.strip().splitlines()
    assert title == "abacus: beads on wires, 1.0"
    assert verdict == f"  abacus: all {len(FAMILIES)} families are right"
    assert [line[2:18].strip() for line in lines] == list(FAMILIES)
    assert all(line.split(" checks")[0].split()[-2] == "ok" for line in lines)


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        ("wrong", "WRONG"),
        pytest.param("crash", "CRASHED", marks=pytest.mark.skipif(os.name != "posix", reason="POSIX")),
    ],
)
def test_the_doctor_finds_a_fault(site: Path, fault: str, verdict: str) -> None:
    done = python(site, "-m", "needle", "doctor", "abacus", ABACUS_FAULT=fault)
    assert done.returncode == 1, done.stdout + done.stderr
    lines = {line[2:18].strip(): line for line in done.stdout.splitlines()[1:-2]}
    assert list(lines) == [*FAMILIES][: len(lines)]
    assert verdict in lines["reductions"]
    assert (" wrong; sum of float32 (1,) along None: 1 of 1" in lines["reductions"]) == (fault == "wrong")
    assert ("its process was ended by SIGSEGV" in lines["reductions"]) == (fault == "crash")
    for innocent in ("copies", "elementwise", "positions", "matrix products", "random numbers"):
        assert " ok " in lines[innocent]
    assert "NOT RIGHT: reductions" in done.stdout


def test_the_doctor_does_not_wait_for_ever(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(Path(ndl.__file__).parents[1])]))
    monkeypatch.setenv("ABACUS_FAULT", "hang")
    monkeypatch.syspath_prepend(str(site))
    reports = list(examine("abacus", ("copies", "reductions", "positions"), patience=15))
    assert [report.verdict for report in reports] == ["ok", "HANGS", "ok"]
    assert reports[1].detail == "no result within 15 s"


def test_a_device_that_is_not_there_fails_the_examination(site: Path) -> None:
    done = python(site, "-m", "needle", "doctor", "abacus:1", "slide rule")
    assert done.returncode == 1
    assert "abacus:1: cannot be used: a bead is missing" in done.stdout
    assert "slide rule: cannot be used: there is no such device; known are " in done.stdout
