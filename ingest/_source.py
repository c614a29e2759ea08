"""A capture's bytes, read once from front to back in large pieces. What is packed is unpacked by `_containers`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from io import BufferedReader

    from ._containers import Stream
    from ._tally import Tally

CHUNK: Final = 256 * 1024
STANDARD_INPUT: Final = "-"
PAUSE: Final = 0.1
"""Seconds between looks at a file that grows."""


Grows = Callable[[str, "Source"], bool]


class Source:
    """An open input: its name as messages show it, and how many bytes were read of it.

    grows: asked whether more may come where the file ends now; without it nothing does. chunk: the most that is read
    at a time.
    """

    __slots__ = ("_ask", "_file", "_read", "chunk", "grows", "name", "taken")

    damage = ""
    """A file ends where it ends."""

    def __init__(self, name: str, file: BufferedReader, grows: Grows | None = None) -> None:
        self.name = name
        self.taken = 0
        self.chunk = CHUNK
        self.grows = grows is not None
        self._ask = grows
        self._file = file
        # Of a pipe, what is there: a capture may still be running at its other end.
        self._read = file.read1

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none where the input ends. Raises OSError."""
        data = self._read(min(size, self.chunk))
        self.taken += len(data)
        return data

    def skip(self, to: int) -> None:
        """Go on at that byte."""
        self._file.seek(to)
        self.taken = to

    def status(self) -> os.stat_result:
        """The open file's, whatever is at its path now."""
        return os.fstat(self._file.fileno())

    def first(self, size: int) -> bytes:
        """The bytes with which the file begins now."""
        return os.pread(self._file.fileno(), size, 0)

    @property
    def waits(self) -> bool:
        """Whether more may come, though there is nothing now."""
        return self._ask is not None and self._ask(self.name, self)

    def is_same(self, status: os.stat_result) -> bool:
        """Whether that is this file, and not cut to less than was read of it."""
        own = self.status()
        return (own.st_dev, own.st_ino) == (status.st_dev, status.st_ino) and status.st_size >= self.taken

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self.name != STANDARD_INPUT:
            self._file.close()


def open_source(name: str, grows: Grows | None = None) -> Source:
    """Open a file, or standard input for "-". Raises OSError."""
    if name == STANDARD_INPUT:
        return Source(name, sys.stdin.buffer)  # type: ignore[arg-type]
    return Source(name, Path(name).open("rb"), grows)


class Window:
    """A piece of a source that moves over it: `data` begins at byte `base`.

    waits: nothing came the last time, but may yet. by_byte: number frames by the byte at which they begin. most: bytes,
    about, after which the source is taken to have ended.
    """

    __slots__ = ("_most", "base", "by_byte", "data", "ended", "source", "waits")

    def __init__(
        self,
        source: Source | Stream,
        *,
        by_byte: bool = False,
        base: int = 0,
        data: bytes = b"",
        most: int = 1 << 62,
    ) -> None:
        self.source = source
        self.by_byte = by_byte
        self.data = data
        self.base = base
        self._most = most
        self.ended = False
        self.waits = False

    def move(self, at: int) -> bytes:
        """Drop what stands before `at` and read more behind; gives the new `data`, in which `at` is 0.

        `ended` is set when there was nothing more.
        """
        more = self.source.read(CHUNK) if self.base + len(self.data) < self._most else b""
        self.waits = not more and self.source.waits
        self.ended = not more and not self.waits
        self.data = self.data[at:] + more
        self.base += at
        return self.data

    def drop(self, at: int) -> None:
        """Drop what stands before `at`, and read no more."""
        self.data = self.data[at:]
        self.base += at

    def tell_damage(self, known: str, name: str, frame: int, tally: Tally) -> None:
        """Note why the source ended, if that isn't the damage which is known."""
        damage = self.source.damage
        if damage and damage != known:
            tally.problem(name, frame, self.base + len(self.data), damage)

    def fill(self, at: int, size: int) -> int:
        """Have `size` bytes behind `at` in `data`, or all that is left; gives where what stood at `at` is then."""
        while not self.ended and len(self.data) - at < size:
            self.move(at)
            at = 0
            if self.waits:
                time.sleep(PAUSE)
        return at
