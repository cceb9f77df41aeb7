"""In which program each kernel was compiled, for later processes.

A driver's cache knows a program by its whole source. A process that needs some kernels of a program of several, because
its script has changed a little, say, finds them here and builds that same program, which the driver has in its cache.

The index is a folder for each driver and device. `<digest>.cl` is the source of a program. Each line of `index` tells
of one program: its digest, and the names of its kernels by the digests of their own sources, as JSON. Processes add
lines and change none. What is missing or damaged is compiled anew.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b

from needle.backend.opencl.building import caches

#: The most bytes of an index, some ten thousand kernels; then it starts anew.
_MOST = 1 << 20


def digest(source: str, optimised: bool) -> str:
    """The name by which an index knows a kernel, or a program, that is compiled with or without optimiser."""
    return blake2b(f"{optimised}\n{source}".encode(), digest_size=16).hexdigest()


class GroupIndex:
    """The index of one device, of which `device` are properties that no other driver or device shares all of."""

    def __init__(self, *device: str) -> None:
        name = blake2b("\n".join(device).encode(), digest_size=8).hexdigest()
        self._folder = caches.user_folder("needle") / f"programs-{name}"
        self._file = self._folder / "index"
        self._known: dict[str, tuple[str, str]] | None = None  # for each kernel its program and its name there

    def find(self, kernels: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
        """The programs that hold some of `kernels`, which are digests: the source, and the names by digest."""
        known = self._read()
        chosen: dict[str, dict[str, str]] = {}
        for kernel in kernels:
            if kernel in known:
                program, name = known[kernel]
                chosen.setdefault(program, {})[kernel] = name
        sources = ((self._source(program), names) for program, names in chosen.items())
        return [(source, names) for source, names in sources if source is not None]

    def add(self, source: str, names: Mapping[str, str]) -> None:
        """Note a program and the names of its kernels by their digests."""
        program = digest(source, optimised=True)
        self._read().update({kernel: (program, name) for kernel, name in names.items()})
        with suppress(OSError):  # without an index, more is compiled
            self._folder.mkdir(parents=True, exist_ok=True)
            temporary = self._folder / f"{program}.{secrets.token_hex(4)}"
            temporary.write_text(source)
            temporary.replace(self._folder / f"{program}.cl")
            if self._file.is_file() and self._file.stat().st_size > _MOST:
                self._file.unlink(missing_ok=True)
            with self._file.open("a") as file:
                file.write(json.dumps([program, dict(names)]) + "\n")

    def _read(self) -> dict[str, tuple[str, str]]:
        """What the index says, and what this process has added."""
        if self._known is None:
            self._known = {}
            with suppress(OSError, UnicodeDecodeError):
                for line in self._file.read_text().splitlines():
                    with suppress(ValueError, TypeError, AttributeError):  # the line is damaged
                        program, names = json.loads(line)
                        self._known.update({str(kernel): (str(program), str(name)) for kernel, name in names.items()})
        return self._known

    def _source(self, program: str) -> str | None:
        with suppress(OSError, ValueError):
            source = (self._folder / f"{program}.cl").read_text()
            if digest(source, optimised=True) == program:
                return source
        return None
