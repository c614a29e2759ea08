"""A capture's bytes, read once from front to back in large pieces.

A container (a compressed file, say) finds its room in `open_source`: it is another object with `read`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from io import BufferedReader

CHUNK: Final = 1 << 20
STANDARD_INPUT: Final = "-"


class Source:
    """An open input: its name as messages show it, and how many bytes were read of it."""

    __slots__ = ("_file", "_read", "name", "taken")

    def __init__(self, name: str, file: BufferedReader) -> None:
        self.name = name
        self.taken = 0
        self._file = file
        # Of a pipe, what is there: a capture may still be running at its other end.
        self._read = file.read1

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none where the input ends. Raises OSError."""
        data = self._read(size)
        self.taken += len(data)
        return data

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self.name != STANDARD_INPUT:
            self._file.close()


def open_source(name: str) -> Source:
    """Open a file, or standard input for "-". Raises OSError."""
    if name == STANDARD_INPUT:
        return Source(name, sys.stdin.buffer)  # type: ignore[arg-type]
    return Source(name, Path(name).open("rb"))


class Window:
    """A piece of a source that moves over it: `data` begins at byte `base`."""

    __slots__ = ("base", "data", "ended", "source")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.data = b""
        self.base = 0
        self.ended = False

    def move(self, at: int) -> bytes:
        """Drop what stands before `at` and read more behind; gives the new `data`, in which `at` is 0.

        `ended` is set when there was nothing more.
        """
        more = self.source.read(CHUNK)
        self.ended = not more
        self.data = self.data[at:] + more
        self.base += at
        return self.data

    def fill(self, at: int, size: int) -> None:
        """Have `size` bytes behind `at` in `data`, or all that is left, and move so that `at` is 0."""
        self.move(at)
        while not self.ended and len(self.data) < size:
            self.move(0)
