"""Checkpoints that are cut off, damaged or hostile, and a process that is killed while it saves."""

from __future__ import annotations

import json
import random
import struct
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.processes import start

import needle as ndl
from needle import nn


def checkpoint(path: Path) -> bytes:
    """A checkpoint with tensors of several dtypes, numbers and strings."""
    tensors = {
        "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "mask": np.array([True, False]),
        "n": np.int64(7),
    }
    ndl.save(path, {**{k: ndl.asarray(v) for k, v in tensors.items()}, "step": 3, "lr": 0.5, "name": "säge"})
    return path.read_bytes()


def with_header(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(dtype: str = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


def as_json(header: Any) -> bytes:
    return json.dumps(header).encode()


def refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(ValueError, match=path.name):
        ndl.load(path, "numpy")


@pytest.mark.fault("cut or hostile checkpoints")
def test_a_file_cut_off_at_any_byte(tmp_path: Path) -> None:
    whole = checkpoint(tmp_path / "whole")
    for kept in range(len(whole)):
        refused(tmp_path / "cut", whole[:kept])
    refused(tmp_path / "cut", whole + b"\0")


HOSTILE = {
    "a length of 2 ** 64 - 1": with_header(b"{}", length=2**64 - 1),
    "a length of 2 ** 63": with_header(b"{}", length=2**63),
    "a length of 2 ** 40": with_header(b"{}", length=2**40),
    "a length of one too many": with_header(b"{}", length=3),
    "a length of 0": with_header(b""),
    "no JSON": with_header(b"not a header"),
    "no object": with_header(b"[1, 2]"),
    "no text": with_header(b'{"\xff\xfe": 1}'),
    "an object cut short": with_header(as_json(entry())[:-1], bytes(8)),
    "nested deeply": with_header(b'{"x":' * 100000),
    "a list nested deeply": with_header(b"[" * 100000),
    "no entry": with_header(b'{"x": 1}'),
    "an entry that lacks its shape": with_header(b'{"x":{"dtype":"F32","data_offsets":[0,8]}}', bytes(8)),
    "an unknown dtype": with_header(as_json(entry("F99")), bytes(8)),
    "a negative size": with_header(as_json(entry(shape=[-2])), bytes(8)),
    "a size of 2 ** 64": with_header(as_json(entry(shape=[2**64])), bytes(8)),
    "sizes whose product overflows": with_header(as_json(entry(shape=[2**32, 2**32])), bytes(8)),
    "sizes whose product in bytes overflows": with_header(as_json(entry(shape=[2**62])), bytes(8)),
    "a fractional size": with_header(as_json(entry(shape=[1.5])), bytes(8)),
    "more elements than bytes": with_header(as_json(entry(shape=[2**40])), bytes(8)),
    "offsets beyond the end": with_header(as_json(entry(offsets=[8, 16])), bytes(8)),
    "offsets backwards": with_header(as_json(entry(offsets=[8, 0])), bytes(8)),
    "negative offsets": with_header(as_json(entry(offsets=[-8, 0])), bytes(8)),
    "offsets of 2 ** 64": with_header(as_json(entry(offsets=[2**64 - 8, 2**64])), bytes(8)),
    "overlapping tensors": with_header(as_json({**entry(), "y": entry()["x"]}), bytes(8)),
    "a gap": with_header(as_json(entry(offsets=[4, 12])), bytes(12)),
    "metadata that is a number": with_header(as_json({"__metadata__": 1, **entry()}), bytes(8)),
    "values that are no JSON": with_header(as_json({"__metadata__": {"needle.values": "{"}, **entry()}), bytes(8)),
    "values nested deeply": with_header(as_json({"__metadata__": {"needle.values": "[" * 100000}}), b""),
    "values that are a list": with_header(as_json({"__metadata__": {"needle.values": "[1]"}, **entry()}), bytes(8)),
    "a value that is a list": with_header(as_json({"__metadata__": {"needle.values": '{"a":[1]}'}}), b""),
    "a value that is null": with_header(as_json({"__metadata__": {"needle.values": '{"a":null}'}}), b""),
    "a value of many digits": with_header(as_json({"__metadata__": {"needle.values": f'{{"a":{"9" * 5000}}}'}})),
    "a value that hides a tensor": with_header(
        as_json({"__metadata__": {"needle.values": '{"x":1}'}, **entry()}), bytes(8)
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.fault("cut or hostile checkpoints")
def test_a_hostile_file(tmp_path: Path, case: str) -> None:
    refused(tmp_path / "hostile", HOSTILE[case])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return checkpoint(tmp_path_factory.mktemp("whole") / "x")


@given(
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4),
    in_header=st.booleans(),
)
@pytest.mark.fault("cut or hostile checkpoints")
def test_changed_bytes_give_an_error_or_a_whole_checkpoint(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], in_header: bool
) -> None:
    data = bytearray(whole)
    end = 8 + struct.unpack_from("<Q", whole)[0] if in_header else len(data)
    for at, byte in changes:
        data[at % end] = byte
    path = tmp_path_factory.getbasetemp() / "changed"
    path.write_bytes(data)
    try:
        loaded = ndl.load(path, "numpy")
    except ValueError:
        return
    tensors = [v for v in loaded.values() if isinstance(v, ndl.Tensor)]
    assert len(tensors) == 3 and sum(t.nbytes for t in tensors) == 24 + 2 + 8
    assert all(isinstance(v, (ndl.Tensor, bool, int, float, str)) for v in loaded.values())


@pytest.mark.fault("cut or hostile checkpoints")
def test_a_model_takes_over_all_of_a_state_or_nothing() -> None:
    with ndl.device("numpy"):
        model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
        before = {k: v.numpy().copy() for k, v in model.state_dict().items()}
        state = {k: ndl.ones(v.shape) for k, v in model.state_dict().items()}
        last = list(state)[-1]
        for wrong in ({k: v for k, v in state.items() if k != last}, {**state, last: ndl.ones((9, 9))}):
            with pytest.raises((ValueError, KeyError), match=last):
                model.load_state_dict(wrong)
            for name, value in model.state_dict().items():
                np.testing.assert_array_equal(value.numpy(), before[name])


# -- saving -----------------------------------------------------------------------------------------

SAVING = """
import sys
import numpy as np
import needle as ndl
path = sys.argv[1] if len(sys.argv) > 1 else {path!r}
with ndl.device("numpy"):
    for version in range({first}, 10**9):
        ndl.save(path, {{"x": ndl.full((500_000,), version), "y": ndl.full((1000,), version), "version": version}})
        if version == {first}:
            print("saving", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no kill")
@pytest.mark.parametrize("rounds", [4, pytest.param(50, marks=pytest.mark.slow)])
@pytest.mark.fault("killed while saving")
def test_a_process_killed_while_it_saves(tmp_path: Path, rounds: int) -> None:
    """The file is there each time, whole, and not older than the last save that was finished."""
    path, rng, version = tmp_path / "model.safetensors", random.Random(0), 0
    for _ in range(rounds):
        process = start(SAVING.format(path=str(path), first=version + 1))
        assert process.stdout is not None and process.stdout.readline() == "saving\n"
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.communicate()
        loaded = ndl.load(path, "numpy")
        assert loaded["version"] > version
        version = loaded["version"]
        assert np.all(loaded["x"].numpy() == version) and np.all(loaded["y"].numpy() == version)
    ndl.save(path, {"version": version + 1})
    assert list(tmp_path.iterdir()) == [path]  # nothing is left of any of them


STOPPING = """
import os, sys
import needle as ndl
os.fsync = lambda descriptor: (print("written", flush=True), sys.stdin.readline())
ndl.save({path!r}, {{"version": 2, "x": ndl.asarray([2.0], device="numpy")}})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no locks that tell who is killed")
@pytest.mark.fault("killed while saving")
def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """By the next that saves the same file; what belongs to another file or to a process that is alive stays."""
    path, other = tmp_path / "model.safetensors", tmp_path / "model.safetensors.old"
    saving = [start(STOPPING.format(path=str(p))) for p in (path, path, other)]
    for process in saving:
        assert process.stdout is not None and process.stdout.readline() == "written\n"
    assert len(list(tmp_path.iterdir())) == 3
    for process in saving[1:]:
        process.kill()
        process.communicate()
    ndl.save(path, {"version": 1})
    assert len(list(tmp_path.iterdir())) == 3  # the file, what is being written, and what was left of the other
    _, stderr = saving[0].communicate("go on\n" * 9)
    assert saving[0].returncode == 0, stderr
    assert ndl.load(path, "numpy")["version"] == 2
    ndl.save(other, {"version": 3})
    assert sorted(tmp_path.iterdir()) == [path, other]
