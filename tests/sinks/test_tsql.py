"""SQL Server: the statements are T-SQL of 2014, their binds are declared, and its errors mean what they say.

The tests of a sink's rows run on this road too, as the database `mssql`.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING

import pyodbc
import pytest
import sqlalchemy as sa
import sqlglot

from sipcdr.builder import grid
from sipcdr.sinks import (
    SinkConflict,
    SinkError,
    SinkFull,
    SinkLocked,
    SinkReadOnly,
    SinkRefused,
    SinkUnavailable,
    SinkUnusable,
)
from sipcdr.sinks import _odbc as odbc
from sipcdr.sinks._bulk import Bulk
from sipcdr.sinks._mssql import MSSQL
from sipcdr.sinks._schema import metadata
from sipcdr.sinks._statements import Statements
from sipcdr.sinks._views import VIEWS
from tests.sinks.rows import at, change, details, write
from tests.tsql import checked, recording

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tsql import Cursor


@cache
def texts() -> dict[str, str]:
    """Every statement of a sink, by its name and place."""
    found: dict[str, str] = {}
    for name, value in vars(Statements(metadata("mssql"), MSSQL, frozenset({"Users"}))).items():
        for key, one in (value if isinstance(value, dict) else {"": value}).items():
            if isinstance(one, str):
                found[f"{name} {key}".strip()] = one
            elif isinstance(one, Bulk):
                for part in ("text", "create", "merge", "drop"):
                    found[f"{name} {key} {part}"] = getattr(one, part)
                found[f"{name} {key} fill"] = f"INSERT INTO {one.stage} VALUES {one.marks}"
    return found


@pytest.mark.parametrize("name", texts())
def test_a_statement_is_tsql(name: str) -> None:
    """Each is one statement that a T-SQL parser takes, in words that SQL Server 2014 knows."""
    text = texts()[name]
    checked(text)
    assert text.count("?") <= 2100


def test_the_tables_are_tsql() -> None:
    """So are the tables, indexes and views, with Microsoft's types."""
    tables = metadata("mssql")
    compiler = MSSQL.compiler()
    for table in tables.sorted_tables:
        checked(str(sa.schema.CreateTable(table).compile(dialect=compiler)))
        for index in table.indexes:
            checked(str(sa.schema.CreateIndex(index).compile(dialect=compiler)))
    for name, select in VIEWS.items():
        options = {"literal_binds": True}
        checked(f"CREATE VIEW {name} AS {select(tables).compile(dialect=compiler, compile_kwargs=options)}")
    users = str(sa.schema.CreateTable(tables.tables["Users"]).compile(dialect=compiler))
    assert "UserId INTEGER NOT NULL IDENTITY" in users
    assert "UserUri NVARCHAR(450) NOT NULL" in users
    details = str(sa.schema.CreateTable(tables.tables["SessionDetails"]).compile(dialect=compiler))
    assert "SessionIdTime DATETIME NOT NULL" in details
    assert "CorrelationId UNIQUEIDENTIFIER NULL" in details
    assert "IsUser1Internal BIT NULL" in details


def test_locks_and_merges() -> None:
    """Look-ups are inserted under UPDLOCK, HOLDLOCK where they aren't there; nothing is written by MERGE."""
    merge = texts()["insert_lookups ClientVersions merge"]
    assert "NOT EXISTS (SELECT 1 FROM ClientVersions AS t WITH (UPDLOCK, HOLDLOCK)" in merge
    assert all("MERGE" not in text.upper() for text in texts().values())
    assert sqlglot.transpile(merge, read="tsql", write="tsql")


def test_times_are_on_the_grid() -> None:
    """A time is bound as the text of a `datetime`, and what the server shows for it is the same key."""
    assert MSSQL.time_of(at("23 08:05:10.120400")) == "2026-11-23T08:05:10.120"
    assert MSSQL.time_of(at("24 07:59:59.998500")) == "2026-11-24T08:00:00.000"
    for fraction in range(0, 1_000_000, 997):
        time = at("23 08:00:00") + fraction
        text = MSSQL.time_of(time)
        assert MSSQL.micros_of(text.replace("T", " ")) == grid(time)
        # Some drivers give the exact 3,333 µs in the place of 3 ms.
        steps = (grid(time) % 1_000_000 * 3 + 5000) // 10_000
        assert MSSQL.micros_of(f"2026-11-23 08:00:00.{steps * 1_000_000 // 300:06d}") == at("23 08:00:00") + grid(
            steps * 1_000_000 // 300
        )


def test_binds_are_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bulk binds have a type and a size that don't depend on the first row."""
    from tests import tsql

    declared: list[list[tuple[int, int, int]]] = []
    kept = tsql.Cursor.executemany

    def executemany(cursor: Cursor, text: str, rows: list[tuple[object, ...]]) -> None:
        assert cursor.sizes is not None
        declared.append(cursor.sizes)
        kept(cursor, text, rows)

    monkeypatch.setattr(tsql.Cursor, "executemany", executemany)
    with recording(str(tmp_path / "x.db")) as sink:
        write(sink, *(change(details(number, server=None)) for number in range(5)))
        first = declared.copy()
        declared.clear()
        write(sink, *(change(details(number)) for number in range(10, 15)))
    # The look-ups are known by now.
    assert declared == first[-len(declared) :]
    assert {size[0] for size in declared[0]} == {pyodbc.SQL_WVARCHAR, pyodbc.SQL_BIGINT, pyodbc.SQL_VARBINARY}


def test_freetds_takes_rows_in_lists(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """FreeTDS ends the process on arrays of binds: rows go in lists of values, and it is said once."""
    odbc._said.clear()
    with recording(str(tmp_path / "x.db"), "libtdsodbc.so") as sink, caplog.at_level(logging.WARNING):
        for start in (0, 1000):
            write(sink, *(change(details(number)) for number in range(start, start + 300)))
        assert len(list(sink.sessions(details(number).call_id for number in range(1300)))) == 600
    assert [record.getMessage() for record in caplog.records] == [
        "the ODBC driver libtdsodbc.so can't take rows in bulk: writing is slower than with Microsoft's"
    ]


ERRORS: dict[str, tuple[str, str, type[SinkError]]] = {
    "lost": ("08S01", "TCP Provider: Error code 0x68 (104) (SQLExecDirectW)", SinkUnavailable),
    "away": ("08001", "Unable to complete login process (258) (SQLDriverConnect)", SinkUnavailable),
    "login time-out": ("HYT00", "Login timeout expired (0) (SQLDriverConnect)", SinkUnavailable),
    "deadlock": ("40001", "Transaction (Process ID 52) was deadlocked (1205) (SQLExecDirectW)", SinkUnavailable),
    "lock": ("HYT00", "Lock request time out period exceeded. (1222) (SQLExecDirectW)", SinkLocked),
    "unique": ("23000", "Violation of PRIMARY KEY constraint (2627) (SQLExecDirectW)", SinkConflict),
    "unique index": ("23000", "Cannot insert duplicate key row (2601) (SQLExecDirectW)", SinkConflict),
    "foreign key": ("23000", "conflicted with the FOREIGN KEY constraint (547) (SQLExecDirectW)", SinkConflict),
    "check": ("23000", "conflicted with the CHECK constraint (547) (SQLExecDirectW)", SinkRefused),
    "null": ("23000", "Cannot insert the value NULL (515) (SQLExecDirectW)", SinkRefused),
    "truncated": ("22001", "String or binary data would be truncated. (8152) (SQLExecDirectW)", SinkRefused),
    "range": ("22003", "Arithmetic overflow error (8115) (SQLExecDirectW)", SinkRefused),
    "time": ("22007", "Conversion failed when converting date (241) (SQLExecDirectW)", SinkRefused),
    "full": ("42000", "Could not allocate space for object (1105) (SQLExecDirectW)", SinkFull),
    "log full": ("42000", "The transaction log for database is full (9002) (SQLExecDirectW)", SinkFull),
    "read-only": ("42000", "because the database is read-only. (3906) (SQLExecDirectW)", SinkReadOnly),
    "login": ("28000", "Login failed for user 'cdr'. (18456) (SQLDriverConnect)", SinkUnusable),
    "no database": ("42000", 'Cannot open database "x" (4060) (SQLDriverConnect)', SinkUnusable),
    "permission": ("42000", "The INSERT permission was denied (229) (SQLExecDirectW)", SinkUnusable),
    "no driver": ("01000", "Can't open lib 'ODBC Driver 18' : file not found (0) (SQLDriverConnect)", SinkUnusable),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    """What the driver says is told apart: what passes, what meets, what is refused, what is no use."""
    state, words, kind = ERRORS[name]
    meant = odbc.error_of(pyodbc.Error(state, f"[{state}] [Microsoft][ODBC Driver 18 for SQL Server]{words}"))
    assert type(meant) is kind
    assert words in str(meant)
