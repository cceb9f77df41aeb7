"""Large arrays between NumPy and a device: the same bytes, in memory that nothing else uses."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import needle as ndl

LARGE = 1 << 20  # bytes


def drawn(nbytes: int, dtype: str) -> np.ndarray:
    raw = np.random.default_rng(nbytes).integers(0, 2 if dtype == "bool" else 100, nbytes, np.uint8)
    return raw[: nbytes // np.dtype(dtype).itemsize].astype(dtype)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float32"])
@pytest.mark.parametrize("nbytes", [4 * LARGE, 8 * LARGE + 24, 16 * LARGE + 8])
def test_large_arrays_come_back_as_they_were(device: ndl.Device, nbytes: int, dtype: str) -> None:
    host = drawn(nbytes, dtype)[:-1]
    host.flags.writeable = False
    np.testing.assert_array_equal(ndl.asarray(host).numpy(), host)


@pytest.mark.parametrize("dtype", ["int8", "int16", "float32"])
def test_windows_on_large_arrays(device: ndl.Device, dtype: str) -> None:
    host = drawn(4 * LARGE, dtype)
    x = ndl.asarray(host)
    for window in (np.s_[3:], np.s_[1:-2], np.s_[::-1], np.s_[::3]):
        np.testing.assert_array_equal(x[window].numpy(), host[window])


def test_the_host_may_change_its_array_at_once(device: ndl.Device) -> None:
    host = np.ones(LARGE, np.float32)
    x = ndl.asarray(host)
    host[:] = 2
    assert x.numpy().max() == 1


def test_results_are_the_callers_own(device: ndl.Device) -> None:
    x, y = ndl.full((LARGE,), 1.0), ndl.full((LARGE,), 2.0)
    first, second = x.numpy(), y.numpy()
    first += 10
    assert x.numpy().max() == 1 and second.max() == 2 and first.min() == 11


def test_memory_serves_again_only_when_no_view_is_left(device: ndl.Device) -> None:
    x, y = ndl.full((LARGE,), 1.0), ndl.full((LARGE,), 2.0)
    window = x.numpy()[5:10]
    results = [y.numpy() for _ in range(3)]
    assert window.tolist() == [1] * 5
    del window, results
    gc.collect()
    again = [x.numpy(), y.numpy(), x.numpy()]
    assert [a.min() for a in again] == [a.max() for a in again] == [1, 2, 1]
