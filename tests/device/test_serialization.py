"""`save` and `load`: what comes back, that a file is written whole or not at all, and damaged files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import needle as ndl
from needle import nn

DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4), (0, 2)])
def test_every_dtype_comes_back(device, tmp_path: Path, dtype: str, shape: tuple[int, ...]):
    if not device.supports(np.dtype(dtype)):
        pytest.skip(f"no {dtype} here")
    values = np.asarray(np.random.default_rng(0).normal(0, 40, shape)).astype("int8").astype(dtype)
    ndl.save(tmp_path / "x", {"x": ndl.asarray(values)})
    loaded = ndl.load(tmp_path / "x")
    assert list(loaded) == ["x"] and loaded["x"].device is device and not loaded["x"].requires_grad
    assert loaded["x"].dtype == dtype and loaded["x"].shape == shape
    np.testing.assert_array_equal(loaded["x"].numpy(), values)


def test_special_values_and_views_come_back(device, tmp_path: Path):
    x = ndl.asarray(np.array([[np.nan, np.inf], [-np.inf, -0.0]], np.float32))
    ndl.save(tmp_path / "x", {"turned": x.T, "pending": x + 1})
    loaded = ndl.load(tmp_path / "x")
    assert loaded["turned"].numpy().tobytes() == np.ascontiguousarray(x.numpy().T).tobytes()
    np.testing.assert_array_equal(loaded["pending"].numpy(), x.numpy() + 1)


def test_numbers_and_strings_come_back(device, tmp_path: Path):
    saved = {"step": 3, "lr": 0.1, "nesterov": True, "name": "säge", "limit": float("inf")}
    ndl.save(tmp_path / "x", {**saved, "w": ndl.asarray([1.0])})
    loaded = ndl.load(tmp_path / "x")
    assert loaded.pop("w").tolist() == [1.0]
    assert loaded == saved and [type(v) for v in loaded.values()] == [type(v) for v in saved.values()]
    ndl.save(tmp_path / "x", {})
    assert ndl.load(tmp_path / "x") == {}


def test_nested_dicts_are_saved_under_their_paths(device, tmp_path: Path):
    model = nn.Linear(2, 3)
    optimizer = ndl.optim.Adam(model.parameters(), lr=np.float32(0.25))
    ndl.save(tmp_path / "all", {"model": model, "optimizer": optimizer, "run": {"epoch": np.int64(3), "best": 0.5}})
    loaded = ndl.load(tmp_path / "all")
    assert loaded["run.epoch"] == 3 and loaded["run.best"] == 0.5 and loaded["optimizer.param_groups.0.lr"] == 0.25
    np.testing.assert_array_equal(loaded["model.weight"].numpy(), model.weight.numpy())
    for clash in ({"a": {"b": 1}, "a.b": 2}, {"a.b": ndl.ones(1), "a": {"b": np.ones(1)}}):
        with pytest.raises(ValueError, match=r"two of the values to save are called 'a\.b'"):
            ndl.save(tmp_path / "clash", clash)


def test_arrays_and_numbers_of_numpy_are_saved(device, tmp_path: Path):
    arrays = {"a": np.arange(6, dtype=np.int32).reshape(2, 3).T, "b": np.ones(2, ">f4"), "c": np.zeros(())}
    ndl.save(tmp_path / "arrays", {**arrays, "x": np.float32(0.5), "n": np.uint8(7), "yes": np.bool_(True)})
    loaded = ndl.load(tmp_path / "arrays")
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name].numpy(), array)
    assert (loaded["x"], loaded["n"], loaded["yes"]) == (0.5, 7, True)
    with pytest.raises(TypeError, match="complex64"):
        ndl.save(tmp_path / "arrays", {"z": np.ones(1, np.complex64)})


def test_a_module_comes_back(device, tmp_path: Path):
    model, fresh = (nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.BatchNorm1d(4)) for _ in range(2))
    x = ndl.asarray(np.random.default_rng(0).random((5, 3), np.float32))
    model(x)  # so that the running statistics are not those of a new module
    ndl.save(str(tmp_path / "model.safetensors"), model)
    fresh.load_state_dict(ndl.load(str(tmp_path / "model.safetensors")))
    np.testing.assert_array_equal(fresh.eval()(x).numpy(), model.eval()(x).numpy())


def test_files_of_the_safetensors_library_are_exchanged(device, tmp_path: Path):
    path = tmp_path / "x.safetensors"
    ndl.save(path, {"a.b": ndl.asarray([[1, 2]])})
    assert safetensors.numpy.load_file(path)["a.b"].tolist() == [[1, 2]]
    safetensors.numpy.save_file({"y": np.arange(3, dtype=np.int16)}, path, {"format": "pt"})
    assert ndl.load(path, "numpy")["y"].tolist() == [0, 1, 2]
    assert ndl.load(path, ndl.device("numpy"))["y"].device.name == "numpy"


# -- writing ----------------------------------------------------------------------------------------


def test_a_file_is_replaced_whole(device, tmp_path: Path):
    path, link = tmp_path / "x.safetensors", tmp_path / "link"
    ndl.save(path, {"x": ndl.asarray([1.0])})
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()
    old = ndl.load(path)
    link.symlink_to(path)
    ndl.save(link, {"x": ndl.asarray([2.0])})
    assert old["x"].tolist() == [1.0] and ndl.load(path)["x"].tolist() == [2.0]
    assert link.is_symlink() and sorted(p.name for p in tmp_path.iterdir()) == ["link", "x.safetensors"]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_failed_save_leaves_the_old_file(device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "x.safetensors"
    ndl.save(path, {"x": ndl.asarray([1.0])})

    def full(descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        ndl.save(path, {"x": ndl.asarray([2.0])})
    assert ndl.load(path)["x"].tolist() == [1.0] and list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_saved(device, tmp_path: Path):
    for obj, message in [
        ([ndl.asarray([1.0])], "a dict of names to tensors, or a module; not a list"),
        ({"x": [1.0]}, "cannot save 'x': a list is not a tensor, a number or a string"),
        ({"x": {"y": [1.0]}}, r"cannot save 'x\.y': a list is not"),
        ({1: ndl.asarray([1.0])}, "must be strings; 1 is a int"),
    ]:
        with pytest.raises(TypeError, match=message):
            ndl.save(tmp_path / "x", obj)
    with pytest.raises(ValueError, match="'__metadata__' is a name that the format keeps for itself"):
        ndl.save(tmp_path / "x", {"__metadata__": ndl.asarray([1.0])})
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        ndl.save(tmp_path / "nowhere" / "x", {})
    assert list(tmp_path.iterdir()) == []


# -- reading ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [0, 4, 8, 20, 80, -1])
@pytest.mark.fault("cut or hostile checkpoints")
def test_a_file_that_is_cut_short(device, tmp_path: Path, kept: int):
    path = tmp_path / "x.safetensors"
    ndl.save(path, {"a": ndl.asarray([1.0, 2.0]), "b": ndl.asarray([1.0, 2.0])})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"x\.safetensors is not a safetensors file, or is cut short or damaged: \w"):
        ndl.load(path)


@pytest.mark.fault("cut or hostile checkpoints")
def test_a_file_of_another_kind(device, tmp_path: Path):
    path = tmp_path / "x.npz"
    np.savez(path, x=np.zeros(100))
    with pytest.raises(ValueError, match=r"x\.npz is not a safetensors file"):
        ndl.load(path)


def test_a_file_that_is_missing(device, tmp_path: Path):
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"there is no file {path}"):
            ndl.load(path)


def test_a_dtype_that_needle_has_not(device, tmp_path: Path):
    header = b'{"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    (tmp_path / "x").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(ValueError, match=r"x: 'x' has dtype BF16, which needle does not have"):
        ndl.load(tmp_path / "x")


def test_a_dtype_that_the_device_has_not(device, tmp_path: Path):
    dtype = next((d for d in ("float16", "float64") if not device.supports(np.dtype(d))), None)
    if dtype is None:
        pytest.skip("this device has every dtype")
    ndl.save(tmp_path / "x", {"x": ndl.asarray(np.zeros(2, dtype), device="numpy")})
    with pytest.raises(ndl.DeviceError, match=f"{device.name} does not support {dtype}"):
        ndl.load(tmp_path / "x")
