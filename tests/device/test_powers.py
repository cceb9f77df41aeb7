"""Powers by exponents that are numbers: products and square roots in the place of pow."""

from __future__ import annotations

import numpy as np

import needle as ndl
from needle.array import evaluation

EXPONENTS = [n / 2 for n in range(-8, 17) if n]
VALUES = [-np.inf, -2.5, -1, -0.3, -0.0, 0.0, 0.7, 1, 3.25, 90, np.inf, np.nan]


def test_powers_are_those_of_numpy(device: ndl.Device) -> None:
    for dtype in (ndl.float32, ndl.float64, ndl.float16):
        if not device.supports(dtype):
            continue
        host = np.array(VALUES, dtype)
        x = ndl.asarray(host)
        found = [x**n for n in EXPONENTS]
        evaluation.realize([y.cached_data for y in found])
        for n, y in zip(EXPONENTS, found, strict=True):
            with np.errstate(all="ignore"):
                wanted = np.power(host.astype(np.float64), n)
                if n % 1:
                    wanted[0] = np.nan  # that of -inf, of which it is the square root
                wanted = wanted.astype(dtype)
            assert y.dtype == dtype
            np.testing.assert_array_equal(np.isinf(y.numpy()) * np.sign(y.numpy()), np.isinf(wanted) * np.sign(wanted))
            np.testing.assert_allclose(y.numpy(), wanted, rtol=6 * np.finfo(dtype).eps, err_msg=f"{dtype} {n}")


def test_gradients_of_powers(device: ndl.Device) -> None:
    x = ndl.Tensor([0.7, 1.5, 3.0])
    sum((x**n).sum() for n in EXPONENTS).backward()  # type: ignore[union-attr]
    exact = sum(n * x.numpy().astype(np.float64) ** (n - 1) for n in EXPONENTS)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), exact, rtol=1e-4)
    at_zero = ndl.Tensor([0.0, -2.0])
    (at_zero**3).sum().backward()
    assert at_zero.grad is not None and at_zero.grad.tolist() == [0, 12]
    (slope,) = ndl.autograd.grad((x**3).sum(), x, create_graph=True)
    (curvature,) = ndl.autograd.grad(slope.sum(), x)
    np.testing.assert_allclose(curvature.numpy(), 6 * x.numpy(), rtol=1e-6)
