"""`Spool`: what a replay keeps on disk, so that its memory doesn't grow with its input."""

from __future__ import annotations

import sqlite3
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final, Self
from zlib import crc32

import msgspec

from sipcdr.builder import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SIGNS: Final = 1 << 25
"""Marks of Call-IDs, a bit each: of a million calls one in 30 is taken for another, which costs time and no more."""

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[bytes]).decode


class Spool:
    """A temporary database of SQLite's own: a file without a name, gone when it is closed or the process ends.

    It holds the Call-IDs written, and calls whose fate is open until all is read.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(
            """
            PRAGMA temp_store = FILE;
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            CREATE TABLE written (call_ids BLOB);
            CREATE TABLE kept (call_id BLOB, facts BLOB);
            BEGIN;
            """
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def note(self, call_ids: Iterable[bytes]) -> None:
        """Remember Call-IDs."""
        self._database.execute("INSERT INTO written VALUES (?)", (_pack(list(call_ids)),))

    def keep(self, calls: Iterable[Call]) -> None:
        """Keep calls, or parts of them."""
        rows = ((call.call_id, bytes(call)) for call in calls)
        self._database.executemany("INSERT INTO kept VALUES (?, ?)", rows)

    def call_ids(self) -> Iterator[bytes]:
        """The Call-IDs remembered, each as often as it was noted."""
        for (packed,) in self._database.execute("SELECT call_ids FROM written"):
            yield from _unpack(packed)

    def calls(self, count: int, size: int) -> Iterator[list[Call]]:
        """The calls kept, each joined of its parts: `count` at a time, or fewer with `size` bytes of facts."""
        calls: list[Call] = []
        held = 0
        # Sorted when all are there: to look for a call's other parts whenever one is kept would cost much more.
        rows = self._database.execute("SELECT call_id, facts FROM kept ORDER BY call_id")
        for _, parts in groupby(rows, itemgetter(0)):
            call: Call | None = None
            for _, facts in parts:
                held += len(facts)
                part = Call.from_bytes(facts)
                call = part if call is None else call.join(part)
            if call is not None:
                calls.append(call)
            if len(calls) >= count or held >= size:
                yield calls
                calls, held = [], 0
        yield calls


class Overflow:
    """Calls that memory had no room for, on disk until all is read: each is written once then, however often it came.

    since: the earliest time at which one was added, in microseconds; None where there is none.
    """

    def __init__(self) -> None:
        self.since: int | None = None
        self._spool: Spool | None = None
        self._signs = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._spool is not None:
            self._spool.__exit__()

    def add(self, calls: Iterable[Call], now: int) -> None:
        """Take in calls, or parts of them."""
        if self._spool is None:
            self._spool = Spool()
            self._signs = bytearray(_SIGNS >> 3)
            self.since = now
        signs = self._signs
        kept = list(calls)
        for call in kept:
            sign = crc32(call.call_id) % _SIGNS
            signs[sign >> 3] |= 1 << (sign & 7)
        self._spool.keep(kept)

    def others(self, calls: list[Call], now: int) -> list[Call]:
        """Those calls of which nothing is here; parts of the others are taken in."""
        if self._spool is None:
            return calls
        signs = self._signs
        others: list[Call] = []
        parts: list[Call] = []
        for call in calls:
            sign = crc32(call.call_id) % _SIGNS
            (parts if signs[sign >> 3] >> (sign & 7) & 1 else others).append(call)
        self.add(parts, now)
        return others

    def take(self, count: int, size: int) -> Iterator[list[Call]]:
        """The calls, each whole, in batches as `Spool.calls` has them; nothing is left."""
        if self._spool is not None:
            with self._spool as spool:
                self._spool = self.since = None
                yield from spool.calls(count, size)
