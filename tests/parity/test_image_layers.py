"""Every layer with PyTorch's weights, carried both ways; activations and normalisations as functions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn import functional as TF

import needle as ndl
from needle import nn
from needle.nn import functional as F

ACTIVATIONS = [
    ("leaky_relu", (0.2,)), ("rrelu", ()), ("elu", (1.3,)), ("selu", ()), ("celu", (1.7,)), ("hardtanh", (-0.7, 1.2)),
    ("relu6", ()), ("hardsigmoid", ()), ("hardswish", ()), ("mish", ()), ("logsigmoid", ()), ("softsign", ()),
    ("tanhshrink", ()), ("softshrink", (0.4,)), ("hardshrink", (0.4,)), ("threshold", (0.3, -2.0)), ("glu", (1,)),
    ("softmin", (1,)),
]  # fmt: skip


@pytest.fixture
def host():
    """The device of tests that ask what a layer computes, not how: their functions are tried on every device above."""
    with ndl.device("numpy") as opened:
        yield opened


def sample(*shape, scale=2.0):
    return np.random.default_rng(sum(shape)).standard_normal(shape) * scale


@pytest.mark.parametrize(("name", "arguments"), ACTIVATIONS, ids=lambda v: v if isinstance(v, str) else "")
def test_activations(parity, name, arguments):
    theirs = TF.logsigmoid if name == "logsigmoid" else getattr(TF, name)
    parity.same(lambda x: getattr(F, name)(x, *arguments), lambda x: theirs(x, *arguments), sample(3, 8, 5), atol=1e-6)


@pytest.mark.parametrize("name", ["elu", "celu", "selu", "mish", "hardswish", "softshrink", "hardshrink", "hardtanh"])
def test_activations_far_out(parity, name):
    x = np.array([np.nan, -1e4, -88.0, -0.0, 0.0, 88.0, 1e4])
    parity.close(getattr(F, name)(parity.ours(x)), getattr(TF, name)(parity.theirs(x)), atol=1e-6)


def test_normalisations(parity):
    x, weight, bias = sample(3, 6, 4, 5), sample(6), sample(6)
    parity.same(
        lambda x, w, b: F.group_norm(x, 3, w, b), lambda x, w, b: TF.group_norm(x, 3, w, b), x, weight, bias, atol=1e-5
    )
    parity.same(
        lambda x, w, b: F.instance_norm(x, weight=w, bias=b), lambda x, w, b: TF.instance_norm(x, weight=w, bias=b),
        x, weight, bias, atol=1e-5,
    )  # fmt: skip
    parity.same(
        lambda x, w: F.rms_norm(x, (4, 5), w, 1e-3),
        lambda x, w: TF.rms_norm(x, (4, 5), w, 1e-3),
        x,
        sample(4, 5),
        atol=1e-5,
    )
    for size in (1, 2, 5):
        parity.same(
            lambda x, n=size: F.local_response_norm(x, n, 0.1, 0.6, 1.5),
            lambda x, n=size: TF.local_response_norm(x, n, 0.1, 0.6, 1.5), x, atol=1e-5,
        )  # fmt: skip
    parity.same(lambda x: F.normalize(x, dim=2), lambda x: TF.normalize(x, dim=2), x, atol=1e-6)


#: Layers with parameters, by the arguments of both constructors, and the shape of an input.
LAYERS = [
    ("Linear", (5, 4), {}, (3, 5)),
    ("Linear", (5, 4), {"bias": False}, (3, 5)),
    ("Conv1d", (4, 6, 3), {"stride": 2, "groups": 2}, (2, 4, 9)),
    ("Conv2d", (3, 5, (3, 2)), {"padding": "same", "dilation": 2}, (2, 3, 7, 6)),
    ("Conv2d", (3, 5, 3), {"padding": (2, 1), "padding_mode": "reflect", "bias": False}, (2, 3, 7, 6)),
    ("Conv3d", (2, 3, 2), {"padding": 1, "padding_mode": "circular"}, (1, 2, 4, 5, 3)),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 2, "output_padding": 1, "groups": 2}, (2, 4, 5)),
    ("ConvTranspose2d", (3, 5, 3), {"stride": 2, "padding": 1}, (2, 3, 4, 5)),
    ("ConvTranspose3d", (2, 3, 2), {"dilation": 2}, (1, 2, 3, 4, 3)),
    ("BatchNorm1d", (4,), {}, (5, 4)),
    ("BatchNorm2d", (4,), {"momentum": 0.3}, (3, 4, 5, 2)),
    ("BatchNorm2d", (4,), {"affine": False, "track_running_stats": False}, (3, 4, 5, 2)),
    ("BatchNorm3d", (2,), {}, (3, 2, 3, 2, 4)),
    ("InstanceNorm1d", (4,), {"affine": True}, (3, 4, 7)),
    ("InstanceNorm2d", (4,), {"affine": True, "track_running_stats": True}, (3, 4, 5, 2)),
    ("InstanceNorm3d", (2,), {}, (3, 2, 3, 2, 4)),
    ("GroupNorm", (2, 6), {}, (3, 6, 5)),
    ("LayerNorm", ((4, 5),), {}, (3, 4, 5)),
    ("RMSNorm", (5,), {"eps": 1e-4}, (3, 5)),
    ("PReLU", (4,), {}, (3, 4, 5)),
]  # fmt: skip


def torch_module(name, arguments, keywords, seed=0):
    torch.manual_seed(seed)
    module = getattr(torch.nn, name)(*arguments, **keywords)
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.dtype.is_floating_point:
            tensor.data.uniform_(0.3, 1.2)
    return module


def evaluated(module, x):
    with torch.no_grad():
        return module(torch.tensor(x)).numpy()


@pytest.mark.parametrize(
    ("name", "arguments", "keywords", "shape"), LAYERS, ids=lambda v: v if isinstance(v, str) else ""
)
def test_weights_travel_both_ways(host, name, arguments, keywords, shape):
    x = sample(*shape).astype(np.float32)
    theirs, ours = torch_module(name, arguments, keywords), getattr(nn, name)(*arguments, **keywords)
    ours.load_state_dict(theirs.state_dict(), layout="torch")
    for mode in (True, False):  # the first moves the running statistics of both
        wanted = evaluated(theirs.train(mode), x)
        np.testing.assert_allclose(ours.train(mode)(ndl.asarray(x)).numpy(), wanted, rtol=1e-5, atol=1e-5)
    state = {key: torch.tensor(value.numpy()) for key, value in ours.state_dict(layout="torch").items()}
    fresh = torch_module(name, arguments, keywords, seed=1)
    fresh.load_state_dict(state)
    np.testing.assert_allclose(evaluated(fresh.eval(), x), wanted, rtol=1e-5, atol=1e-5)


def test_a_model_takes_a_safetensors_file_of_pytorch(host, tmp_path: Path):
    def model(lib):
        return lib.Sequential(lib.Conv2d(1, 3, 3), lib.BatchNorm2d(3), lib.ReLU(), lib.Flatten(), lib.Linear(12, 4))

    torch.manual_seed(0)
    theirs, ours = model(torch.nn).eval(), model(nn).eval()
    path, x = tmp_path / "model.safetensors", sample(2, 1, 4, 4).astype(np.float32)
    save_file(theirs.state_dict(), path)
    for framework in ("pt", "np"):
        with safe_open(path, framework) as file:
            ours.load_state_dict(file, layout="torch")
        np.testing.assert_allclose(ours(ndl.asarray(x)).numpy(), evaluated(theirs, x), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"missing key '4\.weight'"):
        ours.load_state_dict({k: v for k, v in theirs.state_dict().items() if k != "4.weight"}, layout="torch")
    with pytest.raises(ValueError, match="layout='jax' is not known"):
        ours.load_state_dict({}, layout="jax")
    with pytest.raises(TypeError, match="must be a dict or an open safetensors file"):
        ours.load_state_dict([1], layout="torch")


#: Layers without parameters, and the shape of an input.
PLAIN = [
    *((f"MaxPool{n}d", (2,), {"padding": 1, "ceil_mode": True}, (2, 3, *(5,) * n)) for n in (1, 2, 3)),
    *((f"AvgPool{n}d", (2,), {"count_include_pad": False, "padding": 1}, (2, 3, *(5,) * n)) for n in (1, 2, 3)),
    *((f"AdaptiveAvgPool{n}d", (2,), {}, (2, 3, *(5,) * n)) for n in (1, 2, 3)),
    *((f"AdaptiveMaxPool{n}d", (2,), {}, (2, 3, *(5,) * n)) for n in (1, 2, 3)),
    *((f"LPPool{n}d", (2, 2), {}, (2, 3, *(5,) * n)) for n in (1, 2, 3)),
    *((f"{kind}Pad{n}d", (1,), {}, (2, 3, *(4,) * n))
      for n in (1, 2, 3) for kind in ("Zero", "Reflection", "Replication", "Circular")),
    ("ConstantPad2d", ((1, 2, 0, 1), 3.5), {}, (2, 3, 4, 4)),
    ("Upsample", (), {"scale_factor": 2, "mode": "bilinear"}, (2, 3, 4, 3)),
    ("UpsamplingNearest2d", (), {"scale_factor": 2}, (2, 3, 4, 3)),
    ("UpsamplingBilinear2d", ((5, 7),), {}, (2, 3, 4, 3)),
    ("PixelShuffle", (2,), {}, (2, 8, 4, 3)), ("PixelUnshuffle", (2,), {}, (2, 3, 4, 6)),
    ("ChannelShuffle", (2,), {}, (2, 8, 4, 3)),
    ("Unfold", (2,), {"stride": 2}, (2, 3, 4, 6)), ("Fold", ((4, 6), 2), {"stride": 2}, (2, 12, 6)),
    ("LocalResponseNorm", (3,), {}, (2, 5, 4)),
    *((name, arguments, {}, (2, 4, 3, 3)) for name, arguments in (
        ("LeakyReLU", (0.2,)), ("RReLU", ()), ("ELU", (0.7,)), ("CELU", (0.7,)), ("SELU", ()),
        ("Hardtanh", (-0.5, 0.8)), ("ReLU6", ()), ("Hardsigmoid", ()), ("Hardswish", ()), ("Mish", ()),
        ("LogSigmoid", ()), ("Softsign", ()),
        ("Tanhshrink", ()), ("Softshrink", (0.3,)), ("Hardshrink", (0.3,)), ("Threshold", (0.1, 2.0)), ("GLU", (1,)),
        ("Softmax", (1,)), ("LogSoftmax", (1,)), ("Softmin", (1,)), ("Softmax2d", ()), ("AlphaDropout", (0.4,)),
        ("Dropout1d", (0.4,)), ("Dropout2d", (0.4,)), ("Dropout3d", (0.4,)), ("FeatureAlphaDropout", (0.4,)),
    )),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "arguments", "keywords", "shape"), PLAIN, ids=lambda v: v if isinstance(v, str) else ""
)
def test_layers_without_parameters(host, name, arguments, keywords, shape):
    x = sample(*shape).astype(np.float32)
    if name == "Dropout1d":
        x = x.reshape(2, 4, 9)
    ours, theirs = getattr(nn, name)(*arguments, **keywords), getattr(torch.nn, name)(*arguments, **keywords)
    assert not list(theirs.parameters())
    result = ours.eval()(ndl.asarray(x)).numpy()
    np.testing.assert_allclose(result, theirs.eval()(torch.tensor(x)).numpy(), rtol=1e-5, atol=1e-5)
    assert repr(ours).startswith(name)


def test_unpooling_layers(host):
    x = sample(2, 3, 6, 8).astype(np.float32)
    values, indices = nn.MaxPool2d(2, return_indices=True)(ndl.asarray(x))
    their_values, their_indices = torch.nn.MaxPool2d(2, return_indices=True)(torch.tensor(x))
    mine = nn.MaxUnpool2d(2)(values, indices).numpy()
    np.testing.assert_array_equal(mine, torch.nn.MaxUnpool2d(2)(their_values, their_indices).numpy())


@pytest.mark.parametrize("name", ["Dropout1d", "Dropout2d", "AlphaDropout"])
def test_dropouts_while_training(host, name):
    """Whole channels vanish; alpha dropout keeps mean and variance."""
    ndl.manual_seed(3)
    x = sample(64, 50, 20, scale=1.0).astype(np.float32)
    if name == "Dropout2d":
        x = x.reshape(64, 50, 4, 5)
    y = getattr(nn, name)(0.3)(ndl.asarray(x)).numpy()
    if name == "AlphaDropout":
        assert abs(y.mean() - x.mean()) < 0.02 and abs(y.std() / x.std() - 1) < 0.02
        return
    gone = (y == 0).reshape(64 * 50, -1)
    assert (gone.all(1) == gone.any(1)).all() and 0.25 < gone.all(1).mean() < 0.35
    np.testing.assert_allclose(y[y != 0], (x / 0.7)[y != 0], rtol=1e-5)
