"""docs/gradients.md: the gradient chosen at each point where a function has none, and NaN in the limits of `clip`."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

import needle as ndl
from needle.array.evaluation import realize

pytestmark = pytest.mark.every_driver

DOCS = Path(__file__).parents[2] / "docs" / "gradients.md"
ROW = re.compile(r"\| `(.+?)` \| `(.+?)` \| `(.+?)` \|")
ROWS = ROW.findall(DOCS.read_text())


def test_the_page_has_rows() -> None:
    assert len(ROWS) > 30


def test_gradients_by_convention(device: ndl.Device) -> None:
    """All rows in few launches: what costs is compiling kernels."""
    numbers = {"inf": math.inf, "nan": math.nan}
    names = {name: getattr(ndl, name) for name in ndl.ops.functions.__dict__ if not name.startswith("_")}
    found: list[tuple[str, ndl.Tensor, object]] = []
    for expression, point, gradient in ROWS:
        values = eval(f"dict({point})", numbers)
        operands = {name: ndl.Tensor(np.asarray(value, np.float32)) for name, value in values.items()}
        result = eval(expression, {**names, **operands})
        result.backward(ndl.ones_like(result))
        wanted = eval(f"[{gradient}]", numbers)
        found += [(f"{expression} at {point}", o.grad, w) for o, w in zip(operands.values(), wanted, strict=True)]
    realize([grad.cached_data for _, grad, _ in found])
    wrong = [
        f"{what}: {grad.numpy()}, not {wanted}"
        for what, grad, wanted in found
        if not np.allclose(grad.numpy(), wanted, rtol=1e-6, equal_nan=True)
    ]
    assert not wrong, "\n".join(wrong)


def test_nan_limits_are_not_passed_over(device: ndl.Device) -> None:
    x = ndl.asarray([0.0, 2.0, math.nan])
    nan = ndl.asarray([math.nan, 1.0, 1.0])
    for result in (ndl.clip(x, math.nan, None), ndl.clip(x, None, math.nan), ndl.clip(x, math.nan, 1.0)):
        assert np.isnan(result.numpy()).all()
    np.testing.assert_array_equal(ndl.clip(x, nan, None).numpy(), [math.nan, 2, math.nan])
    np.testing.assert_array_equal(ndl.clip(x, None, nan).numpy(), [math.nan, 1, math.nan])
    for function in (ndl.maximum, ndl.minimum):
        assert np.isnan(function(x, math.nan).numpy()).all() and np.isnan(function(x, nan).numpy()[[0, 2]]).all()
