"""SQLite: how it is opened, how its transactions begin, and what its errors mean."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from ._dialect import AT_ONCE, WRITES, Dialect
from ._errors import (
    SinkConflict,
    SinkError,
    SinkFull,
    SinkLocked,
    SinkReadOnly,
    SinkRefused,
    SinkUnavailable,
    SinkUnusable,
)
from ._times import micros_of, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

    from ._bulk import Bulk

# https://www.sqlite.org/rescode.html: the primary code is the low byte.
_PRIMARY: Final[dict[int, type[SinkError]]] = {
    sqlite3.SQLITE_BUSY: SinkLocked,
    sqlite3.SQLITE_LOCKED: SinkLocked,
    sqlite3.SQLITE_READONLY: SinkReadOnly,
    sqlite3.SQLITE_FULL: SinkFull,
    sqlite3.SQLITE_IOERR: SinkUnavailable,
    sqlite3.SQLITE_CONSTRAINT: SinkRefused,
    sqlite3.SQLITE_MISMATCH: SinkRefused,
    sqlite3.SQLITE_TOOBIG: SinkRefused,
}
_NULL: Final = float("nan")
_EXTENDED: Final[dict[int, type[SinkError]]] = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: SinkConflict,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: SinkConflict,
    # A row that an id or key was read from is no longer there.
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: SinkConflict,
}


def _engine(url: sa.URL) -> sa.Engine:
    """Make an engine whose connections keep a write-ahead log, check foreign keys and begin as they are told."""
    engine = sa.create_engine(url)
    sa.event.listen(engine, "connect", _connected)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _connected(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # The driver's own transactions begin at the first INSERT, which is too late for a lock: ours are explicit.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] == "delete":
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # A file that may only be read can be read; who writes will be told.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
                raise
    # With a write-ahead log, NORMAL loses at most the last commits at a power failure, whole, and never the file.
    cursor.execute("PRAGMA synchronous = NORMAL")
    # In KiB; and in pages of 4 KiB, so that pages which many commits change are copied into the file once.
    cursor.execute("PRAGMA cache_size = -8192")
    cursor.execute("PRAGMA wal_autocheckpoint = 8192")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    if options.get(AT_ONCE):
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(WRITES) else "BEGIN")


def _run(connection: sa.Connection, bulk: Bulk, rows: Sequence[tuple[Any, ...]]) -> int:
    text = bulk.text
    if bulk.insert:
        text, rows = _quick(text, rows)
    return connection.exec_driver_sql(text, list(rows)).rowcount


def _quick(text: str, rows: Sequence[tuple[Any, ...]]) -> tuple[str, Sequence[tuple[Any, ...]]]:
    """An INSERT and its rows as they are bound fastest.

    The driver looks for adapters of whatever is no str, int, float or bytearray: for None and bytes that takes ten
    times what binding them does. SQLite takes a NaN for NULL.
    """
    before, _, marks = text.partition(" VALUES ")
    columns: list[Sequence[Any]] = []
    binds = marks.strip("()").split(", ")
    for number, column in enumerate(zip(*rows, strict=True)):
        nulls = column.count(None)
        if nulls == len(column):
            binds[number] = "NULL"
        elif nulls:
            columns.append([_NULL if value is None else value for value in column])
        elif type(column[0]) is bytes:
            columns.append(list(map(bytearray, column)))
        else:
            columns.append(column)
    return f"{before} VALUES ({', '.join(binds)})", list(zip(*columns, strict=True))


def _error_of(cause: Exception) -> SinkError | None:
    if not isinstance(cause, sqlite3.Error):
        return None
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None:
        # Errors of the driver itself have no code: a value that it can't bind, or a file that is none.
        return SinkRefused(str(cause)) if isinstance(cause, sqlite3.InterfaceError | sqlite3.DataError) else None
    kind = _EXTENDED.get(code) or _PRIMARY.get(code & 0xFF, SinkUnusable)
    return kind(f"{_HINTS.get(kind, '')}{cause}")


_HINTS: Final[dict[Any, str]] = {
    SinkFull: "no room is left: ",
    SinkReadOnly: "the database is read-only: ",
    SinkLocked: "another program holds the database: ",
}

SQLITE: Final = Dialect(
    name="sqlite",
    drivername="sqlite+pysqlite",
    extra="",
    style="qmark",
    engine=_engine,
    run=_run,
    error_of=_error_of,
    time_of=text_of,
    micros_of=micros_of,
)
