"""Which tests an environment of tox runs, and what it says where its device is missing."""

from __future__ import annotations

from pathlib import Path

from support.processes import report

import needle as ndl

TESTS = Path(__file__).parents[1]
FUZZ, CACHES, CLI = (str(TESTS / name) for name in ("device/test_fuzz.py", "faults/test_caches.py", "host/test_cli.py"))
DEVICE = ("-m", "device and not slow and not large")


def test_random_programs_and_caches_are_tested_in_the_environment_of_a_device() -> None:
    """Each on that device and on no other; the programs are the same each time in CI."""
    name = next(info.name for info in ndl.devices() if info.problem is None)
    said = report("--collect-only", "-v", *DEVICE, FUZZ, CACHES, NEEDLE_TEST_DEVICES=name, HYPOTHESIS_PROFILE="ci")
    found = {
        test: {line.split("[")[1].split("-")[0] for line in said.splitlines() if f"{test}[" in line}
        for test in ("test_random_programs", "test_two_processes_start_cold")
    }
    assert found == {test: {name} for test in found}
    assert "hypothesis profile 'ci'" in said and "derandomize=True" in said


def test_a_nightly_run_draws_other_examples_each_time() -> None:
    """Also where the variable CI is set, from which hypothesis takes that the same are wanted."""
    said = report("--collect-only", "-v", FUZZ, NEEDLE_TEST_DEVICES="numpy", HYPOTHESIS_PROFILE="nightly", CI="true")
    assert "hypothesis profile 'nightly'" in said and "derandomize=True" not in said


def test_an_environment_without_its_device_is_no_failure_and_its_first_lines_say_why() -> None:
    which = ("-k", "version or random_programs", FUZZ, CLI)
    said = report(*which, NEEDLE_TEST_DEVICES="nowhere", NEEDLE_TEST_MISSING="skip")
    head, _, rest = said.partition("collected ")
    assert "every test is skipped: no device 'nowhere': there is only" in head
    assert "skipped" in rest and "passed" not in rest


def test_where_the_device_is_there_nothing_is_said_of_skipping() -> None:
    said = report("-k", "version", CLI, NEEDLE_TEST_DEVICES="numpy", NEEDLE_TEST_MISSING="skip")
    assert "is skipped" not in said and "1 passed" in said
