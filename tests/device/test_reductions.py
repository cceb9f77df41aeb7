"""Reductions: every set of axes, every way an input can lie, extreme values, accuracy, gradients."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import needle as ndl

SHAPE = (3, 4, 5)
AXES: list[tuple[int, ...]] = [axes for n in range(4) for axes in itertools.combinations(range(3), n)]
FOLDS = ("sum", "prod", "max", "min", "mean", "var", "std", "any", "all")
LARGE = 3_000_000  # more than one segment on every device
EPSILON = float(np.finfo(np.float32).eps)


def turned(x: Any) -> Any:
    """A NumPy array or a tensor with its axes in the opposite order."""
    return x.T if isinstance(x, np.ndarray) else ndl.permute_dims(x, range(x.ndim)[::-1])


#: How an input may lie: functions of NumPy arrays and of tensors.
LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "contiguous": lambda x: x,
    "transposed": turned,
    "strided": lambda x: x[::-1, :, ::-2],
    "pending": lambda x: x * 2 + 1,
}


def values(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Small values in float32, so that products stay moderate."""
    return np.random.default_rng(seed).uniform(0.5, 1.5, shape).astype(np.float32) * np.float32(-1.0)


def reference(name: str, host: np.ndarray, axes: Any, keepdims: bool) -> np.ndarray:
    wide = host.astype(np.float64) if host.dtype == np.float32 else host
    return np.asarray(getattr(np, name)(wide, axis=axes, keepdims=keepdims))


def check(name: str, host: np.ndarray, x: ndl.Tensor, axes: Any, keepdims: bool) -> None:
    actual = getattr(ndl, name)(x, axes, keepdims).numpy()
    expected = reference(name, host, axes, keepdims)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6, err_msg=f"{name} {axes}")


# -- axes and layouts -------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["sum", "max"])
def test_every_set_of_axes(device: ndl.Device, name: str, layout: str) -> None:
    host, view = values(SHAPE), LAYOUTS[layout]
    x = ndl.asarray(host)
    for axes in [None, *AXES]:
        for keepdims in (False, True):
            check(name, view(host), view(x), axes, keepdims)


@pytest.mark.parametrize("name", FOLDS)
def test_every_reduction(device: ndl.Device, name: str) -> None:
    host = values(SHAPE)
    x = ndl.asarray(host)
    for axes in (None, (1,), (0, 2), ()):
        check(name, host, x, axes, True)


def test_every_set_of_axes_of_a_broadcast_view(device: ndl.Device) -> None:
    host = values((4, 1))
    x = ndl.asarray(host)
    for axes in AXES:
        check("sum", np.broadcast_to(host, SHAPE), ndl.broadcast_to(x, SHAPE), axes, False)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_a_single_axis(device: ndl.Device, axis: int) -> None:
    host = values(SHAPE)
    for name in ("sum", "max"):
        check(name, host, ndl.asarray(host), axis, False)


@given(shape=st.lists(st.integers(0, 20), max_size=3).map(tuple), name=st.sampled_from(["sum", "max"]), data=st.data())
def test_random_shapes_and_axes(device: ndl.Device, shape: tuple[int, ...], name: str, data: st.DataObject) -> None:
    host = values(shape, seed=1)
    axes = tuple(data.draw(st.lists(st.integers(0, len(shape) - 1), unique=True) if shape else st.just([])))
    order = data.draw(st.permutations(range(len(shape))))
    x, host = ndl.permute_dims(ndl.asarray(host), order), host.transpose(order)
    count = np.prod([host.shape[a] for a in axes], dtype=int)
    if count == 0 and name == "max":
        with pytest.raises(ValueError, match="max over no elements"):
            ndl.max(x, axes)
    else:
        check(name, host, x, axes, data.draw(st.booleans()))


@pytest.mark.parametrize(("name", "layout"), [*(("argmax", layout) for layout in LAYOUTS), ("argmin", "contiguous")])
def test_positions(device: ndl.Device, name: str, layout: str) -> None:
    host = np.random.default_rng(0).integers(0, 4, SHAPE).astype(np.float32)  # many ties: the first one counts
    x, view = ndl.asarray(host), LAYOUTS[layout]
    for axis in (None, 0, 1, 2, -1):
        for keepdims in (False, True):
            actual = getattr(ndl, name)(view(x), axis, keepdims).numpy()
            np.testing.assert_array_equal(actual, getattr(np, name)(view(host), axis=axis, keepdims=keepdims))


# -- no elements, NaN and infinity ------------------------------------------------------------------


def test_reductions_over_no_elements(device: ndl.Device) -> None:
    x = ndl.zeros((2, 0, 3))
    for name, identity in {"sum": 0, "prod": 1, "any": False, "all": True}.items():
        result = getattr(ndl, name)(x, 1)
        np.testing.assert_array_equal(result.numpy(), np.full((2, 3), identity))
        assert getattr(ndl, name)(x).item() == identity
        assert getattr(ndl, name)(x, 0).shape == (0, 3)
    assert np.isnan(ndl.mean(x, 1).numpy()).all()
    assert np.isnan(ndl.var(x, 1).numpy()).all()
    for name in ("max", "min", "argmax", "argmin"):
        with pytest.raises(ValueError, match=f"{name} over no elements"):
            getattr(ndl, name)(x, 1)
        assert getattr(ndl, name)(x, 0).shape == (0, 3)


@pytest.mark.parametrize("size", [5, 1000, 100_000])
@pytest.mark.parametrize("special", [(np.inf,), (-np.inf,), (np.inf, -np.inf), (np.nan,), (np.inf, np.nan)], ids=str)
def test_nan_and_infinity_go_through(device: ndl.Device, size: int, special: tuple[float, ...]) -> None:
    host = np.ones(size, np.float32)
    host[[size // 2, size - 1][: len(special)]] = special
    x = ndl.asarray(host)
    columns, rows = ndl.asarray(host.reshape(-1, 5)), ndl.asarray(host.reshape(5, -1))
    with np.errstate(all="ignore"):
        for name in ("sum", "max", "min", "prod"):
            reduce, expected = getattr(ndl, name), getattr(np, name)
            np.testing.assert_array_equal(reduce(x).numpy(), expected(host))
            np.testing.assert_allclose(reduce(columns, 0).numpy(), expected(host.reshape(-1, 5), axis=0), rtol=1e-6)
            np.testing.assert_allclose(reduce(rows, 1).numpy(), expected(host.reshape(5, -1), axis=1), rtol=1e-6)
    for name in ("argmax", "argmin"):
        assert getattr(ndl, name)(x).item() == getattr(np, name)(host)


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("length", [64, 1031])
def test_a_nan_at_any_place_is_the_extremum(device: ndl.Device, name: str, length: int) -> None:
    host = np.random.default_rng(0).standard_normal((length, length), dtype=np.float32)
    np.fill_diagonal(host, np.nan)  # each row and each column has one, each at another place
    host[::7] = -np.inf if name == "max" else np.inf
    for axis in (0, 1):
        result = getattr(ndl, name)(ndl.asarray(host), axis)
        np.testing.assert_array_equal(result.numpy(), getattr(np, name)(host, axis=axis))


def test_all_minus_infinity(device: ndl.Device) -> None:
    x = ndl.full(1000, -np.inf) + ndl.zeros(1000)
    assert ndl.max(x).item() == -np.inf
    assert ndl.argmax(x).item() == 0
    assert ndl.argmin(-x).item() == 0


def test_several_nans_give_the_first(device: ndl.Device) -> None:
    host = np.arange(300_000, dtype=np.float32)
    host[[70_001, 250_000, 299_999]] = np.nan
    x = ndl.asarray(host)
    assert ndl.argmax(x).item() == ndl.argmin(x).item() == 70_001


def test_overflow_of_a_float_sum_is_infinite(device: ndl.Device) -> None:
    x = ndl.full(1000, 3e38) + ndl.zeros(1000)
    assert ndl.sum(x).item() == np.inf
    assert ndl.sum(-x).item() == -np.inf


# -- dtypes -----------------------------------------------------------------------------------------


@pytest.mark.every_driver
@pytest.mark.parametrize("dtype", ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_integers_and_bools(device: ndl.Device, dtype: str) -> None:
    rng = np.random.default_rng(0)
    if dtype == "bool":
        host = rng.random((7, 45)) > 0.4
    else:
        limits = np.iinfo(dtype)
        host = rng.integers(limits.min, limits.max, (7, 45), dtype, endpoint=True)
        host[1, :] = limits.min
        host[2, :] = limits.max
    x = ndl.asarray(host)
    everything = ("sum", "prod", "max", "min", "any", "all", "argmax", "argmin")
    for name in everything if dtype in ("bool", "int32", "uint8") else ("sum", "max", "argmin"):
        actual = getattr(ndl, name)(x, 1)
        with np.errstate(over="ignore"):  # 64-bit sums wrap around, as in NumPy
            np.testing.assert_array_equal(actual.numpy(), getattr(np, name)(host, axis=1), err_msg=name)


@pytest.mark.parametrize("dtype", ["bool", "int32"])
def test_mean_of_integers(device: ndl.Device, dtype: str) -> None:
    host = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 1000, (7, 45)).astype(dtype)
    np.testing.assert_allclose(ndl.mean(ndl.asarray(host), 1).numpy(), host.mean(1), rtol=1e-6)


def test_float64(device: ndl.Device) -> None:
    if not device.supports(ndl.float64):
        pytest.skip("no float64")
    host = np.random.default_rng(0).standard_normal((50, 40)) + 1e6
    x = ndl.asarray(host)
    np.testing.assert_allclose(ndl.sum(x, 1).numpy(), host.sum(1), rtol=1e-15)
    np.testing.assert_allclose(ndl.var(x, 1).numpy(), host.var(1), rtol=1e-9)
    np.testing.assert_array_equal(ndl.argmax(x, 1).numpy(), host.argmax(1))


# -- large inputs and accuracy ----------------------------------------------------------------------


@pytest.mark.every_driver
def test_large_inputs(device: ndl.Device) -> None:
    host = np.random.default_rng(0).standard_normal(LARGE).astype(np.float32)
    host[1_234_567], host[2_345_678] = 10, 10  # a tie across segments
    host[2_000_001] = -10
    for shape, axis in (((LARGE,), 0), ((3, LARGE // 3), 1), ((LARGE // 3, 3), 0), ((300, LARGE // 300), 0)):
        part = host.reshape(shape)
        x = ndl.asarray(part)
        np.testing.assert_array_equal(ndl.max(x, axis).numpy(), part.max(axis))
        np.testing.assert_array_equal(ndl.argmax(x, axis).numpy(), part.argmax(axis))
        np.testing.assert_array_equal(ndl.argmin(x, axis).numpy(), part.argmin(axis))
        np.testing.assert_array_equal(ndl.any(x > 9, axis).numpy(), (part > 9).any(axis))
        exact = part.astype(np.float64).sum(axis)
        np.testing.assert_allclose(ndl.sum(x, axis).numpy(), exact, rtol=1e-5, atol=LARGE * EPSILON / 10)


def test_large_integer_sum_is_exact(device: ndl.Device) -> None:
    host = np.random.default_rng(0).integers(-(2**31), 2**31 - 1, LARGE, np.int32)
    assert ndl.sum(ndl.asarray(host)).item() == int(host.sum(dtype=np.int64))


def adversarial(name: str, size: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    if name == "random":
        return rng.random(size, np.float32)
    if name == "signed":
        return rng.standard_normal(size, np.float32)
    host = np.ones(size, np.float32)
    if name == "large first":
        host[0] = 2.0**24
    elif name == "many magnitudes":
        host = np.exp(rng.uniform(-20, 10, size)).astype(np.float32)
    else:  # "cancelling"
        host[::1000], host[1::1000] = 2.0**24, -(2.0**24)
    return host


@pytest.mark.parametrize("name", ["random", "signed", "large first", "many magnitudes", "cancelling"])
def test_sums_are_as_accurate_as_pairwise_ones(device: ndl.Device, name: str) -> None:
    size = 10_000_000 if name in ("random", "large first") else 1_000_000
    flat = adversarial(name, size)
    x = ndl.asarray(flat)
    for shape, axis in (((size,), 0), ((10, size // 10), 1), ((size // 10, 10), 0), ((size // 1000, 1000), 0)):
        host = flat.reshape(shape)
        if device.name == "numpy" and len(shape) > 1 and axis == 0:
            continue  # NumPy sums columns one after the other
        exact = host.sum(axis, dtype=np.float64)
        magnitude = np.abs(host).sum(axis, dtype=np.float64)
        pairwise = np.ascontiguousarray(np.moveaxis(host, axis, -1)).sum(-1)
        allowed = np.maximum(4 * np.abs(pairwise - exact).max(), 4 * EPSILON * np.abs(exact)) + EPSILON * magnitude / 4
        error = np.abs(ndl.sum(x.reshape(shape), axis).numpy() - exact)
        assert np.all(error <= allowed), f"shape {shape}: error {error.max()}, allowed {np.min(allowed)}"


def test_mean_and_variance_of_values_far_from_zero(device: ndl.Device) -> None:
    host = (np.random.default_rng(0).standard_normal(1_000_000) + 10_000).astype(np.float32)
    for shape, axis in (((1_000_000,), 0), ((100, 10_000), 1)):
        part = host.reshape(shape)
        x = ndl.asarray(part)
        exact = part.astype(np.float64)
        np.testing.assert_allclose(ndl.mean(x, axis).numpy(), exact.mean(axis), rtol=2e-7)
        np.testing.assert_allclose(ndl.var(x, axis).numpy(), exact.var(axis), rtol=1e-4)
        np.testing.assert_allclose(ndl.var(x, axis, correction=1).numpy(), exact.var(axis, ddof=1), rtol=1e-4)


def test_variance_with_more_correction_than_elements(device: ndl.Device) -> None:
    x = ndl.asarray([[1.0], [2.0]])
    assert np.isnan(ndl.var(x, 1, correction=1).numpy()).all()


# -- gradients --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "mean", "var", "std"])
def test_gradients(device: ndl.Device, name: str) -> None:
    dtype = np.float64 if device.supports(ndl.float64) else np.float32
    x = ndl.Tensor(np.random.default_rng(0).uniform(0.5, 2, SHAPE).astype(dtype))
    for axes, keepdims in ((None, False), ((1,), True), ((0, 2), False)):
        assert ndl.gradcheck(lambda t, a=axes, k=keepdims: getattr(ndl, name)(t, a, k), x)


def test_gradient_of_a_maximum_is_shared_among_equals(device: ndl.Device) -> None:
    x = ndl.Tensor([[1.0, 3.0, 3.0], [2.0, 0.0, 1.0]])
    ndl.max(x, 1).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[0, 0.5, 0.5], [1, 0, 0]])


@pytest.mark.parametrize(
    ("host", "expected"), [([2.0, 3.0, 4.0], [12, 8, 6]), ([2.0, 0.0, 4.0], [0, 8, 0]), ([0.0, 0.0, 4.0], [0, 0, 0])]
)
def test_gradient_of_a_product_with_zeros(device: ndl.Device, host: list[float], expected: list[float]) -> None:
    x = ndl.Tensor(host)
    ndl.prod(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-6)


# -- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axis", "error", "message"),
    [
        (3, ValueError, "axis=3 is out of range for an array of 3 dimensions"),
        ((0, -4), ValueError, "axis=-4 is out of range"),
        ((1, -2), ValueError, "names an axis twice"),
        (1.5, TypeError, "axis=1.5 must be an int"),
    ],
)
def test_axis_errors(device: ndl.Device, axis: Any, error: type[Exception], message: str) -> None:
    for name in ("sum", "max", "mean", "any"):
        with pytest.raises(error, match=message):
            getattr(ndl, name)(ndl.zeros(SHAPE), axis)


def test_summation_takes_the_keyword_of_the_course(device: ndl.Device) -> None:
    x = ndl.ones((2, 3))
    assert ndl.summation(x, axes=(0,)).tolist() == [2, 2, 2]
    assert ndl.summation(x).item() == 6


@pytest.mark.parametrize("function", [ndl.sum, ndl.mean, ndl.softmax, ndl.logsumexp])
@pytest.mark.parametrize("axis", [0, 1])
def test_long_folds_keep_their_precision_along_any_axis(
    device: ndl.Device, function: Callable[..., ndl.Tensor], axis: int
) -> None:
    """Found by random programs: the NumPy backend added 4,099 rows one by one, and lost 6 bits."""
    host = np.full((30_000, 3), 0.1, np.float32)  # alike, so that each addition is rounded to the same side
    host[0] = 0.2
    host = host if axis == 0 else host.T
    exact = host.astype(np.float64)
    powers = np.exp(exact)
    expected = {
        "sum": exact.sum(axis), "mean": exact.mean(axis), "softmax": powers / powers.sum(axis, keepdims=True),
        "logsumexp": np.log(powers.sum(axis)),
    }[function.__name__]  # fmt: skip
    np.testing.assert_allclose(function(ndl.asarray(host), axis=axis).numpy(), expected, rtol=1e-6)
