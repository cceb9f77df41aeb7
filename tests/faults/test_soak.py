"""Long training in one process: memory does not grow, on the host or on the device."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest
from support.processes import python

import needle as ndl

TRAINING = """
import gc, json, sys
import numpy as np
import needle as ndl
from needle import nn, optim
from needle.data import DataLoader, TensorDataset

PAGE = 4096

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE

steps, warm = {steps}, {warm}
with ndl.device({name!r}) as device:
    ndl.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.random((512, 20), np.float32)
    y = (x.sum(axis=1) > 10).astype(np.int32)
    model = nn.Sequential(
        nn.Linear(20, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.1), nn.Residual(nn.Linear(32, 32)),
        nn.LayerNorm1d(32), nn.Linear(32, 2),
    )
    optimizer = optim.Adam(model.parameters(), lr=0.002)
    loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True, seed=0)
    samples, step, first = [], 0, None
    while step < steps:
        for inputs, labels in loader:
            optimizer.lr = 0.002 * 0.9999**step
            loss = nn.functional.cross_entropy(model(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step == 1:
                first = loss.item()
            if step > warm and step % ((steps - warm) // 20) == 0:
                ndl.synchronize()
                gc.collect()
                memory = device.memory()
                samples.append([resident(), *((memory.in_use, memory.held) if memory else ())])
    hits = float((model.eval()(ndl.asarray(x)).numpy().argmax(axis=1) == y).mean())
print(json.dumps({{"samples": samples, "first": first, "last": loss.item(), "accuracy": hits}}))
"""


@pytest.mark.fault("long training")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")
@pytest.mark.parametrize(
    ("steps", "warm"),
    [
        pytest.param(800, 400, marks=pytest.mark.one_driver),  # a driver's own leaks are small: they need many steps
        pytest.param(20_000, 2_000, marks=pytest.mark.slow),
    ],
    ids=["800", "20000"],
)
def test_memory_stays_flat(
    device: ndl.Device, steps: int, warm: int, record_property: Callable[[str, object], None]
) -> None:
    record_property("steps", steps)
    done = python(TRAINING.format(steps=steps, warm=warm, name=device.name), "-W", "error", timeout=1800)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["last"] < result["first"] and result["accuracy"] > 0.8
    # Where there is no pool, the resident set is all.
    for what, values in zip(("resident set", "pool in use", "pool held"), zip(*result["samples"])):  # noqa: B905
        record_property(what, f"{values[0]} {values[-1]} {min(values)} {max(values)}")
        assert max(values) <= 1.01 * min(values), f"the {what} grew from {min(values)} to {max(values)}"
