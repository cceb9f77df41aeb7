"""The benchmarks' own parts: what they compute, not how fast anything is."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not part of an installed package", allow_module_level=True)
sys.path.append(str(ROOT))  # last: needle itself must not come from here where a wheel is under test

import needle as ndl  # noqa: E402
from benchmarks import by_hand, cases, document, runner, statistics, timing  # noqa: E402
from benchmarks.case import Case, labels, mask, normal, reduced, rotated_sets  # noqa: E402
from benchmarks.results import Result, as_json, means  # noqa: E402

ALL = cases.select([])


def test_names_are_unique_and_found():
    names = [cases.full_name(f, c) for f, c in ALL]
    assert len(set(names)) == len(names) >= 75
    for name in names:
        assert cases.full_name(*cases.find(name)) == name


@pytest.mark.parametrize(
    ("family", "count", "bar", "aim"),
    [
        ("matmul", 16, 0.85, None),
        ("small-matmul", 4, 0.6, None),
        ("matvec", 1, 1.0, None),
        ("elementwise", 9, 1.0, None),
        ("reductions", 16, 1.0, None),
        ("softmax", 5, 1.0, 1.2),
        ("small-softmax", 5, 0.4, 1.0),
        ("composed", 5, 1.5, 3.0),
        ("optimizers", 3, 0.8, 1.1),
        ("embedding", 2, 1.0, None),
        ("sorting", 7, 1.0, 2.0),
        ("small-things", 4, 1.0, None),
        ("training-small", 1, 0.7, 1.0),
        ("training-large", 1, 0.9, 1.2),
        ("transfer", 2, 1.0, None),
    ],
)
def test_families(family, count, bar, aim):
    found = next(f for f in cases.FAMILIES if f.name == family)
    assert (len(found.cases), found.bar, found.aim) == (count, bar, aim)


def test_select():
    assert [c.name for _, c in cases.select(["matmul/1024"])] == ["1024 NN", "1024 NT", "1024 TN", "1024 TT"]
    assert [f.name for f, _ in cases.select(["softmax/softmax", "*/adamw"])] == ["softmax"] * 2 + [
        "small-softmax"
    ] * 2 + ["optimizers"]
    assert cases.select(["no such case"]) == []


@pytest.mark.parametrize(("family", "case"), ALL, ids=[cases.full_name(f, c) for f, c in ALL])
def test_every_case_has_a_reference_and_needle_agrees(family, case):
    # On NumPy: it is the cases that are checked here. A quick run compares on a device.
    pytest.importorskip("scipy", reason='needs the extra "benchmarks"')
    from benchmarks import peers

    drawn = case.draw(np.random.default_rng(0), quick=True)
    expected = runner.reference(case, drawn, peers.load("numpy", "numpy"))
    assert all(e.dtype != np.float32 for e in expected)
    local = runner.LocalRunner(peers.load("needle", "numpy"))
    found = local.prepare(case, 0, True, drawn)
    assert runner.error(found, expected) <= case.tolerance
    assert local.sample(2) > 0
    local.release()


def test_draws():
    random = np.random.default_rng(0)
    assert normal(3, 4).array(random).dtype == np.float32
    found = labels(1000, classes=7).array(random)
    assert found.dtype == np.int32 and set(found) == set(range(7))
    assert mask(5).array(random).dtype == bool
    assert normal(8192, 1024).nbytes == 8192 * 1024 * 4
    assert np.std(normal(10000, scale=100).array(random)) == pytest.approx(100, rel=0.05)


def test_quick_sizes_still_fit_each_other():
    assert reduced(1000) == 125 and reduced(999) == 124 and reduced(64) == 64 and reduced(1 << 24) == 1 << 18
    small = labels(16384, classes=1024).reduced()
    assert small.shape == (2048,) and small.classes == normal(16384, 1024).reduced().shape[1]


def test_inputs_are_rotated_beyond_the_caches():
    assert rotated_sets(1 << 30) == 2
    assert rotated_sets(8 << 20) == 8
    assert rotated_sets(0) == rotated_sets(100) == 16


def test_a_case_needs_one_computation():
    with pytest.raises(ValueError, match="case 'x' must have either run or start"):
        Case("x")


def test_gradients_by_hand():
    """Against finite differences."""
    random = np.random.default_rng(1)
    x, g, w, b = (random.standard_normal(s) for s in ((4, 6), (4, 6), 6, 6))
    ids = np.array([1, 0, 1, 3])
    y = random.integers(0, 6, 4)

    def numeric(f, at):
        found = np.zeros_like(at)
        for i in np.ndindex(at.shape):
            step = np.zeros_like(at)
            step[i] = 1e-6
            found[i] = (f(at + step) - f(at - step)) / 2e-6
        return found

    def close(found, f, at):
        np.testing.assert_allclose(found, numeric(f, at), rtol=1e-6, atol=1e-8)

    close(by_hand.softmax_gradient(x, g)[1], lambda x: (by_hand.softmax(x) * g).sum(), x)
    close(by_hand.log_softmax_gradient(x, g)[1], lambda x: (by_hand.log_softmax(x) * g).sum(), x)
    close(by_hand.cross_entropy_gradient(x, y)[1], lambda x: by_hand.cross_entropy_gradient(x, y)[0], x)
    _, gx, gw, gb = by_hand.layer_norm_gradient(x, w, b, g)
    close(gx, lambda x: (by_hand.layer_norm_gradient(x, w, b, g)[0] * g).sum(), x)
    close(gw, lambda w: (by_hand.layer_norm_gradient(x, w, b, g)[0] * g).sum(), w)
    close(gb, lambda b: (by_hand.layer_norm_gradient(x, w, b, g)[0] * g).sum(), b)
    close(by_hand.gather_gradient(x, ids, g), lambda x: (x[ids] * g).sum(), x)


def test_errors_are_shares_of_the_largest_magnitude():
    want = [np.array([1.0, -4.0]), np.array(2.0)]
    assert runner.error([np.array([1.0, -4.4]), np.array(2.0)], want) == pytest.approx(0.1)
    assert runner.error([np.array([nan, -4.0]), np.array(2.0)], want) == inf
    assert runner.error([np.array([1.0]), np.array(2.0)], want) == inf
    assert runner.error(want[:1], want) == inf
    assert runner.error([np.array([0.5])], [np.array([0.0])]) == 0.5


def test_ratios():
    found = statistics.ratio([2, 4, 6], [1, 1, 1])
    assert (found.median, found.low, found.high) == (4, 3, 5)
    fewer = statistics.ratio([9], [3, 100, 100])  # the round that both have
    assert fewer.median == fewer.low == fewer.high == 3
    assert statistics.geometric_mean([0.5, 2, 8]) == pytest.approx(2)


class Clock:
    """Something whose calls take a time, and that notes whose turn it is."""

    def __init__(self, name, seconds, turns):
        self.name, self.seconds, self.turns = name, seconds, turns

    def sample(self, repeats):
        self.turns.append((self.name, repeats))
        return self.seconds


def test_rounds_are_interleaved():
    turns: list[tuple[str, int]] = []
    clocks = {n: Clock(n, s, turns) for n, s in (("needle", 0.001), ("torch", 0.002), ("slow", 0.1), ("late", 3.0))}
    found = timing.interleave(clocks, rounds=5)
    assert {name: len(times) for name, times in found.items()} == {"needle": 5, "torch": 5, "slow": 3, "late": 1}
    timed = [turn for turn in turns if turn[1] > 1]
    # Both as long as a sample must last, in turns, and once before to see how long that is.
    calls = round(timing.SAMPLE_SECONDS / 0.001)
    assert timed == [("needle", calls), ("torch", calls // 2)] * 6
    assert [name for name, _ in turns].count("late") == 3  # twice to be sure that it is slow


def test_a_call_without_a_time_is_not_repeated_for_ever():
    assert timing.plan(0.0, 0.0, 15).repeats == timing.MAX_REPEATS
    assert timing.plan(inf, 0.001, 15).repeats == 1


def results() -> list[Result]:
    family, (first, second, *_) = cases.FAMILIES[0], cases.FAMILIES[0].cases
    return [
        Result(family.name, first.name, {"needle": [0.001] * 3, "torch": [0.002] * 3}, floor=0.0005),
        Result(family.name, second.name, {"needle": [0.002] * 3, "torch": [0.001] * 3}, {"tinygrad": "too slow"}),
    ]


def test_results():
    one, two = results()
    assert one.ratio("torch").median == 2 and one.share == 0.5 and one.ratio("tinygrad") is None
    assert means(cases.FAMILIES[0], [one, two], "torch") == pytest.approx(1)
    two.errors["torch"] = inf
    text = json.dumps(as_json({}, {}, {}, cases.FAMILIES, [one, two]), allow_nan=False)
    (family,) = json.loads(text)["families"]
    assert family["bar"] == 0.85 and family["cases"][0]["ratio"]["torch"]["median"] == 2
    assert family["cases"][1]["seconds"]["needle"] == [0.002] * 3


def test_floors():
    pytest.importorskip("rich", reason='needs the extra "benchmarks"')
    from benchmarks.floors import Floors

    assert Floors(bandwidth=100, peak=1000).seconds(traffic=50, flops=10) == 0.5
    assert Floors(bandwidth=100, peak=1000).seconds(traffic=50, flops=4000) == 4


def test_table():
    pytest.importorskip("rich", reason='needs the extra "benchmarks"')
    from benchmarks import report

    first, second, mean = report.rows(cases.FAMILIES, results(), ["torch", "tinygrad"])
    assert first == ["matmul/512 NN", "1 ms", "2.00 (2.00-2.00)", "-", "0.85", "ok", "50 %"]
    assert second[2:6] == ["0.50 (0.50-0.50)", "too slow", "0.85", "MISS"]
    assert mean[0] == "matmul: geometric mean" and mean[2] == "1.00" and mean[-2] == "aim"
    wrong = replace(results()[0], wrong=True)
    assert report.rows(cases.FAMILIES, [wrong], ["torch"])[0][-2] == "WRONG"
    lines = report.markdown(cases.FAMILIES, results(), ["torch"]).splitlines()
    assert len({line.count("|") for line in lines}) == 1 and len(lines) == 5
    assert report.summary(cases.FAMILIES, results()) == ["1 of 2 cases reach their bar"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.5, "1.5 s"), (0.0123, "12.3 ms"), (4.56e-5, "45.6 µs"), (1e-8, "0.01 µs")]
)
def test_seconds(seconds, text):
    pytest.importorskip("rich", reason='needs the extra "benchmarks"')
    from benchmarks import report

    assert report.seconds(seconds) == text


def test_a_section_of_the_page_is_replaced():
    page = "head\n<!-- begin a -->\nold\n<!-- end a -->\ntail\n"
    once = document.replaced(page, "a", "new\n")
    assert once == "head\n<!-- begin a -->\nnew\n<!-- end a -->\ntail\n"
    assert document.replaced(once, "a", "new\n") == once
    with pytest.raises(ValueError, match="no section 'b'"):
        document.replaced(page, "b", "")


@pytest.mark.parametrize("section", ["results pocl", "results intel", "growth", "overhead", "start", "memory"])
def test_the_page_has_every_section(section):
    page = document.PAGE.read_text()
    assert "something new" in document.replaced(page, section, "something new")


def test_a_run(tmp_path: Path):
    for package in ("matplotlib", "rich", "scipy"):
        pytest.importorskip(package, reason='needs the extra "benchmarks"')
    command = [sys.executable, "-m", "benchmarks", "--quick", "--peers", "numpy", "--only", "small-softmax"]
    command += ["--device", "numpy", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    (family,) = json.loads((tmp_path / "results.json").read_text())["families"]
    assert len(family["cases"]) == 5
    assert all(len(case["seconds"][lib]) == 3 for case in family["cases"] for lib in ("needle", "numpy"))
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "nothing"], "no case is called nothing"),
        (["--peers", "jax"], "there is no peer 'jax'"),
        (["--device", "nowhere"], "there is no device 'nowhere'"),
        (["--rounds", "0"], "must be at least 1"),
        (["--quick", "--write-docs"], "--write-docs documents a whole run"),
        (["--device", "numpy", "--write-docs"], "has no section 'results numpy' to write to"),
    ],
)
def test_bad_arguments(arguments, message, capsys):
    for package in ("matplotlib", "rich"):
        pytest.importorskip(package, reason='needs the extra "benchmarks"')
    from benchmarks.cli import main

    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert message in f"{stopped.value} {capsys.readouterr().err}"


@pytest.mark.parametrize("name", ["word_vectors", "n_gram", "meta_learning", "generation"])
def test_small_steps_run_captured(name):
    from benchmarks import small_steps

    with ndl.device("numpy"):
        call = getattr(small_steps, name)(ndl)
        call.step = ndl.capture(call.step)
        assert np.isfinite(call().numpy()).all()
