"""Device memory: the pool's state and limit, running out, and going on after it."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle import nn, optim

MIB = 1 << 20


@pytest.fixture
def pool(device: ndl.Device) -> Iterator[ndl.Device]:
    """A device with a memory pool, which after the test has no limit."""
    if device.memory() is None:
        pytest.skip(f"{device.name} has no memory pool")
    gc.collect()
    device.release_memory()
    yield device
    device.limit_memory(None)


def room(device: ndl.Device, nbytes: int) -> int:
    """Limit the pool to `nbytes` more than what is in use; returns the limit."""
    device.release_memory()
    limit = device.memory().held + nbytes
    device.limit_memory(limit)
    return limit


def array(mebibytes: float) -> ndl.Tensor:
    return ndl.empty(int(mebibytes * MIB / 4))


def test_the_state_of_the_pool(pool: ndl.Device) -> None:
    before = pool.memory()
    assert before.in_use <= before.held and before.in_use <= before.peak and before.limit is None
    x = array(3)
    during = pool.memory()
    assert during.in_use == before.in_use + 3 * MIB
    assert before.held + 3 * MIB <= during.held <= before.held + 3.5 * MIB
    pool.reset_peak_memory()
    assert pool.memory().peak == during.in_use
    y = array(2)
    del x, y
    after = pool.memory()
    assert (after.in_use, after.peak) == (before.in_use, during.in_use + 2 * MIB)
    assert after.held >= before.held + 5 * MIB  # kept for reuse
    pool.release_memory()
    assert pool.memory().held <= before.held
    pool.reset_peak_memory()
    assert pool.memory().peak == before.in_use


def test_a_freed_buffer_serves_again(pool: ndl.Device) -> None:
    x = array(3)
    held = pool.memory().held
    for _ in range(10):
        x = None
        x = array(3)
    assert pool.memory().held == held and x.shape


@pytest.mark.fault("out of device memory")
def test_the_error_tells_how_things_stand(pool: ndl.Device) -> None:
    x = array(2)
    limit = room(pool, 4 * MIB)
    info = pool.memory()
    with pytest.raises(ndl.OutOfMemoryError) as caught:
        array(8)
    assert str(caught.value) == (
        f"{pool.name} cannot provide {8 * MIB} bytes: {info.in_use} bytes are in use, {info.held - info.in_use} bytes "
        f"more are held by the pool, and the limit is {limit} bytes (set by NEEDLE_MEMORY_LIMIT or limit_memory)"
    )
    assert isinstance(caught.value, MemoryError) and isinstance(caught.value, ndl.DeviceError)
    assert x.shape == (2 * MIB // 4,)


@pytest.mark.parametrize("size", [1 << 45, 1 << 61, 1 << 70])
@pytest.mark.fault("out of device memory")
def test_more_than_the_device_can_ever_give(device: ndl.Device, size: int) -> None:
    with pytest.raises(ndl.OutOfMemoryError, match=f"{device.name} cannot provide {4 * size} bytes"):
        ndl.empty(size)
    assert (ndl.ones(3) + 1).tolist() == [2, 2, 2]


@pytest.mark.fault("out of device memory")
def test_computing_goes_on_after_something_is_freed(pool: ndl.Device) -> None:
    host = np.random.default_rng(0).random(MIB // 4, np.float32)
    x = ndl.asarray(host)  # 1 MiB
    hoard = array(6)
    room(pool, int(1.5 * MIB))
    y, z = x * 2 + 1, (x * x).sum()  # y is pending
    assert z.item() == pytest.approx(float(host @ host), rel=1e-5)
    kept = (x - 1).realize()
    for attempt in (
        y.realize,
        y.numpy,
        lambda: ndl.sin(y).realize(),
        lambda: x.reshape((512, 512)) @ x.reshape((512, 512)),
    ):
        with pytest.raises(ndl.OutOfMemoryError):
            attempt()
    with pytest.raises(ndl.OutOfMemoryError):
        ndl.asarray(np.zeros(MIB // 4, np.float32))
    del hoard
    np.testing.assert_allclose(y.numpy(), host * 2 + 1, rtol=1e-6)
    np.testing.assert_array_equal(kept.numpy(), host - 1)
    matrix = host.reshape(512, 512)
    np.testing.assert_allclose((x.reshape((512, 512)) @ x.reshape((512, 512))).numpy(), matrix @ matrix, rtol=1e-4)


@pytest.mark.fault("pool under pressure")
def test_the_pool_gives_back_what_it_keeps_under_pressure(pool: ndl.Device) -> None:
    limit = room(pool, 8 * MIB)
    for mebibytes in (1, 2, 3, 5, 7, 4, 6, 1.5):  # each freed at once; kept, they would be 29.5
        x = array(mebibytes)
        assert pool.memory().held <= limit
        x[:4] = 1
        assert x[:4].tolist() == [1, 1, 1, 1]
        del x


def drop_in_a_cycle(x: ndl.Tensor) -> None:
    cycle: dict = {"data": x}
    cycle["self"] = cycle


@pytest.mark.fault("pool under pressure")
def test_garbage_in_cycles_is_collected_under_pressure(pool: ndl.Device) -> None:
    room(pool, 8 * MIB)
    gc.disable()
    try:
        for _ in range(20):
            drop_in_a_cycle(array(5))
    finally:
        gc.enable()


def test_a_lower_limit_leaves_what_is_in_use(pool: ndl.Device) -> None:
    x = ndl.asarray(np.arange(MIB, dtype=np.int32))
    pool.limit_memory(1000)
    with pytest.raises(ndl.OutOfMemoryError):
        array(0.01)
    pool.limit_memory(None)
    np.testing.assert_array_equal(x.numpy(), np.arange(MIB))


@pytest.mark.fault("out of device memory")
def test_a_training_step_that_ran_out_can_be_repeated(pool: ndl.Device) -> None:
    """A step that fails for want of memory leaves model and optimiser as they were."""

    def make() -> tuple[nn.Module, optim.Optimizer]:
        ndl.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 64))
        return model, optim.Adam(model.parameters(), lr=0.01)

    x = ndl.asarray(np.random.default_rng(1).random((512, 64), np.float32))

    def step(model: nn.Module, optimizer: optim.Optimizer) -> None:
        optimizer.zero_grad()
        ((model(x) - x) ** 2).mean().backward()
        optimizer.step()

    calm, strained = make(), make()
    for _ in range(2):  # without the optimiser's state, and with it
        step(*calm)
    failures = 0
    for _ in range(2):
        for room_left in range(0, 4 * MIB, 256 << 10):
            room(pool, room_left)
            try:
                step(*strained)
                break
            except ndl.OutOfMemoryError:
                failures += 1
            finally:
                pool.limit_memory(None)
    assert failures > 4
    for ours, theirs in zip(strained[0].parameters(), calm[0].parameters(), strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.fault("out of device memory")
def test_a_write_that_ran_out_of_memory_forgets_no_reader(pool: ndl.Device) -> None:
    """What was recorded on the old contents goes on being computed before they are overwritten."""
    x = ndl.asarray(np.full(MIB // 4, 3, np.float32))
    pool.synchronize()
    y = x + 1
    room(pool, 1 << 10)
    with pytest.raises(ndl.OutOfMemoryError):
        x[...] = 0
    pool.limit_memory(None)
    assert x[0].item() == 3
    x[...] = 0
    assert y[7].item() == 4 and x[7].item() == 0


@pytest.mark.fault("out of device memory")
def test_an_optimizer_s_step_that_ran_out_of_memory_is_not_counted(pool: ndl.Device) -> None:
    def make() -> tuple[ndl.Tensor, ndl.Tensor, optim.Optimizer]:
        one, other = (ndl.Tensor(np.full(MIB // 4, k, np.float32)) for k in (1, 2))
        one.grad, other.grad = ndl.ones(one.shape).realize(), ndl.ones(one.shape).realize()
        return one, other, optim.Adam([one, other], 0.1)

    (*calm, quiet), (*strained, optimizer) = make(), make()
    for _ in range(2):
        quiet.step()
    optimizer.step()
    waiting = strained[0] * 2  # has to be computed before the step, and there is no memory for it
    room(pool, 1 << 10)
    with pytest.raises(ndl.OutOfMemoryError):
        optimizer.step()
    pool.limit_memory(None)
    assert all(state["step"] == 1 for state in optimizer.state.values())
    before = strained[0].numpy()
    optimizer.step()
    np.testing.assert_array_equal(waiting.numpy(), before * 2)
    for ours, theirs in zip(strained, calm, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize("kind", [optim.Adam, lambda p, lr: optim.SGD(p, lr, momentum=0.9)], ids=["Adam", "SGD"])
@pytest.mark.fault("out of device memory")
def test_an_optimizer_without_memory_for_its_state_moves_nothing(pool: ndl.Device, kind: Any) -> None:
    def make() -> tuple[list[ndl.Tensor], optim.Optimizer]:
        parameters = [ndl.Tensor(np.full(MIB // 4, k, np.float32)) for k in range(4)]
        for p in parameters:
            p.grad = ndl.ones(p.shape).realize()
        return parameters, kind(parameters, 0.1)

    (calm, one), (strained, other) = make(), make()
    one.step()
    room(pool, 3 * MIB)  # enough for the first parameters' state alone
    with pytest.raises(ndl.OutOfMemoryError):
        other.step()
    assert [p[0].item() for p in strained] == [0, 1, 2, 3]
    pool.limit_memory(None)
    other.step()
    for ours, theirs in zip(strained, calm, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize(("limit", "error"), [(0, ValueError), (-1, ValueError), ("1G", TypeError), (1.5, TypeError)])
def test_limits_that_mean_nothing(pool: ndl.Device, limit: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"limit={limit!r} must be"):
        pool.limit_memory(limit)


def test_the_host_has_no_pool() -> None:
    device = ndl.device("numpy")
    assert device.memory() is None
    device.reset_peak_memory()
    device.release_memory()
    with pytest.raises(ndl.DeviceError, match="numpy has no memory pool that could be limited"):
        device.limit_memory(MIB)


# -- the environment --------------------------------------------------------------------------------


def limit_under(device: ndl.Device, value: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(ndl.__file__).parents[1]), *sys.path])
    program = f"import needle as ndl; d = ndl.device({device.name!r}); print(d.memory().limit, d.info.memory)"
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "PYTHONPATH": path, "NEEDLE_MEMORY_LIMIT": value},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "nbytes"), [("1000000", 1000000), ("512M", 512 * MIB), ("1.5g", 1536 * MIB), ("25%", None)]
)
def test_the_environment_limits_the_pool(
    pool: Any, monkeypatch: pytest.MonkeyPatch, text: str, nbytes: int | None
) -> None:
    monkeypatch.setenv("NEEDLE_MEMORY_LIMIT", text)
    again = type(pool)(pool.info, pool.cl_device)
    assert again.memory().limit == (pool.info.memory // 4 if nbytes is None else nbytes)


def test_the_environment_limits_the_pool_of_a_process(pool: ndl.Device) -> None:
    done = limit_under(pool, "25%")
    assert done.returncode == 0, done.stderr
    limit, capacity = map(int, done.stdout.split())
    assert limit == capacity // 4


@pytest.mark.parametrize(
    ("text", "reason"), [("plenty", "is not an amount of memory"), ("0", "is 0 bytes; it must be")]
)
def test_an_environment_that_names_no_amount(
    pool: Any, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    monkeypatch.setenv("NEEDLE_MEMORY_LIMIT", text)
    with pytest.raises(ndl.DeviceError, match=f"^NEEDLE_MEMORY_LIMIT={text!r} {reason}"):
        type(pool)(pool.info, pool.cl_device)


def test_an_environment_that_names_no_amount_ends_a_process(pool: ndl.Device) -> None:
    done = limit_under(pool, "plenty")
    assert done.returncode == 1
    assert "DeviceError: NEEDLE_MEMORY_LIMIT='plenty' is not an amount of memory" in done.stderr.splitlines()[-1]
