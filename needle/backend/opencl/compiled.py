"""Folders of compiled kernels, whose damaged files are found by their structure and by checksums.

A file is checked by its structure when it is first seen (ELF and LLVM bitcode tell their own length), and from then
on by a checksum, kept in the folder, whenever its size or time has changed.
"""

from __future__ import annotations

import json
import os
import secrets
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

_CHECKSUMS = "needle-checksums.json"

#: A file's size, time of writing and checksum.
Entry = tuple[int, int, str]


@dataclass(frozen=True)
class Store:
    """A folder in which each folder that matches `programs` holds what was compiled of one program."""

    folder: Path
    programs: str
    #: How the names of the files end that are loaded unchecked, and what a whole one looks like.
    loaded: dict[str, Callable[[bytes], bool]]

    def check(self) -> list[Path]:
        """Compare the programs with their checksums, and note those of new files; returns the damaged."""
        known, found = self._read_checksums(), {}
        damaged = []
        for program in self.folder.glob(self.programs):
            entries = {}
            for file in self._files(program):
                name = file.path[len(str(self.folder)) + 1 :]
                entry = self._entry(file, known.get(name))
                if entry is None:
                    damaged.append(program)
                    break
                entries[name] = entry
            else:
                found.update(entries)
        if found != known:
            self._write_checksums(found)
        return damaged

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

    def _files(self, folder: Path | str) -> Iterator[os.DirEntry[str]]:
        """The files in `folder`, at any depth, that are loaded."""
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from self._files(entry.path)
                elif entry.name.endswith(tuple(self.loaded)):
                    yield entry

    def _entry(self, file: os.DirEntry[str], known: Entry | None) -> Entry | None:
        """What to note of a file; None if it is damaged."""
        try:
            status = file.stat()
            if known is not None and known[:2] == (status.st_size, status.st_mtime_ns):
                return known
            data = Path(file.path).read_bytes()
        except FileNotFoundError:  # another process has just removed it
            return known or (0, 0, "")
        except OSError:
            return None
        digest = blake2b(data, digest_size=16).hexdigest()
        if known is not None and known[2] != digest:
            return None
        sound = next(is_sound for end, is_sound in self.loaded.items() if file.name.endswith(end))
        return (status.st_size, status.st_mtime_ns, digest) if sound(data) else None


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
