"""Arguments that users of NumPy and PyTorch give: taken, or refused by an error that says what is meant."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle import nn


@pytest.mark.parametrize(
    ("call", "shape"),
    [
        (lambda x: x.reshape(np.array([3, 2])), (3, 2)),
        (lambda x: x.reshape(ndl.asarray([3, -1])), (3, 2)),
        (lambda x: ndl.reshape(x, np.array([6])), (6,)),
        (lambda x: x.permute(np.array([1, 0])), (3, 2)),
        (lambda x: x.broadcast_to(np.array([4, 2, 3])), (4, 2, 3)),
        (lambda x: x.sum(np.array([0, 1])), ()),
        (lambda x: x.flip(np.array([1])), (2, 3)),
        (lambda x: ndl.zeros(np.array([4, 5])), (4, 5)),
        (lambda x: x.cached_data.reshape(np.array([3, 2])), (3, 2)),
        (lambda x: x.T, (3, 2)),
        (lambda x: x[0].T, (3,)),
        (lambda x: x[0, 0].T, ()),
        (lambda x: nn.Linear(0, 3)(ndl.zeros((4, 0))), (4, 3)),
        (lambda x: nn.Linear(3, 0)(x), (2, 0)),
    ],
)
def test_what_is_taken(call: Callable[[ndl.Tensor], Any], shape: tuple[int, ...]) -> None:
    with ndl.device("numpy"):
        assert call(ndl.zeros((2, 3))).shape == shape


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: ndl.zeros(2, 3.0), TypeError, "dtype=3.0 is not a dtype"),
        (lambda x: x.reshape(2.0, 3), TypeError, r"shape=\(2.0, 3\) must be an int or a sequence of ints"),
        (lambda x: x[0].transpose(), ValueError, r"transpose exchanges two axes; x has shape \(3,\)"),
        (lambda x: x.transpose((0, 1, 2)), ValueError, "axis=2 is out of range for an array of 2 dimensions"),
        (lambda x: ndl.asarray([2**64]), OverflowError, "no integer dtype holds 18446744073709551616; give floats"),
        (lambda x: ndl.asarray([-1, 2**63]), OverflowError, "no integer dtype holds both -1 and 9223372036854775808"),
        (lambda x: ndl.asarray([[1, 2], [3]]), ValueError, r"data=\[\[1, 2\], \[3\]\] is ragged"),
        (lambda x: ndl.asarray([x[0], x[0, :2]]), ValueError, "is ragged: its parts have different shapes"),
        (lambda x: ndl.sum(), TypeError, r"sum\(\) missing 1 required positional argument: 'x'"),
        (lambda x: x.exp(base=2), TypeError, "exp: got an unexpected keyword argument 'base'"),
        (lambda x: x.exp(out=x[0]), ValueError, "does not broadcast to shape"),
        (lambda x: nn.Linear(-1, 3), ValueError, "in_features=-1 must be at least 0"),
    ],
)
def test_what_is_refused(call: Callable[[ndl.Tensor], Any], error: type[Exception], message: str) -> None:
    with ndl.device("numpy"), pytest.raises(error, match=message):
        call(ndl.zeros((2, 3)))


class OnHost(ndl.Op):
    """Computes with NumPy, backwards too."""

    def compute(self, x: Any) -> Any:
        return np.sin(x.numpy())

    def gradient(self, out_grad: Any, node: Any) -> Any:
        return out_grad.numpy() * np.cos(node.inputs[0].numpy())


class OfSeveral(ndl.Op):
    """Returns an array of NumPy's and one of needle's, or what it is told to."""

    wrong: Any = None

    def compute(self, x: Any) -> Any:
        return x.numpy() * 2, x if self.wrong is None else self.wrong

    def gradient(self, out_grad: Any, node: Any) -> Any:
        return out_grad[0] * 2 if self.wrong is None else self.wrong


def test_an_operation_that_computes_with_numpy(device: ndl.Device) -> None:
    x = ndl.Tensor([0.5, 1.0])
    y = OnHost()(x)
    assert isinstance(y, ndl.Tensor) and y.device is device
    y.sum().backward()
    assert x.grad is not None and x.grad.device is device
    np.testing.assert_allclose(x.grad.numpy(), np.cos([0.5, 1.0]), rtol=1e-6)
    assert ndl.gradcheck(OnHost(), x)
    assert [part.tolist() for part in OfSeveral()(x)] == [[1, 2], [0.5, 1]]
    wrong = OfSeveral()
    wrong.wrong = "nothing"
    with pytest.raises(TypeError, match=r"OfSeveral\.compute returned 'nothing' of type str, which is not an array"):
        wrong(x)
    first, _ = (op := OfSeveral())(x)
    op.wrong = "nothing"
    with pytest.raises(TypeError, match=r"OfSeveral\.gradient returned 'nothing' of type str"):
        first.sum().backward()


def test_a_pickle_made_on_a_device_that_is_missing(device: ndl.Device, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = pickle.dumps({"w": nn.Parameter(ndl.zeros(2) + 1)})

    def find(name: str) -> ndl.Device:
        raise ndl.DeviceError(f"there is no device {name!r}")

    monkeypatch.setattr("needle.array.ndarray.find_device", find)
    read = pickle.loads(saved)["w"]  # `device` is chosen by a with block here
    assert isinstance(read, nn.Parameter) and read.device is device and read.tolist() == [1, 1]
    monkeypatch.setattr("needle.array.ndarray.chosen_device", lambda: None)
    with pytest.raises(ndl.DeviceError, match=r"there is no device '.*with ndl\.device\(name\):"):
        pickle.loads(saved)
