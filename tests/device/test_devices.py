"""Finding devices, choosing one, and what importing and caching have to do with it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import needle as ndl
from needle.backend import registry
from needle.backend.numpy import NumpyDevice
from needle.dtypes import ALL, REQUIRED

USABLE = [info.name for info in ndl.devices() if info.problem is None]
OPENCL = [name for name in USABLE if name != "numpy"]

needs_opencl = pytest.mark.skipif(not OPENCL, reason="no OpenCL device")


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `program` in a new interpreter that finds the needle that is being tested."""
    path = os.pathsep.join([str(Path(ndl.__file__).parents[1]), *sys.path])
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "PYTHONPATH": path, **environment}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


# -- the registry -----------------------------------------------------------------------------------


def test_devices_are_described() -> None:
    infos = ndl.devices()
    assert "numpy" in [info.name for info in infos]
    assert len({info.name for info in infos}) == len(infos)
    for info in infos:
        assert info.kind in ("gpu", "cpu", "accelerator", "host", "other")
        assert info.problem is None or info.problem
        if info.problem is None:
            assert info.driver


def test_a_device_by_name(device: ndl.Device) -> None:
    assert ndl.device(device.name) is device
    assert ndl.device(device) is device
    assert repr(device) == f"device('{device.name}')"
    assert ":" in device.name or ndl.device(f"{device.name}:0") is device
    assert ndl.ones(1, device=device.name).device is device


@needs_opencl
def test_an_opencl_device_by_number() -> None:
    names = [i.name for i in ndl.devices() if i.name != "numpy"]
    index = names.index(OPENCL[0])
    assert ndl.device(f"opencl:{index}") is ndl.device(OPENCL[0])


@pytest.mark.parametrize("name", ["abacus", "", "opencl:99", "numpy:1", "opencl:x"])
def test_an_unknown_device_lists_the_known_ones(name: str) -> None:
    with pytest.raises(ndl.DeviceError, match=f"there is no device '{name}'; known are .*numpy"):
        ndl.device(name)


def test_all_devices_are_enabled() -> None:
    assert [d.name for d in ndl.all_devices()] == USABLE
    assert all(d.enabled() for d in ndl.all_devices())


def test_names_of_the_course() -> None:
    assert ndl.cpu().info.kind == ("cpu" if any(ndl.device(n).info.kind == "cpu" for n in OPENCL) else "host")
    nvidia = [name for name in OPENCL if name.startswith("nvidia")]
    if nvidia:
        assert ndl.cuda() is ndl.device(nvidia[0])
    else:
        assert not ndl.cuda().enabled()
        with pytest.raises(ndl.DeviceError, match="device 'nvidia' cannot be used: no NVIDIA GPU"):
            ndl.ones(2, device=ndl.cuda()).numpy()


def test_dtypes_of_a_device(device: ndl.Device) -> None:
    assert device.info.dtypes >= REQUIRED and ndl.float32 in REQUIRED
    assert all(device.supports(dtype) == (dtype in device.info.dtypes) for dtype in ALL)
    if device.name in OPENCL:
        extensions = device.cl_device.extensions.split()
        assert device.supports(ndl.float64) == ("cl_khr_fp64" in extensions)
        assert device.supports(ndl.float16) == ("cl_khr_fp16" in extensions)


def test_synchronize(device: ndl.Device) -> None:
    y = (ndl.ones(1000) * 2).realize()
    ndl.synchronize()
    ndl.synchronize(device)
    assert y[0].item() == 2


def test_tensors_move_between_devices(device: ndl.Device) -> None:
    host = ndl.device("numpy")
    x = ndl.Tensor([[1.0, 2.0], [3.0, 4.0]])
    there = (x * 2).T.to("numpy")
    assert there.device is host
    assert there.tolist() == [[2, 6], [4, 8]]
    (there * there).sum().backward()
    assert x.grad.device is device
    assert x.grad.tolist() == [[8, 16], [24, 32]]
    assert x.to(device) is x


# -- the default ------------------------------------------------------------------------------------


def test_the_scope_of_a_default_device() -> None:
    outer = ndl.default_device()
    for name in USABLE:
        with ndl.device(name) as chosen:
            assert ndl.default_device() is chosen
            with ndl.device("numpy"):
                assert ndl.ones(1).device.name == "numpy"
            assert ndl.ones(1).device is chosen
            with pytest.raises(ValueError, match="inside"), ndl.device("numpy"):
                raise ValueError("inside")
            assert ndl.default_device() is chosen
    assert ndl.default_device() is outer


def test_the_scope_holds_for_its_thread_alone() -> None:
    outer = ndl.default_device()
    seen: list[ndl.Device] = []
    with NumpyDevice(ndl.device("numpy").info):
        thread = threading.Thread(target=lambda: seen.append(ndl.default_device()))
        thread.start()
        thread.join()
    assert seen == [outer]


def test_devices_work_from_several_threads(device: ndl.Device) -> None:
    results: dict[int, list[float]] = {}

    def work(number: int) -> None:
        with device:
            x = ndl.full(100, number) + ndl.zeros(100)
            for _ in range(20):
                x = (x * 2 - number).realize()
            results[number] = x.tolist()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: [n] * 100 for n in range(4)}


def test_the_environment_names_the_default(device: ndl.Device) -> None:
    done = python("import needle as ndl; print(ndl.ones(1).device.name)", NEEDLE_DEVICE=device.name)
    assert done.stdout == device.name + "\n", done.stderr


def test_the_environment_names_an_unknown_device() -> None:
    done = python("import needle as ndl; ndl.ones(1)", NEEDLE_DEVICE="abacus")
    assert done.returncode == 1
    message = done.stderr.splitlines()[-1]
    assert "DeviceError: NEEDLE_DEVICE=abacus: there is no device 'abacus'; known are " in message


def test_without_a_choice_the_best_device_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEEDLE_DEVICE", raising=False)
    order = ["gpu", "accelerator", "cpu", "host", "other"]
    kinds = [info.kind for info in ndl.devices() if info.problem is None]
    assert ndl.default_device().info.kind == min(kinds, key=order.index)


# -- importing --------------------------------------------------------------------------------------


def test_import_prints_nothing_and_opens_no_device() -> None:
    done = python(
        "import needle, sys\n"
        "from needle.backend import registry\n"
        "assert not registry._backends\n"
        "assert 'pyopencl' not in sys.modules\n"
        "assert 'needle.backend.opencl' not in sys.modules\n"
        "assert not any(m in sys.modules for m in ('matplotlib', 'sklearn', 'torch', 'tqdm', 'hypothesis'))\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_listing_devices_opens_none() -> None:
    program = (
        "import needle as ndl\n"
        "ndl.devices()\n"
        "from needle.backend import registry\n"
        "assert not getattr(registry._load()['opencl'], '_opened', None)\n"
    )
    done = python(program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# -- backends of others -----------------------------------------------------------------------------


class AbacusBackend(ndl.Backend):
    """A backend as another package would bring it."""

    name = "abacus"

    def discover(self) -> list[ndl.DeviceInfo]:
        return [
            ndl.DeviceInfo("abacus", "beads", "wood", "1.0", "other", 10),
            ndl.DeviceInfo("abacus:1", "beads", "wood", "1.0", "other", 10, problem="a bead is missing"),
        ]

    def open(self, name: str) -> ndl.Device:
        return NumpyDevice(self.discover()[0])


@pytest.fixture
def entry_points(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the registry start anew with the given backends beside its own."""

    def install(**loaders: Callable[[], type]) -> None:
        points = [SimpleNamespace(name=name, load=load) for name, load in loaders.items()]
        monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "needle.backends" else [])
        built_in = registry._load()
        monkeypatch.setattr(registry, "_backends", {})
        monkeypatch.setattr(registry, "_broken", {})
        registry._load()
        for name, backend in built_in.items():  # their devices are open already
            registry._backends[name] = backend

    return install


def test_a_backend_of_another_package(entry_points: Callable[..., None]) -> None:
    entry_points(abacus=lambda: AbacusBackend)
    assert [i.name for i in ndl.devices()][-2:] == ["abacus", "abacus:1"]
    with ndl.device("abacus") as device:
        assert (ndl.asarray([1.0, 2.0]) * 2).sum().item() == 6
        assert device.name == "abacus"
    with pytest.raises(ndl.DeviceError, match="device 'abacus:1' cannot be used: a bead is missing"):
        ndl.device("abacus:1")


def test_a_backend_that_does_not_load_is_listed_with_the_reason(entry_points: Callable[..., None]) -> None:
    def load() -> type:
        raise ImportError("no module named beads")

    entry_points(beads=load)
    broken = next(info for info in ndl.devices() if info.name == "beads")
    assert broken.problem == "its backend does not load: ImportError: no module named beads"
    assert ndl.ones(1, device="numpy").item() == 1
    with pytest.raises(ndl.DeviceError, match="'beads'"):
        ndl.device("beads")


def test_a_backend_that_cannot_look_for_devices_hides_no_other(entry_points: Callable[..., None]) -> None:
    class Broken(AbacusBackend):
        def discover(self) -> list[ndl.DeviceInfo]:
            raise OSError("no beads today")

    class Strange(AbacusBackend):
        def discover(self) -> list[ndl.DeviceInfo]:
            return [replace(super().discover()[0], name="strange", kind="quantum")]

    entry_points(broken=lambda: Broken, strange=lambda: Strange)
    broken = next(info for info in ndl.devices() if info.name == "broken")
    assert broken.problem == "its backend cannot look for devices: OSError: no beads today"
    with pytest.raises(ndl.DeviceError, match="device 'broken' cannot be used: its backend cannot look"):
        ndl.device("broken")
    assert registry._best_device().name != "strange" and ndl.device("strange").info.kind


# -- processes --------------------------------------------------------------------------------------


@pytest.mark.skipif("pocl" not in USABLE, reason="PoCL keeps its compiled kernels in a folder that can be looked into")
def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    program = "import needle as ndl; x = ndl.asarray([1.0, 2.0], device='pocl'); print((x.exp() * 2).sum().item())"

    def kernels() -> set[Path]:
        return {path for path in tmp_path.rglob("*") if path.is_file() and path.suffix in (".so", ".bc", ".spv")}

    outputs = [python(program, POCL_CACHE_DIR=str(tmp_path), XDG_CACHE_HOME=str(tmp_path))]
    compiled = kernels()
    times = {path: path.stat().st_mtime_ns for path in compiled}
    outputs.append(python(program, POCL_CACHE_DIR=str(tmp_path), XDG_CACHE_HOME=str(tmp_path)))
    assert [o.returncode for o in outputs] == [0, 0], outputs
    assert outputs[0].stdout == outputs[1].stdout
    assert compiled
    assert {path: path.stat().st_mtime_ns for path in kernels()} == times
    assert float(outputs[0].stdout) == pytest.approx(2 * np.exp([1.0, 2.0]).sum(), rel=1e-6)
