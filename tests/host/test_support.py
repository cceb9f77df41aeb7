"""What the tests of devices stand on: results computed together, pairs of parameters."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from support.pairwise import pairwise
from support.together import AT_ONCE, Together, gradchecks

import needle as ndl


@pytest.fixture(autouse=True)
def on_numpy() -> object:
    with ndl.device("numpy") as device:
        yield device


def test_results_computed_together_are_launched_together() -> None:
    results, device = Together(), ndl.device("numpy")
    x = results.asarray(np.arange(3.0, dtype=np.float32))
    for k in range(2 * AT_ONCE):
        results.equal(str(k), x * k, np.arange(3) * k, np.float32)
    before = device.launches
    results.verify()
    assert device.launches - before == 2


def test_each_wrong_result_is_named() -> None:
    results = Together()
    x = results.asarray(np.arange(3.0, dtype=np.float32))
    results.equal("right", x + 1, [1, 2, 3])
    results.equal("value", x + 2, [2, 3, 5])
    results.equal("shape", x + 3, [[3, 4, 5]])
    results.equal("dtype", x + 4, [4, 5, 6], np.float64)
    with pytest.raises(
        AssertionError, match=r"^3 of 4 are wrong: value, shape, dtype\n(?s:.)*-- value: \nArrays|-- value"
    ):
        results.verify()


def test_what_cannot_be_computed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    device, results = ndl.device("numpy"), Together()
    x = results.asarray(np.arange(3.0, dtype=np.float32))
    evaluate = type(device).evaluate

    def failing(self: ndl.Device, expression: object, outputs: object) -> None:
        if "exp" in [node.record.name for node in expression.program.nodes]:  # type: ignore[attr-defined]
            raise RuntimeError("the compiler crashed")
        evaluate(self, expression, outputs)

    monkeypatch.setattr(type(device), "evaluate", failing)
    results.equal("negative", -x, [0, -1, -2])
    results.equal("exp", ndl.exp(x), np.exp(np.arange(3.0)))
    with pytest.raises(AssertionError, match=r"^1 of 2 are wrong: exp\n\n-- exp: RuntimeError: the compiler crashed"):
        results.verify()


def test_nothing_to_verify_is_an_error() -> None:
    with pytest.raises(AssertionError, match="nothing"):
        Together().verify()


class _Doubled(ndl.Op):
    def compute(self, x):
        return x * 2

    def vjp(self, index, grad, output, x):
        return grad * 3


def test_each_wrong_gradient_is_named() -> None:
    x, y = np.array([0.3, 0.7]), np.array([1.5, 2.5])
    right = {"multiply": (ndl.multiply, [x, y]), "where": (ndl.where, [x > 0.5, x, y])}
    gradchecks(right)
    with pytest.raises(
        AssertionError, match=r"^1 gradients of 3 functions are wrong:\ndoubled, input 0: backward gives"
    ):
        gradchecks({**right, "doubled": (_Doubled(), [x])})
    with pytest.raises(AssertionError, match="second, input 1"):
        gradchecks({"second": (lambda a, b: a * _Doubled()(b), [x, y])})


@pytest.mark.parametrize("sizes", [(2, 3), (4, 3, 5), (4, 4, 3, 2), (1, 1, 3), (4,)])
def test_all_pairs_meet(sizes: tuple[int, ...]) -> None:
    factors = [[f"{k}{n}" for n in range(size)] for k, size in enumerate(sizes)]
    rows = pairwise(*factors)
    for first, second in combinations(range(len(sizes)), 2):
        assert {(row[first], row[second]) for row in rows} == set(product(factors[first], factors[second]))
    assert {row[0] for row in rows} == {*factors[0]}
    assert len(set(rows)) == len(rows) <= max(a * b for a in sizes for b in sizes)
