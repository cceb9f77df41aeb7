"""softmax, log_softmax and logsumexp against their formulas in NumPy's float64, on every device and kernel path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import needle as ndl
from needle.dtypes import ALL

FUNCTIONS = ("softmax", "log_softmax", "logsumexp")
INF, NAN = np.inf, np.nan


@pytest.fixture(params=["own launch shape", "work-groups"])
def target(device: ndl.Device, request: pytest.FixtureRequest) -> Iterator[ndl.Device]:
    """Each device, and each OpenCL device once more with the kernels in the shape that GPUs get."""
    if request.param == "own launch shape":
        yield device
        return
    if not hasattr(device, "launch_shape"):
        pytest.skip("not an OpenCL device")
    original = device.launch_shape
    device.launch_shape = replace(original, local_size=min(64, device.cl_device.max_work_group_size), vector_bytes=4)
    yield device
    device.launch_shape = original


@pytest.fixture
def half(target: ndl.Device) -> Iterator[ndl.Device]:
    """The device with float16 storage, which these kernels need no extension for."""
    original = target.info
    target.info = replace(original, dtypes=frozenset(ALL))
    yield target
    target.info = original


def expected(name: str, x: np.ndarray, axis: int) -> np.ndarray:
    x = x.astype(np.float64)
    with np.errstate(all="ignore"):
        largest = x.max(axis=axis, keepdims=True, initial=-INF)
        powers = np.exp(x - largest)
        total = powers.sum(axis=axis, keepdims=True)
        if name == "softmax":
            return powers / total
        if name == "log_softmax":
            return x - largest - np.log(total)
        shift = np.where(np.isinf(largest), 0, largest)
        return (np.log(np.exp(x - shift).sum(axis=axis, keepdims=True)) + shift).squeeze(axis)


def smallest(dtype: np.dtype) -> float:
    """The smallest exponential that the device tells from zero; a few give none that is subnormal."""
    limits = np.finfo(dtype)
    power = ndl.exp(ndl.asarray([np.log(limits.smallest_normal) - 2], dtype=dtype))
    return float(limits.smallest_subnormal if power.item() else limits.smallest_normal)


def check(name: str, x: np.ndarray, axis: int, tensor: ndl.Tensor | None = None) -> None:
    tensor = ndl.Tensor(x, requires_grad=False) if tensor is None else tensor
    got = getattr(ndl, name)(tensor, axis)
    want = expected(name, x, axis)
    assert got.dtype == (x.dtype if x.dtype.kind == "f" else np.float32)
    assert got.shape == want.shape
    eps, tiny = np.finfo(got.dtype).eps, smallest(got.dtype)
    finite = x[np.isfinite(x)].astype(np.float64)
    spread = min(np.ptp(finite), 105) if finite.size else 0  # the exponential magnifies the rounding of x - m
    tolerance = (4 + spread / 2) * eps
    np.testing.assert_allclose(got.numpy(), want, rtol=tolerance, atol=2 * tiny if name == "softmax" else tolerance)


NASTY = np.array(
    [
        [1, -INF, 2, 3, 4, 5, 6, 7, 8, 9, -1, -2, -3, -4, -5, -6, -7, -8, -9],
        [-INF] * 19,
        [0] * 5 + [INF] + [1] * 13,
        [0] * 7 + [NAN] + [1] * 11,
        [-INF] * 18 + [NAN],
        [NAN] * 19,
        [INF] * 18 + [NAN],
        [1e4] * 9 + [-1e4] * 10,
        [1e38, -1e38] * 9 + [0],
        [-1e38] * 18 + [-INF],
        [-100, -87, -88, -103, -103.9, -104, -200, 0, -50, -1e-30] + [-90] * 9,
    ],
    np.float32,
)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_infinities_nan_and_large_logits(target, name):
    check(name, NASTY, 1)
    check(name, np.ascontiguousarray(NASTY.T), 0)
    check(name, NASTY, 1, ndl.Tensor(np.ascontiguousarray(NASTY.T), requires_grad=False).T)
    for row in NASTY:  # on the side of the vectors, too
        check(name, np.tile(row, 5), 0)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_large_logits_are_exact_where_it_matters(device, name):
    x = ndl.Tensor([[1e4, 1e4 - 1, -1e4]])
    want = {
        "softmax": [[0.7310586, 0.2689414, 0]],
        "log_softmax": [[-0.3132617, -1.3132617, -20000.313]],
        "logsumexp": [10000.313],
    }[name]
    np.testing.assert_allclose(getattr(ndl, name)(x, 1).numpy(), want, rtol=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float64", "int32", "bool", "uint8"])
def test_dtypes(target, name, dtype):
    if not target.supports(np.dtype(dtype)):
        pytest.skip(f"no {dtype}")
    x = np.random.default_rng(3).normal(0, 5, (9, 40)).astype(dtype)
    check(name, x, 1)
    check(name, x, 0)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float16_is_computed_in_float32(half, name):
    x = np.random.default_rng(4).normal(0, 5, (9, 40)).astype(np.float16)
    for axis in (0, 1):
        got = getattr(ndl, name)(ndl.Tensor(x, requires_grad=False), axis).numpy()
        want = expected(name, x, axis).astype(np.float16)
        np.testing.assert_array_max_ulp(got, want, 1)


def test_empty(target):
    assert ndl.softmax(ndl.Tensor(np.zeros((0, 3), np.float32)), 1).shape == (0, 3)
    assert ndl.log_softmax(ndl.Tensor(np.zeros((3, 0), np.float32)), 1).shape == (3, 0)
    np.testing.assert_array_equal(ndl.logsumexp(ndl.Tensor(np.zeros((3, 0), np.float32)), 1).numpy(), [-INF] * 3)
    assert ndl.logsumexp(ndl.Tensor(np.zeros((0, 3), np.float32)), 1).shape == (0,)


def test_long_rows_are_summed_accurately(target):
    x = np.random.default_rng(5).normal(size=(2, 1 << 20)).astype(np.float32)
    got = ndl.logsumexp(ndl.Tensor(x), 1).numpy()
    np.testing.assert_allclose(got, expected("logsumexp", x, 1), rtol=1e-7)
    assert abs(float(ndl.softmax(ndl.Tensor(x), 1).numpy()[0].astype(np.float64).sum()) - 1) < 1e-6


def test_logsumexp_over_several_axes(device):
    x = np.random.default_rng(6).normal(size=(3, 4, 5)).astype(np.float32)
    t = ndl.Tensor(x)
    whole = np.log(np.exp(x.astype(np.float64)).sum())
    np.testing.assert_allclose(ndl.logsumexp(t).numpy(), whole, rtol=1e-6)
    np.testing.assert_allclose(ndl.logsumexp(t, keepdims=True).numpy(), [[[whole]]], rtol=1e-6)
    pair = np.log(np.exp(x.astype(np.float64)).sum((0, 2)))
    np.testing.assert_allclose(ndl.logsumexp(t, (0, -1)).numpy(), pair, rtol=1e-6)
    assert ndl.logsumexp(t, (0, -1), keepdims=True).shape == (1, 4, 1)
    assert ndl.logsumexp(ndl.Tensor(2.5), ()).item() == 2.5


@pytest.mark.parametrize("name", FUNCTIONS)
def test_wrong_axis(device, name):
    with pytest.raises(ValueError, match="axis=2 is out of range for an array of 2 dimensions"):
        getattr(ndl, name)(ndl.Tensor(np.zeros((2, 3), np.float32)), 2)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gradients(device, name, axis):
    x = ndl.Tensor(np.random.default_rng(7).normal(size=(3, 4, 5)).astype(np.float32))
    assert ndl.gradcheck(lambda t: getattr(ndl, name)(t, axis), x)


def test_gradient_of_logsumexp_over_several_axes(device):
    x = ndl.Tensor(np.random.default_rng(8).normal(size=(3, 4, 5)).astype(np.float32))
    assert ndl.gradcheck(lambda t: ndl.logsumexp(t, (0, 2)), x)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_gradients(device, name):
    def slope(t: ndl.Tensor) -> ndl.Tensor:
        y = getattr(ndl, name)(t, 1)
        return ndl.grad(lambda u: (getattr(ndl, name)(u, 1) ** 2).sum())(t) + y.sum()

    assert ndl.gradcheck(slope, ndl.Tensor(np.random.default_rng(9).normal(size=(2, 5)).astype(np.float32)))


def test_gradients_at_infinities_are_those_of_pytorch(device):
    def gradient(name: str, row: list[float]) -> np.ndarray:
        x = ndl.Tensor([row])
        getattr(ndl, name)(x, 1).sum().backward()
        return x.grad.numpy()[0]

    np.testing.assert_array_equal(gradient("logsumexp", [-INF, 1]), [0, 1])
    np.testing.assert_array_equal(gradient("logsumexp", [-INF, -INF]), [NAN, NAN])
    np.testing.assert_array_equal(gradient("logsumexp", [INF, 1]), [NAN, 0])
    np.testing.assert_array_equal(gradient("log_softmax", [-INF, 1]), [1, -1])
    np.testing.assert_array_equal(gradient("softmax", [-INF, 1]), [0, 0])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_launch(device, name):
    x = ndl.Tensor(np.ones((8, 33), np.float32))
    ndl.synchronize()
    before = device.launches
    getattr(ndl, name)(x, 1).realize()
    assert device.launches == before + 1


@given(shape=st.lists(st.integers(1, 40), min_size=1, max_size=3), data=st.data())
def test_any_shape(device, shape, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    seed = data.draw(st.integers(0, 2**32 - 1))
    x = np.random.default_rng(seed).normal(0, 10, shape).astype(np.float32)
    for name in FUNCTIONS:
        check(name, x, axis)
