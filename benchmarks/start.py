"""What a start costs: importing needle, and compiling the kernels of examples/digits.py, cold and warm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.peers import UnavailableError
from benchmarks.statistics import spread

ROOT = Path(__file__).parents[1]
IMPORTS = 7
COLD_BAR, WARM_BAR = 1.5, 1.0  # seconds

#: The most seconds that a first training step may take, by model, and in a second process.
FIRST_STEPS = {"perceptron": 2.5, "transformer block": 3.0, "LSTM by hand": 4.5, "CNN": 5.0}
SECOND_PROCESS_BAR = 0.7


def import_seconds(modules: str) -> float:
    """The median time of a process that imports these modules, and does nothing else."""
    samples = []
    for _ in range(IMPORTS + 1):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import {modules}"], check=True, cwd=ROOT)
        samples.append(time.perf_counter() - began)
    return spread(samples[1:]).median


def _with_caches(folder: Path) -> dict[str, str]:
    """The environment of a process whose kernel caches lie in a folder."""
    (folder / "pocl").mkdir(exist_ok=True)
    return {
        **os.environ,
        "POCL_CACHE_DIR": str(folder / "pocl"),
        "XDG_CACHE_HOME": str(folder),
        "CUDA_CACHE_PATH": str(folder / "cuda"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }


def first_step(device: str, model: str, caches: Path) -> float:
    """The seconds of a model's first training step in a process of its own."""
    environment = _with_caches(caches) | {"NEEDLE_DEVICE": device}
    command = [sys.executable, "-m", "benchmarks.first_steps", model]
    done = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
    return float(json.loads(done.stdout)[1])


def compile_times(device: str, caches: Path) -> dict[str, Any]:
    """What `benchmarks.compile_timer` finds in two epochs of the example, with the kernel caches in a folder."""
    found = caches / "found.json"
    command = [sys.executable, "-m", "benchmarks.compile_timer", str(found), str(ROOT / "examples" / "digits.py")]
    subprocess.run(
        [*command, "--device", device, "--epochs", "2"], check=True, env=_with_caches(caches), capture_output=True
    )
    times: dict[str, Any] = json.loads(found.read_text())
    if not times["kernels"]:
        raise UnavailableError(f"{device} compiles no kernels")
    return times


def measure(device: str) -> list[Figure]:
    """The figures of a start; "in a second process" finds the caches that the first has left."""
    with tempfile.TemporaryDirectory() as folder:
        cold = compile_times(device, Path(folder))
        warm = compile_times(device, Path(folder))
    figures = []
    for title, found, bar in (("from a cold cache", cold, COLD_BAR), ("in a second process", warm, WARM_BAR)):
        figures += [
            Figure(f"compiling, {title}", found["built"] + found["launched"], "s", bar),
            Figure(f"- building {found['programs']} programs", found["built"], "s"),
            Figure(f"- first launches of {found['kernels']} kernels", found["launched"], "s"),
            Figure("- the example's two epochs in all", found["seconds"], "s"),
        ]
    for model, most in FIRST_STEPS.items():
        with tempfile.TemporaryDirectory() as folder:
            for where, bar in (("from a cold cache", most), ("in a second process", SECOND_PROCESS_BAR)):
                seconds = first_step(device, model, Path(folder))
                figures.append(Figure(f"first step of the {model}, {where}", seconds, "s", bar))
    bare = import_seconds("sys")
    for modules in ("numpy", "numpy, pyopencl", "needle"):
        figures.append(Figure(f"import {modules}, beyond an empty process", import_seconds(modules) - bare, "s"))
    return figures
