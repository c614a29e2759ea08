"""Reads sessions of chosen calls, in the order in which they are shown."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING

from sipcdr.builder import call_key

from ._errors import SinkUnusable
from ._records import StoredKey, unpacked_keys
from ._session import values_of, whole
from ._statements import CHUNK, Statements, select_many

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import sqlalchemy as sa

    from ._session import Session


def read_sessions(connection: sa.Connection, statements: Statements, call_ids: Iterable[bytes]) -> Iterator[Session]:
    """Read the sessions of these Call-IDs, each once, in the order of the output."""
    # SQLite's temporary database sorts, and drops what is there twice; it goes to disk when it is large.
    with closing(sqlite3.connect("")) as sorter:
        sorter.execute(
            "CREATE TABLE found (invite INTEGER, call BLOB, caller BLOB, callee BLOB, time INTEGER, seq INTEGER,"
            " PRIMARY KEY (invite, call, caller, callee, time, seq)) WITHOUT ROWID"
        )
        identifiers = iter(call_ids)
        while chunk := {call_key(call_id): call_id for call_id in islice(identifiers, CHUNK)}:
            sorter.executemany(
                "INSERT OR IGNORE INTO found VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (key.invite_time, chunk[bytes(found)], *key.tags, key.key.time, key.key.seq)
                    for found, packed in select_many(connection, statements.read_keys, chunk)
                    for key in _keys(found, packed)
                ),
            )
        order = sorter.execute("SELECT call, caller, callee, time, seq FROM found ORDER BY invite, 1, 2, 3, 4, 5")
        while rows := order.fetchmany(CHUNK):
            yield from _read_chunk(connection, statements, rows)


def _keys(call_key: bytes, packed: bytes) -> tuple[StoredKey, ...]:
    keys = unpacked_keys(packed)
    if keys is None:
        raise SinkUnusable(f"Keys of the stored call {bytes(call_key).hex()} don't decode")
    return keys


def _read_chunk(
    connection: sa.Connection, statements: Statements, found: list[tuple[bytes, bytes, bytes, int, int]]
) -> Iterator[Session]:
    time_of, micros_of = statements.dialect.time_of, statements.dialect.micros_of
    keys = [(time, seq) for _, _, _, time, seq in found]
    filled = keys + keys[-1:] * (CHUNK - len(keys))
    binds = tuple(value for time, seq in filled for value in (time_of(time), seq))
    read = connection.exec_driver_sql(statements.read_sessions, binds).fetchall()
    rows = {(micros_of(row[0]), row[1]): row for row in read}
    for key, (call_id, caller, callee, _, _) in zip(keys, found, strict=True):
        row = rows.get(key)
        if row is None:
            # Deleted since its key was read.
            continue
        session = values_of(row, statements.dialect)
        yield whole(session, call_id, caller, callee)
