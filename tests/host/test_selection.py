"""Which tests an environment of tox runs, and what it says where its device is missing."""

from __future__ import annotations

from pathlib import Path

from support.processes import report

import needle as ndl

TESTS = Path(__file__).parents[1]
DEVICE = ("-m", "device and not slow and not large")


def test_random_programs_run_in_the_environment_of_each_device() -> None:
    file = str(TESTS / "device" / "test_fuzz.py")
    said = report("--collect-only", "-q", *DEVICE, file, NEEDLE_TEST_DEVICES="numpy", HYPOTHESIS_PROFILE="ci")
    assert any(line.endswith("test_fuzz.py::test_random_programs[numpy-0]") for line in said.splitlines())


def test_caches_are_tested_in_the_environment_of_each_device_and_not_in_anothers() -> None:
    names = [info.name for info in ndl.devices() if info.problem is None and info.name != "numpy"]
    file = str(TESTS / "faults" / "test_caches.py")
    for name in names:
        said = report("--collect-only", "-q", *DEVICE, file, NEEDLE_TEST_DEVICES=name)
        found = {
            line.split("[")[1].rstrip("]") for line in said.splitlines() if "test_two_processes_start_cold" in line
        }
        assert found == {f"{name}-4"}


def test_a_nightly_run_draws_other_examples_each_time() -> None:
    """Also where the variable CI is set, from which hypothesis takes that the same are wanted."""
    file = str(TESTS / "device" / "test_fuzz.py")
    for profile, expected in (("ci", True), ("nightly", False)):
        said = report("--collect-only", "-v", file, NEEDLE_TEST_DEVICES="numpy", HYPOTHESIS_PROFILE=profile, CI="true")
        assert f"hypothesis profile '{profile}'" in said
        assert ("derandomize=True" in said) == expected


def test_an_environment_without_its_device_is_no_failure() -> None:
    file = str(TESTS / "device" / "test_fuzz.py")
    assert "skipped" in report(*DEVICE, file, NEEDLE_TEST_DEVICES="nowhere", NEEDLE_TEST_MISSING="skip")


def test_the_first_lines_say_why_everything_is_skipped() -> None:
    file = str(TESTS / "host" / "test_cli.py")
    said = report("-k", "version", file, NEEDLE_TEST_DEVICES="nowhere", NEEDLE_TEST_MISSING="skip")
    head, _, rest = said.partition("collected ")
    assert "every test is skipped: no device 'nowhere': there is only" in head
    assert "1 skipped" in rest and "passed" not in rest
    said = report("-k", "version", file, NEEDLE_TEST_DEVICES="numpy", NEEDLE_TEST_MISSING="skip")
    assert "is skipped" not in said and "1 passed" in said
