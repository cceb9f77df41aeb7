"""Comparisons of integers that no dtype holds together are exact, as Python's and NumPy's are."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest
from support.together import Together

import needle as ndl

COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]

ENDS = {dtype: [np.iinfo(dtype).min, 0, 5, np.iinfo(dtype).max] for dtype in ("uint8", "int64", "uint64")}


@pytest.mark.parametrize("dtype", ENDS)
def test_with_numbers_beyond_the_range(device: ndl.Device, dtype: str) -> None:
    results = Together()
    x = results.asarray(np.array(ENDS[dtype], dtype))
    for number in (300, -1, 2**64, -(2**63) - 1, np.int64(-7)):
        for compare in COMPARISONS:
            wanted = [compare(int(value), int(number)) for value in ENDS[dtype]]
            results.equal(f"{compare} {number}", compare(x, number), wanted, "bool")
        wanted = [int(number) < int(value) for value in ENDS[dtype]]
        results.equal(f"{number} <", ndl.less(number, x), wanted, "bool")
    results.verify()
    assert 2**70 not in x


@pytest.mark.parametrize("signed", ["int8", "int64"])
def test_of_uint64_with_signed_integers(device: ndl.Device, signed: str) -> None:
    results = Together()
    lowest, highest = np.iinfo(signed).min, np.iinfo(signed).max
    grid = np.meshgrid(np.array([lowest, -1, 0, 5, highest], signed), np.array([0, 5, 2**63, 2**64 - 1], "uint64"))
    x, y = (values.ravel() for values in grid)
    a, b = results.asarray(x), results.asarray(y)
    for compare in COMPARISONS:
        for first, second, left, right in ((a, b, x, y), (b, a, y, x)):
            wanted = [compare(int(i), int(j)) for i, j in zip(left, right, strict=True)]
            results.equal(f"{compare} of {first.dtype}", compare(first, second), wanted, "bool")
    results.verify()


def test_limits_beyond_the_range_limit_nothing(device: ndl.Device) -> None:
    x = ndl.asarray(np.array([0, 5, 255], np.uint8))
    found: Any = ndl.clip(x, -1, 300)
    assert found.dtype == ndl.uint8 and found.tolist() == [0, 5, 255]
    assert ndl.clip(x, -1, 7).tolist() == [0, 5, 7]
