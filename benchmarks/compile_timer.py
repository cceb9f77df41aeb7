"""Run a program and tell how long it spent on compiling kernels: `python -m benchmarks.compile_timer JSON PROGRAM ...`.

Compiling is building programs, and the first launch of each kernel for a local size: PoCL generates code only then.
A first launch is timed with a wait before and after it, so that the one execution in it counts as well.
"""

from __future__ import annotations

import json
import runpy
import sys
import time
from pathlib import Path
from typing import Any

import pyopencl as cl

from needle.backend.opencl.running.device import OpenCLDevice


class Timer:
    """Seconds spent on compiling, and how often."""

    def __init__(self) -> None:
        self.built = self.launched = 0.0
        self.programs = self.kernels = self.launches = 0
        self.missed = 0  # launches that went another way than through the method that is timed
        self._devices: set[OpenCLDevice] = set()
        self._seen: dict[tuple[int, tuple[int, ...]], object] = {}  # the kernels are kept, so that ids stay theirs

    def install(self) -> None:
        """Time every build and every first launch from now on."""
        build, launch = cl.Program.build, OpenCLDevice.launch

        def timed_build(*arguments: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return build(*arguments, **options)
            finally:
                self.built += time.perf_counter() - began
                self.programs += 1

        def timed_launch(device: OpenCLDevice, kernel: Any, groups: Any, local: Any, *arguments: Any) -> None:
            self.launches += 1
            self._devices.add(device)
            key = (id(kernel), tuple(local))
            if key in self._seen:
                launch(device, kernel, groups, local, *arguments)
                return
            self._seen[key] = kernel
            device.synchronize()
            began = time.perf_counter()
            launch(device, kernel, groups, local, *arguments)
            device.synchronize()
            self.launched += time.perf_counter() - began
            self.kernels += 1

        cl.Program.build = timed_build
        OpenCLDevice.launch = timed_launch  # type: ignore[method-assign, assignment]

    def found(self) -> dict[str, float]:
        """What was counted and timed."""
        self.missed = sum(device.launches for device in self._devices) - self.launches
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}


def main() -> None:
    """Run the program that the command line names, then write what was found."""
    target, program, *arguments = sys.argv[1:]
    timer = Timer()
    timer.install()
    sys.argv = [program, *arguments]
    began = time.perf_counter()
    runpy.run_path(program, run_name="__main__")
    seconds = time.perf_counter() - began
    Path(target).write_text(json.dumps({**timer.found(), "seconds": seconds}))


if __name__ == "__main__":
    main()
