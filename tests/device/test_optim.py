"""The optimisers against their formulas in float64, how many launches they take, their state, their errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle.array import expression
from needle.optim import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, Optimizer, RAdam, RMSprop

SHAPES = [(3, 5), (5,), (), (64, 70), (0, 4)]
STEPS = 5


def sgd(
    w: np.ndarray, grads: list[np.ndarray], *,
    lr=0.01, momentum=0.0, weight_decay=0.0, nesterov=False, dampening=0.0, maximize=False,
):  # fmt: skip
    u = np.zeros_like(w)
    for t, g in enumerate(grads, start=1):
        g = (-g if maximize else g) + weight_decay * w
        u = momentum * u + (1 if t == 1 else 1 - dampening) * g
        w = w - lr * (g + momentum * u if nesterov else u)
    return w


def adam(
    w: np.ndarray, grads: list[np.ndarray], *,
    lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False, maximize=False, decoupled=False,
):  # fmt: skip
    m, v, largest = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(grads, start=1):
        g = -g if maximize else g
        if decoupled:
            w = w - lr * weight_decay * w
        else:
            g = g + weight_decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        largest = np.maximum(largest, v) if amsgrad else v
        w = w - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(largest / (1 - betas[1] ** t)) + eps)
    return w


def adamw(w: np.ndarray, grads: list[np.ndarray], *, weight_decay=1e-2, **options: Any):
    return adam(w, grads, weight_decay=weight_decay, decoupled=True, **options)


def adamax(w: np.ndarray, grads: list[np.ndarray], *, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    m, u = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(grads, start=1):
        g = g + weight_decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        u = np.maximum(betas[1] * u, np.abs(g) + eps)
        w = w - lr / (1 - betas[0] ** t) * m / u
    return w


def nadam(
    w: np.ndarray, grads: list[np.ndarray], *,
    lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, momentum_decay=4e-3, decoupled_weight_decay=False,
):  # fmt: skip
    m, v = np.zeros_like(w), np.zeros_like(w)
    product = 1.0
    for t, g in enumerate(grads, start=1):
        w, g = (w - lr * weight_decay * w, g) if decoupled_weight_decay else (w, g + weight_decay * w)
        mu, ahead = (betas[0] * (1 - 0.5 * 0.96 ** (k * momentum_decay)) for k in (t, t + 1))
        product *= mu
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        mean = (1 - mu) / (1 - product) * g + ahead / (1 - product * ahead) * m
        w = w - lr * mean / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
    return w


def radam(
    w: np.ndarray, grads: list[np.ndarray], *,
    lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled_weight_decay=False,
):  # fmt: skip
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(grads, start=1):
        w, g = (w - lr * weight_decay * w, g) if decoupled_weight_decay else (w, g + weight_decay * w)
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        n = 2 / (1 - betas[1]) - 1
        p = n - 2 * t * betas[1] ** t / (1 - betas[1] ** t)
        step = m / (1 - betas[0] ** t)
        if p > 5:
            r = np.sqrt((p - 4) * (p - 2) * n / ((n - 4) * (n - 2) * p))
            step = step * r / ((np.sqrt(v) + eps) / np.sqrt(1 - betas[1] ** t))
        w = w - lr * step
    return w


def rmsprop(
    w: np.ndarray, grads: list[np.ndarray], *,
    lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False,
):  # fmt: skip
    v, a, u = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for g in grads:
        g = g + weight_decay * w
        v = alpha * v + (1 - alpha) * g**2
        a = alpha * a + (1 - alpha) * g if centered else a
        u = momentum * u + g / (np.sqrt(v - a**2) + eps)
        w = w - lr * u
    return w


def adagrad(
    w: np.ndarray, grads: list[np.ndarray], *,
    lr=1e-2, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10,
):  # fmt: skip
    s = np.full_like(w, initial_accumulator_value)
    for t, g in enumerate(grads, start=1):
        g = g + weight_decay * w
        s = s + g**2
        w = w - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s) + eps)
    return w


def adadelta(w: np.ndarray, grads: list[np.ndarray], *, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0.0):
    v, u = np.zeros_like(w), np.zeros_like(w)
    for g in grads:
        g = g + weight_decay * w
        v = rho * v + (1 - rho) * g**2
        delta = np.sqrt(u + eps) / np.sqrt(v + eps) * g
        u = rho * u + (1 - rho) * delta**2
        w = w - lr * delta
    return w


CASES: list[tuple[type[Optimizer], Callable[..., np.ndarray], dict[str, Any]]] = [
    (SGD, sgd, {}),
    (SGD, sgd, {"lr": 0.1, "weight_decay": 0.1}),
    (SGD, sgd, {"lr": 0.1, "momentum": 0.9}),
    (SGD, sgd, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    (SGD, sgd, {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.1, "nesterov": True}),
    (Adam, adam, {}),
    (Adam, adam, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    (AdamW, adamw, {}),
    (AdamW, adamw, {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.3}),
    (SGD, sgd, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}),
    (SGD, sgd, {"lr": 0.1, "maximize": True}),
    (Adam, adam, {"lr": 0.1, "betas": (0.5, 0.5), "amsgrad": True, "maximize": True}),
    (Adamax, adamax, {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.1}),
    (NAdam, nadam, {"lr": 0.1, "betas": (0.8, 0.9), "weight_decay": 0.1}),
    (NAdam, nadam, {"lr": 0.1, "weight_decay": 0.1, "momentum_decay": 0.1, "decoupled_weight_decay": True}),
    (RAdam, radam, {"lr": 0.1, "betas": (0.8, 0.9), "weight_decay": 0.1}),
    (RAdam, radam, {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    (RMSprop, rmsprop, {"lr": 0.01, "alpha": 0.9, "weight_decay": 0.1}),
    (RMSprop, rmsprop, {"lr": 0.01, "alpha": 0.8, "eps": 1e-2, "momentum": 0.5, "centered": True}),
    (Adagrad, adagrad, {"lr": 0.1, "lr_decay": 0.5, "weight_decay": 0.1, "initial_accumulator_value": 0.25}),
    (Adadelta, adadelta, {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1}),
]


def each_of(cases: list[tuple[type[Optimizer], Callable[..., np.ndarray], dict[str, Any]]]) -> pytest.MarkDecorator:
    ids = [f"{c.__name__}-{'-'.join(o) or 'defaults'}" for c, _, o in cases]
    return pytest.mark.parametrize(("cls", "formula", "options"), cases, ids=ids)


EACH_CASE = each_of(CASES)
#: How a step is launched does not depend on its formula: a few of them show it.
EACH_FORM = each_of([*CASES[:9], *(case for case in CASES if "amsgrad" in case[2] or "centered" in case[2])])


def drawn(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.asarray(np.random.default_rng([seed, *shape]).standard_normal(shape))


def set_grads(params: list[ndl.Tensor], step: int) -> None:
    for p in params:
        p.grad = ndl.asarray(drawn(p.shape, step).astype(p.dtype), device=p.device)


def params_of(dtype: str = "float32") -> list[ndl.Tensor]:
    return [ndl.Tensor(drawn(shape, 99).astype(dtype)) for shape in SHAPES]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@EACH_CASE
def test_follows_the_formula(device, cls, formula, options, dtype):
    if not device.supports(np.dtype(dtype)):
        pytest.skip(f"no {dtype} here")
    params = params_of(dtype)
    optimizer = cls(params, **options)
    for step in range(STEPS):
        set_grads(params, step)
        optimizer.step()
    tolerance = {"float16": 1e-2, "float32": 1e-5, "float64": 1e-12}[dtype]
    for p in params:
        start = drawn(p.shape, 99).astype(dtype).astype("float64")
        grads = [drawn(p.shape, step).astype(dtype).astype("float64") for step in range(STEPS)]
        assert p.dtype == dtype
        np.testing.assert_allclose(p.numpy(), formula(start, grads, **options), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@EACH_FORM
def test_a_step_is_one_launch(device, cls, formula, options, dtype):
    if not device.supports(np.dtype(dtype)):
        pytest.skip(f"no {dtype} here")
    params = [ndl.Tensor(drawn(shape, 1).astype(dtype)) for shape in [(3, 5), (5,), ()]]
    optimizer = cls(params, **options)
    for step in range(3):
        set_grads(params, step)
        before = device.launches
        optimizer.step()
        filled = len(params) if step == 0 and optimizer.state else 0  # the state's zeros
        launches = len(params) if device.name == "numpy" else 1
        assert device.launches - before == launches + filled


@EACH_FORM
def test_parameters_of_all_kinds_step_together(device, cls, formula, options):
    """Many small ones, an empty one, a window on a larger array, a transposed one, one with a recorded gradient."""
    shapes = [*((n,) for n in range(1, 40)), (0, 3), (3, 0), (70, 9), (1000,)]
    params = [ndl.Tensor(drawn(shape, 99).astype("float32")) for shape in shapes]
    whole = ndl.asarray(drawn((6, 5), 99).astype("float32"))
    window, turned = ndl.Tensor(whole.detach()[2:4]), ndl.Tensor(ndl.asarray(drawn((4, 3), 99).astype("float32")).T)
    params += [window, turned]
    starts = [p.numpy().astype("float64") for p in params]
    optimizer = cls(params, **options)
    for step in range(STEPS):
        set_grads(params, step)
        params[5].grad = params[5].grad * 1  # recorded, not computed
        optimizer.step()
    for p, start in zip(params, starts, strict=True):
        grads = [drawn(p.shape, step).astype("float32").astype("float64") for step in range(STEPS)]
        np.testing.assert_allclose(p.numpy(), formula(start, grads, **options), rtol=1e-5, atol=1e-5)


def test_a_step_leaves_what_was_recorded_before_it(device):
    params = [ndl.Tensor([1.0, 2.0]), ndl.Tensor([3.0])]
    doubled = [p.detach() * 2 for p in params]
    for p in params:
        p.grad = ndl.ones(p.shape)
    SGD(params, lr=1.0).step()
    assert [d.numpy().tolist() for d in doubled] == [[2.0, 4.0], [6.0]]
    assert [p.numpy().tolist() for p in params] == [[0.0, 1.0], [2.0]]


def test_a_wrong_gradient_stops_the_step_before_it_begins(device):
    params = [ndl.Tensor([1.0]), ndl.Tensor([2.0])]
    params[0].grad, params[1].grad = ndl.ones((1,)), ndl.ones((3,))
    with pytest.raises(ValueError, match=r"shape \(1,\) has a gradient of shape \(3,\)"):
        SGD(params).step()
    assert params[0].item() == 1.0


def test_a_step_works_in_place_and_grows_no_graph(device):
    w = ndl.Tensor([1.0, 2.0])
    shared, pending = w.detach(), w.detach() * 10
    optimizer = SGD([w], lr=1.0)
    w.grad = ndl.asarray([1.0, 1.0])
    memory = w.cached_data.buffer
    optimizer.step()
    assert w.is_leaf and w.requires_grad and w.cached_data.buffer is memory
    assert shared.tolist() == [0.0, 1.0]
    assert pending.tolist() == [10.0, 20.0], "what was recorded before the step is of the values before"


def test_new_scalars_reuse_the_kernel(device):
    w = ndl.Tensor([1.0, 2.0])
    optimizer = Adam([w])
    set_grads([w], 0)
    optimizer.step()
    programs = len(expression._programs)
    for optimizer.lr in (0.1, 0.2, 0.3):
        optimizer.step()
    assert len(expression._programs) == programs


def test_the_gradient_of_a_loss_of_the_parameter_itself(device):
    w = ndl.Tensor([3.0, -2.0])
    optimizer = SGD([w], lr=0.25)
    for _ in range(3):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()  # the gradient 2 w, not yet computed, reads what the step writes
        kept = w.grad
    np.testing.assert_allclose(w.numpy(), [0.375, -0.25])
    np.testing.assert_allclose(kept.numpy(), [1.5, -1.0])


def test_parameters_without_gradient_are_left_alone(device):
    w, frozen = ndl.Tensor([1.0]), ndl.Tensor([1.0])
    optimizer = Adam([w, frozen], lr=0.1, weight_decay=0.5)
    w.grad = ndl.asarray([1.0])
    optimizer.step()
    assert frozen.tolist() == [1.0] and frozen not in optimizer.state
    assert w.tolist() != [1.0]


@pytest.mark.parametrize("name", ["reset_grad", "zero_grad"])
def test_gradients_are_forgotten(device, name):
    w = ndl.Tensor([1.0])
    (w * 2).sum().backward()
    getattr(SGD([w]), name)()
    assert w.grad is None


def test_parameters_that_are_not_in_memory_of_their_own(device):
    constant = ndl.zeros((2, 3), requires_grad=True)
    repeated = ndl.asarray([[1.0], [2.0]]).broadcast_to((2, 3)).detach().requires_grad_()
    turned = ndl.asarray(np.arange(6, dtype=np.float32).reshape(3, 2)).transpose().detach().requires_grad_()
    optimizer = SGD([constant, repeated, turned], lr=1.0, momentum=0.5)
    grad = np.arange(6, dtype=np.float32).reshape(2, 3)
    for p in optimizer.params:
        p.grad = ndl.asarray(grad)
    optimizer.step()
    np.testing.assert_allclose(constant.numpy(), -grad)
    np.testing.assert_allclose(repeated.numpy(), [[1], [2]] - grad)
    np.testing.assert_allclose(turned.numpy(), np.arange(6).reshape(3, 2).T - grad)


def test_parameters_that_share_memory_take_one_step_after_the_other(device):
    p = ndl.Tensor(np.full(1000, 5, np.float32))
    q = p.detach().requires_grad_()
    p.grad, q.grad = ndl.ones((1000,)), ndl.ones((1000,)) * 2
    SGD([p, q], 0.5).step()
    assert p.tolist() == [5 - 0.5 - 1] * 1000


def test_groups_have_options_of_their_own(device):
    a, b = ndl.Tensor([1.0]), ndl.Tensor([1.0])
    optimizer = SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.25)
    a.grad = b.grad = ndl.asarray([1.0])
    optimizer.step()
    assert (a.item(), b.item()) == (0.75, 0.5)
    optimizer.lr = 0.0
    optimizer.step()
    assert (a.item(), b.item()) == (0.75, 0.5)
    assert [g["lr"] for g in optimizer.param_groups] == [0.0, 0.0]


def test_the_course_s_keywords(device):
    optimizer = Adam([ndl.Tensor([1.0])], lr=0.01, beta1=0.8, beta2=0.99, eps=1e-7, weight_decay=0.1)
    group = optimizer.param_groups[0]
    assert (group["beta1"], group["beta2"]) == (0.8, 0.99)


def test_a_subclass_as_the_course_writes_it(device):
    class Plain(Optimizer):
        def __init__(self, parameters, lr=0.01):
            super().__init__(parameters)
            self.lr = lr

        def step(self):
            for w in self.parameters:
                w.data = w.data + (-self.lr) * w.grad.data

    w = ndl.Tensor([1.0, 2.0])
    optimizer = Plain(iter([w]), lr=0.5)
    (w * w).sum().backward()
    optimizer.step()
    optimizer.reset_grad()
    assert w.tolist() == [0.0, 0.0] and w.grad is None and optimizer.params == [w]


def test_a_subclass_that_remembers_the_number_of_steps_only(device):
    class Decaying(Optimizer):
        _state_names = ("step",)

        def _update(self, group, step, w, g):
            return [w - g * (1 / step)]

    w = ndl.Tensor([0.0])
    optimizer = Decaying([w])
    for _ in range(3):
        w.grad = ndl.Tensor([6.0])
        optimizer.step()
    assert w.tolist() == [-11.0] and optimizer.state_dict() == {"state.0.step": 3}


def test_step_must_be_defined(device):
    w = ndl.Tensor([1.0])
    w.grad = ndl.asarray([1.0])
    with pytest.raises(NotImplementedError, match="Optimizer defines no step"):
        Optimizer([w]).step()
    with pytest.raises(AttributeError, match="no learning rate"):
        _ = Optimizer([w]).lr


# -- state ------------------------------------------------------------------------------------------


@EACH_CASE
def test_training_goes_on_from_a_saved_state(device, tmp_path: Path, cls, formula, options):
    params = params_of()
    optimizer = cls(params, **options)
    for step in range(3):
        set_grads(params, step)
        optimizer.step()
    ndl.save(tmp_path / "optimizer.safetensors", optimizer)
    copies = [ndl.Tensor(p.numpy()) for p in params]
    resumed = cls(copies, lr=77.0)
    resumed.load_state_dict(ndl.load(tmp_path / "optimizer.safetensors"))
    assert resumed.lr == optimizer.lr
    for step in range(3, 5):
        for some, one in ((params, optimizer), (copies, resumed)):
            set_grads(some, step)
            one.step()
    for p, q in zip(params, copies, strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())


def test_a_loaded_state_is_a_copy(device):
    w, other = ndl.Tensor([1.0]), ndl.Tensor([1.0])
    w.grad = other.grad = ndl.asarray([1.0])
    first, second = SGD([w], momentum=0.5), SGD([other], momentum=0.5)
    first.step()
    state = first.state_dict()
    assert set(state) == {
        "param_groups.0.lr", "param_groups.0.momentum", "param_groups.0.weight_decay", "param_groups.0.nesterov",
        "param_groups.0.dampening", "param_groups.0.maximize",
        "state.0.momentum_buffer",
    }  # fmt: skip
    second.load_state_dict(state)
    second.step()
    assert state["state.0.momentum_buffer"].tolist() == [1.0]
    assert not state["state.0.momentum_buffer"].requires_grad


def test_the_state_follows_a_parameter_to_another_device(device):
    w = ndl.Tensor(np.ones(3, np.float32))
    optimizer = SGD([w], lr=1.0, momentum=0.5)
    w.grad = ndl.asarray(np.ones(3, np.float32))
    optimizer.step()
    elsewhere = ndl.device("numpy")
    w.data = w.data.to(elsewhere)
    w.grad = ndl.asarray(np.ones(3, np.float32), device=elsewhere)
    optimizer.step()
    assert w.tolist() == [-1.5] * 3 and w.device is elsewhere


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"param_groups.0.lr": None}, "lacks 'param_groups.0.lr'"),
        ({"state.0.exp_avg": None}, "lacks 'state.0.exp_avg'"),
        ({"state.7.step": 1}, "'state.7.step' is of a parameter beyond the 1"),
        ({"state.0.speed": 1}, "'state.0.speed' is not part of the state of this Adam"),
        ({"weight": 1}, "'weight' is not part of the state"),
        ({"state.0.exp_avg": np.zeros(3, np.float32)}, r"'state.0.exp_avg' has shape \(3,\); the parameter has \(2,\)"),
        ({"state.0.exp_avg": 0.5}, "'state.0.exp_avg' must be a tensor"),
        ({"state.0.step": "two"}, "'state.0.step' must be a whole number"),
        ({"state.0.step": -1}, "'state.0.step' must be a whole number of at least 0, not -1"),
        ({"state.0.step": True}, "'state.0.step' must be a whole number"),
        ({"param_groups.0.lr": -1.0}, "lr=-1.0 must be at least 0"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(device, change, message):
    w = ndl.Tensor([1.0, 2.0])
    w.grad = ndl.asarray([1.0, 1.0])
    optimizer = Adam([w])
    optimizer.step()
    state = {**optimizer.state_dict(), "param_groups.0.eps": 0.5}
    for key, value in change.items():
        state[key] = ndl.asarray(value) if isinstance(value, np.ndarray) else value
        if value is None:
            del state[key]
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["eps"] == 1e-8 and optimizer.state[w]["step"] == 1


# -- errors -----------------------------------------------------------------------------------------


def test_a_frozen_parameter_is_passed_over(device):
    w, frozen = ndl.Tensor([1.0]), ndl.Tensor([2.0], requires_grad=False)
    optimizer = SGD([w, frozen], lr=1.0)
    (w * frozen).sum().backward()
    optimizer.step()
    assert w.tolist() == [-1.0] and frozen.tolist() == [2.0]


def test_bad_parameters(device):
    w = ndl.Tensor([1.0, 2.0])
    for params, error, message in [
        ([], ValueError, "at least one parameter"),
        (w, TypeError, "not a single Tensor"),
        ([w, 3], TypeError, "parameter 1 is a int"),
        ([w, w], ValueError, r"parameter 1, of shape \(2,\), is given twice"),
        ([w * 2], ValueError, "was computed by multiply"),
        ([{"lr": 1.0}], TypeError, 'with the key "params"'),
        ([{"params": [w], "learning_rate": 1.0}], ValueError, "no option 'learning_rate'; it has 'lr', 'momentum'"),
        ([{"params": [w]}, {"params": [w]}], ValueError, "given twice"),
    ]:
        with pytest.raises(error, match=message):
            SGD(params)


@pytest.mark.parametrize(
    ("cls", "options", "message"),
    [
        (SGD, {"lr": -0.1}, "lr=-0.1 must be at least 0"),
        (SGD, {"lr": float("nan")}, "lr=nan must be at least 0"),
        (SGD, {"lr": "fast"}, "lr='fast' must be at least 0"),
        (SGD, {"momentum": 1.0}, "momentum=1.0 must be at least 0 and below 1"),
        (SGD, {"weight_decay": -1}, "weight_decay=-1 must be"),
        (SGD, {"nesterov": True}, "nesterov=True needs a momentum"),
        (SGD, {"nesterov": "no", "momentum": 0.9}, "nesterov='no' must be True or False"),
        (Adam, {"betas": (0.9, 1.0)}, "beta2=1.0 must be"),
        (Adam, {"beta1": -0.1}, "beta1=-0.1 must be"),
        (Adam, {"eps": -1e-8}, "eps=-1e-08 must be"),
        (AdamW, {"weight_decay": -1.0}, "weight_decay=-1.0 must be"),
    ],
)
def test_bad_options(device, cls, options, message):
    with pytest.raises(ValueError, match=message):
        cls([ndl.Tensor([1.0])], **options)


def test_betas_must_be_a_pair(device):
    with pytest.raises(TypeError, match=r"betas=0.9 must be two numbers; beta1 and beta2 are keywords"):
        Adam([ndl.Tensor([1.0])], 0.1, 0.9)


def test_bad_gradients(device):
    w = ndl.Tensor([1.0, 2.0])
    optimizer = SGD([w])
    w.grad = ndl.asarray([1.0])
    with pytest.raises(ValueError, match=r"shape \(2,\) has a gradient of shape \(1,\)"):
        optimizer.step()
    w.grad = np.ones(2, np.float32)
    with pytest.raises(TypeError, match="gradient of a parameter is a ndarray"):
        optimizer.step()
    assert w.tolist() == [1.0, 2.0]


def test_numbers_of_numpy_are_options(device):
    weight = ndl.nn.Parameter([1.0])
    optimizer = ndl.optim.SGD([weight], lr=np.float32(0.5), momentum=np.float64(0.0), nesterov=np.bool_(False))
    weight.grad = ndl.ones(1)
    optimizer.step()
    assert weight.item() == 0.5 and type(optimizer.lr) is float
    optimizer.param_groups[0]["lr"] = np.float32(0.25)
    optimizer.step()
    assert weight.item() == 0.25
    again = ndl.optim.SGD([weight], lr=1.0)
    again.load_state_dict(optimizer.state_dict())
    assert again.lr == 0.25 and type(again.lr) is float
    with pytest.raises(ValueError, match=r"lr=.*-1.* must be at least 0"):
        ndl.optim.SGD([weight], lr=np.float32(-1))


def test_the_repr_tells_options_group_by_group(device):
    a, b, c = (ndl.nn.Parameter([1.0]) for _ in range(3))
    groups = [{"params": [a], "lr": 0.5}, {"params": [b, c]}]
    rest = "momentum=0.0, weight_decay=0.0, nesterov=False, dampening=0.0, maximize=False"
    assert repr(ndl.optim.SGD(groups, lr=0.1)) == (
        f"SGD(\n  (group 0): parameters=1, lr=0.5, {rest}\n  (group 1): parameters=2, lr=0.1, {rest}\n)"
    )


@pytest.mark.parametrize("cls", [SGD, Adam])
def test_a_closure_computes_the_loss_of_the_step(device, cls):
    weight = ndl.nn.Parameter([2.0])
    optimizer = cls([weight], lr=0.25)
    calls = []

    def closure() -> ndl.Tensor:
        calls.append(ndl.is_grad_enabled())
        optimizer.zero_grad()
        loss = (weight * weight).sum()
        loss.backward()
        return loss

    with ndl.no_grad():
        assert optimizer.step(closure).item() == 4
    assert calls == [True] and weight.item() == (1 if cls is SGD else 1.75)
    assert optimizer.step() is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: ndl.optim.RMSprop(p, alpha=1.5), "alpha=1.5"),
        (lambda p: ndl.optim.RMSprop(p, centered=1), "centered=1 must be True or False"),
        (lambda p: ndl.optim.Adagrad(p, lr_decay=-1), "lr_decay=-1 must be at least 0"),
        (lambda p: ndl.optim.Adadelta(p, rho=1), "rho=1 must be at least 0 and below 1"),
        (lambda p: ndl.optim.Adamax(p, betas=(0.9, 1.0)), r"beta2=1\.0"),
        (lambda p: ndl.optim.NAdam(p, momentum_decay=-1), "momentum_decay=-1"),
        (lambda p: ndl.optim.RAdam(p, eps=-1), "eps=-1"),
        (lambda p: SGD(p, momentum=0.5, dampening=0.1, nesterov=True), "a dampening of 0"),
    ],
)
def test_bad_options_of_the_others(device, make, message):
    with pytest.raises(ValueError, match=message):
        make([ndl.zeros(1)])


def rosenbrock(x: ndl.Tensor, y: ndl.Tensor) -> ndl.Tensor:
    return ((1 - x) ** 2 + 100 * (y - x * x) ** 2).sum()


def lbfgs_on_rosenbrock(**options: Any) -> tuple[ndl.optim.LBFGS, Callable[[], ndl.Tensor], list[ndl.Tensor]]:
    params = [ndl.nn.Parameter([-1.2, 0.5]), ndl.nn.Parameter([[1.0], [0.5]])]
    optimizer = ndl.optim.LBFGS(params, **options)

    def closure() -> ndl.Tensor:
        optimizer.zero_grad()
        loss = rosenbrock(params[0], params[1].reshape(2))
        loss.backward()
        return loss

    return optimizer, closure, params


def test_lbfgs_finds_the_bottom_of_a_bent_valley(device):
    optimizer, closure, params = lbfgs_on_rosenbrock(line_search_fn="strong_wolfe")
    first = optimizer.step(closure).item()
    for _ in range(4):
        optimizer.step(closure)
    assert first > 20 > 1e-6 > closure().item()
    for param in params:
        np.testing.assert_allclose(param.numpy().ravel(), [1, 1], atol=1e-2)


def test_lbfgs_goes_on_from_a_saved_state(device, tmp_path: Path):
    optimizer, closure, params = lbfgs_on_rosenbrock(lr=0.01, max_iter=3, history_size=2)
    optimizer.step(closure)
    ndl.save(tmp_path / "state", {"optimizer": optimizer, "x": params[0], "y": params[1]})
    optimizer.step(closure)
    again, their_closure, theirs = lbfgs_on_rosenbrock(lr=1.0, max_iter=3, history_size=2)
    loaded = ndl.load(tmp_path / "state")
    again.load_state_dict({k.removeprefix("optimizer."): v for k, v in loaded.items() if k.startswith("optimizer.")})
    theirs[0].data, theirs[1].data = loaded["x"], loaded["y"]
    again.step(their_closure)
    for a, b in zip(params, theirs, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    with pytest.raises(ValueError, match="lacks the number 'iterations'"):
        again.load_state_dict({})


def test_what_lbfgs_refuses(device):
    optimizer, _, params = lbfgs_on_rosenbrock()
    with pytest.raises(TypeError, match="needs a closure"):
        optimizer.step()
    for make, message in [
        (lambda: ndl.optim.LBFGS([{"params": [p]} for p in params]), "takes one parameter group, not 2"),
        (lambda: ndl.optim.LBFGS(params, line_search_fn="golden"), "line_search_fn='golden' must be None or"),
    ]:
        with pytest.raises(ValueError, match=message):
            make()
