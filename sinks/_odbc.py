"""Any database through pyodbc: rows go into a temporary table in bulk, and one statement merges them.

pyodbc's executemany gives no count of rows, so every statement that counts is set-based.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Final

from ._dialect import cursor_of
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
from ._states import kind_of, made

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import sqlalchemy as sa

    from ._bulk import Bulk

_BINDS: Final = 2000
"""Binds of a statement; SQL Server takes 2,100."""
_ROWS: Final = 1000
"""Rows of a VALUES list; SQL Server takes no more."""
_MOST_BYTES: Final = 4096
"""Bytes for which there is room in every row; a varbinary with a length has 8,000 at most."""
_GUID: Final = 36

# SQL Server's own numbers, at the end of the driver's words, where the SQLSTATE says too little or another thing.
_NUMBERS: Final[dict[int, type[SinkError]]] = {
    515: SinkRefused,  # NULL
    547: SinkConflict,  # foreign key; or CHECK, which the words tell
    596: SinkUnavailable,  # the session was ended
    601: SinkUnavailable,
    1101: SinkFull,
    1105: SinkFull,
    1204: SinkUnavailable,  # no locks left
    1205: SinkUnavailable,  # deadlock
    1222: SinkLocked,
    1946: SinkRefused,  # a row too large for its index
    2601: SinkConflict,
    2627: SinkConflict,
    2628: SinkRefused,  # truncated
    3906: SinkReadOnly,
    3908: SinkUnavailable,  # a database in recovery
    3930: SinkUnavailable,  # a transaction that can't be committed
    3960: SinkUnavailable,  # snapshot
    4060: SinkUnusable,  # no such database
    6005: SinkUnavailable,  # shutdown
    8152: SinkRefused,  # truncated
    9002: SinkFull,  # the log
    17142: SinkUnavailable,  # paused
    18456: SinkUnusable,  # login
    40197: SinkUnavailable,
    40501: SinkUnavailable,
    40613: SinkUnavailable,
    49918: SinkUnavailable,
}
_NUMBER: Final = re.compile(r"\((\d{1,6})\) \(SQL")

_log = logging.getLogger("sipcdr")
_said: set[str] = set()


def run_staged(connection: sa.Connection, bulk: Bulk, rows: Sequence[tuple[Any, ...]]) -> int:
    """Run a bulk statement through a temporary table."""
    if len(rows) == 1 and not bulk.absent:
        return connection.exec_driver_sql(bulk.text, rows[0]).rowcount
    connection.exec_driver_sql(bulk.create)
    with cursor_of(connection) as cursor:
        small, large = _parted(bulk, rows) if _stands_fast(connection) else ([], rows)
        if small:
            cursor.fast_executemany = True
            cursor.setinputsizes(_sizes(bulk, small))
            cursor.executemany(f"INSERT INTO {bulk.stage} VALUES {bulk.marks}", small)
    with cursor_of(connection) as cursor:
        _fill(cursor, bulk, large)
    found = connection.exec_driver_sql(bulk.merge).rowcount
    connection.exec_driver_sql(bulk.drop)
    return found


def _fill(cursor: Any, bulk: Bulk, rows: Sequence[tuple[Any, ...]]) -> None:
    """INSERT many rows a statement, the rest one by one: two texts, which the server keeps prepared."""
    many = max(1, min(_ROWS, _BINDS // len(bulk.kinds)))
    whole = len(rows) - len(rows) % many
    text = f"INSERT INTO {bulk.stage} VALUES "
    for start in range(0, whole, many):
        cursor.execute(
            text + ", ".join([bulk.marks] * many), [value for row in rows[start : start + many] for value in row]
        )
    for row in rows[whole:]:
        cursor.execute(text + bulk.marks, row)


def _stands_fast(connection: sa.Connection) -> bool:
    """Whether the driver stands arrays of binds: FreeTDS ends the process with them."""
    import pyodbc

    name = connection.connection.getinfo(pyodbc.SQL_DRIVER_NAME)
    if "tdsodbc" not in name.lower():
        return True
    if name not in _said:
        _said.add(name)
        _log.warning("the ODBC driver %s can't take rows in bulk: writing is slower than with Microsoft's", name)
    return False


def _sizes(bulk: Bulk, rows: Sequence[tuple[Any, ...]]) -> list[tuple[int, int, int]]:
    """How each bind is declared, so that no driver guesses by the first row, or asks the server."""
    import pyodbc

    declared: list[tuple[int, int, int]] = []
    for place, (kind, length) in enumerate(bulk.kinds):
        if kind == "number":
            declared.append((pyodbc.SQL_BIGINT, 19, 0))
        elif kind == "time":
            declared.append((pyodbc.SQL_WVARCHAR, 26, 0))
        elif kind == "text":
            declared.append((pyodbc.SQL_WVARCHAR, length or _GUID, 0))
        else:
            declared.append((pyodbc.SQL_VARBINARY, length or _room(row[place] for row in rows), 0))
    return declared


def _room(values: Iterable[bytes]) -> int:
    """A power of two that each of these fits in: a driver takes that room for every row."""
    return 1 << max((len(value) - 1).bit_length() for value in values)


def _parted(bulk: Bulk, rows: Sequence[tuple[Any, ...]]) -> tuple[Sequence[tuple[Any, ...]], Sequence[tuple[Any, ...]]]:
    """Rows that go in bulk, and those with bytes without a bound, which not every driver stands in bulk."""
    places = [place for place, (kind, length) in enumerate(bulk.kinds) if kind == "bytes" and not length]
    large = [row for row in rows if any(len(row[place]) > _MOST_BYTES for place in places)]
    if not large:
        return rows, ()
    return [row for row in rows if all(len(row[place]) <= _MOST_BYTES for place in places)], large


def error_of(cause: Exception, numbers: Mapping[int, type[SinkError]] = _NUMBERS) -> SinkError | None:
    """What an exception of pyodbc means, by the database's own number where that is known, else by its SQLSTATE."""
    import pyodbc

    if not isinstance(cause, pyodbc.Error):
        return None
    state, text = (*(str(part) for part in cause.args), "", "")[:2]
    found = _NUMBER.search(text)
    kind = numbers.get(int(found[1])) if found else None
    if kind is SinkConflict and "CHECK constraint" in text:
        kind = SinkRefused
    if kind is None:
        kind = kind_of(state)
    return made(kind, text or state)
