"""Which copy of needle the tests run on, which devices, and how hard hypothesis tries.

Environment variables:

- NEEDLE_TEST_DEVICES: the devices to test, by name, comma-separated; one that cannot be used is an error.
  `*` stands for every other device found. Unset: every usable device.
- NEEDLE_TEST_MISSING: "skip" skips every test, with the reason, where NEEDLE_TEST_DEVICES names a device that
  cannot be used; otherwise that is an error.
- NEEDLE_TEST_INSTALLED: if set, needle must come from this environment's site-packages.
- NEEDLE_LAUNCH_SHAPE: "gpu" or "cpu" runs the tests in that launch shape on any device.
- HYPOTHESIS_PROFILE: "default", "ci" (the same examples each time) or "nightly" (many).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import needle as ndl
from needle.backend.opencl.building import builtins

# What somebody tuned on this machine is not what is tested; a launch shape may be asked for by name.
if os.environ.get("NEEDLE_LAUNCH_SHAPE") not in ("cpu", "gpu"):
    os.environ["NEEDLE_LAUNCH_SHAPE"] = "default"

# A fixture that is a device serves all examples of a test: it has no state that one could leave to the next.
# The time of an example says nothing: the first one compiles the kernels.
settings.register_profile(
    "default", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, print_blob=True)
settings.register_profile(
    "nightly", settings.get_profile("default"), max_examples=200, print_blob=True, derandomize=False
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default"))


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to test another copy of needle than the one that was asked for."""
    if os.environ.get("NEEDLE_TEST_INSTALLED") and not Path(ndl.__file__).is_relative_to(sys.prefix):
        raise pytest.UsageError(f"needle comes from {ndl.__file__}, not from the packages under {sys.prefix}")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """The copy of needle and the devices, in the first lines of the report, and why nothing is tested if so."""
    where = f"needle {ndl.__version__} from {Path(ndl.__file__).parent}, devices: {', '.join(devices_under_test())}"
    reason = why_skipped()
    return [where] if reason is None else [where, f"every test is skipped: {reason}"]


@cache
def devices_under_test() -> tuple[str, ...]:
    """The names of the devices that the tests run on."""
    found = {info.name: info.problem for info in ndl.devices()}
    usable = [name for name, problem in found.items() if problem is None]
    wanted = [name.strip() for name in os.environ.get("NEEDLE_TEST_DEVICES", "*").split(",")]
    missing = [name for name in wanted if name != "*" and name not in usable]
    if missing and not _may_be_missing():
        raise pytest.UsageError(f"NEEDLE_TEST_DEVICES asks for {', '.join(missing)}, but there is only {found}")
    return tuple(name for name in usable if name in wanted or "*" in wanted)


@pytest.fixture(scope="session", autouse=True)
def own_builtins_suffice() -> Iterator[None]:
    """Our kernels and operations find each built-in function in `cl/builtins.h`, or PoCL compiles them twice."""
    yield
    assert not builtins.refused, f"compiled only with the driver's header of built-ins: {builtins.refused[0]}"


@pytest.fixture(scope="session")
def devices() -> tuple[str, ...]:
    """The names of all devices under test."""
    return devices_under_test()


def _may_be_missing() -> bool:
    return os.environ.get("NEEDLE_TEST_MISSING") == "skip"


#: The tests that run on every driver, beside those with that mark: the self-test, the operations, the launch shapes,
#: the functions that drivers got wrong, and the tests of this folder that show a fault.
EVERY_DRIVER = {f"device/test_{name}.py" for name in ("doctor", "ops_generated", "launch_shapes", "special")}
FAULTS = "faults/"

#: The tests that depend on which drivers there are, beside those that take a pair of devices.
DRIVERS = {f"host/test_{name}.py" for name in ("cli", "discovery", "drivers")}


def why_skipped() -> str | None:
    """Why this run skips every test: a device that it is for is not there."""
    wanted = [name.strip() for name in os.environ.get("NEEDLE_TEST_DEVICES", "*").split(",")]
    if not _may_be_missing():
        return None
    problems = {info.name: info.problem for info in ndl.devices()}
    for name in wanted:
        problem = problems.get(name, f"there is only {', '.join(problems)}")
        if name != "*" and problem is not None:
            return f"no device {name!r}: {problem}"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Set the marks by which the environments of tox select; skip all if a device is missing."""
    reason = why_skipped()
    for item in items:
        file = item.path.relative_to(Path(__file__).parent).as_posix()
        takes = set(getattr(item, "fixturenames", ())) & {"device", "first"}
        shows = file.startswith(FAULTS) and item.get_closest_marker("fault") is not None
        if (shows or file in EVERY_DRIVER) and item.get_closest_marker("one_driver") is None:
            item.add_marker("every_driver")
        if file in DRIVERS or "first" in takes:
            item.add_marker("drivers")
        if takes or device_of(item) in devices_under_test():
            item.add_marker("device")
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))
        item.user_properties += noted(item)


def device_of(item: pytest.Item) -> str | None:
    """The name of the device among a test's parameters."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return next((value for value in parameters if isinstance(value, str) and value in device_names()), None)


@cache
def device_names() -> frozenset[str]:
    """The names of all devices found, usable or not."""
    return frozenset(info.name for info in ndl.devices())


def noted(item: pytest.Item) -> Iterator[tuple[str, str]]:
    """What `--junitxml` keeps of a test for tools/device_matrix.py: its device, what it shows, whether it is long."""
    if (name := device_of(item)) is not None:
        yield "device", name
    yield from (("fault", mark.args[0]) for mark in item.iter_markers("fault"))
    if item.get_closest_marker("slow") is not None:
        yield "long", "yes"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that takes `device` on every device, those that take `first` and `second` on every pair."""
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", devices_under_test(), indirect=True)
    if "first" in metafunc.fixturenames:
        metafunc.parametrize(("first", "second"), pairs_under_test())


def pairs_under_test() -> list[Any]:
    """Each device under test with the next one, a single one with NumPy; the other pairs, as long forms.

    What is the same on neighbours is the same on all.
    """
    names = devices_under_test()
    if len(names) == 1:
        names = tuple(dict.fromkeys((*names, "numpy")))
    near = {*pairwise(names)}
    pairs = [
        pytest.param(*p, id="-".join(p), marks=() if p in near else pytest.mark.slow) for p in combinations(names, 2)
    ]
    alone = pytest.param("", "", marks=pytest.mark.skip(reason=f"only one device is tested: {', '.join(names)}"))
    return pairs or [alone]


@pytest.fixture
def device(request: pytest.FixtureRequest) -> Iterator[ndl.Device]:
    """Each device in turn, which is also the default device during the test."""
    with ndl.device(request.param) as opened:
        yield opened
