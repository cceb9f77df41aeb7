"""Checkpointed activations, averaged weights, accumulated gradients, and a run that is interrupted and goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle import nn, optim
from needle.optim import swa_utils


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 2))


def data(seed: int = 0) -> tuple[ndl.Tensor, ndl.Tensor]:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((6, 4)).astype(np.float32), rng.standard_normal((6, 2)).astype(np.float32)
    return ndl.Tensor(x), ndl.asarray(y)


def test_a_checkpoint_gives_the_same_values_and_gradients(device: ndl.Device) -> None:
    net = model()
    found = []
    for run in (lambda x: net(x), lambda x: ndl.checkpoint(net, x)):
        ndl.manual_seed(3)
        net.zero_grad()
        x, y = data()
        out = run(x)
        ((out - y) ** 2).sum().backward()
        after = ndl.ops.random.uniform((2,)).numpy()
        found.append([out.numpy(), x.grad.numpy(), after, *(p.grad.numpy() for p in net.parameters())])
    for plain, checkpointed in zip(*found, strict=True):
        np.testing.assert_allclose(plain, checkpointed, rtol=1e-6)
    with ndl.no_grad():
        assert not ndl.checkpoint(net, data()[0]).requires_grad


def test_a_checkpoint_of_several_tensors(device: ndl.Device) -> None:
    x, y = data()
    a, b = ndl.checkpoint(lambda x, scale, y: (x.sum(axis=1) * scale, y * 2), x, 3.0, y)
    np.testing.assert_array_equal(b.numpy(), y.numpy() * 2)
    a.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.full((6, 4), 3, np.float32))
    with pytest.raises(TypeError, match="returned a float, not a tensor"):
        ndl.checkpoint(lambda x: 3.0, x)
    with pytest.raises(ndl.GraphError, match="no gradients of gradients"):
        ndl.checkpoint(lambda x: (x * x).sum(), data()[0]).backward(create_graph=True)


def test_a_checkpoint_keeps_no_intermediate_values(device: ndl.Device) -> None:
    def deep(x: Any) -> Any:
        for _ in range(8):
            x = ndl.softmax(x)
        return x

    if not hasattr(device, "launch_shape"):
        pytest.skip("counts the device's memory")
    x = ndl.Tensor(np.ones((256, 1024), np.float32))
    used = []
    for run in (deep, lambda x: ndl.checkpoint(deep, x)):
        out = run(x)
        device.synchronize()
        used.append(device.memory().in_use)
        del out
    assert used[1] < used[0] - 6 * x.nbytes


def test_accumulated_gradients_are_those_of_the_whole_batch(device: ndl.Device) -> None:
    net = nn.Linear(4, 2)
    x, y = data()
    ((net(x) - y) ** 2).mean().backward()
    whole = net.weight.grad.numpy()
    net.zero_grad()
    for start in (0, 2, 4):
        (((net(x[start : start + 2]) - y[start : start + 2]) ** 2).mean() / 3).backward()
    np.testing.assert_allclose(net.weight.grad.numpy(), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("average", [None, swa_utils.get_ema_avg_fn(0.9)])
def test_averaged_weights(device: ndl.Device, average: Any) -> None:
    net = nn.Linear(3, 2)
    averaged = swa_utils.AveragedModel(net, average)
    values, expected = [], None
    for number in range(4):
        net.weight.data = ndl.asarray(np.full((3, 2), number, np.float32))
        averaged.update_parameters(net)
        values.append(float(number))
        expected = values[0] if expected is None else 0.9 * expected + 0.1 * number
    wanted = np.mean(values) if average is None else expected
    np.testing.assert_allclose(averaged.module.weight.numpy(), wanted, rtol=1e-6)
    fresh = swa_utils.AveragedModel(nn.Linear(3, 2), average)
    fresh.load_state_dict(averaged.state_dict())
    assert fresh.n_averaged == 4
    np.testing.assert_array_equal(fresh(ndl.ones((1, 3))).numpy(), averaged(ndl.ones((1, 3))).numpy())
    with pytest.raises(ValueError, match="the parameters of the model are not those"):
        averaged.update_parameters(nn.Linear(4, 2))


def test_update_bn_takes_the_mean_over_batches(device: ndl.Device) -> None:
    net = nn.Sequential(nn.BatchNorm1d(4))
    batches = [data(seed)[0].detach() for seed in range(3)]
    swa_utils.update_bn(batches, net)
    expected = np.mean([batch.numpy().mean(axis=0) for batch in batches], axis=0)
    np.testing.assert_allclose(next(iter(net.buffers())).numpy(), expected, atol=1e-6)


class Run:
    """A model with everything that its training depends on."""

    def __init__(self) -> None:
        self.model = model()
        self.optimizer = optim.AdamW(self.model.parameters(), lr=1e-2)
        self.schedule = optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=6)
        self.averaged = swa_utils.AveragedModel(self.model, swa_utils.get_ema_avg_fn(0.9))
        self.epoch = 0

    def parts(self) -> dict[str, Any]:
        return {
            "model": self.model, "optimizer": self.optimizer, "schedule": self.schedule, "averaged": self.averaged,
            "generator": ndl.default_generator,
        }  # fmt: skip

    def train(self, epochs: int) -> None:
        for _ in range(epochs):
            x, y = data(self.epoch)
            self.optimizer.zero_grad()
            ((self.model(x) - y) ** 2).mean().backward()
            self.optimizer.step()
            self.schedule.step()
            self.averaged.update_parameters(self.model)
            self.epoch += 1

    def save(self, path: Path) -> None:
        ndl.save(path, {**self.parts(), "epoch": self.epoch})

    def load(self, path: Path) -> None:
        state = ndl.load(path)
        for name, part in self.parts().items():
            part.load_state_dict(ndl.substate(state, name))
        self.epoch = state["epoch"]


def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(device: ndl.Device, tmp_path: Path) -> None:
    ndl.manual_seed(1)
    whole = Run()
    whole.train(3)
    whole.save(tmp_path / "run.safetensors")
    whole.train(3)
    ndl.manual_seed(99)
    resumed = Run()
    resumed.load(tmp_path / "run.safetensors")
    resumed.train(3)
    for one, other in ((whole.model, resumed.model), (whole.averaged.module, resumed.averaged.module)):
        for name, value in one.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), other.state_dict()[name].numpy(), err_msg=name)
    assert whole.schedule.get_last_lr() == resumed.schedule.get_last_lr()


def test_the_state_of_another_thing_is_refused(device: ndl.Device, tmp_path: Path) -> None:
    Run().save(tmp_path / "run.safetensors")
    state = ndl.load(tmp_path / "run.safetensors")
    with pytest.raises(KeyError, match="nothing was saved under 'modle'"):
        ndl.substate(state, "modle")
    with pytest.raises(ValueError, match="does not fit Sequential"):
        nn.Sequential(nn.Linear(4, 8)).load_state_dict(ndl.substate(state, "model"))
    with pytest.raises(ValueError, match=r"does not fit|state of SGD|SGD"):
        optim.SGD(model().parameters(), lr=0.1).load_state_dict(ndl.substate(state, "optimizer"))
    with pytest.raises(ValueError, match="state of a generator has 'seed' and 'offset'"):
        ndl.default_generator.load_state_dict({"seed": 1})
