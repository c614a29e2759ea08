"""`ReportSpool`: what a report keeps on disk until the captures' end, when it is known which sessions failed."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final, Self

import msgspec
import zstandard

from sipcdr.builder import SipMessage

from ._statistics import Delay

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ._records import Record

APART: Final = frozenset({"REGISTER", "PUBLISH"})
"""Methods whose Call-IDs have no sessions, for months; their messages aren't kept."""


class Kept(msgspec.Struct, frozen=True):
    """A session: its number in the spool, its record, its post-dial delay in microseconds, and whether it is wanted."""

    place: int
    record: Record
    delay: int | None
    wanted: bool


class ReportSpool:
    """A temporary database of SQLite's own: messages by Call-ID, delays by Call-ID and tag, sessions in any order."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(
            """
            PRAGMA temp_store = FILE;
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            CREATE TABLE messages (call TEXT, data BLOB);
            CREATE TABLE delays (call TEXT, tag TEXT, began INTEGER, delay INTEGER, PRIMARY KEY (call, tag))
                WITHOUT ROWID;
            CREATE TABLE rows (invite TEXT, rank INTEGER, record BLOB, wanted INTEGER DEFAULT 0, delay INTEGER);
            BEGIN;
            """
        )
        self._pack = msgspec.msgpack.Encoder(enc_hook=lambda message: message.plain()).encode
        self._unpack = msgspec.msgpack.Decoder(SipMessage).decode
        self._press = zstandard.ZstdCompressor(level=1).compress
        self._unpress = zstandard.ZstdDecompressor().decompress
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(dict[str, str | int | list[str] | None]).decode

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def keep_messages(self, messages: Iterable[tuple[str, SipMessage]]) -> None:
        """Keep messages, each with its Call-ID as text."""
        self._database.executemany(
            "INSERT INTO messages VALUES (?, ?)",
            ((call, self._press(self._pack(message))) for call, message in messages if message.method not in APART),
        )

    def keep_delays(self, call: str, delays: Mapping[str, Delay]) -> None:
        """Keep the post-dial delays of a call by its callers' tags; of two the first stays."""
        self._database.executemany(
            "INSERT OR IGNORE INTO delays VALUES (?, ?, ?, ?)",
            ((call, tag, delay.began, delay.micros) for tag, delay in delays.items()),
        )

    def delay_of(self, call: str, tag: str) -> Delay | None:
        """The post-dial delay of a session's call and tag."""
        found = self._database.execute(
            "SELECT began, delay FROM delays WHERE call = ? AND tag = ?", (call, tag)
        ).fetchone()
        return None if found is None else Delay(*found)

    def keep_row(self, record: Record, rank: int, delay: int | None) -> None:
        """Keep a session; the lower its rank, the sooner it gets details."""
        self._database.execute(
            "INSERT INTO rows (invite, rank, record, delay) VALUES (?, ?, ?, ?)",
            (record["InviteTime"], rank, self._encode(record), delay),
        )

    def want(self, count: int) -> int:
        """Choose so many sessions for details, by rank and time; returns how many there are."""
        self._database.execute("CREATE INDEX messages_call ON messages (call)")
        self._database.execute("CREATE INDEX rows_invite ON rows (invite)")
        self._database.execute(
            "UPDATE rows SET wanted = 1 WHERE rowid IN (SELECT rowid FROM rows ORDER BY rank, invite, rowid LIMIT ?)",
            (count,),
        )
        found = self._database.execute("SELECT COUNT(*) FROM rows WHERE wanted").fetchone()
        return int(found[0])

    def rows(self) -> Iterator[Kept]:
        """The sessions by time."""
        for place, data, delay, wanted in self._database.execute(
            "SELECT rowid, record, delay, wanted FROM rows ORDER BY invite, rowid"
        ):
            yield Kept(place, self._decode(data), delay, bool(wanted))

    def record(self, place: int) -> Record:
        """A session by its number in the spool."""
        [data] = self._database.execute("SELECT record FROM rows WHERE rowid = ?", (place,)).fetchone()
        return self._decode(data)

    def messages(self, call: str, most: int) -> list[SipMessage]:
        """The first messages of a call, in the order of the captures."""
        return [
            self._unpack(self._unpress(data))
            for (data,) in self._database.execute(
                "SELECT data FROM messages WHERE call = ? ORDER BY rowid LIMIT ?", (call, most)
            )
        ]

    def message_count(self, call: str) -> int:
        """How many messages there are of a call."""
        return int(self._database.execute("SELECT COUNT(*) FROM messages WHERE call = ?", (call,)).fetchone()[0])
