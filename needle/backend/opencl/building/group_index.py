"""In which program each kernel was compiled, for later processes.

A driver's cache knows a program by its whole source. A process that needs some kernels of a program of several, because
its script has changed a little, say, finds them here and builds that same program, which the driver has in its cache.

The index is a folder for each driver and device. `index.json` tells of each kernel, by the digest of its own source,
its program and its name there; `<digest>.cl` is the source of a program. What is missing or damaged is compiled anew.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b

from needle.backend.opencl.building import caches

#: The most kernels in an index; then it starts anew.
_MOST = 8192


def digest(source: str, optimised: bool) -> str:
    """The name by which an index knows a kernel, or a program, that is compiled with or without optimiser."""
    return blake2b(f"{optimised}\n{source}".encode(), digest_size=16).hexdigest()


class GroupIndex:
    """The index of one device, of which `device` are properties that no other driver or device shares all of."""

    def __init__(self, *device: str) -> None:
        name = blake2b("\n".join(device).encode(), digest_size=8).hexdigest()
        self._folder = caches.user_folder("needle") / f"programs-{name}"
        self._known: dict[str, tuple[str, str]] | None = None

    def find(self, kernels: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
        """The programs that hold some of `kernels`, which are digests: the source, and the names by digest."""
        if self._known is None:
            self._known = self._read()
        chosen: dict[str, dict[str, str]] = {}
        for kernel in kernels:
            if kernel in self._known:
                program, name = self._known[kernel]
                chosen.setdefault(program, {})[kernel] = name
        found = []
        for program, names in chosen.items():
            source = self._source(program)
            if source is not None:
                found.append((source, names))
        return found

    def add(self, source: str, names: Mapping[str, str]) -> None:
        """Note a program and the names of its kernels by their digests."""
        program = digest(source, optimised=True)
        known = self._read()  # another process may have added to it
        if len(known) + len(names) > _MOST:
            known = {}
        known.update({kernel: (program, name) for kernel, name in names.items()})
        self._known = known
        with suppress(OSError):  # without an index, more is compiled
            self._folder.mkdir(parents=True, exist_ok=True)
            self._write(f"{program}.cl", source)
            self._write("index.json", json.dumps(known))

    def _read(self) -> dict[str, tuple[str, str]]:
        try:
            loaded = json.loads((self._folder / "index.json").read_text())
            return {str(kernel): (str(program), str(name)) for kernel, (program, name) in loaded.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _source(self, program: str) -> str | None:
        with suppress(OSError, ValueError):
            source = (self._folder / f"{program}.cl").read_text()
            if digest(source, optimised=True) == program:
                return source
        return None

    def _write(self, name: str, text: str) -> None:
        temporary = self._folder / f"{name}.{secrets.token_hex(4)}"
        temporary.write_text(text)
        temporary.replace(self._folder / name)
