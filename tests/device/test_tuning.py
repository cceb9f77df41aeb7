"""`python -m needle tune`: the search, what may be measured, and where the answer is kept."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.limited import Reported

import needle as ndl
from needle.__main__ import main
from needle.backend.opencl.running.device import OpenCLDevice
from needle.backend.opencl.shapes import saved as saved
from needle.backend.opencl.shapes.defaults import NAMED, cpu_launch_shape, default_launch_shape, gpu_launch_shape
from needle.backend.opencl.shapes.launch_shape import VERSION, LaunchShape
from needle.tuning import FAMILIES, Outcome, TuningResult, tune
from needle.tuning import command as _command
from needle.tuning import tuner as _tuner
from needle.tuning.search import MARGIN, TOLERANCE, Change, Setting, UnusableError, mean_ratio, search, wins
from needle.tuning.tuner import plan, private_device, settings_for
from needle.tuning.workloads import WORKLOADS, Case

# -- the search, on times that are made up ----------------------------------------------------------


@dataclass(frozen=True)
class Point:
    x: int = 0
    y: int = 0


X = Setting("x", (0, 1, 2, 3), frozenset({"all"}))
Y = Setting("y", (0, 1, 2, 3), frozenset({"all"}))
BOWL = {(x, y): 1.0 + (x - 2) ** 2 + (y - 1) ** 2 for x in range(4) for y in range(4)}


def vary(point: Point, field: str, value: int) -> Point:
    return replace(point, **{field: value})


def by_time(seconds: Callable[[Point], float]) -> Callable[..., dict[str, float]]:
    return lambda old, new, setting, thorough: {"work": seconds(new) / seconds(old)}


def test_the_fastest_values_are_found() -> None:
    heard: list[str] = []
    outcome = search(Point(), [X, Y], vary, by_time(lambda p: BOWL[p.x, p.y]), progress=heard.append)
    assert outcome.launch_shape == Point(2, 1)
    assert outcome.complete and not outcome.skipped
    assert [(c.field, c.new) for c in outcome.changes] == [("x", 1), ("x", 2), ("y", 1)]
    assert outcome.changes[0].gain == pytest.approx(1 - BOWL[1, 0] / BOWL[0, 0])
    assert outcome.tried == len(heard) and heard[0] == "x=1"
    assert len(set(heard)) < len(heard)  # a second pass, in another place


def test_a_value_may_pay_only_after_another_has_changed() -> None:
    def seconds(p: Point) -> float:
        return 1.0 if (p.x, p.y) == (3, 3) else 5.0 if p.y == 3 else 10.0

    assert search(Point(), [X, Y], vary, by_time(seconds)).launch_shape == Point(3, 3)


def test_nothing_is_compared_twice() -> None:
    seen: list[tuple[Point, Point]] = []

    def compare(old: Point, new: Point, setting: Setting, thorough: bool) -> dict[str, float]:
        seen.append((old, new))
        return {"work": 1.0}

    outcome = search(Point(), [X, Y], vary, compare)
    assert outcome.launch_shape == Point() and outcome.tried == 6
    assert len(seen) == len(set(seen)) == 6


def test_a_win_must_be_clear() -> None:
    assert not wins({"a": 1 - 0.9 * MARGIN})
    assert wins({"a": 1 - 1.1 * MARGIN})
    assert wins({"a": 0.5, "b": 1 + 0.9 * TOLERANCE})
    assert not wins({"a": 0.5, "b": 1 + 1.1 * TOLERANCE})
    assert mean_ratio({"a": 0.5, "b": 2.0}) == pytest.approx(1)


def test_a_win_must_repeat() -> None:
    asked: list[bool] = []

    def compare(old: Point, new: Point, setting: Setting, thorough: bool) -> dict[str, float]:
        asked.append(thorough)
        return {"work": 1.0 if thorough else 0.5}  # the first time something else slowed the incumbent

    outcome = search(Point(), [X], vary, compare)
    assert outcome.launch_shape == Point() and outcome.changes == []
    assert asked == [False, True] * 3


def test_candidates_that_cannot_be_used_are_counted() -> None:
    def compare(old: Point, new: Point, setting: Setting, thorough: bool) -> dict[str, float]:
        if new.x == 2 or (thorough and new.x == 3):
            raise UnusableError("does not compile")
        return {"work": 0.5}

    def vary_some(point: Point, field: str, value: int) -> Point:
        if field == "y":
            raise UnusableError("too large")
        return vary(point, field, value)

    outcome = search(Point(), [X, replace(Y, values=(1,))], vary_some, compare)
    assert outcome.launch_shape.y == 0 and outcome.launch_shape.x in (0, 1)
    assert {"x=2: does not compile", "x=3: does not compile", "y=1: too large"} <= set(outcome.skipped)


def test_the_time_may_be_up() -> None:
    left = iter([True, True, False])
    outcome = search(Point(), [X, Y], vary, by_time(lambda p: BOWL[p.x, p.y]), going_on=lambda: next(left))
    assert outcome.launch_shape == Point(2, 0)
    assert outcome.tried == 2 and not outcome.complete


# -- workloads and settings -------------------------------------------------------------------------


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: w.name)
def test_workloads_are_right_and_notice_what_is_not(device: ndl.Device, workload: Any) -> None:
    for shapes in (workload.shapes(1), workload.odd_shapes):
        case = workload.case(device, shapes)
        assert case.is_right()
        spoilt = case.expected.copy()
        spoilt.flat[-1] += 0.01 * np.abs(spoilt).max() + 0.01
        assert not Case(case.run, spoilt).is_right()
    assert workload.bytes(2) > workload.bytes(1)


@pytest.fixture
def opencl(device: ndl.Device) -> OpenCLDevice:
    """A private device on the hardware of each OpenCL device."""
    if not isinstance(device, OpenCLDevice):
        pytest.skip("only OpenCL devices have a launch shape")
    return private_device(device)


@pytest.mark.parametrize("shape", ["cpu", "gpu"])
def test_settings_are_fields_of_the_launch_shape(opencl: OpenCLDevice, shape: str) -> None:
    if shape == "gpu":
        opencl.launch_shape = replace(opencl.launch_shape, matmul_rows=0, local_size=16, vector_bytes=4)
    settings = settings_for(opencl)
    assert {s.field for s in settings} <= {field.name for field in fields(LaunchShape)}
    assert all(s.values and s.families <= set(FAMILIES) for s in settings)
    assert frozenset().union(*(s.families for s in settings)) == set(FAMILIES)
    for setting in settings:
        if setting.field == "vector_bytes" and opencl.launch_shape.on_cpu:
            assert max(setting.values) == opencl.launch_shape.vector_bytes


def test_a_setting_is_judged_by_every_family_that_it_matters_to(opencl: OpenCLDevice) -> None:
    settings, workloads = plan(opencl, ["softmax"])
    assert "groups" in {s.field for s in settings}
    assert not {s.field for s in settings} & {"fold_columns", "matmul_rows", "matmul_micro"}
    assert {w.family for w in workloads} >= {"softmax", "reduce", "elementwise"}


# -- tuning -----------------------------------------------------------------------------------------


@pytest.fixture
def few_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = [
        Setting("fold_columns", (1, 8), frozenset({"reduce"})),
        Setting("local_size", (3,), frozenset({"reduce"})),
    ]
    monkeypatch.setattr(_tuner, "settings_for", lambda device: settings)
    monkeypatch.setattr(_tuner, "_LONG_ENOUGH", 1e-9)


def test_a_short_tune(opencl: OpenCLDevice, few_settings: None) -> None:
    public = ndl.device(opencl.name)
    x = ndl.asarray(np.arange(2000, dtype=np.float32).reshape(40, 50), device=public)
    before, launch_shape = x.sum(axis=0).numpy(), public.launch_shape
    heard: list[str] = []
    result = tune(public.name, ["reduce"], seconds=60, progress=heard.append)
    assert result.before == launch_shape and result.outcome.complete
    assert result.after.fold_columns in (1, 8, launch_shape.fold_columns)
    assert replace(result.after, fold_columns=launch_shape.fold_columns) == launch_shape
    assert [reason.split(":")[0] for reason in result.outcome.skipped] == ["local_size=3"]
    assert set(result.seconds) == {"sum of rows", "sum of columns", "sum of all"}
    assert all(0 < seconds < math.inf for pair in result.seconds.values() for seconds in pair)
    assert heard[0] == "sum of rows" and heard[-1] == "before and after"
    assert public.launch_shape == launch_shape and public.tracer is None
    np.testing.assert_array_equal(x.sum(axis=0).numpy(), before)


def test_a_candidate_that_computes_wrongly_never_wins(
    opencl: OpenCLDevice, few_settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Case, "is_right", lambda self: False)
    result = tune(opencl, ["reduce"], seconds=60)
    assert result.after == result.before
    assert any(s.startswith("fold_columns=") and "wrong results: sum of rows" in s for s in result.outcome.skipped)


def test_a_candidate_that_does_not_compile_is_skipped(
    opencl: OpenCLDevice, few_settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = OpenCLDevice.kernel

    def kernel(self: OpenCLDevice, file: str, name: str, defines: Any, *others: Any) -> Any:
        if defines.get("COLUMNS") == 8:
            raise ndl.KernelCompileError("too many registers\nand more")
        return own(self, file, name, defines, *others)

    monkeypatch.setattr(OpenCLDevice, "kernel", kernel)
    result = tune(opencl, ["reduce"], seconds=60)
    assert "fold_columns=8: KernelCompileError: too many registers" in result.outcome.skipped
    assert result.after.fold_columns != 8


def test_no_time_is_no_search(opencl: OpenCLDevice, few_settings: None) -> None:
    result = tune(opencl, ["reduce"], seconds=1e-9)
    assert result.outcome.tried == 0 and not result.outcome.complete
    assert result.after == result.before


def test_bad_arguments(device: ndl.Device) -> None:
    with pytest.raises(ValueError, match=r"only=\['sorting'\] must name some of matmul, matvec"):
        tune(device, ["sorting"])
    with pytest.raises(ValueError, match=r"only=\[\] must name"):
        tune(device, [])
    with pytest.raises(ValueError, match="seconds=0 must be more than 0"):
        tune(device, seconds=0)
    with pytest.raises(ndl.DeviceError, match="device 'numpy' has no launch shape to tune"):
        tune("numpy")


# -- launch shapes that a device can run -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"local_size": 1 << 20}, "local_size=1048576 must be a power of two of at most .*largest work-group"),
        ({"local_size": 3}, "local_size=3 must be a power of two"),
        ({"groups": 0}, "groups=0 must be an integer of at least 1"),
        ({"groups": 1.5}, "groups=1.5 must be an integer"),
        ({"fold_columns": True}, "fold_columns=True must be an integer"),
        ({"wide_index": 1}, "wide_index=1 must be true or false"),
        ({"vector_bytes": 24}, "vector_bytes=24 must be a power of two from 4 to 128"),
        ({"vector_bytes": 256}, "vector_bytes=256 must be"),
        ({"matmul_rows": -1}, "matmul_rows=-1 must be an integer of at least 0"),
        ({"matmul_rows": 6, "matmul_block_bytes": 1 << 40}, "matmul_block_bytes=.* must be smaller: .*local memory"),
        ({"matmul_group": 1 << 20}, "matmul_group=1048576 must be a power of two, and smaller: its square"),
        ({"matmul_group": 12}, "matmul_group=12 must be a power of two"),
        ({"fold_unroll": 3}, "fold_unroll=3 must be a power of two of at most 16"),
        ({"fold_unroll": 32}, "fold_unroll=32 must be a power of two of at most 16"),
        ({"matmul_rows": 2}, "matmul_rows=2 must be 0, or at least 4"),
        ({"matmul_block_bytes": 64}, "matmul_block_bytes=64 must be a power of two of at least 4096"),
        ({"matmul_rows": 0, "matmul_micro": 1 << 20}, "matmul_micro=1048576 must be smaller: .*local memory"),
    ],
)
def test_launch_shapes_that_the_device_cannot_run(opencl: OpenCLDevice, changes: dict[str, Any], message: str) -> None:
    before = opencl.launch_shape
    with pytest.raises(ValueError, match=message):
        opencl.launch_shape = replace(before, **changes)
    assert opencl.launch_shape is before


def test_a_new_launch_shape_drops_what_was_prepared(opencl: OpenCLDevice) -> None:
    x = ndl.asarray(np.arange(60_000, dtype=np.float32).reshape(200, 300), device=opencl)
    expected = x.numpy()
    for changes in ({}, {"groups": 1}, {"local_size": 16, "vector_bytes": 4}, {"local_size": 32, "fold_columns": 2}):
        opencl.launch_shape = replace(default_launch_shape(opencl.cl_device), **changes)
        np.testing.assert_array_equal((x + 1).numpy(), expected + 1)
        np.testing.assert_array_equal(x.max(axis=0).numpy(), expected.max(axis=0))
        np.testing.assert_array_equal(x.argmax(axis=1).numpy(), expected.argmax(axis=1))


# -- keeping launch shapes -------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder from which launch shapes are loaded."""
    monkeypatch.setattr(saved.platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.delenv("NEEDLE_LAUNCH_SHAPE")
    monkeypatch.delenv("NEEDLE_PROFILE", raising=False)
    return tmp_path


def reopened(device: OpenCLDevice) -> OpenCLDevice:
    return OpenCLDevice(device.info, device.cl_device)


def test_a_saved_launch_shape_is_loaded(opencl: OpenCLDevice, cache: Path) -> None:
    default = default_launch_shape(opencl.cl_device)
    assert reopened(opencl).launch_shape == default
    tuned = replace(default, groups=default.groups + 3, fold_columns=7)
    path = saved.save(opencl.cl_device, tuned)
    assert path == saved.path_for(opencl.cl_device) and path.is_relative_to(cache / "cache" / "needle")
    assert json.loads(path.read_text())["launch_shape"] == {"groups": default.groups + 3, "fold_columns": 7}
    assert reopened(opencl).launch_shape == tuned
    assert saved.remove(opencl.cl_device) == path
    assert reopened(opencl).launch_shape == default
    assert saved.remove(opencl.cl_device) is None


def edit(**changes: Any) -> Callable[[str], str]:
    return lambda text: json.dumps({**json.loads(text), **changes})


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda text: text[: len(text) // 2], "."),
        (lambda text: "", "."),
        (lambda text: "[]", 'no "launch_shape"'),
        (edit(launch_shape=[1]), 'no "launch_shape"'),
        (edit(version=VERSION + 1), f"made for version {VERSION + 1}, here it is {VERSION}"),
        (edit(driver="0.1"), "made for driver '0.1', here it is"),
        (edit(device="Abacus"), "made for device 'Abacus', here it is"),
        (edit(platform=None), "made for platform None"),
        (edit(launch_shape={"speed": 11}), "no field 'speed'; known are vector_bytes, local_size"),
        (edit(launch_shape={"groups": "many"}), "groups='many' must be an integer"),
        (edit(launch_shape={"local_size": 1 << 30}), "local_size=1073741824 must be a power of two of at most"),
    ],
)
def test_a_file_that_does_not_serve_is_ignored_with_a_warning(
    opencl: OpenCLDevice, cache: Path, spoil: Callable[[str], str], why: str
) -> None:
    default = default_launch_shape(opencl.cl_device)
    path = saved.save(opencl.cl_device, replace(default, groups=default.groups + 3))
    path.write_text(spoil(path.read_text()))
    with pytest.warns(UserWarning, match=f"the saved launch shape .* is ignored: .*{why}"):
        assert reopened(opencl).launch_shape == default


def test_a_folder_in_the_file_s_place(opencl: OpenCLDevice, cache: Path) -> None:
    saved.path_for(opencl.cl_device).mkdir(parents=True)
    with pytest.warns(UserWarning, match="is ignored"):
        assert reopened(opencl).launch_shape == default_launch_shape(opencl.cl_device)


def test_saving_is_all_or_nothing(opencl: OpenCLDevice, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default = default_launch_shape(opencl.cl_device)
    path = saved.save(opencl.cl_device, replace(default, groups=1))
    before = path.read_text()

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(json, "dump", fail)
    with pytest.raises(OSError, match="the disk is full"):
        saved.save(opencl.cl_device, replace(default, groups=2))
    assert path.read_text() == before
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(ValueError, match="groups=0"):
        saved.save(opencl.cl_device, replace(default, groups=0))


def test_a_launch_shape_by_hand(opencl: OpenCLDevice, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default = default_launch_shape(opencl.cl_device)
    saved.save(opencl.cl_device, replace(default, groups=1))
    file = cache / "mine.json"
    file.write_text(json.dumps({"launch_shape": {"groups": 5}}))
    monkeypatch.setenv("NEEDLE_LAUNCH_SHAPE", str(file))
    assert reopened(opencl).launch_shape == replace(default, groups=5)
    file.write_text(json.dumps({"device": "Abacus", "launch_shape": {"groups": 5}}))
    assert reopened(opencl).launch_shape == default
    monkeypatch.setenv("NEEDLE_LAUNCH_SHAPE", "default")
    assert reopened(opencl).launch_shape == default
    monkeypatch.setenv("NEEDLE_LAUNCH_SHAPE", "")
    assert reopened(opencl).launch_shape == replace(default, groups=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file.*must name a file, or be one of 'default', 'cpu', 'gpu'"),
        ("{", "Expecting"),
        ("{}", 'no "launch_shape"'),
        ('{"launch_shape": {"groups": -1}}', "groups=-1"),
    ],
)
def test_a_bad_launch_shape_by_hand_is_an_error(
    opencl: OpenCLDevice, cache: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, message: str
) -> None:
    file = cache / "mine.json"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("NEEDLE_LAUNCH_SHAPE", str(file))
    with pytest.raises(ndl.DeviceError, match=f"NEEDLE_LAUNCH_SHAPE=.*mine.json: .*{message}"):
        reopened(opencl)


@pytest.mark.parametrize("name", ["default", "cpu", "gpu"])
def test_a_named_launch_shape(opencl: OpenCLDevice, cache: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    default = default_launch_shape(opencl.cl_device)
    saved.save(opencl.cl_device, replace(default, groups=1))
    monkeypatch.setenv("NEEDLE_LAUNCH_SHAPE", name)
    device = reopened(opencl)
    launch_shape = device.launch_shape
    launch_shape.check(opencl.cl_device)
    assert launch_shape.groups > 1  # what was saved is not used
    if name == "default":
        assert launch_shape == default
    else:
        assert launch_shape.on_cpu == (name == "cpu")
        assert launch_shape.matmul_packs == (name == "cpu")
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    a = ndl.asarray(x, device=device)
    np.testing.assert_array_equal((a @ a.T).numpy(), x @ x.T)
    np.testing.assert_array_equal((a + 1).sum(0).numpy(), (x + 1).sum(0))


@pytest.mark.parametrize(
    "limits",
    [
        {"max_work_group_size": 1, "local_mem_size": 4 << 10},
        {"max_work_group_size": 1, "local_mem_size": 32 << 10},
        {"max_work_group_size": 100, "local_mem_size": 16 << 10},
    ],
    ids=str,
)
def test_named_launch_shapes_keep_to_the_limits_of_a_device(opencl: OpenCLDevice, limits: dict[str, int]) -> None:
    small: Any = Reported(opencl.cl_device, limits)
    for make in NAMED.values():
        make(small).check(small)
    assert not gpu_launch_shape(small).matmul_packs
    assert cpu_launch_shape(small).on_cpu
    assert cpu_launch_shape(small).matmul_packs == (limits["local_mem_size"] > 4 << 10)


def test_old_names_serve_with_a_warning(opencl: OpenCLDevice, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default = default_launch_shape(opencl.cl_device)
    file = cache / "mine.json"
    file.write_text(json.dumps({"launch_shape": {"groups": 5}}))
    monkeypatch.setenv("NEEDLE_PROFILE", str(file))
    with pytest.warns(FutureWarning, match="NEEDLE_PROFILE is now called NEEDLE_LAUNCH_SHAPE"):
        assert reopened(opencl).launch_shape == replace(default, groups=5)
    monkeypatch.setenv("NEEDLE_PROFILE", str(cache / "absent.json"))
    with (
        pytest.warns(FutureWarning),
        pytest.raises(ndl.DeviceError, match=r"NEEDLE_PROFILE=.*absent\.json: .*No such file"),
    ):
        reopened(opencl)
    monkeypatch.setenv("NEEDLE_LAUNCH_SHAPE", "default")  # the new name counts, and nobody is warned
    assert reopened(opencl).launch_shape == default
    file.write_text(json.dumps({"profile": {"groups": 6}}))
    monkeypatch.setenv("NEEDLE_LAUNCH_SHAPE", str(file))
    with pytest.warns(FutureWarning, match='"profile" in .*mine.json is now called "launch_shape"'):
        assert reopened(opencl).launch_shape == replace(default, groups=6)


def test_the_old_key_does_not_serve_in_the_cache_folder(opencl: OpenCLDevice, cache: Path) -> None:
    default = default_launch_shape(opencl.cl_device)
    path = saved.save(opencl.cl_device, replace(default, groups=1))
    path.write_text(path.read_text().replace('"launch_shape"', '"profile"'))
    with pytest.warns(UserWarning, match='no "launch_shape"'):
        assert reopened(opencl).launch_shape == default


# -- the command ------------------------------------------------------------------------------------


def canned(device: OpenCLDevice, **changes: Any) -> TuningResult:
    before = device.launch_shape
    outcome = Outcome(replace(before, **changes), tried=4, skipped=["local_size=3: too odd"], complete=False)
    outcome.changes = [Change(name, getattr(before, name), value, 0.25) for name, value in changes.items()]
    return TuningResult(before, outcome, {"sum of rows": (0.002, 0.0015)})


def test_the_command_shows_saves_and_resets(
    opencl: OpenCLDevice, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = canned(opencl, groups=77)
    monkeypatch.setattr(_command, "tune", lambda *args: result)
    assert main(["tune", "--device", opencl.name, "--dry-run"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith(f"{opencl.name}: ")
    assert shown[1].split() == ["WORKLOAD", "BEFORE", "ms", "AFTER", "ms", "FASTER"]
    assert shown[2].split() == ["sum", "of", "rows", "2.000", "1.500", "1.33x"]
    assert shown[4:] == [
        f"groups: {result.before.groups} -> 77, 25% less time",
        "4 candidates tried, 1 of them could not be used; the time was up before all were tried",
        "  local_size=3: too odd",
        "not saved: a dry run",
    ]
    assert reopened(opencl).launch_shape == result.before
    assert main(["tune", "--device", opencl.name]) == 0
    path = saved.path_for(opencl.cl_device)
    assert capsys.readouterr().out.endswith(f"saved in {path}\n")
    assert reopened(opencl).launch_shape == result.after
    assert main(["tune", "--device", opencl.name, "--reset"]) == 0
    assert capsys.readouterr().out == f"removed {path}\n"
    assert main(["tune", "--device", opencl.name, "--reset"]) == 0
    assert capsys.readouterr().out == f"nothing was saved for {opencl.name}\n"


def test_a_cache_folder_that_cannot_be_written(
    opencl: OpenCLDevice, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_command, "tune", lambda *args: canned(opencl, groups=77))
    (cache / "cache").write_text("a file in the folder's place")
    assert main(["tune", "--device", opencl.name]) == 1
    assert "it cannot be saved: " in capsys.readouterr().err


def test_nothing_better_saves_nothing(
    opencl: OpenCLDevice, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_command, "tune", lambda *args: canned(opencl))
    assert main(["tune", "--device", opencl.name]) == 0
    assert "nothing to save" in capsys.readouterr().out
    assert not saved.path_for(opencl.cl_device).exists()


def test_a_win_that_has_vanished_at_the_end_is_not_saved(opencl: OpenCLDevice) -> None:
    result = canned(opencl, groups=77)
    assert result.is_worth_it
    assert not replace(result, seconds={"sum of rows": (0.002, 0.0019), "sum of all": (0.002, 0.003)}).is_worth_it
    assert not canned(opencl).is_worth_it


def test_the_command_searches(opencl: OpenCLDevice, cache: Path, few_settings: None, capsys: Any) -> None:
    assert main(["tune", "--device", opencl.name, "--only", "reduce", "--seconds", "0.01", "--dry-run"]) == 0
    shown = capsys.readouterr()
    assert "sum of columns" in shown.out and "square product" not in shown.out
    assert "candidates tried" in shown.out
    assert "100%" in shown.err or "%|" in shown.err


def needle(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "needle", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)


def test_help() -> None:
    assert "tune the kernels for a device" in needle("--help").stdout
    result = needle("tune", "--help")
    assert result.returncode == 0
    for option in ("--device", "--only", "--seconds", "--dry-run", "--reset", "NEEDLE_LAUNCH_SHAPE", *FAMILIES):
        assert option in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--only", "sorting"), "'sorting' is not one of matmul, matvec, elementwise, reduce, softmax"),
        (("--only", ""), "'' is not one of"),
        (("--seconds", "0"), "'0' is not a number above 0"),
        (("--seconds", "soon"), "'soon' is not a number above 0"),
        (("--seconds", "nan"), "'nan' is not a number above 0"),
        (("--fast",), "unrecognized arguments: --fast"),
    ],
)
def test_mistyped_arguments(arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        main(["tune", *arguments])
    assert exit_status.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["numpy", "abacus"])
def test_devices_that_cannot_be_tuned(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", "--device", name]) == 1
    assert f"device '{name}'" in capsys.readouterr().err
