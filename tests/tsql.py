"""A stand-in for pyodbc's connection to SQL Server: it records T-SQL, and runs what it means on SQLite.

SQL Server can't run in the tests. So each statement is parsed as T-SQL and held to what SQL Server 2014 knows, its
binds are those that a driver would send, and the few forms that the sink writes are put into SQLite's words: what comes
out is what a sink reads back.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import pyodbc
import sqlalchemy as sa
import sqlglot
import sqlglot.expressions as exp

from sipcdr.sinks import Sink
from sipcdr.sinks._mssql import MSSQL, connected
from sipcdr.sinks._schema import metadata
from sipcdr.sinks._statements import Statements

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_BINDS: Final = 2100
MOST_ROWS: Final = 1000
# Words of later versions than 2014, and what the sink is not to use.
TOO_NEW: Final = re.compile(
    r"\b(MERGE|JSON\w*|OPENJSON|STRING_AGG|STRING_SPLIT|TRIM|CONCAT_WS|DROP\s+\w+\s+IF\s+EXISTS|CREATE\s+OR\s+ALTER)\b",
    re.IGNORECASE,
)
STATEMENTS: Final[set[str]] = set()
"""Every text that was run."""

# What SQLAlchemy and the sink ask of a connection, and the answers.
_ANSWERS: Final = (
    ("SERVERPROPERTY('ProductVersion')", ("12.0.6024.0",)),
    ("schema_name()", ("dbo",)),
    ("test max support", ("test max support",)),
    ("fn_listextendedproperty", (1,)),
    ("sys.dm_exec_sessions", ("READ COMMITTED",)),
    ("sys.system_views", ("sys.dm_exec_sessions",)),
    ("SERVERPROPERTY('EngineEdition')", (3,)),
)
_REFUSALS: Final = {
    "UNIQUE": (2627, "Violation of UNIQUE KEY constraint 'UX'. Cannot insert duplicate key in object 'dbo.x'."),
    "FOREIGN KEY": (547, 'The INSERT statement conflicted with the FOREIGN KEY constraint "FK".'),
    "CHECK": (547, 'The INSERT statement conflicted with the CHECK constraint "CK".'),
    "NOT NULL": (515, "Cannot insert the value NULL into column 'x', table 'dbo.x'; column does not allow nulls."),
}
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d\.\d{3})")
_STORED_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FORMS: Final = (
    (r"CREATE TABLE #", "CREATE TEMPORARY TABLE "),
    (r"#sipcdr_stage", "sipcdr_stage"),
    (r" COLLATE (DATABASE_DEFAULT|Latin1_General_BIN2)", ""),
    (r" WITH \(UPDLOCK, (HOLDLOCK|NOWAIT)\)", ""),
    (r"^SELECT TOP (\d+) (.*)$", r"SELECT \2 LIMIT \1"),
    (r"CAST\((\?|CAST\(\? AS DATETIME\)) AS (DATETIME|N?VARCHAR\(max\)|INTEGER|BIGINT)\)", "?"),
    (r"\bVARBINARY\(max\)", "BLOB"),
    (r"\b(datediff|datepart)\((\w+), ", r"\1('\2', "),
    (r"\bconvert\(char\((\d+)\), ([^,]+), 120\)", r"substr(\2, 1, \1)"),
    (r"^(UPDATE \w+ SET .*) FROM (\w+) INNER JOIN (\w+ AS s) ON (.*)$", r"\1 FROM \3 WHERE \4"),
    (
        r"^DELETE (\w+) FROM \1 INNER JOIN (\w+ AS s) ON (.*)$",
        r"DELETE FROM \1 WHERE EXISTS (SELECT 1 FROM \2 WHERE \3)",
    ),
)


def checked(text: str) -> None:
    """Hold a text to T-SQL of SQL Server 2014."""
    STATEMENTS.add(text)
    assert not TOO_NEW.search(text), text
    (parsed,) = sqlglot.parse(text, dialect="tsql", error_level=sqlglot.ErrorLevel.RAISE)
    # What sqlglot doesn't know it hands through as a command.
    assert parsed is not None
    assert not isinstance(parsed, exp.Command) or text.startswith("SET "), text


@contextmanager
def refusals() -> Iterator[None]:
    """What SQLite refuses in the words of SQL Server through Microsoft's driver."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        number, words = next(said for start, said in _REFUSALS.items() if str(error).startswith(start))
        text = f"[23000] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]{words} ({number}) (SQLExecDirectW)"
        raise pyodbc.IntegrityError("23000", text) from error


class Cursor:
    """What SQLAlchemy and the sink use of a cursor."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cursor = connection.sqlite.cursor()
        self._answer: list[tuple[Any, ...]] | None = None
        self.fast_executemany = False
        self.sizes: list[tuple[int, int, int]] | None = None
        self.rowcount = -1
        self.description: Any = None

    def setinputsizes(self, sizes: list[tuple[int, int, int]]) -> None:
        self.sizes = sizes

    def execute(self, text: str, *parameters: Any) -> Cursor:
        binds = parameters[0] if len(parameters) == 1 and isinstance(parameters[0], list | tuple) else parameters
        checked(text)
        assert text.count("?") == len(binds) <= MOST_BINDS
        assert text.count("), (") < MOST_ROWS
        assert_times_are_cast(text, binds)
        self._answer = None
        for words, row in _ANSWERS:
            if words in text:
                self._answer, self.description = [row], [("x", str, None, None, None, None, None)]
                return self
        if not text.startswith("SET "):
            self._connection.begin()
            with refusals():
                self._cursor.execute(meant(text), [bound(value) for value in binds])
            self.rowcount, self.description = self._cursor.rowcount, self._cursor.description
        return self

    def executemany(self, text: str, rows: Sequence[Sequence[Any]]) -> None:
        checked(text)
        assert_times_are_cast(text, rows[0])
        if self.fast_executemany:
            assert self.sizes is not None
            assert len(self.sizes) == text.count("?")
        self._connection.begin()
        with refusals():
            self._cursor.executemany(meant(text), [[bound(value) for value in row] for row in rows])
        # pyodbc has the count of the last row only.
        self.rowcount = -1

    def fetchall(self) -> list[tuple[Any, ...]]:
        if self._answer is not None:
            return self._answer
        return [tuple(map(given, row)) for row in self._cursor.fetchall()]

    def fetchone(self) -> tuple[Any, ...] | None:
        if self._answer is not None:
            return self._answer[0]
        row = self._cursor.fetchone()
        return None if row is None else tuple(map(given, row))

    def close(self) -> None:
        self._cursor.close()


class Connection:
    """What SQLAlchemy and the sink use of a connection; `driver` is the name of the driver's library."""

    def __init__(self, path: str, driver: str) -> None:
        self.sqlite = sqlite3.connect(path, isolation_level=None)
        self.sqlite.execute("PRAGMA foreign_keys = ON")
        self.sqlite.create_function("datediff", 3, seconds_between, deterministic=True)
        self.sqlite.create_function("datepart", 2, milliseconds_of, deterministic=True)
        self.autocommit = False
        self._driver = driver

    def begin(self) -> None:
        if not self.sqlite.in_transaction:
            self.sqlite.execute("BEGIN IMMEDIATE")

    def cursor(self) -> Cursor:
        return Cursor(self)

    def getinfo(self, _: int) -> str:
        return self._driver

    def add_output_converter(self, *_: Any) -> None:
        """Nothing here needs one."""

    def commit(self) -> None:
        if self.sqlite.in_transaction:
            self.sqlite.execute("COMMIT")

    def rollback(self) -> None:
        if self.sqlite.in_transaction:
            self.sqlite.execute("ROLLBACK")

    def close(self) -> None:
        self.sqlite.close()


def assert_times_are_cast(text: str, binds: Sequence[Any]) -> None:
    """Every time is bound as text of three decimals in a CAST: else a key isn't found again."""
    for before, value in zip(text.split("?"), binds, strict=False):
        if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:", value):
            assert _TIME.fullmatch(value), value
            assert before.endswith("CAST("), text


def meant(text: str) -> str:
    """A statement of the sink in SQLite's words."""
    for form, words in _FORMS:
        text = re.sub(form, words, text, flags=re.DOTALL)
    return text


def seconds_between(part: str, one: str | None, other: str | None) -> int | None:
    """DATEDIFF of seconds, which counts the boundaries between two times."""
    assert part == "second"
    if one is None or other is None:
        return None
    return int((datetime.fromisoformat(other[:19]) - datetime.fromisoformat(one[:19])).total_seconds())


def milliseconds_of(part: str, time: str | None) -> int | None:
    """DATEPART of milliseconds."""
    assert part == "millisecond"
    return None if time is None else datetime.fromisoformat(time).microsecond // 1000


def bound(value: Any) -> Any:
    """A bind as the database holds it."""
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    return f"{found[1]} {found[2]}000" if found else value


def given(value: Any) -> Any:
    """A value as the driver gives it: times as such, GUIDs in upper case."""
    if isinstance(value, str):
        if _STORED_TIME.fullmatch(value):
            return datetime.fromisoformat(value)
        if _GUID.fullmatch(value):
            return value.upper()
    return value


def recording(path: str, driver: str = "libmsodbcsql-18.3.so.2.1") -> Sink:
    """A sink for SQL Server whose tables are in this file, made if they aren't there."""
    Sink.open(f"sqlite:///{path}").close()
    engine = sa.create_engine(
        "mssql+pyodbc://", isolation_level="READ COMMITTED", creator=lambda: Connection(path, driver)
    )
    sa.event.listen(engine, "connect", connected)
    return Sink(engine, Statements(metadata("mssql"), MSSQL))
