"""Random arrays: the same bits on every device, the right distributions, and generators that never repeat."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

import needle as ndl
from needle.dtypes import ALL
from needle.ops import philox, random
from needle.ops.random import Generator

FLOATS = ("float16", "float32", "float64")


@pytest.fixture(params=["own launch shape", "work-groups"])
def target(device: ndl.Device, request: pytest.FixtureRequest) -> Iterator[ndl.Device]:
    """Each device with float16 storage, and each OpenCL device once more with kernels in the shape GPUs get."""
    info, launch_shape = device.info, getattr(device, "launch_shape", None)
    if request.param == "work-groups":
        if launch_shape is None:
            pytest.skip("not an OpenCL device")
        device.launch_shape = replace(
            launch_shape, local_size=min(64, device.cl_device.max_work_group_size), vector_bytes=4
        )
    device.info = replace(info, dtypes=frozenset(ALL))  # these kernels need no extension for it
    yield device
    device.info = info
    if launch_shape is not None:
        device.launch_shape = launch_shape


def bits(array: np.ndarray) -> np.ndarray:
    return array.view(f"u{array.itemsize}")


def test_philox_gives_its_published_numbers():
    # The first known answer of the authors' implementation: counter 0, key 0.
    np.testing.assert_array_equal(philox.words(1, 0, 0), [[0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]])


def test_other_counters_and_keys():
    # Against NumPy's arithmetic on Python integers, one block at a time.
    def block(number: int, seed: int) -> list[int]:
        c = [number & 0xFFFFFFFF, number >> 32, 0, 0]
        k = [seed & 0xFFFFFFFF, seed >> 32]
        for _ in range(10):
            a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
            c = [b >> 32 ^ c[1] ^ k[0], b & 0xFFFFFFFF, a >> 32 ^ c[3] ^ k[1], a & 0xFFFFFFFF]
            k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
        return c

    for seed, offset in ((2**64 - 1, 2**40 + 3), (0x0123456789ABCDEF, 2**32 - 1), (7, 2**64 - 2)):
        want = [block((offset + i) % 2**64, seed) for i in range(4)]
        np.testing.assert_array_equal(philox.words(4, seed, offset), want)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 1001, 65537])
@pytest.mark.parametrize("dtype", FLOATS)
def test_the_same_bits_on_every_device(target, size, dtype):
    if not target.supports(np.dtype(dtype)):
        pytest.skip(f"no {dtype}")
    for seed, offset in ((0, 0), (2**64 - 1, 2**64 - 3), (123456789012345, 77)):
        generator = Generator(seed)
        state = {"shape": (size,), "dtype": np.dtype(dtype), "seed": seed, "offset": offset}
        for low, high in ((0.0, 1.0), (-0.3, 0.7), (2.0, 2.0)):
            generator.set_state((seed, offset))
            got = random.uniform((size,), low, high, dtype, target, generator).numpy()
            last = random._last_below(np.dtype(dtype), low, high)
            want = philox.uniform(**state, low=low, high=high, last=last)
            np.testing.assert_array_equal(bits(got), bits(want))
        for mean, std in ((0.0, 1.0), (-0.3, 0.7), (2.0, 0.0)):
            generator.set_state((seed, offset))
            got = random.normal((size,), mean, std, dtype, target, generator).numpy()
            np.testing.assert_array_equal(bits(got), bits(philox.normal(**state, mean=mean, std=std)))


def test_bernoulli_is_the_same_on_every_device(target):
    got = random.bernoulli((1003,), 0.3, device=target, generator=Generator(5)).numpy()
    want = philox.bernoulli(shape=(1003,), seed=5, offset=0, threshold=round(0.3 * 2**32))
    assert got.dtype == bool
    np.testing.assert_array_equal(got, want)


def test_numbers_for_a_seed_stay_what_they_are(device):
    # Written down once: a release that changes them changes every seeded experiment.
    uniform = random.uniform((4,), device=device, generator=Generator(0)).numpy()
    np.testing.assert_array_equal(uniform, np.array([0x6627E8, 0xE169C5, 0xBC57AC, 0x9B00DB], np.float32) / 2**24)
    normal = random.normal((4,), device=device, generator=Generator(0)).numpy()
    u = np.array([0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]) / 2**32
    radius = np.sqrt(-2 * np.log(u[::2]))
    np.testing.assert_allclose(normal[::2] ** 2 + normal[1::2] ** 2, radius**2, rtol=1e-5)


def kolmogorov_smirnov(sample: np.ndarray, distribution: np.ndarray) -> float:
    """The p-value, by Kolmogorov's limit, of the distance between a sample and its sorted distribution values."""
    n = sample.size
    steps = np.arange(n + 1) / n
    distance = max((distribution - steps[:-1]).max(), (steps[1:] - distribution).max())
    t = (math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n)) * distance
    return 2 * sum((-1) ** (k - 1) * math.exp(-2 * k * k * t * t) for k in range(1, 101))


def normal_cdf(x: np.ndarray) -> np.ndarray:
    return np.array([NormalDist().cdf(v) for v in x])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", [0, 1, 2**63])
def test_normal_distribution(device, dtype, seed):
    if not device.supports(np.dtype(dtype)):
        pytest.skip(f"no {dtype}")
    n = 1 << 18
    x = random.normal((n,), dtype=dtype, device=device, generator=Generator(seed)).numpy().astype(np.float64)
    assert abs(x.mean()) < 5 / math.sqrt(n)
    assert abs(x.var() - 1) < 5 * math.sqrt(2 / n)
    assert abs((x**3).mean()) < 5 * math.sqrt(15 / n)
    assert abs((x**4).mean() - 3) < 5 * math.sqrt(96 / n)
    assert abs((x[:-1] * x[1:]).mean()) < 5 / math.sqrt(n)
    assert abs((x[:-1] ** 2 * x[1:] ** 2).mean() - 1) < 5 * math.sqrt(8 / n)
    few = np.sort(x[:20000])
    assert kolmogorov_smirnov(few, normal_cdf(few)) > 1e-4
    beyond_4 = (np.abs(x) > 4).sum()  # 16.6 are to be expected
    assert 2 <= beyond_4 <= 45


@pytest.mark.parametrize("dtype", FLOATS)
def test_uniform_distribution(target, dtype):
    if not target.supports(np.dtype(dtype)):
        pytest.skip(f"no {dtype}")
    n = 1 << 16
    x = random.uniform((n,), dtype=dtype, device=target, generator=Generator(3)).numpy().astype(np.float64)
    assert x.min() >= 0 and x.max() < 1
    few = np.sort(x[:2000])
    assert kolmogorov_smirnov(few, few) > 1e-4
    assert abs(x.mean() - 0.5) < 5 * math.sqrt(1 / 12 / n)
    step = {"float16": 11, "float32": 24, "float64": 53}[dtype]
    np.testing.assert_array_equal(x * 2.0**step % 1, 0)  # every multiple of 2^-step can come


@pytest.mark.parametrize("dtype", FLOATS)
def test_uniform_never_reaches_its_upper_end(target, dtype):
    if not target.supports(np.dtype(dtype)):
        pytest.skip(f"no {dtype}")
    for low, high in ((1.0, 1.0 + 2**-9), (1e4, 1e4 + 8), (-1.0, 0.1)):
        x = random.uniform((1 << 14,), low, high, dtype, target, Generator(1)).numpy()
        assert x.min() >= np.dtype(dtype).type(low) and x.max().astype(np.float64) < high


def test_probabilities(device):
    n = 1 << 16
    for p in (0.0, 0.1, 0.5, 1.0):
        hits = random.bernoulli((n,), p, "float32", device, Generator(2)).numpy()
        assert hits.dtype == np.float32
        assert abs(hits.mean() - p) <= 5 * math.sqrt(p * (1 - p) / n)


def test_successive_draws_never_overlap(device):
    generator = Generator(9)
    whole = random.uniform((12,), device=device, generator=Generator(9)).numpy()
    first = random.uniform((5,), device=device, generator=generator).numpy()  # takes two blocks of four
    assert generator.offset == 2
    second = random.uniform((4,), device=device, generator=generator).numpy()
    np.testing.assert_array_equal(first, whole[:5])
    np.testing.assert_array_equal(second, whole[8:])
    if device.supports(np.dtype("float64")):
        random.normal((5,), dtype="float64", device=device, generator=generator)  # blocks of two
        assert generator.offset == 6


def test_seeds(device):
    def draw() -> np.ndarray:
        return ndl.init.randn(7, device=device).numpy()

    random.manual_seed(42)
    first, second = draw(), draw()
    random.manual_seed(42)
    np.testing.assert_array_equal(draw(), first)
    state = random.default_generator.get_state()
    np.testing.assert_array_equal(draw(), second)
    random.default_generator.set_state(state)
    np.testing.assert_array_equal(draw(), second)
    assert not np.array_equal(first, second)
    random.manual_seed(43)
    assert not np.array_equal(draw(), first)
    assert Generator(-1).seed == 2**64 - 1
    assert Generator().seed != Generator().seed


def test_threads_share_a_generator(device):
    generator, found = Generator(1), []

    def work() -> None:
        for _ in range(50):
            found.append(generator.reserve(3)[1])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(0, 600, 3))


def test_shapes(device):
    assert random.uniform(3, device=device).shape == (3,)
    assert random.normal((2, 3), device=device).shape == (2, 3)
    assert random.bernoulli((), device=device).shape == ()
    assert random.normal((0, 3), device=device).numpy().shape == (0, 3)
    tall = random.normal((6, 2), device=device, generator=Generator(4)).numpy()
    np.testing.assert_array_equal(tall.ravel(), random.normal(12, device=device, generator=Generator(4)).numpy())


def test_one_launch(device):
    before = device.launches
    random.normal((100, 3), 1.0, 2.0, device=device)
    assert device.launches == before + 1


def test_wrong_arguments(device):
    with pytest.raises(ValueError, match=r"low=1 must not be above high=0"):
        random.uniform(3, 1, 0)
    with pytest.raises(ValueError, match="high=inf must be finite"):
        random.uniform(3, 0, math.inf)
    with pytest.raises(ValueError, match="std=-1 must not be negative"):
        random.normal(3, 0, -1)
    with pytest.raises(ValueError, match=r"p=1\.5 must be a probability"):
        random.bernoulli(3, 1.5)
    with pytest.raises(TypeError, match="dtype=int32 must be a floating dtype"):
        random.normal(3, dtype="int32")
    with pytest.raises(TypeError, match=r"seed=0.5 must be an int"):
        random.manual_seed(0.5)
    with pytest.raises(ValueError, match="must not have negative sizes"):
        random.uniform((2, -1))


def test_unsupported_dtype_takes_no_numbers(device):
    info = device.info
    device.info = replace(info, dtypes=frozenset(ALL) - {ndl.float16})
    try:
        generator = Generator(1)
        with pytest.raises(ndl.DeviceError, match="does not support float16"):
            random.uniform(3, dtype="float16", device=device, generator=generator)
        assert generator.offset == 0
    finally:
        device.info = info
