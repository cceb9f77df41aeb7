"""Several threads at once: on one device, on arrays that they share, and on two devices.

Tests that take `first` and `second` run on pairs of devices (see conftest.py).
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from support.together import realize

import needle as ndl
from needle import nn, optim

#: Seconds of threads at work.
SHORT_AND_LONG = [1.5, pytest.param(60, marks=pytest.mark.slow)]


@pytest.fixture(autouse=True)
def _switching_often() -> Iterator[None]:
    """Let Python change threads a thousand times as often as it would."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(interval)


def together(works: list[Callable[[], Any]]) -> list[Any]:
    """The results of functions that start at the same moment, each in a thread of its own."""
    results: list[Any] = [None] * len(works)
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(works))

    def run(k: int) -> None:
        try:
            barrier.wait(60)
            results[k] = works[k]()
        except BaseException as error:  # what a thread raises would otherwise only be printed
            errors.append(error)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def train(device: ndl.Device, seed: int, steps: int) -> list[np.ndarray]:
    """The parameters of a small network after some steps, which draw their data on the device."""
    with device:
        rng = np.random.default_rng(seed)
        model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.LayerNorm1d(16), nn.Linear(16, 3))
        for parameter in model.parameters():
            parameter.data = ndl.asarray(rng.normal(0, 0.5, parameter.shape).astype(np.float32))
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        inputs = ndl.asarray(rng.random((32, 6), np.float32))
        labels = ndl.asarray(rng.integers(0, 3, 32))
        for _ in range(steps):
            loss = nn.functional.cross_entropy(model(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return [p.numpy() for p in model.parameters()]


@pytest.mark.parametrize("seconds", SHORT_AND_LONG)
@pytest.mark.fault("eight threads")
def test_eight_threads_train(device: ndl.Device, seconds: float) -> None:
    """Each thread trains networks of its own, over and over; every result is the one that a single thread gets."""
    expected = {seed: train(device, seed, 5) for seed in range(8)}
    rounds = [0] * 8
    end = time.monotonic() + seconds

    def work(k: int) -> None:
        while time.monotonic() < end:
            seed = (k + rounds[k]) % 8
            for ours, theirs in zip(train(device, seed, 5), expected[seed], strict=True):
                np.testing.assert_array_equal(ours, theirs)
            rounds[k] += 1

    together([lambda k=k: work(k) for k in range(8)])
    assert all(rounds), rounds


@pytest.mark.parametrize("seconds", SHORT_AND_LONG)
@pytest.mark.fault("eight threads")
def test_eight_threads_share_pending_work(device: ndl.Device, seconds: float) -> None:
    """Threads read, in different ways, arrays whose computation is still pending when they start."""
    end = time.monotonic() + seconds
    rounds = 0
    with device:
        while time.monotonic() < end:
            uses = uses_of_pending_work(rounds)
            for k, difference in enumerate(together([uses[(k + rounds) % 8] for k in range(8)])):
                np.testing.assert_allclose(difference, 0, atol=1e-5, err_msg=f"round {rounds}, thread {k}")
            rounds += 1


def uses_of_pending_work(number: int) -> list[Callable[[], np.ndarray]]:
    """Functions that read two pending arrays, each in its way, and return how far the result is from NumPy's."""
    host = np.random.default_rng(number).random((7, 19)).astype(np.float32)
    x = ndl.asarray(host)
    y = (x * 2 + number % 5).tanh()
    z = y * y - x
    want_y = np.tanh(host * 2 + number % 5)
    want_z = want_y * want_y - host
    return [
        lambda: y.sum(axis=0).numpy() - want_y.sum(axis=0),
        lambda: z.numpy() - want_z,
        lambda: (z + y).mean().numpy() - (want_z + want_y).mean(),
        lambda: y[::-1, 3:].numpy() - want_y[::-1, 3:],
        lambda: ndl.softmax(z).sum(axis=-1).numpy() - 1,
        lambda: y.numpy() - want_y,
        lambda: ndl.concat([y, z]).numpy() - np.concatenate([want_y, want_z]),
        lambda: (z @ y.T).numpy() - want_z @ want_y.T,
    ]


def test_no_write_comes_between_a_reduction_and_what_it_reads(
    device: ndl.Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread writes just when a sum of something recorded before has chosen what to read."""
    x = ndl.ones((1000,)).realize()
    y = x + 1
    launch, writers = device.reduce, []

    def reduce(*arguments: Any) -> None:
        writers.append(threading.Thread(target=x.__setitem__, args=(Ellipsis, 100)))
        writers[-1].start()
        writers[-1].join(0.2)
        launch(*arguments)

    monkeypatch.setattr(device, "reduce", reduce)
    total = y.sum().realize()
    monkeypatch.undo()
    writers[0].join()
    assert total.item() == 2000 and y[5].item() == 2 and x[5].item() == 100


@pytest.mark.parametrize("seconds", SHORT_AND_LONG)
@pytest.mark.fault("eight threads")
def test_a_result_recorded_in_a_thread_keeps_the_old_values(device: ndl.Device, seconds: float) -> None:
    """What threads have recorded on an array, while another computes it, is unharmed by writing into it later."""
    end = time.monotonic() + seconds
    with device:
        while time.monotonic() < end:
            x = ndl.ones((64,)) + ndl.zeros((64,)).realize()  # pending
            recorded = together([x.realize, *(partial(products_with, x, k) for k in range(1, 8))])
            x[...] = 100
            for k, products in enumerate(recorded[1:], start=1):
                assert [product[7].item() for product in products] == [k + j for j in range(20)]


def products_with(x: ndl.Tensor, number: int) -> list[ndl.Tensor]:
    return [x * (number + j) for j in range(20)]


def test_training_on_two_devices_at_once(first: str, second: str) -> None:
    one, other = ndl.device(first), ndl.device(second)
    ours, theirs = together([lambda: train(one, 3, 40), lambda: train(other, 3, 40)])
    for a, b, alone in zip(ours, theirs, train(one, 3, 40), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4)
        np.testing.assert_array_equal(a, alone)


def test_tensors_move_between_two_devices_from_two_threads(first: str, second: str) -> None:
    one, other = ndl.device(first), ndl.device(second)
    host = np.random.default_rng(0).normal(size=(33, 17)).astype(np.float32)

    def travel(here: ndl.Device, there: ndl.Device) -> tuple[np.ndarray, np.ndarray]:
        x = ndl.Tensor(host, device=here)
        y = x
        for _ in range(15):
            y = ((y.to(there) * 2 - 1)[::-1].to(here) * 0.5 + 0.5)[::-1]
        (y * y).sum().backward()
        assert y.device is here and x.grad.device is here
        return y.numpy(), x.grad.numpy()

    for y, grad in together([lambda: travel(one, other), lambda: travel(other, one)] * 2):
        np.testing.assert_allclose(y, host, atol=1e-5)
        np.testing.assert_allclose(grad, 2 * host, atol=1e-4)


@pytest.mark.parametrize("kind", ["uniform", "normal", "bernoulli", "dropout"])
def test_random_numbers_are_the_same_bit_for_bit(first: str, second: str, kind: str) -> None:
    def draw(name: str) -> list[np.ndarray]:
        with ndl.device(name):
            ndl.manual_seed(11)
            if kind == "dropout":
                layer = nn.Dropout(0.3)
                return [layer(ndl.ones(n)).numpy() for n in (1, 7, 1000, 65537)]
            if kind == "bernoulli":
                return [ndl.init.randb(n, p=0.4).numpy() for n in (1, 7, 1000, 65537)]
            function = ndl.rand if kind == "uniform" else ndl.randn
            return [function(n).numpy() for n in (1, 7, 1000, 65537)]

    for a, b in zip(draw(first), draw(second), strict=True):
        assert a.dtype == b.dtype and a.tobytes() == b.tobytes()


OTHER_INTEGERS = ("int8", "int16", "int64", "uint16", "uint32", "uint64")
INTEGERS = ("int32", "uint8", *(pytest.param(dtype, marks=pytest.mark.slow) for dtype in OTHER_INTEGERS))


def bits_on_both(first: str, second: str, results: Callable[[], list[ndl.Tensor]]) -> None:
    """Check that `results` gives the same bits on both devices."""
    found = []
    for name in (first, second):
        with ndl.device(name):
            tensors = results()
            realize(tensors)
            found.append([tensor.numpy() for tensor in tensors])
    ours, theirs = found
    for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert a.dtype == b.dtype and a.tobytes() == b.tobytes(), f"result {k}"


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_are_the_same_bit_for_bit(first: str, second: str, dtype: str) -> None:
    limits = np.iinfo(dtype)
    shape = (2, 37, 29)
    hosts = np.random.default_rng(5).integers(limits.min, limits.max, shape, dtype, endpoint=True)

    def results() -> list[ndl.Tensor]:
        a, b = (ndl.asarray(host) for host in hosts)
        return [
            a + b, a * b - a, a // b, a % b, a & b, a << 3, a >> 2, a.sum(axis=0), a.prod(), a.max(axis=1),
            a.argmin(axis=0), a.argmax(), a < b, ndl.where(a < b, a, b), a @ b.T, a.astype("float32"),
        ]  # fmt: skip

    bits_on_both(first, second, results)


def test_indexing_is_the_same_bit_for_bit(first: str, second: str) -> None:
    rng = np.random.default_rng(5)
    host = rng.standard_normal((37, 29)).astype(np.float32)
    rows, columns = rng.integers(-37, 37, (5, 3)), rng.integers(0, 29, (37, 4))

    def results() -> list[ndl.Tensor]:
        x, places = ndl.Tensor(host), ndl.asarray(rows)
        taken = ndl.take(x, places, 0)
        ndl.take(x, places, 0).backward(ndl.ones(taken.shape))  # whole numbers, added up
        return [
            taken, x.grad, ndl.take_along_axis(x, columns, 1), x[::-1, ::3], x.T, ndl.concat([x, x[1:]]),
            x.max(axis=0), x.argmax(axis=1), ndl.one_hot(places % 7, 7), x.round(), ndl.abs(x), ndl.where(x > 0, x, 0),
        ]  # fmt: skip

    bits_on_both(first, second, results)
