"""Sharing arrays through DLPack: with a copy and without one, and what cannot be had."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import needle as ndl
from needle.dtypes import ALL

HOST = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_there_and_back(device: ndl.Device) -> None:
    for dtype in ALL:
        if device.supports(dtype):
            x = ndl.asarray(HOST.astype(dtype))
            host = np.from_dlpack(x)
            assert host.dtype == dtype
            np.testing.assert_array_equal(host, x.numpy())
            back = ndl.from_dlpack(host)
            assert back.device is device and back.dtype == dtype and back.tolist() == x.tolist()
    turned = ndl.asarray(HOST).T[::-1]
    np.testing.assert_array_equal(np.from_dlpack(turned), HOST.T[::-1])
    np.testing.assert_array_equal(np.from_dlpack(turned + 1), HOST.T[::-1] + 1)
    assert ndl.from_dlpack(HOST.T).tolist() == HOST.T.tolist() and ndl.from_dlpack(np.zeros((0, 3))).shape == (0, 3)
    assert turned.__dlpack_device__() == (1, 0)
    copied = np.from_dlpack(turned, copy=True) if np.lib.NumpyVersion(np.__version__) >= "2.1.0" else None
    assert copied is None or copied.flags.writeable


def test_memory_is_shared_on_numpy_alone(device: ndl.Device) -> None:
    x = ndl.asarray(HOST).realize()
    if device.name == "numpy":
        view = np.from_dlpack(x[:, 1:])
        x[0, 1] = 50
        assert view[0, 0] == 50
        mine = HOST.copy()
        shared = ndl.from_dlpack(mine, copy=False)
        mine[0, 0] = 7
        assert shared[0, 0].item() == 7
        shared[1] = 3
        assert mine[1].tolist() == [3, 3, 3]
        apart = ndl.from_dlpack(mine, copy=True)
        mine[0, 0] = 8
        assert apart[0, 0].item() == 7
    else:
        with pytest.raises(BufferError, match="reach other libraries as copies"):
            x.__dlpack__(copy=False)
        with pytest.raises(BufferError, match=f"reaches {device.name} only as a copy"):
            ndl.from_dlpack(HOST.copy(), copy=False)


def test_lifetimes() -> None:
    with ndl.device("numpy"):
        x = ndl.asarray(HOST) * 1
        view = np.from_dlpack(x)
        mine = HOST + 1
        shared = ndl.from_dlpack(mine)
        del x, mine
        gc.collect()
        junk = [np.full((2, 3), 9, np.float32) for _ in range(100)]
        np.testing.assert_array_equal(view, HOST)
        np.testing.assert_array_equal(shared.numpy(), HOST + 1)
        assert len(junk) == 100


def test_tensors_on_other_devices(device: ndl.Device) -> None:
    x = ndl.asarray(HOST, device="numpy")
    assert ndl.from_dlpack(x).device is x.device and ndl.from_dlpack(x, device=device).device is device
    if device is not x.device:
        with pytest.raises(BufferError, match="share no memory"):
            ndl.from_dlpack(x, device=device, copy=False)


def test_what_is_not_shared() -> None:
    with ndl.device("numpy"):
        with pytest.raises(BufferError, match="requires a gradient"):
            np.from_dlpack(ndl.Tensor([1.0]))
        x = ndl.asarray([1.0])
        for keywords in ({"dl_device": (2, 0)}, {"stream": 1}):
            with pytest.raises(BufferError, match="host's memory"):
                x.__dlpack__(**keywords)
        repeated = np.from_dlpack(x.broadcast_to((3,)))
        repeated[0] = 5
        assert repeated.tolist() == [5, 1, 1]
        with pytest.raises(TypeError, match="has no __dlpack__"):
            ndl.from_dlpack([1.0])
        with pytest.raises(TypeError, match="complex64"):
            ndl.from_dlpack(np.zeros(2, np.complex64))
        fixed = np.zeros(2, np.float32)
        fixed.flags.writeable = False
        if np.lib.NumpyVersion(np.__version__) >= "2.1.0":
            with pytest.raises(BufferError, match="only as a copy"):
                ndl.from_dlpack(fixed, copy=False)
