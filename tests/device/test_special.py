"""Special functions that the kernels compute themselves, against the C library in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from support.functions import least
from support.together import Together

import needle as ndl
from needle.ops import registry


def test_erf_is_within_seven_units_in_the_last_place(device: ndl.Device) -> None:
    """OpenCL allows its own 16."""
    sizes = np.concatenate([np.linspace(0, 4.5, 20_001), np.logspace(-37, 0, 2_001), [3.93, np.nextafter(3.93, 0)]])
    x = np.concatenate([sizes, -sizes]).astype(np.float32)
    exact = np.array([math.erf(v) for v in x.tolist()])
    error = np.abs(ndl.asarray(x).erf().numpy() - exact) / np.spacing(np.abs(exact).astype(np.float32))
    assert error.max() < 7


def test_erf_at_the_ends(device: ndl.Device) -> None:
    x = np.array([np.inf, -np.inf, np.nan, 1e30, -1e30, 0.0, -0.0], np.float32)
    found = ndl.asarray(x).erf().numpy()
    np.testing.assert_array_equal(found, [1, -1, np.nan, 1, -1, 0, 0])
    assert np.signbit(found[-1])


def test_zeros_that_a_compiler_knows_are_still_zeros_of_ieee_754(device: ndl.Device) -> None:
    """Mesa's takes 0 * x and 0 / x for 0, and 0 + x for x, where it knows the 0."""
    x = np.array([0, -0.0, 1, -1, np.inf, -np.inf, np.nan], np.float32)
    numbers = np.arange(x.size, dtype=np.uint8)
    for zeros in (lambda x, n: n ^ n, lambda x, n: n - n, lambda x, n: x < x):
        for name in ("multiply", "divide", "add"):
            with np.errstate(all="ignore"):
                expected = getattr(np, name)(zeros(x, numbers).astype(np.float32), x)
            tensors = ndl.asarray(x), ndl.asarray(numbers)
            found = getattr(ndl, name)(zeros(*tensors), tensors[0]).numpy()  # each in a kernel of its own
            np.testing.assert_array_equal(found, expected, err_msg=name)
            numeric = ~np.isnan(expected)
            np.testing.assert_array_equal(np.signbit(found)[numeric], np.signbit(expected)[numeric], err_msg=name)


def test_the_sign_of_a_zero_is_zero_without_sign(device: ndl.Device) -> None:
    assert not np.signbit(ndl.sign(ndl.asarray([0.0, -0.0])).numpy()).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_division_with_remainder_beside_nan_and_extreme_quotients(device: ndl.Device, dtype: str) -> None:
    """PoCL 3.1's `fmod` of doubles is wrong, or takes seconds, where the other lanes of a vector are of such a kind."""
    if not device.supports(np.dtype(dtype)):
        pytest.skip(f"{device.name} has no {dtype}")
    limits = np.finfo(dtype)
    ends = [limits.max, limits.tiny * 2.0**30, 0, np.inf]
    if dtype == "float64":  # a device may flush subnormal floats to zero
        ends += [limits.tiny, limits.tiny * 3 / 8, limits.smallest_subnormal]
    values = np.array([math.pi / 2, -2.5, 1, 1e-3, -0.0, np.nan, *ends, *np.negative(ends)], dtype)
    x, y = (random.choice(values, 4096) for random in map(np.random.default_rng, (1, 2)))
    x[::3] *= 0.7  # significands of all kinds
    with np.errstate(all="ignore"):
        remainder, quotient = np.remainder(x, y), np.floor_divide(x, y)
    np.testing.assert_array_equal(ndl.remainder(ndl.asarray(x), ndl.asarray(y)).numpy(), remainder)
    np.testing.assert_array_equal(ndl.floor_divide(ndl.asarray(x), ndl.asarray(y)).numpy(), quotient)


def test_powers_beside_nan_and_overflow(device: ndl.Device) -> None:
    """PoCL 3.1's `pow` of doubles loses lanes whose neighbours in a vector are of such a kind."""
    dtype = np.dtype("float64" if device.supports(np.dtype("float64")) else "float32")
    values = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1e30, -1e30, 1e-30], dtype)
    random = np.random.default_rng(0)
    x, y = (np.where(random.random(4096) < 0.3, random.choice(values, 4096), random.uniform(-3, 3, 4096)) for _ in "xy")
    x, y = np.where(random.random(4096) < 0.6, np.abs(x), x).astype(dtype), y.astype(dtype)
    with np.errstate(all="ignore"):
        expected = np.power(x.astype(np.float64), y.astype(np.float64)).astype(dtype)
    limits = np.finfo(dtype)
    np.testing.assert_allclose(
        (ndl.asarray(x) ** ndl.asarray(y)).numpy(), expected, rtol=128 * limits.eps, atol=limits.tiny
    )


def test_functions_of_halves_are_rounded_once(device: ndl.Device) -> None:
    """Computed in half, the steps of gelu and its kind lose digits where the hardware has such arithmetic."""
    if not device.supports(np.dtype("float16")):
        pytest.skip(f"{device.name} has no float16")
    halves = np.arange(1 << 16).astype(np.uint16).view(np.float16)
    x, results = halves[np.abs(halves) <= 3], Together()
    for name, declaration in registry.items():
        record = declaration.record
        if record.arity != 1 or "f" not in record.kinds:
            continue
        with np.errstate(all="ignore"):
            exact = record.reference(x.astype(np.float64))
            nearest = exact.astype(np.float16)

        def check(found: np.ndarray, exact: np.ndarray = exact, nearest: np.ndarray = nearest) -> None:
            fine = np.isfinite(nearest)
            error = np.abs(found[fine].astype(np.float64) - exact[fine])
            assert (error <= np.spacing(np.abs(nearest[fine])).astype(np.float64)).all()
            np.testing.assert_array_equal(np.isnan(found), np.isnan(nearest))

        results.add(name, declaration.function(results.asarray(x)), check)
    results.verify()


@pytest.mark.parametrize(("dtype", "large", "small"), [("float16", 3e4, 1e-3), ("float32", 1e30, 1e-30)])
def test_the_gradient_of_atan2_squares_nothing(device: ndl.Device, dtype: str, large: float, small: float) -> None:
    """Found by random programs: in float16, 300 * 300 is infinite, and the gradient was 0 or NaN."""
    if not device.supports(np.dtype(dtype)):
        pytest.skip(f"{device.name} has no {dtype}")
    corners = [(large, large / 2), (large / 2, -large), (1, large), (-large, 1), (small, 2 * small)]
    corners += [(1, np.inf), (-np.inf, 1), (0, 2), (0, -2), (2, 0), (-2 * small, small)]
    x, y = (ndl.Tensor(np.array(values, dtype)) for values in zip(*corners, strict=True))
    ndl.atan2(x, y).backward(ndl.full(x.shape, 4, dtype=dtype))
    a, b = x.numpy().astype(np.float64), y.numpy().astype(np.float64)
    a, b = (np.clip(v, -1e99, 1e99) for v in (a, b))  # in place of infinity
    square = a * a + b * b
    tolerance = {"rtol": 8 * np.finfo(dtype).eps, "atol": 4 * float(np.finfo(dtype).smallest_subnormal)}
    np.testing.assert_allclose(x.grad.numpy(), 4 * b / square, **tolerance)
    np.testing.assert_allclose(y.grad.numpy(), -4 * a / square, **tolerance)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize(
    ("name", "slope"),
    [("atan", lambda x: 1 / (1 + x * x)), ("asinh", lambda x: 1 / np.hypot(1, x)),
     ("acosh", lambda x: 1 / np.sqrt((x - 1) * (x + 1)))],
)  # fmt: skip
def test_gradients_where_a_square_would_overflow(device: ndl.Device, name: str, slope: Callable, dtype: str) -> None:
    if not device.supports(np.dtype(dtype)):
        pytest.skip(f"{device.name} has no {dtype}")
    sizes = np.array([1, 1.5, 300, 6e4, 1e4, 2] if dtype == "float16" else [1, 1.001, 1e10, 1e30, 3e38, 2], dtype)
    host = sizes[1:] if name == "acosh" else np.concatenate([sizes, -sizes, sizes / 4, [0, -0.0]])
    x = ndl.Tensor(host, dtype=dtype)
    getattr(ndl, name)(x).backward(ndl.full(x.shape, 4, dtype=dtype))
    expected = 4 * slope(x.numpy().astype(np.float64))
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=8 * np.finfo(dtype).eps, atol=8 * least(np.dtype(dtype)))


def test_the_second_derivatives_of_atan2(device: ndl.Device) -> None:
    """d2/dx2 = -2xy / (x^2 + y^2)^2 and d2/dxdy = (x^2 - y^2) / (x^2 + y^2)^2, on both sides of x = y."""
    x, y = ndl.Tensor([1.0, 2.0, -3.0, 0.5]), ndl.Tensor([2.0, 1.0, 0.5, -3.0])
    first = ndl.autograd.gradients(ndl.atan2(x, y), [x], ndl.ones(4), create_graph=True)[0]
    by_x, by_y = ndl.autograd.gradients(first, [x, y], ndl.ones(4))
    a, b = x.numpy().astype(np.float64), y.numpy().astype(np.float64)
    np.testing.assert_allclose(by_x.numpy(), -2 * a * b / (a * a + b * b) ** 2, rtol=1e-5)
    np.testing.assert_allclose(by_y.numpy(), (a * a - b * b) / (a * a + b * b) ** 2, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint8"])
def test_an_integer_made_of_a_float_divided_by_itself(device: ndl.Device, dtype: str) -> None:
    """Found by random programs: LLVM 15 crashed under Rusticl as it compiled the sign's correction for int8."""
    x = ndl.astype(ndl.asarray(np.array([2.5, 3.75, 0, 100], np.float32)), dtype)
    np.testing.assert_array_equal(ndl.floor_divide(x, x).numpy(), [1, 1, 0, 1])
    y = ndl.astype(ndl.asarray(np.array([2.5, 3.75, 0, 100], np.float32)), dtype)
    np.testing.assert_array_equal(ndl.remainder(y, y).numpy(), [0, 0, 0, 0])
