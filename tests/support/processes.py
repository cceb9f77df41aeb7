"""Running programs in interpreters of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import needle as ndl


def environment(**extra: str) -> dict[str, str]:
    """The environment for an interpreter that finds the needle that is being tested."""
    path = os.pathsep.join([str(Path(ndl.__file__).parents[1]), *sys.path])
    return {**os.environ, "PYTHONPATH": path, **extra}


#: What a shell started in the background ignores Ctrl-C: a program that begins with this answers it in any case.
ANSWER_INTERRUPTS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"


def start(program: str, *options: str, **extra: str) -> subprocess.Popen[str]:
    """Start `program` in an interpreter with the given options and environment variables."""
    return subprocess.Popen(
        [sys.executable, *options, "-c", ANSWER_INTERRUPTS + program],
        env=environment(**extra), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def python(program: str, *options: str, timeout: float = 120, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run `program` to its end."""
    process = start(program, *options, **extra)
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)
