"""What the comparisons with PyTorch share: the `parity` fixture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import needle as ndl
from needle.array import evaluation


class Parity:
    """The same computation in needle, on one device, and in PyTorch, from the same numbers.

    The dtype is float64 where the device has it, else float32. PyTorch computes in float64 all the same: it is
    the truth. The tolerances are those of the dtype, for results of moderate size.
    """

    def __init__(self, device: ndl.Device) -> None:
        self.device = device
        self.dtype = np.dtype(np.float64 if device.supports(ndl.float64) else np.float32)
        self.rtol, self.atol = (1e-10, 1e-12) if self.dtype == np.float64 else (1e-4, 1e-5)

    def host(self, values: Any) -> np.ndarray:
        """`values` rounded to the dtype; integers and bools as they are."""
        array = np.asarray(values)
        return array.astype(self.dtype) if array.dtype.kind == "f" else array

    def ours(self, values: Any, requires_grad: bool | None = None) -> ndl.Tensor:
        """A leaf on the device; floats require a gradient unless told otherwise."""
        return ndl.Tensor(self.host(values), requires_grad=requires_grad)

    def theirs(self, values: Any, requires_grad: bool | None = None) -> torch.Tensor:
        """The same leaf in PyTorch."""
        array = self.host(values)
        floating = array.dtype.kind == "f"
        tensor = torch.tensor(array.astype(np.float64) if floating else array)
        return tensor.requires_grad_(floating if requires_grad is None else requires_grad)

    def pair(self, values: Any, requires_grad: bool | None = None) -> tuple[ndl.Tensor, torch.Tensor]:
        return self.ours(values, requires_grad), self.theirs(values, requires_grad)

    def close(
        self, actual: Any, expected: torch.Tensor, what: str = "value", *, rtol: float = 0, atol: float = 0
    ) -> None:
        """Assert equal shapes, kinds of dtype and, within the larger tolerance, values. NaN equals NaN."""
        found, wanted = actual.numpy(), expected.detach().numpy()
        assert found.shape == wanted.shape, f"{what}: shape {found.shape}, PyTorch's is {wanted.shape}"
        assert found.dtype.kind == wanted.dtype.kind, f"{what}: dtype {found.dtype}, PyTorch's is {wanted.dtype}"
        if found.dtype.kind != "f":
            np.testing.assert_array_equal(found, wanted, err_msg=what)
            return
        np.testing.assert_allclose(
            found, wanted, rtol=max(rtol, self.rtol), atol=max(atol, self.atol), err_msg=f"{what} (desired: PyTorch's)"
        )

    def gradients_close(
        self, ours: Any, theirs: Any, what: str = "gradient", *, rtol: float = 0, atol: float = 0
    ) -> None:
        """Assert that the `.grad` of pairs of leaves agree; where PyTorch has none, needle has none."""
        for i, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            if other.grad is None:
                assert mine.grad is None, f"{what} {i}: PyTorch has none"
            else:
                assert mine.grad is not None, f"{what} {i}: there is none"
                self.close(mine.grad, other.grad, f"{what} {i}", rtol=rtol, atol=atol)

    def realize_together(self, tensors: list[ndl.Tensor]) -> None:
        """Compute pending tensors, those of the first one's shape in one launch: fewer kernels to compile."""
        evaluation.realize([t.cached_data for t in tensors if t.shape == tensors[0].shape])

    def same(
        self, ours: Callable[..., Any], theirs: Callable[..., Any], *hosts: Any, rtol: float = 0, atol: float = 0
    ) -> None:
        """Assert that two functions agree at `hosts`, and so do the gradients of a weighted sum of the results.

        The weights are random, so that no error of the gradient cancels out.
        """
        mine, other = [self.ours(h) for h in hosts], [self.theirs(h) for h in hosts]
        result, expected = ours(*mine), theirs(*other)
        assert result.requires_grad == expected.requires_grad
        if expected.requires_grad:
            weights = self.host(np.random.default_rng(7).uniform(0.5, 2, expected.shape))
            result.backward(ndl.asarray(weights))
            expected.backward(torch.tensor(weights.astype(np.float64)))
            self.realize_together([result, *(m.grad for m in mine if m.grad is not None)])
        self.close(result, expected, rtol=rtol, atol=atol)
        self.gradients_close(mine, other, rtol=rtol, atol=atol)


@pytest.fixture
def parity(device: ndl.Device) -> Parity:
    """The comparison on each device in turn, which is also the default device."""
    return Parity(device)
