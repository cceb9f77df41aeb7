"""Functions in their tails and at their limits: nothing cancels, nothing overflows on the way, limits are exact."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

import needle as ndl
from needle.nn import functional as F

pytestmark = pytest.mark.every_driver

INF, NAN = math.inf, math.nan

#: Values to 18 digits, computed in arithmetic of 40.
VALUES: dict[str, dict[float, float]] = {
    "gelu": {
        -37: -2.11846135233409342e-298,
        -20: -5.50724823721246739e-88,
        -8: -4.9767684594174273e-15,
        -6: -5.91952587022618884e-9,
        -5: -1.43325785939596956e-6,
        -1.5: -0.100210801903287099,
        -0.5: -0.154268769362993448,
        0.5: 0.345731230637006552,
        3: 2.99595030590510972,
    },
    "silu": {
        -700: -6.9017735806318396e-302,
        -89: -1.98235356999821193e-37,
        -20: -4.12230723638040716e-8,
        -1.25: -0.278375173531636066,
        3: 2.85772238046729966,
    },
    "sigmoid": {
        -700: 9.85967654375977086e-305,
        -87: 1.64581143108227365e-38,
        -20: 2.06115361819020358e-9,
        -1.25: 0.222700138825308853,
        3: 0.952574126822433219,
        40: 0.999999999999999996,
    },
    "ndtr": {
        -37: 5.72557122252457682e-300,
        -13: 6.11716439954987968e-39,
        -1.5: 0.066807201268858066,
        0.5: 0.691462461274013104,
        9: 1.0,
    },
    "tanh": {
        -19: -0.999999999999999937,
        -5: -0.999909204262595131,
        0.25: 0.244918662403709129,
        8.5: 0.999999917201249052,
    },
}


def t(values: object, dtype: str = "float32") -> ndl.Tensor:
    return ndl.Tensor(np.asarray(values, dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_within_four_units_in_the_last_place(device: ndl.Device, dtype: str) -> None:
    """All functions in one launch, so that the test compiles one kernel."""
    if not device.supports(np.dtype(dtype)):
        pytest.skip(f"no {dtype} here")
    found = {name: getattr(ndl, name)(t(list(points), dtype)) for name, points in VALUES.items()}
    least = float(np.finfo(dtype).tiny)  # a device may take smaller numbers for 0
    for name, points in VALUES.items():
        wanted = np.array(list(points.values()))
        error = np.abs(found[name].numpy() - wanted) / np.spacing(np.abs(wanted).astype(dtype))
        kept = np.abs(wanted) > least
        assert kept.any() and error[kept].max() <= 4, f"{name} is off by {error[kept].max()} units"


#: A function, what its limits at -inf and inf are, and those of its gradient.
LIMITS: dict[str, tuple[Callable[[ndl.Tensor], ndl.Tensor], tuple[float, float], tuple[float, float]]] = {
    "tanh": (ndl.tanh, (-1, 1), (0, 0)),
    "sigmoid": (ndl.sigmoid, (0, 1), (0, 0)),
    "erf": (ndl.erf, (-1, 1), (0, 0)),
    "ndtr": (ndl.ndtr, (0, 1), (0, 0)),
    "softplus": (F.softplus, (0, INF), (0, 1)),
    "silu": (F.silu, (0, INF), (0, 1)),
    "gelu": (F.gelu, (0, INF), (0, 1)),
    "gelu_tanh": (ndl.gelu_tanh, (0, INF), (0, 1)),
    "expm1": (ndl.expm1, (-1, INF), (0, INF)),
    "atan": (ndl.atan, (-math.pi / 2, math.pi / 2), (0, 0)),
}

LARGE = [-INF, -1e30, -1000.0, 1000.0, 1e30, INF]


@pytest.mark.parametrize("name", LIMITS)
def test_limits_are_reached(device: ndl.Device, name: str) -> None:
    function, (low, high), (low_slope, high_slope) = LIMITS[name]
    x = t([*LARGE, NAN])
    y = function(x)
    y.sum().backward()
    values, slopes = y.numpy(), x.grad.numpy()
    assert np.isnan(values[-1]) and np.isnan(slopes[-1])
    for i, (limit, slope) in enumerate([(low, low_slope)] * 3 + [(high, high_slope)] * 3):
        wanted = LARGE[i] if limit == INF and name != "expm1" else limit
        atol = 2e-3 if name == "atan" else 0  # it comes close to its limit slowly
        np.testing.assert_allclose(values[i], np.float32(wanted), rtol=0, atol=atol, err_msg=f"at {LARGE[i]}")
        np.testing.assert_allclose(slopes[i], slope, rtol=0, atol=atol, err_msg=f"gradient at {LARGE[i]}")


def test_gradients_of_the_approximate_gelu_far_out(device: ndl.Device) -> None:
    """A tanh that never reaches 1, in a rule that multiplied what was left by x^3, gave -6.4 at -1000."""
    x = t([-1000.0, -30.0, 30.0, 100.0, 1000.0])
    F.gelu(x, approximate="tanh").sum().backward()
    assert x.grad.tolist() == [0, 0, 1, 1, 1]


def test_gradients_where_one_less_the_result_cancels(device: ndl.Device) -> None:
    x = t([-20.0, -9.0, 9.0, 20.0])
    ndl.sigmoid(x).sum().backward()
    wanted = [math.exp(-a) / (1 + math.exp(-a)) ** 2 for a in (20, 9, 9, 20)]
    np.testing.assert_allclose(x.grad.numpy(), wanted, rtol=1e-6)
    y = t([-20.0, 1.0])
    ndl.expm1(y).sum().backward()
    np.testing.assert_allclose(y.grad.numpy(), np.exp([-20.0, 1.0]), rtol=1e-6)


def test_half_precision(device: ndl.Device) -> None:
    if not device.supports(ndl.float16):
        pytest.skip("no float16 here")
    x = t([-5.0, -3.0, 0.5, 300.0], "float16")
    np.testing.assert_allclose(
        ndl.gelu(x).numpy(), np.float16([-1.4332579e-06, -0.0040496940, 0.34573123, 300]), rtol=2e-3
    )
    assert ndl.tanh(x).numpy()[-1] == 1


@pytest.mark.parametrize("name", ["gelu", "silu", "tanh", "expm1"])
def test_zeros_keep_their_sign(device: ndl.Device, name: str) -> None:
    zeros = getattr(ndl, name)(ndl.asarray(np.array([0.0, -0.0], np.float32))).numpy()
    assert np.signbit(zeros).tolist() == [False, True]


@pytest.mark.parametrize("operands", [(NAN, 0.0), (0.0, NAN)])
def test_atan2_of_nan_has_a_gradient_of_nan(device: ndl.Device, operands: tuple[float, float]) -> None:
    x, y = (ndl.Tensor([value]) for value in operands)
    ndl.atan2(x, y).backward()
    assert x.grad is not None and y.grad is not None
    assert np.isnan([x.grad.item(), y.grad.item()]).all()
