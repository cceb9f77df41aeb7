"""Run a program and tell how long it spent on compiling kernels: `python -m benchmarks.compile_timer JSON PROGRAM ...`.

Compiling is building programs, and the first launch of each kernel: PoCL generates code only then. Launches wait for
their kernels and are then enqueued together; that is timed until the device is done, so their execution counts as well.
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
        self.programs = self.kernels = 0

    def install(self) -> None:
        """Time every build, and every flush of launches with kernels that are not compiled, from now on."""
        build, flush = cl.Program.build, OpenCLDevice._flush

        def timed_build(*arguments: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return build(*arguments, **options)
            finally:
                self.built += time.perf_counter() - began
                self.programs += 1

        def timed_flush(device: OpenCLDevice, in_making: bool = False) -> None:
            uncompiled = sum(kernel.compiled is None for kernel in device._kernels.values())
            if not device._submission.has_uncompiled:
                flush(device, in_making)
                return
            device.queue.finish()
            began, built = time.perf_counter(), self.built
            flush(device, in_making)
            device.queue.finish()
            self.launched += time.perf_counter() - began - (self.built - built)
            self.kernels += uncompiled - sum(kernel.compiled is None for kernel in device._kernels.values())

        cl.Program.build = timed_build
        OpenCLDevice._flush = timed_flush  # type: ignore[method-assign, assignment]

    def found(self) -> dict[str, float]:
        """What was counted and timed."""
        return dict(vars(self))


def main() -> None:
    """Run the program that the command line names, then write what was found."""
    target, program, *arguments = sys.argv[1:]
    timer = Timer()
    timer.install()
    sys.argv = [program, *arguments]
    sys.path.insert(0, str(Path(program).parent))  # where Python looks first for what a script imports
    began = time.perf_counter()
    runpy.run_path(program, run_name="__main__")
    seconds = time.perf_counter() - began
    Path(target).write_text(json.dumps({**timer.found(), "seconds": seconds}))


if __name__ == "__main__":
    main()
