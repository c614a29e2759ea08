"""Sessions as people and programs read them: SessionDetails with the text of each look-up in the place of its id."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from sipcdr.builder import SessionDetails, call_key, grid

from ._columns import Column, Kind
from ._constants import MEDIA_NAMES
from ._errors import SinkUnusable
from ._lcscdr import TABLES
from ._records import StoredKey, unpacked_keys
from ._statements import CHUNK, Statements, select_many

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import sqlalchemy as sa

    from ._dialect import Dialect

Value = str | int | bytes | list[str] | None
Session = dict[str, Value]
"""A session by the names of SESSION_COLUMNS: times in microseconds UTC, CallId and tags as bytes, Media as a list."""


def _shown(column: Column) -> str:
    """A column's name in the output: that of the text where the table has an id."""
    if not column.refers:
        return column.name
    return column.name[:-2]


_COLUMNS: Final = TABLES["SessionDetails"]
_NAMES: Final = tuple(_shown(column) for column in _COLUMNS)
SESSION_COLUMNS: Final = (*_NAMES, "CallId", "FromTag", "ToTag", "Media")
"""Names of a session's values, in their order: those of SessionDetails, and four more."""
TIME_COLUMNS: Final = frozenset(_shown(column) for column in _COLUMNS if column.kind in (Kind.TIME, Kind.KEY_TIME))
"""Those that are times."""
NUMBER_COLUMNS: Final = frozenset(
    column.name
    for column in _COLUMNS
    if not column.refers and column.kind in (Kind.BIT, Kind.TINYINT, Kind.SMALLINT, Kind.INT)
)
"""Those that are numbers. Others are texts, but for Media, a list of them."""
_TEXTS: Final = tuple(_shown(column) for column in _COLUMNS if column.kind is Kind.GUID)
_BITS: Final = tuple(_shown(column) for column in _COLUMNS if column.kind is Kind.BIT)


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
        yield _whole(session, call_id, caller, callee)


def values_of(row: Iterable[Any], dialect: Dialect) -> Session:
    """SessionDetails as a driver gives it, look-ups resolved, with the same types for every driver."""
    micros_of = dialect.micros_of
    session: Session = dict(zip(_NAMES, row, strict=True))
    for name in TIME_COLUMNS:
        value = session[name]
        if value is not None:
            session[name] = micros_of(value)
    for name in _TEXTS:
        if session[name] is not None:
            # SQL Server's are in upper case, and psycopg's are no text.
            session[name] = str(session[name]).lower()
    for name in _BITS:
        value = session[name]
        if isinstance(value, bool):
            session[name] = int(value)
    return session


_FIELDS: Final = tuple(_shown(column) for column in _COLUMNS if column.field)
_fields_of: Final = attrgetter(*(column.field for column in _COLUMNS if column.field))
_USERS: Final = tuple(_shown(column) for column in _COLUMNS if column.field and column.refers.startswith("Users."))
_CLIENTS: Final = tuple(
    _shown(column) for column in _COLUMNS if column.field and column.refers.startswith("ClientVersions.")
)


def session_of(row: SessionDetails) -> Session:
    """A session that no database holds, as if it had been written into an empty one; a replaced dialog is unknown."""
    values: dict[str, Any] = dict.fromkeys(_NAMES)
    values.update(zip(_FIELDS, _fields_of(row), strict=True))
    for name in _USERS:
        if values[name] is not None:
            values[name] = values[name].uri
    for name in _CLIENTS:
        if values[name] is not None:
            values[name] = values[name].version
    values["SessionIdTime"] = grid(row.invite_time)
    values["SessionIdSeq"] = 1
    values["Processed"] = 0
    return _whole(values, row.call_id, row.caller_tag, row.callee_tag)


_MEDIA: Final = tuple(
    tuple(name for bit, name in enumerate(MEDIA_NAMES) if bits >> bit & 1) for bits in range(1 << len(MEDIA_NAMES))
)


def _whole(session: Session, call_id: bytes, caller: bytes, callee: bytes) -> Session:
    bits = session["MediaTypes"]
    session["CallId"] = call_id
    session["FromTag"] = caller
    session["ToTag"] = callee
    session["Media"] = list(_MEDIA[bits % len(_MEDIA)]) if isinstance(bits, int) else []
    return session
