"""`Spool`: what a replay keeps on disk until its end, so that its memory doesn't grow with its input."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Self

from sipcdr.builder import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


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
            CREATE TABLE written (call_id BLOB);
            CREATE TABLE kept (call_id BLOB PRIMARY KEY, facts BLOB);
            """
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def note(self, call_ids: Iterable[bytes]) -> None:
        """Remember Call-IDs."""
        self._database.executemany("INSERT INTO written VALUES (?)", zip(call_ids))

    def keep(self, calls: Iterable[Call]) -> None:
        """Keep calls, joined with what is kept of their Call-IDs already."""
        for call in calls:
            kept = self._database.execute("SELECT facts FROM kept WHERE call_id = ?", (call.call_id,)).fetchone()
            joined = call if kept is None else Call.from_bytes(kept[0]).join(call)
            self._database.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (call.call_id, bytes(joined)))

    def call_ids(self) -> Iterator[bytes]:
        """The Call-IDs remembered, each once."""
        for (call_id,) in self._database.execute("SELECT DISTINCT call_id FROM written"):
            yield call_id

    def calls(self, count: int, size: int) -> Iterator[list[Call]]:
        """The calls kept, in the order in which they came: `count` at a time, or fewer with `size` bytes of facts."""
        calls: list[Call] = []
        held = 0
        for (facts,) in self._database.execute("SELECT facts FROM kept ORDER BY rowid"):
            calls.append(Call.from_bytes(facts))
            held += len(facts)
            if len(calls) >= count or held >= size:
                yield calls
                calls, held = [], 0
        yield calls
