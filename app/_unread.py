"""`Unread`: the files of a folder that wait to be read, so that none goes unread without a word.

A file that is gone may have been renamed, or packed, or copied before it was cut: its content is looked for in the
others for a while.
"""

from __future__ import annotations

import hashlib
import re
import time
from typing import TYPE_CHECKING, Final

import msgspec

from sipcdr.ingest import NotACapture, head_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Set
    from os import stat_result
    from pathlib import Path

HEAD: Final = 1024
"""Bytes by which a file is known; a capture's hold the time of its first packets."""
_GONE_SECONDS: Final = 2.0
"""A file that isn't found again after so long is lost."""
_NUMBERED = re.compile(r"(.*_)([0-9]{5})_[0-9]{14}(?![0-9]).*", re.DOTALL).fullmatch
"""How dumpcap names the files of a ring: prefix, number, time."""

Inode = tuple[int, int]


class Lost(msgspec.Struct, frozen=True):
    """A file that went before it was read, or several. offset: from which byte on. reason: in words."""

    name: str
    offset: int
    reason: str
    files: int = 1


class _Seen(msgspec.Struct):
    """A file as it was when last looked at. content: its digest; empty for what can't be read."""

    name: str
    size: int
    changed: int
    content: str
    is_whole: bool
    waits: bool


class Unread:
    """Looks at a folder's files again and again. stored: the positions that the database has, by digest."""

    def __init__(self, stored: Mapping[str, int]) -> None:
        self._stored = stored
        self._seen: dict[Inode, _Seen] = {}
        self._missed: list[tuple[float, str, Lost]] = []
        self._last: dict[str, int] = {}
        self._is_first = True

    def look(
        self, files: Iterable[tuple[Path, stat_result]], done: Mapping[Inode, int], reading: Set[str]
    ) -> list[Lost]:
        """What is found to be lost.

        done: of files that were read, or are being read, up to which size. reading: the digests of what is being read.
        """
        lost: list[Lost] = []
        before, self._seen = self._seen, {}
        for path, status in files:
            inode = (status.st_dev, status.st_ino)
            was = before.pop(inode, None)
            seen = was
            if seen is None or (seen.size, seen.changed) != (status.st_size, status.st_mtime_ns):
                seen = _looked_at(path, status)
                if was is not None and was.is_whole and seen.content != was.content:
                    self._miss(was, inode, {})
            self._seen[inode] = seen
            seen.waits = (
                seen.waits
                and done.get(inode, -1) < seen.size
                and seen.content not in reading
                and self._stored.get(seen.content, -1) < seen.size
            )
            lost += self._skipped(path.name, seen) if was is None else []
        for inode, was in before.items():
            self._miss(was, inode, done)
        self._is_first = False
        present = {seen.content for seen in self._seen.values()}
        now = time.monotonic()
        self._missed = [each for each in self._missed if each[1] not in present]
        lost += [each for since, _, each in self._missed if now - since > _GONE_SECONDS]
        self._missed = [each for each in self._missed if now - each[0] <= _GONE_SECONDS]
        return lost

    def begun(self, inode: Inode) -> None:
        """A file is being read from now on."""
        if inode in self._seen:
            self._seen[inode].waits = False

    def broken_off(self, name: str, content: str, offset: int, size: int) -> None:
        """A file was begun anew, or is gone, while it was read: what is behind that byte may be lost."""
        if offset < size:
            reason = f"bytes {offset} to {size - 1} were gone before they were read"
            self._missed.append((time.monotonic(), content, Lost(name, offset, reason)))

    def rest(self) -> list[Lost]:
        """What is missing now, at the end."""
        return [each for _, _, each in self._missed]

    def _miss(self, was: _Seen, inode: Inode, done: Mapping[Inode, int]) -> None:
        if was.waits and was.size and done.get(inode, -1) < was.size:
            reason = f"the file was gone, with {was.size} bytes, before it was read"
            self._missed.append((time.monotonic(), was.content, Lost(was.name, 0, reason)))

    def _skipped(self, name: str, seen: _Seen) -> list[Lost]:
        """Numbers of a ring that never were seen, before a file that comes; at first, behind those that are known."""
        found = _NUMBERED(name)
        if found is None or (self._is_first and found[1] not in self._last and seen.content not in self._stored):
            return []
        number = int(found[2])
        count = number - self._last.get(found[1], number) - 1
        self._last[found[1]] = number
        if count <= 0:
            return []
        reason = f"numbers {number - count} to {number - 1} before it were gone before they were seen"
        return [Lost(name, 0, reason, count)]


def digest(head: bytes) -> str:
    """What a file is known by, of its first `HEAD` bytes."""
    return hashlib.sha256(head).hexdigest()


def _looked_at(path: Path, status: stat_result) -> _Seen:
    try:
        head = head_of(str(path), HEAD).data
    except (NotACapture, OSError):
        head = b""
    content = digest(head) if head else ""
    return _Seen(path.name, status.st_size, status.st_mtime_ns, content, len(head) >= HEAD, bool(head))
