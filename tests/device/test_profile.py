"""`needle.profile()`: what is counted, for whom, and that the device is left as it was."""

from __future__ import annotations

import itertools
import json
import math
import threading
from pathlib import Path

import numpy as np
import pytest

import needle as ndl
from needle.backend import registry
from needle.backend.numpy import NumpyBackend, NumpyDevice
from needle.backend.opencl.running.device import OpenCLDevice
from needle.backend.tracing import Operation, listen, unlisten
from needle.dtypes import ALL
from needle.profiling import peaks as _peaks


def rows_of(profile: ndl.Profiler, word: str) -> list[ndl.ProfileRow]:
    return [row for row in profile.rows if word in row.kernel]


def kernels_of(profile: ndl.Profiler) -> list[ndl.ProfileRow]:
    """The rows without those of transfers: an OpenCL device uploads the layout of a new shape."""
    return [row for row in profile.rows if row.kernel not in ("upload", "download")]


def array(*shape: int) -> ndl.Tensor:
    return ndl.asarray(np.ones(shape, np.float32))


def assert_unprofiled(device: ndl.Device) -> None:
    assert device.tracer is None
    assert not {"evaluate", "evaluate_alike", "reduce", "run", "upload", "download"} & set(vars(device))
    if isinstance(device, OpenCLDevice):
        assert device.queue is device._plain_queue


@pytest.fixture
def known_peaks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A device that copies 1 GB/s and computes 1 GFLOPS; what has been measured so far."""
    asked: list[str] = []
    for name in ("bandwidth", "rate"):
        monkeypatch.setattr(_peaks, f"_measure_{name}", lambda *args, what=name: asked.append(what) or 1e9)
    monkeypatch.setattr(_peaks, "_bandwidths", type(_peaks._bandwidths)())
    monkeypatch.setattr(_peaks, "_rates", type(_peaks._rates)())
    return asked


# -- what is counted --------------------------------------------------------------------------------


def test_a_matrix_product(device: ndl.Device) -> None:
    a, b = array(3, 64, 32), array(32, 48)
    with ndl.profile() as p:
        (a @ b).realize()
        (a @ b).realize()
    (row,) = p.rows
    assert row.kernel.startswith("matmul")
    assert (row.device, row.dtype, row.calls) == (device.name, np.dtype("float32"), 2)
    assert row.flops == 2 * (3 * 2 * 64 * 32 * 48)
    assert row.bytes == 2 * 4 * (3 * 64 * 32 + 32 * 48 + 3 * 64 * 48)
    assert 0 < row.seconds == p.device_seconds < p.wall_seconds
    assert row.bytes_per_second == row.bytes / row.seconds
    assert row.flops_per_second == row.flops / row.seconds


def test_a_fused_expression_is_one_row_under_its_formula(device: ndl.Device) -> None:
    x, y = array(100, 50), array(50)
    with ndl.profile() as p:
        for scale in (1.5, 2.5):
            (x.exp() * y + scale).realize()
    (row,) = kernels_of(p)
    assert row.kernel == "elementwise: (exp(x) * y) + c"
    assert row.calls == 2
    assert row.flops == 2 * 3 * 5000
    assert row.bytes == 2 * 4 * (5000 + 50 + 5000)


def test_a_view_counts_the_elements_that_it_covers(device: ndl.Device) -> None:
    x = array(40, 30)
    wide = array(30).broadcast_to((40, 30))
    with ndl.profile() as p:
        (x[::2, ::3] * 2).realize()
        (wide * 2).realize()
        (x @ x.T).realize()
        (x[:30] @ x[:30]).realize()
    strided, broadcast = sorted(rows_of(p, "elementwise")[0]._spans, key=lambda s: s.bytes)
    assert strided.bytes == 4 * (20 * 10 * 2)
    assert broadcast.bytes == 4 * (30 + 40 * 30)
    products = sorted(s.bytes for row in rows_of(p, "matmul") for s in row._spans)
    assert products == [4 * (900 + 900), 4 * (1200 + 1200 + 1600)]


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_a_reduction_counts_once_in_however_many_launches(device: ndl.Device, axis: int | None) -> None:
    x = array(2000, 300)
    before = device.launches
    with ndl.profile() as p:
        total = (x * 2).sum(axis).realize()
    kernels = kernels_of(p)
    assert all(row.kernel.endswith(": sum(x * c)") for row in kernels)
    assert sum(row.calls for row in kernels) == device.launches - before
    assert sum(row.flops for row in kernels) == 2 * 600_000
    assert sum(row.bytes for row in kernels) == 4 * (600_000 + total.size)


def test_a_step_of_many_parameters_counts_each_once(device: ndl.Device) -> None:
    parameters = [ndl.nn.Parameter(np.ones(shape, np.float32)) for shape in ((30, 20), (20,), (7,))]
    optimizer = ndl.optim.SGD(parameters, lr=0.5)
    for parameter in parameters:
        parameter.grad = array(*parameter.shape)
    before = device.launches
    with ndl.profile() as p:
        optimizer.step()
        for parameter in parameters:
            parameter.realize()
    rows = kernels_of(p)
    assert sum(row.calls for row in rows) == device.launches - before
    assert all(row.kernel.startswith("elementwise") for row in rows)
    assert sum(row.bytes for row in rows) == 3 * 4 * (600 + 20 + 7)
    assert all((parameter.numpy() == 0.5).all() for parameter in parameters)


def test_argmax(device: ndl.Device) -> None:
    x = array(100_000)
    with ndl.profile() as p:
        assert x.argmax().item() == 0
    rows = rows_of(p, "argmax(x)")
    assert {row.dtype for row in rows} == {np.dtype("float32")}
    assert sum(row.flops for row in rows) == 100_000
    assert sum(row.bytes for row in rows) == 400_000 + 8


def test_a_take_counts_what_it_takes(device: ndl.Device) -> None:
    table, indices = array(1000, 16), ndl.asarray(np.arange(5))
    with ndl.profile() as p:
        ndl.take(table, indices, axis=0).realize()
    rows = rows_of(p, "take")
    assert sum(row.bytes for row in rows) == 4 * 5 * 16 + indices.numpy().nbytes + 4 * 5 * 16
    assert sum(row.flops for row in rows) == 0


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_softmax_is_named_by_its_function(device: ndl.Device, name: str) -> None:
    x = array(20, 30)
    with ndl.profile() as p:
        getattr(ndl, name)(x, axis=1).realize()
    (row,) = rows_of(p, name)
    assert row.flops == (4 if name == "logsumexp" else 5) * 600


def test_random_numbers_and_constants(device: ndl.Device) -> None:
    with ndl.profile() as p:
        ndl.randn(100).realize()
        ndl.full((7,), 3.0).realize()
    assert rows_of(p, "random_normal")[0].bytes == 400
    assert rows_of(p, "elementwise: fill")[0].bytes == 28


def test_transfers(device: ndl.Device, known_peaks: list[str]) -> None:
    with ndl.profile() as p:
        x = array(1000)
        x.numpy()
    assert [(row.kernel, row.bytes, row.flops) for row in sorted(p.rows, key=lambda r: r.kernel)] == [
        ("download", 4000, 0),
        ("upload", 4000, 0),
    ]
    assert all(math.isnan(row.share) for row in p.rows)
    assert known_peaks == []


def test_every_launch_is_counted_and_nothing_computes_otherwise(device: ndl.Device) -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((50, 20), dtype=np.float32), rng.integers(0, 5, 50)

    def train() -> list[np.ndarray]:
        ndl.manual_seed(0)
        model = ndl.nn.Sequential(ndl.nn.Linear(20, 30), ndl.nn.ReLU(), ndl.nn.Linear(30, 5))
        optimizer = ndl.optim.Adam(model.parameters(), lr=0.01)
        loss_of = ndl.nn.CrossEntropyLoss()
        for _ in range(3):
            optimizer.zero_grad()
            loss_of(model(ndl.asarray(x)), ndl.asarray(labels)).backward()
            optimizer.step()
        return [p.numpy() for p in model.parameters()]

    plain = train()
    before = device.launches
    with ndl.profile() as p:
        profiled = train()
    launches = device.launches - before
    assert sum(row.calls for row in kernels_of(p)) == launches
    for a, b in zip(plain, profiled, strict=True):
        np.testing.assert_array_equal(a, b)
    assert_unprofiled(device)


def test_new_memory_is_there_before_the_profiled_queue_writes_it(device: ndl.Device) -> None:
    with ndl.profile():
        arrays = [ndl.full((100_003 + 4096 * i,), float(i)).realize() for i in range(40)]
        for i, x in enumerate(arrays):
            assert (x.numpy() == i).all()


# -- nested, overlapping, interrupted ---------------------------------------------------------------


def test_nested_profiles_see_what_they_would_see_alone(device: ndl.Device) -> None:
    x = array(8, 8)
    with ndl.profile() as outer:
        (x @ x).realize()
        with ndl.profile() as inner:
            (x @ x).realize()
        (x @ x).realize()
    assert [row.calls for row in outer.rows] == [3]
    assert [row.calls for row in inner.rows] == [1]
    assert_unprofiled(device)


def test_overlapping_profiles(device: ndl.Device) -> None:
    x = array(8, 8)
    first, second = ndl.profile(), ndl.profile()
    first.__enter__()
    (x @ x).realize()
    second.__enter__()
    (x @ x).realize()
    first.__exit__(None, None, None)
    (x @ x).realize()
    (x @ x).realize()
    second.__exit__(None, None, None)
    assert [row.calls for row in first.rows] == [2]
    assert [row.calls for row in second.rows] == [3]
    assert_unprofiled(device)


def test_an_exception_in_the_block_passes_through(device: ndl.Device) -> None:
    x = array(8, 8)
    p = ndl.profile()
    with pytest.raises(ZeroDivisionError), p:  # noqa: PT012  (the block is what is tested)
        (x @ x).realize()
        raise ZeroDivisionError
    assert [row.calls for row in p.rows] == [1]
    assert_unprofiled(device)


def test_an_operation_that_fails_is_not_counted(device: ndl.Device, monkeypatch: pytest.MonkeyPatch) -> None:
    x = array(8, 8)

    def fail(*args: object, **params: object) -> None:
        raise ArithmeticError("no")

    monkeypatch.setattr(type(device), "run", fail)
    with ndl.profile() as p:
        with pytest.raises(ArithmeticError):
            (x @ x).realize()
        (x + 1).realize()
    assert [row.kernel for row in kernels_of(p)] == ["elementwise: x + c"]
    assert_unprofiled(device)


def test_a_block_that_launches_nothing(device: ndl.Device, tmp_path: Path) -> None:
    with ndl.profile() as p:
        pass
    assert p.rows == [] and p.device_seconds == 0 and p.wall_seconds > 0
    assert str(p).startswith("0 launches took 0.000 ms of device time in ")
    p.save_trace(tmp_path / "trace.json")
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"] == []


def test_what_stays_pending_is_not_counted(device: ndl.Device) -> None:
    x = array(5)
    with ndl.profile() as p:
        y = x + 1
    assert p.rows == []
    assert y.numpy().tolist() == [2] * 5


def test_a_profile_is_read_after_its_block_and_used_once(device: ndl.Device, tmp_path: Path) -> None:
    p = ndl.profile()
    for read in (lambda: p.rows, lambda: p.table(), lambda: p.wall_seconds, lambda: p.save_trace(tmp_path / "t")):
        with pytest.raises(RuntimeError, match="after its `with` block has ended"):
            read()
    with p:
        assert "Profiler" in str(p)
        with pytest.raises(RuntimeError, match="serves one `with` block"):
            p.__enter__()
    with pytest.raises(RuntimeError, match="serves one `with` block"), p:
        pass
    assert_unprofiled(device)


# -- devices and threads ----------------------------------------------------------------------------


def test_several_devices(device: ndl.Device) -> None:
    host = ndl.device("numpy")
    x, y = array(8, 8), ndl.ones((8, 8), device=host)
    with ndl.profile() as both, ndl.profile(host) as one, ndl.profile("numpy", host) as same:
        (x @ x).realize()
        (y @ y).realize()
    assert {row.device for row in both.rows} == {device.name, "numpy"}
    assert {row.device for row in one.rows} == {"numpy"}
    assert [(r.kernel, r.calls) for r in one.rows] == [(r.kernel, r.calls) for r in same.rows]
    assert ("DEVICE" in both.table().splitlines()[0]) == (device is not host)


def test_a_device_that_is_opened_inside_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    class LateBackend(NumpyBackend):
        name = "late"

        def discover(self) -> list[ndl.DeviceInfo]:
            return [ndl.DeviceInfo("late", "a NumPy that comes late", "", "1", "host", 0, frozenset(ALL))]

    monkeypatch.setattr(registry, "_backends", {**registry._load(), "late": LateBackend()})
    with ndl.profile() as p:
        late = ndl.device("late")
        ndl.ones(3, device=late).realize()
    assert [row.device for row in p.rows] == ["late"]
    assert_unprofiled(late)
    assert registry.watchers == []


def test_devices_that_there_are_not() -> None:
    with pytest.raises(ndl.DeviceError, match="there is no device 'abacus'"):
        ndl.profile("abacus")
    with pytest.raises(ndl.DeviceError, match="device 'away' cannot be used: it left"):
        ndl.profile(registry.AbsentDevice("away", "it left"))


def test_every_thread_counts(device: ndl.Device, tmp_path: Path) -> None:
    x = array(16, 16)

    def work() -> None:
        for _ in range(20):
            (x @ x).realize()

    threads = [threading.Thread(target=work, name=f"worker {i}") for i in range(3)]
    with ndl.profile() as p:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [row.calls for row in p.rows] == [60]
    p.save_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    tracks = {e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert tracks == {"device: runs", *(f"host: enqueues (worker {i})" for i in range(3))}


# -- the floor --------------------------------------------------------------------------------------


def test_the_share_of_the_floor(device: ndl.Device, known_peaks: list[str]) -> None:
    x = array(50, 50)
    with ndl.profile() as p:
        (x @ x).realize()
        x.relu().realize()
    assert known_peaks == []
    product, relu = rows_of(p, "matmul")[0], rows_of(p, "relu")[0]
    assert product.floor == pytest.approx(2 * 50**3 / 1e9)
    assert relu.floor == pytest.approx(2 * 2500 * 4 / 1e9)
    assert product.share == pytest.approx(product.floor / product.seconds)
    assert str(p).count("%") >= 3
    assert sorted(known_peaks) == ["bandwidth", "rate"]


def test_the_device_is_measured_without_anybody_noticing(
    device: ndl.Device, known_peaks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(_peaks, "_bandwidths", type(_peaks._bandwidths)())
    monkeypatch.setattr(_peaks, "_rates", type(_peaks._rates)())
    monkeypatch.setattr(_peaks, "_COPIED", 1 << 20)
    monkeypatch.setattr(_peaks, "_LONG_ENOUGH", 1e-5)
    x = array(50, 50)
    with ndl.profile() as outer:
        with ndl.profile() as inner:
            (x @ x).realize()
        (row,) = inner.rows
        assert 0 < row.share < math.inf
        (x @ x).realize()
    assert [row.calls for row in outer.rows] == [2]
    assert _peaks.bandwidth(device) > 0
    assert _peaks.arithmetic_rate(device, ndl.int32) == _peaks.arithmetic_rate(device, ndl.float32) > 0
    assert_unprofiled(device)


def test_a_device_that_cannot_be_measured(device: ndl.Device, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(device: ndl.Device) -> float:
        raise ndl.OutOfMemoryError("it is full")

    monkeypatch.setattr(_peaks, "_bandwidths", type(_peaks._bandwidths)())
    monkeypatch.setattr(_peaks, "_measure_bandwidth", fail)
    x = array(50, 50)
    with ndl.profile() as p:
        x.relu().realize()
    assert "the device's best could not be measured: it is full" in str(p)
    assert "elementwise: relu(x)" in str(p)


# -- the table and the trace ------------------------------------------------------------------------


def test_the_table(known_peaks: list[str]) -> None:
    device = NumpyDevice(ndl.DeviceInfo("toy", "", "", "", "host", 0, frozenset(ALL)))
    x = ndl.ones((1000, 1000), device=device).realize()
    with ndl.profile(device) as p:
        (x.exp() * 2).sum().realize()
        x.numpy()
    lines = p.table(name_width=12).splitlines()
    assert lines[0].split() == ["KERNEL", "DTYPE", "CALLS", "MS", "%", "GB/S", "GFLOPS", "OF", "FLOOR"]
    assert {line[:12] for line in lines[1:3]} == {"reduce: s...", "download    "}
    assert len({len(line) for line in lines[:3]}) == 1
    assert lines[-1].startswith("2 launches took ")
    with pytest.raises(ValueError, match="name_width=3 must be at least 10"):
        p.table(name_width=3)


def test_a_launch_too_short_to_be_timed() -> None:
    row = ndl.ProfileRow("toy", "matmul", np.dtype("float32"), 1, 0.0, 100, 100, ())
    assert math.isnan(row.bytes_per_second) and math.isnan(row.flops_per_second) and math.isnan(row.share)


def test_the_trace(device: ndl.Device, tmp_path: Path) -> None:
    x = array(64, 64)
    with ndl.profile() as p:
        for _ in range(5):
            (x @ x).realize()
            (x + 1).realize()
    p.save_trace(str(tmp_path / "trace.json"))
    trace = json.loads((tmp_path / "trace.json").read_text())
    names = {(e["name"], e["tid"]): e["args"]["name"] for e in trace["traceEvents"] if e["ph"] == "M"}
    assert names["process_name", 0] == device.name
    assert names["thread_name", 0] == "device: runs"
    spans = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    calls = sum(row.calls for row in p.rows)
    runs = sorted((e for e in spans if e["tid"] == 0), key=lambda e: e["ts"])
    assert len(runs) == calls
    for earlier, later in itertools.pairwise(runs):  # the queue is in order
        assert later["ts"] >= earlier["ts"] + earlier["dur"] - 0.01
    assert {e["name"] for e in runs} == {row.kernel for row in p.rows}
    assert all(e["args"]["bytes"] > 0 and e["args"]["dtype"] == "float32" for e in runs if e["name"] != "upload")
    host = [e for e in spans if e["tid"] != 0]
    assert sum(e["name"] in ("matmul", "elementwise") for e in host if not e["args"]) >= 10
    product = next(e for e in runs if "matmul" in e["name"])
    assert product["args"]["flops"] == 2 * 64**3 and product["args"]["shape"] == [64, 64]
    with pytest.raises(FileNotFoundError):
        p.save_trace(tmp_path / "nowhere" / "trace.json")


# -- listening --------------------------------------------------------------------------------------


def test_a_listener_of_its_own(device: ndl.Device) -> None:
    heard: list[Operation] = []
    x = array(4)
    listen(device, heard.append)
    try:
        (x + 1).realize()
    finally:
        unlisten(device, heard.append)
    (x + 2).realize()
    (operation,) = [o for o in heard if o.cost.kind != "upload"]
    assert operation.cost.detail == "x + c" and operation.begin < operation.end
    queued, start, end = operation.launches[0].times()
    assert queued <= start <= end
    assert_unprofiled(device)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (lambda x, y: x - (y - x), "x - (y - x)"),
        (lambda x, y: -(x + y).exp(), "-exp(x + y)"),
        (lambda x, y: -(x + y), "-(x + y)"),
        (lambda x, y: ndl.where(x > 0, x, y) * 3, "where(x > c, x, y) * c"),
        (lambda x, y: (x > y).astype("float32"), "float32(x > y)"),
        (lambda x, y: x.tanh() / (1 + y), "tanh(x) / (c + y)"),
    ],
)
def test_formulas(expression, text) -> None:
    with ndl.device("numpy"):
        x, y = array(3), array(3)
        with ndl.profile() as p:
            expression(x, y).realize()
    assert [row.kernel for row in p.rows] == [f"elementwise: {text}"]
