"""Conversions between all dtypes, within the range and beyond it: one answer on every device."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import needle as ndl
from needle.array import evaluation
from needle.dtypes import ALL, converted, integer_limits, is_bool, is_float, is_integer

pytestmark = pytest.mark.every_driver

INF, NAN = np.inf, np.nan

#: Numbers at the ends of the ranges of all integer dtypes, and next to them.
ENDS = [end + step for bits in (7, 8, 15, 16, 31, 32, 63, 64) for end in (2**bits, -(2**bits)) for step in (-1, 0, 1)]
FRACTIONS = [
    0.0,
    -0.0,
    0.5,
    -0.5,
    -0.99,
    1.5,
    127.9,
    255.9,
    -128.9,
    65519.0,
    65520.0,
    1e20,
    -1e20,
    1e-8,
    INF,
    -INF,
    NAN,
]


def values_of(dtype: np.dtype) -> np.ndarray:
    """Numbers of `dtype`, in the range of each other dtype and out of it."""
    if is_bool(dtype):
        return np.array([False, True])
    if is_integer(dtype):
        lowest, highest = integer_limits(dtype)
        return np.array([n for n in [0, 100, 2**24 + 1, *ENDS] if lowest <= n <= highest], dtype)
    with np.errstate(over="ignore"):
        return np.array([*FRACTIONS, *map(float, ENDS)]).astype(dtype)


@pytest.mark.parametrize("source", ALL, ids=str)
def test_every_pair_of_dtypes(device: ndl.Device, source: np.dtype) -> None:
    """From one dtype to all, in one launch."""
    if not device.supports(source):
        pytest.skip(f"no {source} here")
    values = values_of(source)
    x = ndl.asarray(values)
    found = [x.astype(target) for target in ALL if device.supports(target)]
    evaluation.realize([tensor.cached_data for tensor in found])
    for tensor in found:
        np.testing.assert_array_equal(tensor.numpy(), converted(values, tensor.dtype), f"{source} to {tensor.dtype}")


def test_what_a_conversion_gives() -> None:
    """The reference by itself: these numbers are written out."""
    floats = np.array([300.0, 256.5, 255.9, 1.9, -0.9, -1.0, INF, -INF, NAN], np.float32)
    assert converted(floats, ndl.uint8).tolist() == [255, 255, 255, 1, 0, 0, 255, 0, 0]
    assert converted(floats, ndl.int8).tolist() == [127, 127, 127, 1, 0, -1, 127, -128, 0]
    far = np.array([2.0**63, 2.0**64, -(2.0**63), 1e30])
    assert converted(far, ndl.int64).tolist() == [2**63 - 1, 2**63 - 1, -(2**63), 2**63 - 1]
    assert converted(far, ndl.uint64).tolist() == [2**63, 2**64 - 1, 0, 2**64 - 1]
    assert converted(np.array([300, -1]), ndl.uint8).tolist() == [44, 255]
    assert converted(np.array([70000, 2**24 + 1]), ndl.float16).tolist() == [INF, INF]
    assert converted(np.array(NAN), ndl.int32).shape == ()
    for dtype in ALL:
        if is_float(dtype):
            assert converted(floats[:5], dtype).dtype == dtype


def test_data_of_the_host_is_converted_alike(device: ndl.Device) -> None:
    numbers = [300.0, -1.0, 256.5, NAN]
    x = ndl.zeros(4, dtype="uint8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x[...] = np.array(numbers)
        for made in (x, ndl.asarray(numbers, "uint8"), ndl.Tensor(np.array(numbers), dtype="uint8")):
            assert made.tolist() == [255, 0, 255, 0]
        assert np.asarray(ndl.asarray(numbers), dtype=np.uint8).tolist() == [255, 0, 255, 0]
        assert ndl.linspace(-300, 300, 3, dtype="int8").tolist() == [-128, 0, 127]
        assert ndl.asarray([1e300]).tolist() == [INF]
