"""docs/gradients.md: the gradient chosen at each point where a function has none, and NaN in the limits of `clip`."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

import needle as ndl

DOCS = Path(__file__).parents[2] / "docs" / "gradients.md"
ROW = re.compile(r"\| `(.+?)` \| `(.+?)` \| `(.+?)` \|")
ROWS = ROW.findall(DOCS.read_text())


def test_the_page_has_rows() -> None:
    assert len(ROWS) > 30


@pytest.mark.parametrize(("expression", "point", "gradient"), ROWS, ids=[f"{e} at {p}" for e, p, _ in ROWS])
def test_gradients_by_convention(device: ndl.Device, expression: str, point: str, gradient: str) -> None:
    numbers = {"inf": math.inf, "nan": math.nan}
    names = {name: getattr(ndl, name) for name in ndl.ops.functions.__dict__ if not name.startswith("_")}
    point_values = eval(f"dict({point})", numbers)
    operands = {name: ndl.Tensor(np.asarray(value, np.float32)) for name, value in point_values.items()}
    eval(expression, {**names, **operands}).sum().backward()
    wanted = eval(f"[{gradient}]", numbers)
    for operand, expected in zip(operands.values(), wanted, strict=True):
        np.testing.assert_allclose(operand.grad.numpy(), expected, rtol=1e-6)


def test_nan_limits_are_not_passed_over(device: ndl.Device) -> None:
    x = ndl.asarray([0.0, 2.0, math.nan])
    nan = ndl.asarray([math.nan, 1.0, 1.0])
    for result in (ndl.clip(x, math.nan, None), ndl.clip(x, None, math.nan), ndl.clip(x, math.nan, 1.0)):
        assert np.isnan(result.numpy()).all()
    np.testing.assert_array_equal(ndl.clip(x, nan, None).numpy(), [math.nan, 2, math.nan])
    np.testing.assert_array_equal(ndl.clip(x, None, nan).numpy(), [math.nan, 1, math.nan])
    for function in (ndl.maximum, ndl.minimum):
        assert np.isnan(function(x, math.nan).numpy()).all() and np.isnan(function(x, nan).numpy()[[0, 2]]).all()
