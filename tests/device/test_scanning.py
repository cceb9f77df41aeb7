"""Scans: every axis, however an input lies, in one launch and in two, extreme values, dtypes, gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import needle as ndl

#: Shapes that are scanned along rows, across rows, in vectors and their remainders, and in segments.
SHAPES: list[tuple[int, ...]] = [
    (1,), (7,), (0,), (3, 5), (5, 1), (37, 53), (3, 0), (0, 3), (3, 17, 5), (70_003,), (2, 30_000), (30_000, 2),
]  # fmt: skip


def turned(x: Any) -> Any:
    """A NumPy array or a tensor with its axes in the opposite order."""
    return x.T if isinstance(x, np.ndarray) else ndl.permute_dims(x, range(x.ndim)[::-1])


#: How an input may lie: functions of NumPy arrays and of tensors.
LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "contiguous": lambda x: x,
    "transposed": turned,
    "reversed": lambda x: x[::-1],
    "pending": lambda x: x * 2 + 1,
}


def whole(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Whole numbers in float32, whose sums are exact."""
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32)


def with_first(host: np.ndarray, axis: int, value: float) -> np.ndarray:
    first = np.full(tuple(1 if a == axis else n for a, n in enumerate(host.shape)), value, host.dtype)
    return np.concatenate([first, host], axis)


@pytest.mark.every_driver
@pytest.mark.parametrize("layout", LAYOUTS)
def test_sums_along_every_axis(device: ndl.Device, layout: str) -> None:
    view = LAYOUTS[layout]
    for shape in SHAPES:
        host, x = view(whole(shape)), view(ndl.asarray(whole(shape)))
        for axis in range(len(shape)):
            expected = np.cumsum(host, axis)
            np.testing.assert_array_equal(ndl.cumulative_sum(x, axis=axis).numpy(), expected, f"{shape} {axis}")
            found = ndl.cumulative_sum(x, axis=axis - len(shape), include_initial=True).numpy()
            np.testing.assert_array_equal(found, with_first(expected, axis, 0), f"{shape} {axis}")


@pytest.mark.parametrize(("name", "reference"), [("cummax", np.maximum.accumulate), ("cummin", np.minimum.accumulate)])
def test_extremes_and_their_places(device: ndl.Device, name: str, reference: Any) -> None:
    for shape in ((0,), (3, 70), (70, 3), (2, 20_000)):
        host = whole(shape)
        for axis in range(len(shape)):
            values, places = getattr(ndl, name)(ndl.asarray(host), axis)
            np.testing.assert_array_equal(values.numpy(), reference(host, axis))
            np.testing.assert_array_equal(np.take_along_axis(host, places.numpy(), axis), values.numpy())
    values, places = getattr(ndl, name)(ndl.asarray([2.0, 2.0, np.nan, 1.0, 3.0, np.inf]))
    np.testing.assert_array_equal(values.numpy(), [2, 2, *[np.nan] * 4])
    assert places.numpy().tolist() == [0, 1, 2, 2, 2, 2]


def test_products_nan_and_infinity(device: ndl.Device) -> None:
    host = np.array([[2.0, np.inf, 0.0, 1.0], [1.0, -np.inf, 3.0, np.nan], [-1.5, 0.5, 2.0, 4.0]], np.float32)
    with np.errstate(invalid="ignore"):
        for axis in (0, 1):
            np.testing.assert_array_equal(ndl.cumprod(ndl.asarray(host), axis).numpy(), np.cumprod(host, axis))
        np.testing.assert_array_equal(ndl.cumsum(ndl.asarray(host)).numpy(), np.cumsum(host))


def test_dtypes(device: ndl.Device) -> None:
    """Integers and bools are accumulated in 64 bits unless a dtype is named, and wrap around; halves in float32."""
    host = np.array([100, 100, 27, 100], np.uint8)
    x = ndl.asarray(host)
    for dtype, wanted in ((None, "uint64"), ("uint8", "uint8"), ("int32", "int32"), ("float32", "float32")):
        found = ndl.cumulative_sum(x, dtype=dtype)
        assert found.dtype == wanted
        np.testing.assert_array_equal(found.numpy(), np.cumsum(host, dtype=wanted))
    assert ndl.cumsum(ndl.asarray([True, True, False])).numpy().tolist() == [1, 2, 2]
    assert ndl.cumprod(ndl.asarray(np.full(3, 100, np.int8)), 0).numpy().tolist() == [100, 10_000, 1_000_000]
    if device.supports(ndl.float16):
        ones = ndl.cumsum(ndl.asarray(np.full(3000, 1.0, np.float16)), 0)
        assert ones.dtype == "float16" and ones.numpy()[-1] == 3000
    if device.supports(ndl.float64):
        tenths = np.full(5000, 0.1)
        np.testing.assert_allclose(ndl.cumsum(ndl.asarray(tenths), 0).numpy(), np.arange(1, 5001) / 10, rtol=1e-12)


def test_long_sums_are_accurate(device: ndl.Device) -> None:
    host = np.random.default_rng(1).uniform(0, 1, 200_000).astype(np.float32)
    np.testing.assert_allclose(ndl.cumsum(ndl.asarray(host)).numpy(), np.cumsum(host, dtype=np.float64), rtol=2e-5)


def test_a_result_does_not_depend_on_timing(device: ndl.Device) -> None:
    x = ndl.asarray(np.random.default_rng(2).standard_normal(70_003).astype(np.float32))
    first = ndl.cumsum(x).numpy()
    assert all(np.array_equal(ndl.cumsum(x).numpy(), first) for _ in range(3))


def test_gradients(device: ndl.Device) -> None:
    """Of products with no zero, one and two in a sequence as well, and once more for second derivatives."""
    x = ndl.Tensor([[2.0, -1.0, 0.5, 3.0], [1.0, 0.0, 2.0, -1.5], [0.0, 2.0, 0.0, 1.0]])
    assert ndl.gradcheck(lambda t: ndl.cumulative_sum(t, axis=0, include_initial=True), x)
    assert ndl.gradcheck(lambda t: ndl.cummax(t, 1)[0], ndl.Tensor([[1.0, 3.0, 2.0, 4.0], [4.0, 1.0, 5.0, 2.0]]))
    assert ndl.gradcheck(lambda t: ndl.cumulative_prod(t, axis=1, include_initial=True), x)
    weights = ndl.asarray([[1.0, -2.0, 3.0, 0.5]])
    assert ndl.gradcheck(ndl.grad(lambda t: (ndl.cumprod(t, 1) * weights).sum()), x, atol=2e-2, rtol=2e-2)


def test_wrong_arguments_are_refused(device: ndl.Device) -> None:
    x = ndl.asarray(whole((3, 4)))
    with pytest.raises(ValueError, match="axis=None needs x of one axis"):
        ndl.cumulative_sum(x)
    with pytest.raises(ValueError, match="axis=2 is out of range"):
        ndl.cumsum(x, 2)
    with pytest.raises(TypeError, match="not defined for dtype bool"):
        ndl.cumulative_prod(x, axis=0, dtype=bool)
    with pytest.raises(TypeError, match="is not a tensor"):
        ndl.cumsum([1, 2])  # type: ignore[arg-type]
