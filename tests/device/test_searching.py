"""Finding and counting: nonzero, searchsorted, isin, unique, bincount, histogram."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import needle as ndl


def ties(shape: tuple[int, ...], dtype: str = "float32", seed: int = 0) -> np.ndarray:
    """Small whole numbers, a third of them zeros."""
    random = np.random.default_rng(seed)
    return (random.integers(-4, 5, shape) * (random.random(shape) < 0.66)).astype(dtype)


SAMPLES = [
    ties((0,)),
    ties((1,)),
    ties((3, 0)),
    ties((7, 5)),
    ties((120, 170)),
    ties((3, 4, 5), "int32"),
    ties((9001,), "int64"),
]


@pytest.mark.every_driver
@pytest.mark.parametrize("host", SAMPLES, ids=lambda host: f"{host.dtype}{host.shape}")
def test_places_and_number_of_nonzeros(device: ndl.Device, host: np.ndarray) -> None:
    x = ndl.asarray(host)
    found = ndl.nonzero(x)
    for actual, expected in zip(found, np.nonzero(host), strict=True):
        assert actual.dtype == "int64"
        np.testing.assert_array_equal(actual.numpy(), expected)
    for axis in (None, *range(host.ndim)):
        np.testing.assert_array_equal(ndl.count_nonzero(x, axis).numpy(), np.count_nonzero(host, axis))
    with pytest.raises(ValueError, match="x has no axes"):
        ndl.nonzero(ndl.asarray(1.0))


@pytest.mark.every_driver
@pytest.mark.parametrize("host", SAMPLES, ids=lambda host: f"{host.dtype}{host.shape}")
def test_distinct_elements(device: ndl.Device, host: np.ndarray) -> None:
    x = ndl.asarray(host)
    values, indices, inverse, counts = np.unique(host, return_index=True, return_inverse=True, return_counts=True)
    found = ndl.unique_all(x)
    wanted = {"values": values, "indices": indices, "inverse_indices": inverse.reshape(host.shape), "counts": counts}
    for name, expected in wanted.items():
        np.testing.assert_array_equal(getattr(found, name).numpy(), expected, name)
    np.testing.assert_array_equal(ndl.unique_values(x).numpy(), values)
    np.testing.assert_array_equal(ndl.unique_counts(x).counts.numpy(), counts)
    np.testing.assert_array_equal(ndl.unique_inverse(x).inverse_indices.numpy(), wanted["inverse_indices"])
    for actual, expected in zip(ndl.unique(x, True, True, True), wanted.values(), strict=True):
        np.testing.assert_array_equal(actual.numpy(), expected)
    np.testing.assert_array_equal(ndl.unique(x).numpy(), values)


def test_nan_is_distinct_and_zeros_are_equal(device: ndl.Device) -> None:
    x = ndl.asarray([np.nan, 0.0, -0.0, 1.0, np.nan])
    values, indices, inverse, counts = (part.numpy() for part in ndl.unique_all(x))
    np.testing.assert_array_equal(values, [0, 1, np.nan, np.nan])
    assert indices.tolist() == [1, 3, 0, 4] and counts.tolist() == [2, 1, 1, 1] and inverse.tolist() == [2, 0, 0, 1, 3]
    assert ndl.isin(x, [0, np.nan]).numpy().tolist() == [False, True, True, False, False]


def test_places_in_sorted_rows(device: ndl.Device) -> None:
    row, values = np.sort(ties((333,))), ties((7, 9), seed=1) / 2
    values[0, :3] = [np.nan, np.inf, -np.inf]
    x, wanted = ndl.asarray(row), ndl.asarray(values)
    order = np.random.default_rng(0).permutation(333)
    back = np.argsort(row[order], kind="stable")
    for side in ("left", "right"):
        expected = np.searchsorted(row, values, side)
        np.testing.assert_array_equal(ndl.searchsorted(x, wanted, side=side).numpy(), expected)
        found = ndl.searchsorted(ndl.asarray(row[order]), wanted, side=side, sorter=ndl.asarray(back))
        np.testing.assert_array_equal(found.numpy(), expected)
    rows = np.sort(ties((7, 30)), 1)
    found = ndl.searchsorted(ndl.asarray(rows), ndl.asarray(values[:, ::2]))
    np.testing.assert_array_equal(
        found.numpy(), [np.searchsorted(r, v) for r, v in zip(rows, values[:, ::2], strict=True)]
    )
    assert ndl.searchsorted(x, 0).item() == np.searchsorted(row, 0)
    with pytest.raises(ValueError, match="side='middle' is not known"):
        ndl.searchsorted(x, wanted, side="middle")
    with pytest.raises(ValueError, match="must have one axis, or the leading axes"):
        ndl.searchsorted(ndl.asarray(rows), x)


def test_membership(device: ndl.Device) -> None:
    host = ties((7, 9))
    x = ndl.asarray(host)
    for among in ([1, 3], [], [[0.5, -4.0]], ndl.asarray(host[2])):
        there = among.numpy() if isinstance(among, ndl.Tensor) else np.asarray(among)
        np.testing.assert_array_equal(ndl.isin(x, among).numpy(), np.isin(host, there))
        np.testing.assert_array_equal(ndl.isin(x, among, invert=True).numpy(), ~np.isin(host, there))


@pytest.mark.every_driver
def test_how_often_integers_occur(device: ndl.Device) -> None:
    random = np.random.default_rng(3)
    for dtype, length in (("uint8", 40), ("int16", 0), ("int32", 20_000), ("int64", 300)):
        host = random.integers(0, 100, length).astype(dtype)
        x = ndl.asarray(host)
        pending = x + 1  # whose largest element the host does not know
        for minlength in (0, 130):
            np.testing.assert_array_equal(
                ndl.bincount(x, minlength=minlength).numpy(), np.bincount(host, minlength=minlength)
            )
            expected = np.bincount(host + 1, minlength=minlength)
            np.testing.assert_array_equal(ndl.bincount(pending, minlength=minlength).numpy(), expected)
    weights = random.integers(0, 9, 300).astype(np.float32)
    found = ndl.bincount(x, ndl.asarray(weights))
    assert found.dtype == "float32"
    np.testing.assert_array_equal(found.numpy(), np.bincount(host, weights))
    index = ndl.asarray([0, 2, 2, 1])
    assert ndl.gradcheck(lambda w: ndl.bincount(index, w), ndl.Tensor([1.0, 2.0, 3.0, 4.0]))
    for given in (index - 1, ndl.asarray([3, -1])):
        with pytest.raises(ValueError, match="an element of -1"):
            ndl.bincount(given)
    with pytest.raises(TypeError, match="not defined for dtype float32"):
        ndl.bincount(ndl.asarray([1.0]))
    with pytest.raises(ValueError, match="must have one axis"):
        ndl.bincount(ndl.asarray([[1]]))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bins": 7},
        {"bins": 4, "range": (-2, 2)},
        {"bins": np.array([-3, -1, 0.5, 3], np.float32)},
        {"density": True},
    ],
    ids=str,
)
def test_how_many_lie_in_intervals(device: ndl.Device, options: dict[str, Any]) -> None:
    host = ties((30, 40))
    counts, edges = ndl.histogram(ndl.asarray(host), **options)
    expected, borders = np.histogram(host, **options)
    np.testing.assert_allclose(counts.numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(edges.numpy(), borders, rtol=1e-5, atol=1e-6)


def test_intervals_with_weights_and_without_numbers(device: ndl.Device) -> None:
    host, weights = np.array([0.5, 1.5, 1.5, np.nan, 9.0], np.float32), np.arange(1, 6, dtype=np.float32)
    counts, _ = ndl.histogram(ndl.asarray(host), 2, (0, 2), ndl.asarray(weights))
    assert counts.numpy().tolist() == [1, 5]
    counts, edges = ndl.histogram(ndl.asarray(host[:0]), 2)
    assert counts.numpy().tolist() == [0, 0] and edges.numpy().tolist() == [0, 0.5, 1]
    with pytest.raises(ValueError, match="must be finite"):
        ndl.histogram(ndl.asarray(host))
    with pytest.raises(ValueError, match="two or more ascending edges"):
        ndl.histogram(ndl.asarray(host), [2.0, 1.0])
