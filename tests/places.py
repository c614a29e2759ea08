"""Databases for tests: an SQLite file, PostgreSQL and MariaDB by their drivers and through ODBC, behind one interface.

What tests read is the same from all: times as SQLite's text of 26 characters, bytes as bytes, GUIDs as text.
"""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from sipcdr.sinks import Sink
from tests.servers import ServerError, mariadb, postgres
from tests.tools import missing

if TYPE_CHECKING:
    from tests.servers import Database

SERVERS: Final = {"postgresql": postgres, "mariadb": mariadb}
NAMES: Final = ("sqlite", "postgresql", "mariadb")
"""The databases that run in the tests."""
ALL_NAMES: Final = (*NAMES, "postgresql-odbc", "mariadb-odbc", "mssql")
"""And the roads to them; the last is SQL Server's, with SQLite in the server's place."""
TABLES: Final = (
    *("Media", "SessionDetails", "Dialogs", "sipcdr_references", "sipcdr_calls"),
    *("Users", "Servers", "Pools", "ContentTypes", "ClientVersions", "EdgeServers"),
)
"""Tables that tests fill, children first."""


class Servers:
    """The servers of a test run, each started when it is first asked for."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._running: dict[str, Database] = {}
        self._places: dict[str, Place] = {}

    def get(self, name: str) -> Database:
        """A running server, or the test is skipped, with CI=true failed."""
        if name not in self._running:
            try:
                self._running[name] = self._stack.enter_context(SERVERS[name]())
            except ServerError as error:
                missing(str(error))
        return self._running[name]

    def place(self, name: str) -> Place:
        """The database of a server by one of ALL_NAMES, with tables, and empty."""
        if name not in self._places:
            made = Place(name, self.get(name.removesuffix("-odbc")).url)
            self._stack.callback(made.close)
            made.open().close()
            self._places[name] = made
        self._places[name].clear()
        return self._places[name]

    def close(self) -> None:
        """End all."""
        self._stack.close()


class Place:
    """A database: `name` one of ALL_NAMES, `url` what a user would write."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.kind = "sqlite" if name == "mssql" else name.removesuffix("-odbc")
        self.url = url
        # Not the sink's engine: a program other than ours.
        self._engine = sa.create_engine(url)

    def open(self, **options: Any) -> Sink:
        """A sink for it."""
        if self.name.endswith("-odbc"):
            from tests.servers._odbc import through_odbc

            return Sink.on(*through_odbc(self.url))
        if self.name == "mssql":
            from tests.tsql import recording

            return recording(self.url.removeprefix("sqlite:///"))
        return Sink.open(self.url, **options)

    def query(self, text: str, *binds: object) -> list[tuple[Any, ...]]:
        """What a program other than ours reads; `?` marks a bind."""
        with self._engine.connect() as connection:
            rows = connection.exec_driver_sql(self._marked(text), binds or None).fetchall()
        return [tuple(map(_plain, row)) for row in rows]

    def execute(self, text: str, *binds: object) -> None:
        """Change it as a program other than ours would."""
        with self._engine.begin() as connection:
            connection.exec_driver_sql(self._marked(text), binds or None)

    def spelled(self, **spellings: str) -> str:
        """What this database calls something."""
        return spellings[self.kind]

    def close(self) -> None:
        """Close the connections of `query` and `execute`."""
        self._engine.dispose()

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables that tests fill."""
        return {table: sorted(self.query(f"SELECT * FROM {table}"), key=repr) for table in TABLES}

    def clear(self) -> None:
        """Empty the tables, in one transaction."""
        with self._engine.begin() as connection:
            unlinked = "UPDATE SessionDetails SET ReplaceDialogIdTime = NULL, ReplaceDialogIdSeq = NULL"
            connection.exec_driver_sql(unlinked)
            for table in TABLES:
                connection.exec_driver_sql(f"DELETE FROM {table}")
            connection.exec_driver_sql("DELETE FROM sipcdr_positions WHERE Source <> ''")

    def assert_whole(self) -> None:
        """Each session has its Dialogs row and the other way round; nothing refers to what isn't there."""
        counts = self.query(
            "SELECT (SELECT COUNT(*) FROM Dialogs), (SELECT COUNT(*) FROM SessionDetails),"
            " (SELECT COUNT(*) FROM Dialogs AS d JOIN SessionDetails AS s"
            " ON d.SessionIdTime = s.SessionIdTime AND d.SessionIdSeq = s.SessionIdSeq)"
        )
        assert len(set(counts[0])) == 1, counts
        for table, key, columns in (
            ("Users", "UserId", "User1Id User2Id TargetUserId SessionStartedById OnBehalfOfId ReferredById"),
            ("Servers", "ServerId", "ServerId"),
            ("Pools", "PoolId", "PoolId"),
            ("ContentTypes", "ContentTypeId", "ContentTypeID"),
            ("ClientVersions", "VersionId", "User1ClientVerId User2ClientVerId"),
            ("EdgeServers", "EdgeServerId", "User1EdgeServerid User2EdgeServerid"),
        ):
            dangling = " UNION ALL ".join(
                f"SELECT s.{column} FROM SessionDetails AS s LEFT JOIN {table} AS t ON s.{column} = t.{key}"
                f" WHERE s.{column} IS NOT NULL AND t.{key} IS NULL"
                for column in columns.split()
            )
            assert self.query(dangling) == [], columns

    def _marked(self, text: str) -> str:
        return text if self.kind == "sqlite" else text.replace("%", "%%").replace("?", "%s")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(" ", "microseconds")
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    return value


def fresh(server: Database, name: str) -> Place:
    """A further, empty database on a server."""
    engine = sa.create_engine(server.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}")
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    kind = "mariadb" if server.url.startswith("mysql") else "postgresql"
    return Place(kind, sa.make_url(server.url).set(database=name).render_as_string(hide_password=False))
