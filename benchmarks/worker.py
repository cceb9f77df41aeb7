"""A library in a process of its own, spoken to over a pipe, ended when it takes too long."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import cases, peers
from benchmarks.case import Case, Drawn
from benchmarks.runner import LocalRunner


class TimedOutError(Exception):
    """The library took longer than it was given, and was ended."""


class RemoteRunner:
    """What LocalRunner is, in another process. Started anew after it was ended.

    Raises UnavailableError if the library cannot be measured; any method raises TimedOutError after `limit` seconds.
    """

    def __init__(self, name: str, device: str, limit: float) -> None:
        self.name, self.chosen = name, ""
        self._device, self._limit = device, limit
        self._log = tempfile.NamedTemporaryFile(suffix=".log", delete=False)  # noqa: SIM115 - kept for the run
        self._process: Any = None
        self._facts: tuple[str, str] = self._ask("facts")

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, self.name, self._device, self._log.name), daemon=True
        )
        self._process.start()
        theirs.close()

    def _ask(self, what: str, *arguments: Any) -> Any:
        if self._process is None:
            self._start()
        try:
            self._pipe.send((what, arguments))
            if not self._pipe.poll(self._limit):
                self._end()
                raise TimedOutError(f"more than {self._limit:.0f} s")
            answer = self._pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._end()
            lines = Path(self._log.name).read_text(errors="replace").strip().splitlines()
            raise RuntimeError(f"its process ended: {lines[-1] if lines else 'no message'}") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def prepare(self, case: Case, seed: int, quick: bool, drawn: Drawn | None = None) -> list[np.ndarray]:
        """See LocalRunner. The process draws the same inputs itself: they are not sent."""
        family = next(f for f in cases.FAMILIES if case in f.cases)
        results: list[np.ndarray] = self._ask("prepare", cases.full_name(family, case), seed, quick)
        return results

    def sample(self, repeats: int) -> float:
        """See LocalRunner."""
        seconds: float = self._ask("sample", repeats)
        return seconds

    def release(self) -> None:
        """See LocalRunner."""
        if self._process is not None:
            self._ask("release")

    def facts(self) -> tuple[str, str]:
        """See LocalRunner."""
        return self._facts

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None

    def close(self) -> None:
        """End the process."""
        self._end()
        self._log.close()
        Path(self._log.name).unlink(missing_ok=True)


def _serve(pipe: Connection, name: str, device: str, log: str) -> None:
    """Answer until the other end closes. What drivers and compilers print goes to the log."""
    with Path(log).open("w") as file:
        os.dup2(file.fileno(), 2)
    try:
        runner = LocalRunner(peers.load(name, device))
    except peers.UnavailableError as problem:
        pipe.send(problem)
        return
    while True:
        try:
            what, arguments = pipe.recv()
        except EOFError:
            return
        if what == "prepare":
            arguments = (cases.find(arguments[0])[1], *arguments[1:])
        try:
            pipe.send(getattr(runner, what)(*arguments))
        except Exception as problem:  # whatever a library raises is an answer
            pipe.send(RuntimeError(f"{type(problem).__name__}: {problem}".splitlines()[0]))
