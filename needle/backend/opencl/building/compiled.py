"""Folders of compiled kernels, and how damaged files in them are found.

A file that is new here is checked by its structure: ELF and LLVM bitcode state their own length. Its checksum is then
noted, in a file in the folder. Later, a file whose size or time of writing has changed is compared with its checksum.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from needle.backend.opencl.building.cache_lock import holding

_CHECKSUMS = "needle-checksums.json"

#: A file's size, time of writing and checksum.
Entry = tuple[int, int, str]

Files = list[os.DirEntry[str]]


@dataclass
class Findings:
    """The faults that a check of a store has found."""

    #: The folders of damaged programs.
    damaged: list[Path] = field(default_factory=list)
    #: The folders and files that this process lacks the permission to use as the store's owner does.
    closed: list[Path] = field(default_factory=list)
    #: Whether another process held the lock for the whole time, so that no file could be checked.
    locked: bool = False


@dataclass(frozen=True)
class Store:
    """A cache folder. Each folder `depth` levels below it holds the compiled files of one program."""

    folder: Path
    depth: int
    #: The files that the cache's owner loads unchecked: how their names end, and a test of whether a file is whole.
    loaded: dict[str, Callable[[bytes], bool]]
    #: The lock file of an owner that writes its files in place. While it exists no file can be checked.
    lock: Path | None = None

    def check(self, patience: float, remove: bool = False) -> Findings:
        """Check every program against the noted checksums, and note the checksums of new files.

        Args:
            patience: the seconds to wait for the lock. It is needed only if a file is new or has changed.
            remove: whether to remove damaged programs.
        """
        known, findings = self._read_checksums(), Findings()
        found, doubtful = self._survey(known, findings.closed)
        if doubtful or (self.lock is not None and self.lock.exists()):
            with holding(self.lock, patience) as held:
                if not held:
                    findings.locked = True
                    return findings
                for program, files in doubtful.items():
                    entries = self._judge(files, known)
                    if entries is not None:
                        found.update(entries)
                        continue
                    findings.damaged.append(Path(program))
                    if remove and not _is_removed(program):
                        findings.closed.append(Path(program))
        if found != known:
            self._write_checksums(found)
        return findings

    def _survey(self, known: dict[str, Entry], closed: list[Path]) -> tuple[dict[str, Entry], dict[str, Files]]:
        """The notes of the unchanged programs by file, and the files of the other programs, which must be checked."""
        found, doubtful = {}, {}
        for program in self._programs(str(self.folder), self.depth, closed):
            files = list(self._files(program, closed))
            if all(self._is_known(file, known) for file in files):
                found.update({name: known[name] for name in map(self._name, files)})
            else:
                doubtful[program] = files
        return found, doubtful

    def _read_checksums(self) -> dict[str, Entry]:
        try:
            loaded = json.loads((self.folder / _CHECKSUMS).read_text())
            return {str(name): (int(size), int(time), str(digest)) for name, (size, time, digest) in loaded.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _write_checksums(self, entries: dict[str, Entry]) -> None:
        with suppress(OSError):
            temporary = self.folder / f"{_CHECKSUMS}.{secrets.token_hex(4)}"
            temporary.write_text(json.dumps(entries))
            temporary.replace(self.folder / _CHECKSUMS)

    def _programs(self, folder: str, depth: int, closed: list[Path]) -> Iterator[str]:
        """The folders `depth` levels below `folder`. Those in between that cannot be used go to `closed`."""
        if depth == 0:
            yield folder
            return
        for entry in _entries(folder, closed):
            if entry.is_dir(follow_symlinks=False):
                yield from self._programs(entry.path, depth - 1, closed)

    def _files(self, folder: str, closed: list[Path]) -> Iterator[os.DirEntry[str]]:
        """The files in `folder`, at any depth, that the owner loads. Those that cannot be used go to `closed`."""
        for entry in _entries(folder, closed):
            if entry.is_dir(follow_symlinks=False):
                yield from self._files(entry.path, closed)
            elif entry.name.endswith(tuple(self.loaded)):
                if _is_closed(entry.path, os.R_OK):
                    closed.append(Path(entry.path))
                yield entry

    def _name(self, file: os.DirEntry[str]) -> str:
        return file.path[len(str(self.folder)) + 1 :]

    def _is_known(self, file: os.DirEntry[str], known: dict[str, Entry]) -> bool:
        """Whether a file has the size and the time of writing that were noted."""
        try:
            status = file.stat()
        except OSError:
            return False
        return known.get(self._name(file), ())[:2] == (status.st_size, status.st_mtime_ns)

    def _judge(self, files: Files, known: dict[str, Entry]) -> dict[str, Entry] | None:
        """Check a program's files: what to note of each by its name, or None if one is damaged."""
        entries = {}
        for file in files:
            name = self._name(file)
            try:
                status, data = Path(file.path).stat(), Path(file.path).read_bytes()
            except FileNotFoundError:  # another process has just removed it
                continue
            except OSError:
                return None
            digest = blake2b(data, digest_size=16).hexdigest()
            sound = next(is_sound for end, is_sound in self.loaded.items() if file.name.endswith(end))
            if (name in known and known[name][2] != digest) or not sound(data):
                return None
            entries[name] = (status.st_size, status.st_mtime_ns, digest)
        return entries


def _entries(folder: str, closed: list[Path]) -> Iterator[os.DirEntry[str]]:
    """The entries of a folder, which is added to `closed` if files in it cannot be read and replaced."""
    if _is_closed(folder, os.R_OK | os.W_OK | os.X_OK):
        closed.append(Path(folder))
    with suppress(OSError), os.scandir(folder) as entries:
        yield from entries


def _is_removed(folder: str) -> bool:
    """Try to remove a folder; whether it is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    return not os.path.lexists(folder)


def _is_closed(path: str, mode: int) -> bool:
    """Whether a file or folder exists to which this process has no access in `mode`."""
    return not os.access(path, mode) and os.path.lexists(path)  # another process may just have removed it


def is_whole_library(data: bytes) -> bool:
    """Whether an ELF file is whole: its last part, the table of its sections, ends within the file."""
    if data[:4] != b"\x7fELF":
        return bool(data) and os.name != "posix"  # other systems have other formats
    wide, order = data[4:5] == b"\2", "<" if data[5:6] == b"\1" else ">"
    if len(data) < 64:
        return False
    (start,) = struct.unpack_from(f"{order}{'Q' if wide else 'I'}", data, 0x28 if wide else 0x20)
    size, count = struct.unpack_from(f"{order}HH", data, 0x3A if wide else 0x2E)
    return bool(start + size * count <= len(data))


def is_whole_bitcode(data: bytes) -> bool:
    """Whether LLVM bitcode is whole: a sequence of blocks, each stating its length, up to the end of the file."""
    if data[:4] != b"BC\xc0\xde" or len(data) % 4:
        return data[:4] == b"\xde\xc0\x17\x0b"  # a wrapped file
    at = 4
    while at + 8 <= len(data):
        head, words = struct.unpack_from("<II", data, at)
        if head & 3 != 1:  # the abbreviation that opens a block
            return False
        at += 8 + 4 * words
    return at == len(data)


def is_whole_pickle(data: bytes) -> bool:
    """Whether pickled data is whole: its last byte is the opcode that ends a pickle."""
    return data.endswith(b".")
