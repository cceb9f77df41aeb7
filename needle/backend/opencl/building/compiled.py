"""Folders of compiled kernels, whose damaged files are found by their structure and by checksums.

A file is checked by its structure when it is first seen (ELF and LLVM bitcode tell their own length), and from then
on by a checksum, kept in the folder, whenever its size or time has changed.
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
    """What is wrong with a store."""

    #: The programs that are damaged.
    damaged: list[Path] = field(default_factory=list)
    #: The folders and files that this process may not use as their owner does.
    closed: list[Path] = field(default_factory=list)
    #: Whether somebody held the lock all the time, so that nothing could be judged.
    locked: bool = False


@dataclass(frozen=True)
class Store:
    """A folder in which each folder so many levels deep holds what was compiled of one program."""

    folder: Path
    depth: int
    #: How the names of the files end that are loaded unchecked, and what a whole one looks like.
    loaded: dict[str, Callable[[bytes], bool]]
    #: The file that is there while files are written, if their owner writes them in place: none is judged meanwhile.
    lock: Path | None = None

    def check(self, patience: float, remove: bool = False) -> Findings:
        """Compare the programs with their checksums, note those of new files, and perhaps remove what is damaged.

        Args:
            patience: how many seconds to wait for the lock, which is needed if there is anything to judge.
            remove: whether damaged programs are removed.
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
        """The notes of the programs that are as they were noted, and the files of those that are to be judged."""
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
        """The folders `depth` levels below `folder`; those on the way that cannot be used go to `closed`."""
        if depth == 0:
            yield folder
            return
        for entry in _entries(folder, closed):
            if entry.is_dir(follow_symlinks=False):
                yield from self._programs(entry.path, depth - 1, closed)

    def _files(self, folder: str, closed: list[Path]) -> Iterator[os.DirEntry[str]]:
        """The files in `folder`, at any depth, that are loaded; what cannot be used goes to `closed`."""
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
        """Whether a file's size and time are those that were noted."""
        try:
            status = file.stat()
        except OSError:
            return False
        return known.get(self._name(file), ())[:2] == (status.st_size, status.st_mtime_ns)

    def _judge(self, files: Files, known: dict[str, Entry]) -> dict[str, Entry] | None:
        """What to note of a program's files; None if one is damaged."""
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
    """What lies in a folder, which goes to `closed` if its owner could not go on using it."""
    if _is_closed(folder, os.R_OK | os.W_OK | os.X_OK):
        closed.append(Path(folder))
    with suppress(OSError), os.scandir(folder) as entries:
        yield from entries


def _is_removed(folder: str) -> bool:
    """Whether a folder could be removed, which is tried."""
    shutil.rmtree(folder, ignore_errors=True)
    return not os.path.lexists(folder)


def _is_closed(path: str, mode: int) -> bool:
    return not os.access(path, mode) and os.path.lexists(path)  # not if another process has just removed it


def is_whole_library(data: bytes) -> bool:
    """Whether an ELF file reaches to the end of its last part, the table of its sections."""
    if data[:4] != b"\x7fELF":
        return bool(data) and os.name != "posix"  # other systems have other formats
    wide, order = data[4:5] == b"\2", "<" if data[5:6] == b"\1" else ">"
    if len(data) < 64:
        return False
    (start,) = struct.unpack_from(f"{order}{'Q' if wide else 'I'}", data, 0x28 if wide else 0x20)
    size, count = struct.unpack_from(f"{order}HH", data, 0x3A if wide else 0x2E)
    return bool(start + size * count <= len(data))


def is_whole_bitcode(data: bytes) -> bool:
    """Whether LLVM bitcode consists of whole blocks, each of which tells its length in words."""
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
    """Whether the last byte of pickled data is the one that ends it."""
    return data.endswith(b".")
