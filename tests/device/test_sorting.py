"""Sorting: every dtype, rows of every length, ties, NaN and zeros, top-k, order statistics, gradients."""

from __future__ import annotations

import numpy as np
import pytest

import needle as ndl

DTYPES = (
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
)

#: Rows that are sorted by insertion, by one work-group, and by several.
LENGTHS = (0, 1, 20, 100, 20_011)


def values(dtype: str, length: int) -> np.ndarray:
    """Numbers of the whole range of a dtype, with many ties and all that is special."""
    random, kind = np.random.default_rng(length), np.dtype(dtype)
    if kind.kind == "b":
        return random.random(length) < 0.5
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        host = random.integers(limits.min, limits.max, length, kind, endpoint=True)
        host[::3] = random.integers(0, 3)
        host[1:3] = [limits.min, limits.max][: max(0, length - 1)]
        return host
    host = (random.integers(-9, 9, length) / 2).astype(kind)
    limits = np.finfo(kind)
    for step, value in ((7, -0.0), (9, np.nan), (11, np.inf), (13, -np.inf), (17, -np.nan)):
        host[step % 5 :: step] = value
    host[-2:] = [limits.smallest_subnormal, -limits.max][: host[-2:].size]
    return host


def order(host: np.ndarray, descending: bool) -> np.ndarray:
    """The positions that sort `host` along its last axis: a stable order, in which NaN is the largest."""
    if not descending:
        return np.argsort(host, -1, kind="stable")
    return host.shape[-1] - 1 - np.argsort(host[..., ::-1], -1, kind="stable")[..., ::-1]


@pytest.mark.every_driver
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(device: ndl.Device, dtype: str) -> None:
    """Values come out bit by bit, -0 and NaN too."""
    if not device.supports(np.dtype(dtype)):
        pytest.skip(f"{device.name} has no {dtype}")
    for length in LENGTHS:
        host = values(dtype, length)
        x = ndl.asarray(host)
        for descending in (False, True):
            expected = order(host, descending)
            positions = ndl.argsort(x, descending=descending)
            assert positions.dtype == "int64"
            np.testing.assert_array_equal(positions.numpy(), expected, f"{dtype} {length} {descending}")
            assert ndl.sort(x, descending=descending).numpy().tobytes() == host[expected].tobytes()
            k = min(length, 9)
            found, places = ndl.topk(x, k, largest=descending)
            np.testing.assert_array_equal(places.numpy(), expected[:k])
            assert found.numpy().tobytes() == host[expected[:k]].tobytes()


def test_every_axis(device: ndl.Device) -> None:
    host = np.random.default_rng(0).integers(0, 9, (4, 37, 5)).astype(np.float32)
    x = ndl.asarray(host)
    turned, flipped = ndl.permute_dims(x, (2, 0, 1)), x[:, ::-2]
    for axis in (0, 1, 2, -1, -2):
        for given, there in ((x, host), (turned, host.transpose(2, 0, 1)), (flipped, host[:, ::-2])):
            np.testing.assert_array_equal(given.sort(axis).numpy(), np.sort(there, axis))
            np.testing.assert_array_equal(given.argsort(axis).numpy(), np.argsort(there, axis, kind="stable"))
            np.testing.assert_array_equal(
                given.topk(3, axis, False)[0].numpy(), np.sort(there, axis).take(range(3), axis)
            )
    single = ndl.asarray(3.0)
    assert ndl.sort(single).shape == ndl.argsort(single).shape == ndl.topk(single, 1)[0].shape == ()


def test_the_first_of_many(device: ndl.Device) -> None:
    """Few and many of a long row and of several, in an order that lets every element in, and among ties."""
    random = np.random.default_rng(1)
    rising = np.arange(20_011, dtype=np.float32)
    for host in (rising, random.permutation(rising), np.floor(rising / 3000), random.random((3, 5000), np.float32)):
        for k in (1, 5, 40, 300):
            for largest in (True, False):
                found, places = ndl.topk(ndl.asarray(host), k, largest=largest)
                expected = order(host, largest)[..., :k]
                np.testing.assert_array_equal(places.numpy(), expected)
                np.testing.assert_array_equal(found.numpy(), np.take_along_axis(host, expected, -1))


def test_order_statistics(device: ndl.Device) -> None:
    host = np.random.default_rng(2).standard_normal((5, 40)).astype(np.float32)
    host[1, 3], host[2, :30], host[3, :30] = np.nan, np.inf, -np.inf
    x = ndl.asarray(host)
    with np.errstate(invalid="ignore"):
        for axis in (None, 0, 1):
            for keepdims in (False, True):
                np.testing.assert_allclose(
                    ndl.median(x, axis, keepdims).numpy(), np.median(host, axis, keepdims=keepdims), rtol=1e-6
                )
    finite = host[[0, 4]]
    shares = [0.0, 0.1, 0.5, 0.77, 1.0]
    for axis in (None, 1):
        found = ndl.quantile(ndl.asarray(finite), shares, axis).numpy()
        np.testing.assert_allclose(found, np.quantile(finite.astype(np.float64), shares, axis), rtol=1e-5, atol=1e-6)
    assert ndl.median(ndl.asarray([3, 1, 2, 10])).item() == 2.5
    for k in (1, 3, 40):
        found, places = ndl.kthvalue(x, k, 1, keepdims=True)
        expected = order(host, False)[:, k - 1 : k]
        np.testing.assert_array_equal(places.numpy(), expected)
        np.testing.assert_array_equal(found.numpy(), np.take_along_axis(host, expected, 1))


def test_gradients(device: ndl.Device) -> None:
    x = ndl.Tensor(np.random.default_rng(3).permutation(24).reshape(4, 6).astype(np.float32))
    for function in (
        lambda t: ndl.sort(t, axis=0, descending=True),
        lambda t: ndl.topk(t, 2, axis=1)[0],
        lambda t: ndl.median(t, axis=1),
        lambda t: ndl.kthvalue(t, 3, axis=0)[0],
    ):
        assert ndl.gradcheck(function, x, atol=1e-2, rtol=1e-2)
    with ndl.no_grad():
        assert not ndl.sort(x).requires_grad
    assert not ndl.argsort(x).requires_grad


def test_wrong_arguments_are_refused(device: ndl.Device) -> None:
    x = ndl.asarray(np.zeros((3, 4), np.float32))
    with pytest.raises(ValueError, match="axis=2 is out of range"):
        ndl.sort(x, 2)
    with pytest.raises(ValueError, match="k=5 is more than the 4 elements"):
        ndl.topk(x, 5)
    with pytest.raises(ValueError, match="k=-1 must be at least 0"):
        ndl.topk(x, -1)
    with pytest.raises(ValueError, match="k=0 must be at least 1"):
        ndl.kthvalue(x, 0)
    with pytest.raises(ValueError, match=r"q=1\.5 must be from 0 to 1"):
        ndl.quantile(x, 1.5)
    with pytest.raises(ValueError, match="is empty"):
        ndl.median(x[:0])
