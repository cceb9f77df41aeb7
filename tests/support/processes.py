"""Running programs in interpreters of their own."""

from __future__ import annotations

import os
import shutil
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


def bound_by_permissions() -> tuple[str, ...] | None:
    """What makes a command obey permissions, also root's, if put in front of it; None if there is no such thing.

    Another user would do as well, but may not be able to read the interpreter.
    """
    if sys.platform == "win32":
        return None
    if os.geteuid() != 0:
        return ()
    command = ("setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search")
    works = shutil.which("setpriv") and subprocess.run([*command, "true"], capture_output=True).returncode == 0
    return command if works else None


def start(program: str, *options: str, prefix: tuple[str, ...] = (), **extra: str) -> subprocess.Popen[str]:
    """Start `program` in an interpreter with the given options and environment variables."""
    return subprocess.Popen(
        [*prefix, sys.executable, *options, "-c", ANSWER_INTERRUPTS + program],
        env=environment(**extra), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def python(
    program: str, *options: str, prefix: tuple[str, ...] = (), timeout: float = 120, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run `program` to its end."""
    process = start(program, *options, prefix=prefix, **extra)
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def report(*arguments: str, **extra: str) -> str:
    """What pytest prints when it runs with these arguments, in a process that is none of this one's workers."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", str(root / "pyproject.toml"),
         "--rootdir", str(root), *arguments],
        env={name: value for name, value in environment(**extra).items() if not name.startswith("PYTEST_")},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
