"""Names of PyTorch and NumPy: what they give, and the functions behind them. No device matters here."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

import needle as ndl
from needle.ops.aliases import METHODS

HOST = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(autouse=True)
def on_numpy() -> Iterator[None]:
    with ndl.device("numpy"):
        yield


def test_aliases_are_the_functions() -> None:
    assert ndl.cat is ndl.concatenate is ndl.concat and ndl.bmm is ndl.mm is ndl.matmul
    assert ndl.amax is ndl.max and ndl.amin is ndl.min and ndl.clamp is ndl.clip
    assert (ndl.pi, ndl.e, ndl.inf, ndl.newaxis) == (math.pi, math.e, math.inf, None) and math.isnan(ndl.nan)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_methods_of_two_operands(name: str) -> None:
    x, y = ndl.asarray([1, 5, 2]), ndl.asarray([1, 2, 3])
    method, function = getattr(x, name), METHODS[name]
    arguments = {
        "lerp": (y, 2), "movedim": (0, 0), "split": (3,), "tensor_split": (2,), "clip": (2, 4), "clamp": (2, 4),
        "swapdims": (0, 0),
    }  # fmt: skip
    try:
        expected = function(x, *arguments.get(name, (y,)))
    except (TypeError, ValueError):  # one operand
        arguments = {name: ()}
        expected = function(x)
    found = method(*arguments.get(name, (y,)))
    for ours, theirs in zip(found if isinstance(found, (list, tuple)) else [found],
                            expected if isinstance(expected, (list, tuple)) else [expected], strict=True):  # fmt: skip
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_sizes() -> None:
    x = ndl.asarray(HOST)
    assert x.size == 6 and isinstance(x.size, int) and x.size() == (2, 3) and x.size(-1) == 3
    assert x.numel() == x.nelement() == 6 and x.dim() == x.ndim == 2 and x.stride() == (3, 1) and x.stride(0) == 3
    assert x.element_size() == x.itemsize == 4 and x.is_contiguous() and not x.mT.is_contiguous()
    assert x.view_as(ndl.zeros(3, 2)).shape == x.reshape_as(ndl.zeros(3, 2)).shape == x.mT.shape == (3, 2)
    assert x[0].expand_as(ndl.zeros(4, 3)).shape == (4, 3)


def test_dtypes_and_devices() -> None:
    x = ndl.asarray(HOST)
    names = {"half": "float16", "float": "float32", "double": "float64", "bool": "bool", "byte": "uint8",
             "char": "int8", "short": "int16", "int": "int32", "long": "int64"}  # fmt: skip
    for name, dtype in names.items():
        assert getattr(x, name)().dtype == dtype
        assert x.to(dtype=dtype).dtype == x.type(dtype).dtype == x.type_as(ndl.zeros(1, dtype=dtype)).dtype == dtype
    assert x.type() == "float32" and x.is_floating_point() and not x.long().is_floating_point()
    assert x.to("numpy") is x.to(x.device) is x.cpu() is x.to_device(x.device) is x
    other = ndl.zeros(1, dtype="float64")
    assert (
        x.to(other).dtype == x.to("numpy", ndl.float64).dtype == x.to(ndl.float64, non_blocking=True).dtype == "float64"
    )
    with pytest.raises(TypeError, match="no argument memory_format"):
        x.to(ndl.float64, memory_format=1)
    with pytest.raises(ValueError, match="one queue"):
        x.to_device("numpy", stream=1)
    assert x.device == ndl.device("numpy") and len({x.device, ndl.device("numpy")}) == 1
    assert x.dtype == np.float32 == ndl.float32


def test_new_tensors() -> None:
    x = ndl.asarray(HOST.astype(np.int16))
    for made in (x.new_zeros(2, 3), x.new_ones((2, 3)), x.new_empty(2, 3), x.new_full((2, 3), 4), x.new_tensor(HOST)):
        assert made.dtype == "int16" and made.shape == (2, 3) and made.device is x.device
    assert not ndl.tensor([1.0]).requires_grad and ndl.tensor([1.0], requires_grad=True).requires_grad
    assert ndl.tensor([1.0]).dtype == "float32" and ndl.from_numpy(HOST).tolist() == HOST.tolist()
    with pytest.raises(TypeError, match="must be a NumPy array, not a list"):
        ndl.from_numpy([1.0])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no argument layout"):
        ndl.tensor([1.0], layout=1)


def test_closeness() -> None:
    x = ndl.asarray([1.0, 1.0, np.inf, np.nan, -np.inf])
    y = ndl.asarray([1.0 + 1e-6, 1.1, np.inf, np.nan, np.inf])
    assert ndl.isclose(x, y).tolist() == np.isclose(x.numpy(), y.numpy()).tolist()
    assert x.isclose(y, equal_nan=True).tolist() == np.isclose(x.numpy(), y.numpy(), equal_nan=True).tolist()
    assert ndl.isclose(x, 1.05, atol=0.1).tolist() == [True, True, False, False, False]
    assert ndl.isclose(x, ndl.nan, equal_nan=True).tolist() == [False, False, False, True, False]
    assert ndl.allclose(x[:1], y[:1]) is True and ndl.allclose(x, y) is False
    assert ndl.array_equal(x[:3], x[:3]) is True and ndl.array_equal(x, x) is ndl.array_equal(x, x[:1]) is False
    assert ndl.nan_to_num(x).tolist() == np.nan_to_num(x.numpy()).tolist()
    assert ndl.nan_to_num(x, 1, 2, 3).tolist() == [1, 1, 2, 1, 3]
    assert ndl.frac(ndl.asarray([-1.5, 2.25])).tolist() == [-0.5, 0.25]
    assert ndl.lerp(ndl.asarray([0.0, 2.0]), 4.0, 0.5).tolist() == [2, 3]


# -- hooks ------------------------------------------------------------------------------------------


def test_hooks_see_and_replace_gradients() -> None:
    x = ndl.Tensor([1.0, 2.0])
    seen: list[list[float]] = []
    middle = x * 3
    middle.retain_grad()
    handle = middle.register_hook(lambda grad: seen.append(grad.tolist()))
    doubling = x.register_hook(lambda grad: grad * 2)
    (middle * middle).sum().backward(retain_graph=True)
    assert seen == [[6, 12]] and x.grad.tolist() == [36, 72] and middle.grad.tolist() == [6, 12]
    handle.remove()
    handle.remove()
    with doubling:
        pass
    x.grad = None
    (middle * middle).sum().backward()
    assert len(seen) == 1 and x.grad.tolist() == [18, 36]


def test_hooks_stay_with_the_graph_and_are_differentiated() -> None:
    x = ndl.Tensor([1.0, 2.0])

    def halved() -> ndl.Tensor:
        middle = x * x
        middle.register_hook(lambda grad: grad * 0.5)
        return middle * middle

    halved().sum().backward(create_graph=True)  # nobody holds the middle
    assert x.grad.tolist() == [2, 16]
    first, x.grad = x.grad, None
    first.sum().backward()
    assert x.grad.tolist() == [4, 16]  # of 2 x * x^2: what comes through the middle is halved once more


def test_hooks_that_do_not_fit_are_refused() -> None:
    x = ndl.Tensor([1.0, 2.0])
    with pytest.raises(TypeError, match="a hook must be a function"):
        x.register_hook(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="requires no gradient"):
        ndl.asarray([1.0]).register_hook(print)
    x.register_hook(lambda grad: grad.sum())
    with pytest.raises(ValueError, match=r"shape \(\) in place of one of shape \(2,\)"):
        (x * 2).sum().backward()


# -- random values ----------------------------------------------------------------------------------


def test_random_integers() -> None:
    generator = ndl.Generator(3)
    drawn = ndl.randint(0, 6, (60_000,), generator=generator).numpy()
    counts = np.bincount(drawn, minlength=6)
    assert drawn.dtype == np.int64 and len(counts) == 6 and abs(counts - 10_000).max() < 500
    assert ndl.randint(5, (3, 2)).shape == ndl.randint(5, size=(3, 2)).shape == (3, 2)
    low, high = -(2**63), 2**63 - 1
    wide = ndl.randint(low, high, (1000,), generator=generator).numpy()
    assert (wide < 0).any() and (wide > 2**62).any()
    assert ndl.randint(2**64 - 1, (9,), dtype="uint64").numpy().max() > 2**60
    assert ndl.randint(-3, 3, (99,), dtype="int8").numpy().min() == -3
    for bad, message in (((3, 3, (1,)), "no integer"), ((0, 300, (1,), "int8"), "do not fit")):
        with pytest.raises(ValueError, match=message):
            ndl.randint(*bad[:3], dtype=bad[3] if len(bad) > 3 else "int64")


def test_a_generators_state_is_saved() -> None:
    generator = ndl.Generator(1)
    state = generator.get_state()
    first = [ndl.randint(9, (5,), generator=generator).tolist(), ndl.rand(2, 2, generator=generator).tolist()]
    generator.set_state(state)
    assert first == [ndl.randint(9, (5,), generator=generator).tolist(), ndl.rand(2, 2, generator=generator).tolist()]
    state = ndl.get_rng_state()
    drawn = ndl.randn(3).tolist()
    ndl.set_rng_state(state)
    assert ndl.randn(3).tolist() == drawn and ndl.default_generator.get_state() != state


def test_permutations_and_choices() -> None:
    assert sorted(ndl.randperm(50).tolist()) == list(range(50)) != ndl.randperm(50).tolist()
    weights = ndl.asarray([[0.0, 1.0, 3.0, 0.0], [1.0, 0.0, 0.0, 1.0]])
    drawn = ndl.multinomial(weights, 20_000, replacement=True, generator=ndl.Generator(0)).numpy()
    np.testing.assert_allclose(np.bincount(drawn[0], minlength=4) / 20_000, [0, 0.25, 0.75, 0], atol=0.02)
    np.testing.assert_allclose(np.bincount(drawn[1], minlength=4) / 20_000, [0.5, 0, 0, 0.5], atol=0.02)
    assert all(sorted(row) == [[1, 2], [0, 3]][i] for i, row in enumerate(ndl.multinomial(weights, 2).tolist()))
    first = [ndl.multinomial(weights[0], 1).item() for _ in range(400)]
    assert 250 < sum(v == 2 for v in first) < 350 and set(first) == {1, 2}
    for bad, n, message in (
        (weights, 3, "num_samples=3"),
        (weights - 1, 1, "not negative"),
        (weights * 0, 1, "not all 0"),
    ):
        with pytest.raises(ValueError, match=message):
            ndl.multinomial(bad, n)


def test_random_tensors_like_others() -> None:
    x = ndl.zeros((30, 40), "float64")
    for made in (ndl.rand_like(x), ndl.randn_like(x), ndl.normal(x, 2.0), ndl.normal(0.0, x + 1)):
        assert made.shape == x.shape and made.dtype == x.dtype and made.device is x.device
    assert abs(ndl.normal(5.0, 0.1, (1000,)).mean().item() - 5) < 0.02 and ndl.normal(5.0, 0.1).shape == ()
    ones = ndl.bernoulli(ndl.full((1000,), 0.25))
    assert set(ones.tolist()) == {0, 1} and 180 < ones.sum().item() < 320
    with pytest.raises(TypeError, match="must be a floating dtype"):
        ndl.rand_like(ndl.zeros(2, dtype="int32"))


# -- dtypes -----------------------------------------------------------------------------------------


def test_limits_of_dtypes() -> None:
    for name in ("float16", "float32", "float64"):
        ours, theirs = ndl.finfo(name), np.finfo(name)
        for field in ("bits", "eps", "max", "min", "smallest_normal", "tiny", "resolution"):
            assert getattr(ours, field) == getattr(theirs, field)
        assert ours.dtype == name and type(ours.eps) is float
    for name in ("int8", "uint64"):
        ours = ndl.iinfo(ndl.zeros(1, dtype=name))
        assert (ours.bits, ours.min, ours.max) == (np.iinfo(name).bits, np.iinfo(name).min, np.iinfo(name).max)
    with pytest.raises(TypeError, match="floating dtype, not int8"):
        ndl.finfo("int8")
    with pytest.raises(TypeError, match="integer dtype, not float32"):
        ndl.iinfo("float32")


def test_kinds_of_dtypes_and_results() -> None:
    assert ndl.isdtype(ndl.int8, "signed integer") and ndl.isdtype(ndl.uint8, ("bool", "integral"))
    assert not ndl.isdtype(ndl.bool, "numeric") and not ndl.isdtype(ndl.float32, "complex floating")
    assert ndl.isdtype(ndl.float32, ndl.float32) and not ndl.isdtype(ndl.float32, "integral")
    with pytest.raises(ValueError, match="kind='real'"):
        ndl.isdtype(ndl.float32, "real")
    assert (
        ndl.result_type(ndl.int8, ndl.uint8) == "int16" and ndl.result_type(ndl.zeros(1), 1.5, ndl.int64) == "float32"
    )
    assert ndl.result_type(1) == "int64" and ndl.result_type(1, 1.5) == "float32" == ndl.result_type(1.0, 2)
    assert ndl.promote_types("int8", "float64") == "float64"
    with pytest.raises(ValueError, match="at least one"):
        ndl.result_type()
    assert (
        ndl.can_cast("int8", "int16") and not ndl.can_cast(ndl.zeros(1), "int64") and not ndl.can_cast("uint64", "int8")
    )
