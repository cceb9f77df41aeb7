"""Captured functions: replays equal calls bit for bit, and what cannot be replayed is refused."""

from __future__ import annotations

import copy
import gc
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import needle as ndl
from needle import nn, optim
from needle.errors import CaptureError
from needle.nn import functional

Step = Callable[..., Any]


@pytest.fixture
def replays(device: ndl.Device) -> bool:
    """Whether the device replays; where not, captured functions run as they are."""
    return device.replays


def batches(count: int, rows: int = 12, seed: int = 0) -> list[tuple[ndl.Tensor, ndl.Tensor]]:
    """Inputs of 6 columns with their classes, of 4."""
    rng = np.random.default_rng(seed)
    return [
        (ndl.asarray(rng.standard_normal((rows, 6)).astype(np.float32)), ndl.asarray(rng.integers(0, 4, rows)))
        for _ in range(count)
    ]


def network() -> nn.Sequential:
    """A perceptron with batch norm and dropout, the same each time."""
    ndl.manual_seed(3)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.25), nn.Linear(8, 4))


OPTIMISERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "SGD": lambda params: optim.SGD(params, lr=0.05),
    "momentum": lambda params: optim.SGD(params, lr=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda params: optim.Adam(params, lr=0.01, weight_decay=0.01),
    "AdamW": lambda params: optim.AdamW(params, lr=0.01),
}


def training(optimiser: str, schedule_inside: bool = True) -> tuple[nn.Module, Step]:
    """A model and its training step, with a schedule of the learning rate that begins at 0."""
    model = network()
    chosen = OPTIMISERS[optimiser](model.parameters())
    schedule = optim.lr_scheduler.LambdaLR(chosen, lambda epoch: min(1, epoch / 10) * 0.999**epoch)
    loss_of = nn.CrossEntropyLoss()

    def step(x: ndl.Tensor, y: ndl.Tensor) -> ndl.Tensor:
        loss = loss_of(model(x), y)
        chosen.zero_grad()
        loss.backward()
        chosen.step()
        if schedule_inside:
            schedule.step()
        return loss

    return model, step


def state(model: nn.Module) -> dict[str, np.ndarray]:
    """The values of all parameters and buffers."""
    return {name: value.numpy() for name, value in model.state_dict().items()}


def assert_equal_runs(optimiser: str, steps: int) -> int:
    """Train eagerly and captured from the same beginning; losses and states must be the same. Returns the replays."""
    data = batches(5)
    found = []
    for capture in (False, True):
        model, step = training(optimiser)
        call: Any = ndl.capture(step) if capture else step
        losses = [call(*data[i % len(data)]) for i in range(steps)]
        found.append(([loss.item() for loss in losses], state(model)))
    (eager, eager_state), (captured, captured_state) = found
    assert eager == captured
    assert len(set(eager)) > steps // 2  # something was trained
    for name, value in eager_state.items():
        np.testing.assert_array_equal(captured_state[name], value, err_msg=name)
    replayed: int = call.replays
    return replayed


@pytest.mark.every_driver
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_captured_step_equals_the_eager_one_bit_for_bit(device: ndl.Device, replays: bool, optimiser: str) -> None:
    assert assert_equal_runs(optimiser, 40) >= (30 if replays else 0)


@pytest.mark.slow
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_captured_step_equals_the_eager_one_over_a_thousand_steps(
    device: ndl.Device, replays: bool, optimiser: str
) -> None:
    assert assert_equal_runs(optimiser, 1000) >= (990 if replays else 0)


@pytest.mark.parametrize("name", ["Adadelta", "Adagrad", "Adamax", "NAdam", "RAdam", "RMSprop"])
def test_every_optimiser_can_be_captured(device: ndl.Device, replays: bool, name: str) -> None:
    found = []
    for capture in (False, True):
        w = nn.Parameter([[1.0, -2.0, 3.0]])
        chosen = getattr(optim, name)([w], lr=0.05)

        def step(x: ndl.Tensor, w: Any = w, chosen: Any = chosen) -> ndl.Tensor:
            loss = ((w - x) ** 2).sum()
            chosen.zero_grad()
            loss.backward()
            chosen.step()
            return loss

        call: Any = ndl.capture(step) if capture else step
        x = ndl.asarray([[0.5, 0.5, 0.5]])
        found.append([call(x).item() for _ in range(14)])
    assert found[0] == found[1]
    assert call.replays >= (3 if replays else 0)


# -- arguments --------------------------------------------------------------------------------------


def test_arguments_are_tensors_arrays_containers_and_python_values(device: ndl.Device, replays: bool) -> None:
    @ndl.capture
    def combine(parts: Any, options: Any, scale: float, shift: Any = None) -> Any:
        total = parts[0] * scale + parts[1][0] - options["less"]
        return {"total": total, "both": (total, parts[0]), "name": "combine"}

    rng = np.random.default_rng(1)
    for k in range(8):
        a, b, c = (rng.standard_normal((3, 4)).astype(np.float32) for _ in range(3))
        scale = 2.0 if k % 2 else 3.0
        parts = [ndl.asarray(a), (b, "unused")]
        result = combine(parts, {"less": c}, scale)
        np.testing.assert_array_equal(result["total"].numpy(), np.float32(scale) * a + b - c)
        assert result["both"][1] is parts[0] and result["name"] == "combine"
    assert combine.recordings == (2 if replays else 0)
    assert combine.replays == (4 if replays else 0)


def test_other_shapes_and_dtypes_are_recorded_anew_up_to_a_bound(device: ndl.Device, replays: bool) -> None:
    @ndl.capture
    def double(x: ndl.Tensor) -> ndl.Tensor:
        return x + x

    for size in range(1, 25):
        for dtype in ("float32", "int32") if size < 4 else ("float32",):
            x = ndl.arange(size, dtype=dtype)
            for _ in range(3):
                result = double(x)
                assert result.dtype == x.dtype
                np.testing.assert_array_equal(result.numpy(), 2 * np.arange(size))
    assert double.recordings == (16 if replays else 0)


def test_arguments_may_be_views_and_pending_and_empty(device: ndl.Device) -> None:
    @ndl.capture
    def double(x: ndl.Tensor) -> ndl.Tensor:
        return x * 2

    whole = ndl.arange(24, dtype="float32").reshape((4, 6))
    for k in range(6):
        views = [whole[k % 4], whole[::-1, ::2], whole.T, whole + k, whole[:0], ndl.broadcast_to(whole[0], (2, 6))]
        for view in views:
            np.testing.assert_array_equal(double(view).numpy(), 2 * view.numpy())


def test_an_argument_that_is_written_into(device: ndl.Device) -> None:
    @ndl.capture
    def count_up(x: ndl.Tensor) -> ndl.Tensor:
        x += 1
        return x * 10

    x = ndl.zeros((3,))
    pending = []
    for k in range(6):
        pending.append(x * 2)  # reads x as it is before the call
        np.testing.assert_array_equal(count_up(x).numpy(), np.full(3, 10 * (k + 1)))
        np.testing.assert_array_equal(x.numpy(), np.full(3, k + 1))
        part = ndl.zeros((6,))
        count_up(part[::2])
        np.testing.assert_array_equal(part.numpy(), [1, 0] * 3)
    for k, before in enumerate(pending):
        np.testing.assert_array_equal(before.numpy(), np.full(3, 2 * k))


def test_an_argument_may_get_a_gradient(device: ndl.Device) -> None:
    @ndl.capture
    def energy(x: ndl.Tensor) -> ndl.Tensor:
        loss = (x**2).sum()
        loss.backward()
        return loss

    for k in range(5):
        x = ndl.Tensor(np.full(3, k, np.float32))
        assert energy(x).item() == 3 * k * k
        np.testing.assert_array_equal(x.grad.numpy(), np.full(3, 2 * k))


def test_integers_of_another_range_are_replayed_once_they_have_been_checked(device: ndl.Device, replays: bool) -> None:
    table = ndl.arange(100, dtype="float32")
    look_up = ndl.capture(lambda index: table[index] * 2)
    for k in range(50):
        assert look_up(ndl.asarray([k // 10, k % 10])).numpy().tolist() == [2 * (k // 10), 2 * (k % 10)]
    assert look_up.replays >= (30 if replays else 0)


@pytest.mark.parametrize("x", [0, -1, 3])
def test_indices_out_of_range_are_refused_in_a_replay_too(device: ndl.Device, x: int) -> None:
    table = ndl.arange(3, dtype="float32")

    @ndl.capture
    def look_up(index: ndl.Tensor) -> ndl.Tensor:
        return table[index]

    for _ in range(4):
        assert look_up(ndl.asarray([1])).item() == 1
    if x == 3:
        with pytest.raises(IndexError):
            look_up(ndl.asarray([x]))
    else:
        assert look_up(ndl.asarray([x])).item() == x % 3


# -- what changes between calls ---------------------------------------------------------------------


def test_results_are_tensors_of_their_own(device: ndl.Device) -> None:
    @ndl.capture
    def double(x: ndl.Tensor) -> ndl.Tensor:
        return x * 2

    results = [double(ndl.asarray([float(k)])) for k in range(10)]
    assert [result.item() for result in results] == [2.0 * k for k in range(10)]
    assert not any(result.requires_grad for result in results)


def test_results_may_be_what_was_copied_from_the_host(device: ndl.Device) -> None:
    @ndl.capture
    def made() -> tuple[ndl.Tensor, ndl.Tensor]:
        x = ndl.asarray([1.0, 2.0])
        return x, x * 2

    found = [made() for _ in range(5)]
    found[-1][0][...] = 5
    assert [[x.numpy().tolist(), y.numpy().tolist()] for x, y in found[:4]] == [[[1, 2], [2, 4]]] * 4


def test_what_is_read_from_outside_is_read_at_each_replay(device: ndl.Device) -> None:
    offset, host, rounded = ndl.zeros((2,)), np.zeros(2, np.float32), np.zeros(2, np.int16)

    @ndl.capture
    def shifted(x: ndl.Tensor) -> ndl.Tensor:
        return x + offset + ndl.asarray(host) + ndl.asarray(rounded.astype(np.float32))

    for k in range(6):
        offset[...] = k
        host[...] = 10 * k
        rounded[...] = 100 * (k == 5)
        np.testing.assert_array_equal(shifted(ndl.zeros((2,))).numpy(), np.full(2, 11 * k + 100 * (k == 5)))


class Model(nn.Module):
    """A product with a parameter and a number that may be exchanged."""

    def __init__(self) -> None:
        self.weight = nn.Parameter([2.0])
        self.power = 1
        self.drop = nn.Dropout(0.5)

    def forward(self, x: ndl.Tensor) -> ndl.Tensor:
        return self.drop(x * self.weight**self.power)


def _double(module: nn.Module, args: Any, result: ndl.Tensor) -> ndl.Tensor:
    return result * 2


CHANGES: dict[str, Callable[[Model], None]] = {
    "another parameter": lambda model: setattr(model, "weight", nn.Parameter([3.0])),
    "another memory": lambda model: setattr(model.weight, "data", ndl.asarray([5.0])),
    "another number": lambda model: setattr(model, "power", 2),
    "a hook": lambda model: model.drop.register_forward_hook(_double) and None,
    "another mode": lambda model: model.train() and None,
    "another dtype": lambda model: model.double() and None,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_surroundings_is_recorded_anew(device: ndl.Device, change: str) -> None:
    if change == "another dtype" and not device.supports(ndl.float64):
        pytest.skip("the device has no float64")
    model = Model().eval()
    call = ndl.capture(lambda x: model(x))
    x = ndl.asarray([1.0] * 64)
    for _ in range(4):
        call(x)
    CHANGES[change](model)
    for _ in range(4):
        ndl.manual_seed(1)
        expected = model(x).numpy()
        ndl.manual_seed(1)
        result = call(x)
        np.testing.assert_array_equal(result.numpy(), expected)
        assert result.numpy().dtype == expected.dtype


def test_a_mode_without_gradients_is_another_recording(device: ndl.Device, replays: bool) -> None:
    w = ndl.Tensor([2.0])

    @ndl.capture
    def slope(x: ndl.Tensor) -> bool:
        return (x * w).requires_grad

    x = ndl.zeros((1,))
    for _ in range(4):
        assert slope(x)
        with ndl.no_grad():
            assert not slope(x)


def test_an_option_of_the_optimiser_may_change_the_step_itself(device: ndl.Device) -> None:
    found = []
    for capture in (False, True):
        w = nn.Parameter([1.0, 2.0])
        chosen = optim.SGD([w], lr=0.1)

        def step(w: Any = w, chosen: Any = chosen) -> None:
            chosen.zero_grad()
            (w**2).sum().backward()
            chosen.step()

        call = ndl.capture(step) if capture else step
        for k in range(15):
            if k == 5:
                chosen.param_groups[0]["weight_decay"] = 0.1
            if k == 10:
                chosen.param_groups[0]["momentum"] = 0.5
            call()
        found.append(w.numpy())
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("where", ["inside", "outside", "accumulated"])
def test_gradients_are_what_they_are_after_an_eager_call(device: ndl.Device, where: str) -> None:
    seen = []
    for capture in (False, True):
        w = nn.Parameter([1.0, -1.0])

        def step(x: ndl.Tensor, w: Any = w) -> None:
            if where == "inside":
                w.grad = None
            (w * x).sum().backward()

        call = ndl.capture(step) if capture else step
        grads = []
        for k in range(8):
            call(ndl.asarray([float(k), 1.0]))
            grads.append(w.grad)
            if where == "outside" or k % 3 == 2:
                w.grad = None
        seen.append([grad.numpy().tolist() for grad in grads])
    assert seen[0] == seen[1]


def test_running_statistics_and_hidden_states_are_kept(device: ndl.Device) -> None:
    hidden = ndl.zeros((2,))

    @ndl.capture
    def recur(x: ndl.Tensor) -> ndl.Tensor:
        hidden[...] = hidden * 0.5 + x
        return hidden + 0

    expected = np.zeros(2, np.float32)
    for k in range(8):
        expected = expected * np.float32(0.5) + np.float32(k)
        np.testing.assert_array_equal(recur(ndl.asarray([float(k)] * 2)).numpy(), expected)


def test_random_numbers_are_those_of_eager_calls(device: ndl.Device) -> None:
    own = ndl.Generator(5)

    def noisy(x: ndl.Tensor) -> ndl.Tensor:
        return functional.dropout(x, 0.5) + ndl.randn(64, requires_grad=False) + ndl.init.rand(64, generator=own)

    x = ndl.ones((64,))
    runs = []
    for call in (noisy, ndl.capture(noisy)):
        ndl.manual_seed(7)
        own.manual_seed(5)
        runs.append([call(x).numpy() for _ in range(6)])
        runs[-1].append(np.array([ndl.init.rand(1).item(), own.offset]))
    for eager, captured in zip(*runs, strict=True):
        np.testing.assert_array_equal(captured, eager)


# -- what is refused --------------------------------------------------------------------------------

READS: dict[str, Callable[[ndl.Tensor], Any]] = {
    "item": lambda x: x.sum().item(),
    "if": lambda x: 1 if x.sum() > 1 else 2,
    "print": lambda x: str(x),
    "numpy": lambda x: x.numpy(),
    "mask": lambda x: x[x > 0],
    "seed": lambda x: ndl.manual_seed(1) and x,
}


@pytest.mark.parametrize("name", READS)
def test_reading_on_the_host_names_the_line(device: ndl.Device, name: str) -> None:
    call = ndl.capture(READS[name])
    with pytest.raises(CaptureError, match=r"test_capture\.py:\d+ .*inside a captured function"):
        call(ndl.asarray([1.0, 2.0]))
    assert ndl.asarray([1.0]).item() == 1  # nothing is being recorded any more


def test_what_a_replay_could_not_repeat_is_refused(device: ndl.Device, replays: bool) -> None:
    if not replays:
        pytest.skip("the device does not replay")
    kept: list[Any] = []
    rng = np.random.default_rng(0)

    def keeping(x: ndl.Tensor) -> None:
        kept[:] = [(x * 2).realize()]

    def drawing(x: ndl.Tensor) -> ndl.Tensor:
        return x + ndl.asarray(rng.standard_normal(2).astype(np.float32))

    def shuffling(x: ndl.Tensor) -> ndl.Tensor:
        return x[ndl.randperm(2)]

    class Counter:
        count = 0

    counter = Counter()
    counter.count = 0

    def counting(x: ndl.Tensor) -> ndl.Tensor:
        counter.count += 1
        return x * counter.count

    for function, message in [
        (keeping, "keeps a tensor"), (drawing, "copied from the host"), (shuffling, "on the host"),
        (counting, "numbers|counter.count"),
    ]:  # fmt: skip
        call = ndl.capture(function)
        with pytest.raises(CaptureError, match=message):
            _ = [call(ndl.ones((2,))) for _ in range(12)]


def test_bad_arguments_and_results_are_refused(device: ndl.Device) -> None:
    with pytest.raises(TypeError, match="takes a function"):
        ndl.capture(3)  # type: ignore[arg-type]
    with pytest.raises(CaptureError, match="not set"):
        ndl.capture(lambda x: 1)({1})
    with pytest.raises(CaptureError, match="not object"):
        ndl.capture(lambda x: object())(1)
    w = ndl.Tensor([1.0])
    with pytest.raises(CaptureError, match="detach"):
        ndl.capture(lambda x: x)(w * 2)


# -- life -------------------------------------------------------------------------------------------


def test_captured_functions_may_be_nested_and_methods(device: ndl.Device, replays: bool) -> None:
    class Scaler:
        def __init__(self, factor: float) -> None:
            self.factor = ndl.asarray([factor])

        @ndl.capture
        def scaled(self, x: ndl.Tensor) -> ndl.Tensor:
            return x * self.factor

    two, three = Scaler(2.0), Scaler(3.0)

    @ndl.capture
    def both(x: ndl.Tensor) -> ndl.Tensor:
        return two.scaled(x) + three.scaled(x)

    for k in range(5):
        x = ndl.asarray([float(k)])
        assert both(x).item() == 5 * k
        assert two.scaled(x).item() == 2 * k and three.scaled(x).item() == 3 * k
    assert both.replays == (3 if replays else 0)
    two.factor[...] = 10
    assert both(ndl.ones((1,))).item() == 13


@pytest.mark.parametrize(("rows", "width"), [(2048, 6), (4, 128)], ids=["activations", "parameters"])
def test_a_captured_step_holds_little_more_memory_than_an_eager_one(
    device: ndl.Device, replays: bool, rows: int, width: int
) -> None:
    if not replays:
        pytest.skip("the device does not replay")
    peaks, data = [], batches(1, rows)[0]
    for capture in (False, True):
        gc.collect()
        ndl.manual_seed(0)
        hidden = [layer for _ in range(4) for layer in (nn.Linear(width, width), nn.Tanh())]
        model = nn.Sequential(nn.Linear(6, width), *hidden, nn.Linear(width, 4))
        chosen, loss_of = optim.SGD(model.parameters(), lr=0.1), nn.CrossEntropyLoss()

        def step(x: Any, y: Any, model: Any = model, chosen: Any = chosen, loss_of: Any = loss_of) -> ndl.Tensor:
            loss: ndl.Tensor = loss_of(model(x), y)
            chosen.zero_grad()
            loss.backward()
            chosen.step()
            return loss

        before = device.memory().in_use  # type: ignore[union-attr]
        call: Any = ndl.capture(step) if capture else step
        for _ in range(4):
            call(*data)
        device.reset_peak_memory()
        for _ in range(3):
            call(*data)
        peaks.append(device.memory().peak - before)  # type: ignore[union-attr]
    assert peaks[1] <= 1.1 * peaks[0]
    held = device.memory().in_use  # type: ignore[union-attr]
    call.clear()
    gc.collect()
    assert device.memory().in_use < held  # type: ignore[union-attr]


def test_threads_may_share_a_captured_function(device: ndl.Device) -> None:
    @ndl.capture
    def double(x: ndl.Tensor) -> ndl.Tensor:
        return ndl.tanh(x) * 2

    wrong: list[float] = []

    def run(seed: int) -> None:
        with device:
            for k in range(30):
                x = ndl.asarray([float(seed + k)])
                if abs(double(x).item() - 2 * np.tanh(seed + k)) > 1e-6:
                    wrong.append(seed)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_devices_are_recorded_apart(devices: tuple[str, ...]) -> None:
    double = ndl.capture(lambda x: x * 2)
    for k in range(5):
        for name in devices[:2]:
            x = ndl.asarray([float(k)], device=name)
            result = double(x)
            assert result.device is x.device and result.item() == 2 * k


def test_a_replay_that_lacks_memory_counts_nothing(device: ndl.Device, replays: bool) -> None:
    if not replays:
        pytest.skip("the device does not replay")
    w = nn.Parameter(np.ones(1 << 16, np.float32))
    chosen = optim.Adam([w], lr=0.1)

    @ndl.capture
    def step() -> ndl.Tensor:
        chosen.zero_grad()
        loss = (functional.dropout(w, 0.5) ** 2).sum()
        loss.backward()
        chosen.step()
        return loss

    for _ in range(4):
        step()
    offset, count = ndl.default_generator.offset, chosen.state[w]["step"]
    try:
        device.limit_memory(1)
        with pytest.raises(ndl.OutOfMemoryError):
            step()
    finally:
        device.limit_memory(None)
    assert step.replays == 1
    assert (ndl.default_generator.offset, chosen.state[w]["step"]) == (offset, count)
    step()
    assert chosen.state[w]["step"] == count + 1


def test_the_profiler_sees_replayed_launches(device: ndl.Device, replays: bool) -> None:
    call = ndl.capture(lambda x: ndl.softmax(x @ x, axis=-1))
    x = ndl.ones((4, 4))
    for _ in range(4):
        call(x)
    with ndl.profile() as profile:
        call(x)
    rows = {row.kernel: row.calls for row in profile.rows}
    assert sum(rows.values()) >= 2
    if replays:
        assert all(kernel.startswith("replayed") or "matmul" in kernel or "softmax" in kernel for kernel in rows)
    np.testing.assert_allclose(call(x).numpy(), np.full((4, 4), 0.25), rtol=1e-6)


def test_gradients_that_are_added_up_over_two_calls(device: ndl.Device, replays: bool) -> None:
    seen = []
    for capture in (False, True):
        w = nn.Parameter([1.0, -1.0])
        call: Any = (lambda x, w=w: (w * x).sum().backward()) if not capture else None
        if capture:

            @ndl.capture
            def call(x: ndl.Tensor, w: Any = w) -> None:
                (w * x).sum().backward()

        grads = []
        for k in range(12):
            call(ndl.asarray([float(k), 1.0]))
            grads.append(w.grad.numpy().tolist())
            if k % 2:
                w.grad = None
            elif k == 8:
                w.grad = ndl.asarray([[9.0, 7.0], [3.0, 5.0]])[1]  # lies behind other numbers
        seen.append(grads)
    assert seen[0] == seen[1]
    assert call.replays >= (6 if replays else 0)


def test_outside_tensors_that_change_places(device: ndl.Device) -> None:
    a, b = ndl.asarray([1.0]), ndl.asarray([2.0])

    @ndl.capture
    def swap() -> None:
        a.data, b.data = b.data, a.data

    for k in range(6):
        swap()
        assert (a.item(), b.item()) == ((2.0, 1.0) if k % 2 == 0 else (1.0, 2.0))


def test_an_argument_keeps_the_gradient_that_it_has(device: ndl.Device) -> None:
    call = ndl.capture(lambda x: (x**2).sum().backward())
    x = ndl.Tensor([3.0])
    for _ in range(4):
        x.grad = None
        call(x)
    with pytest.raises(CaptureError, match=r"x\.grad = None"):
        call(x)


class Scaled(nn.Module):
    def __init__(self) -> None:
        self.weight = nn.Parameter([2.0])

    @ndl.capture
    def scaled(self, x: ndl.Tensor) -> ndl.Tensor:
        return x * self.weight


def test_a_module_with_a_captured_method_can_be_copied(device: ndl.Device) -> None:
    model = Scaled()
    x = ndl.asarray([1.0])
    for _ in range(4):
        model.scaled(x)
    other = copy.deepcopy(model)
    other.weight.data = ndl.asarray([5.0])
    for _ in range(4):
        assert (other.scaled(x).item(), model.scaled(x).item()) == (5.0, 2.0)
