"""What is particular to a driver: its errors, roads that a server doesn't allow, tables that somebody else made."""

from __future__ import annotations

import builtins
import re
from typing import TYPE_CHECKING, Any

import psycopg
import pymysql
import pytest
import sqlalchemy as sa

from sipcdr.builder import Client, User
from sipcdr.sinks import (
    Sink,
    SinkAddress,
    SinkConflict,
    SinkError,
    SinkFull,
    SinkLocked,
    SinkReadOnly,
    SinkRefused,
    SinkUnavailable,
    SinkUnusable,
    without_secrets,
)
from sipcdr.sinks._address import hidden, secrets_of
from sipcdr.sinks._lcscdr import TABLES
from sipcdr.sinks._mysql import MYSQL
from sipcdr.sinks._mysql_load import _Result
from sipcdr.sinks._postgresql import POSTGRESQL
from sipcdr.sinks._schema import metadata
from tests.places import NAMES, Place, fresh
from tests.sinks.rows import change, details, user, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.places import Servers

STATES: dict[str, type[SinkError]] = {
    "08006": SinkUnavailable,  # connection_failure
    "57P01": SinkUnavailable,  # admin_shutdown
    "57P02": SinkUnavailable,  # crash_shutdown
    "57P03": SinkUnavailable,  # cannot_connect_now
    "53300": SinkUnavailable,  # too_many_connections
    "25P03": SinkUnavailable,  # idle_in_transaction_session_timeout
    "40001": SinkUnavailable,  # serialization_failure
    "40P01": SinkUnavailable,  # deadlock_detected
    "55P03": SinkLocked,  # lock_not_available
    "23505": SinkConflict,  # unique_violation
    "23503": SinkConflict,  # foreign_key_violation
    "23514": SinkRefused,  # check_violation
    "23502": SinkRefused,  # not_null_violation
    "22001": SinkRefused,  # string_data_right_truncation
    "22021": SinkRefused,  # character_not_in_repertoire
    "54000": SinkRefused,  # program_limit_exceeded
    "53100": SinkFull,  # disk_full
    "25006": SinkReadOnly,  # read_only_sql_transaction
    "42501": SinkUnusable,  # insufficient_privilege
    "28P01": SinkUnusable,  # invalid_password
    "3D000": SinkUnusable,  # invalid_catalog_name
}


@pytest.mark.parametrize("state", STATES)
def test_states_of_postgresql(state: str) -> None:
    """An SQLSTATE is what passes, what meets, what is refused, or what is no use."""
    meant = POSTGRESQL.meaning(psycopg.errors.lookup(state)("words\nof the server"))
    assert type(meant) is STATES[state]
    assert str(meant).endswith("words of the server")


CODES: dict[int, type[SinkError]] = {
    2003: SinkUnavailable,  # can't connect
    2006: SinkUnavailable,  # gone away
    2013: SinkUnavailable,  # lost in a query
    1040: SinkUnavailable,  # too many connections
    1053: SinkUnavailable,  # shutdown
    1213: SinkUnavailable,  # deadlock
    1927: SinkUnavailable,  # killed
    1205: SinkLocked,
    1062: SinkConflict,
    1452: SinkConflict,
    1048: SinkRefused,
    1264: SinkRefused,
    1366: SinkRefused,
    1406: SinkRefused,
    4025: SinkRefused,
    1114: SinkFull,
    1290: SinkReadOnly,
    1045: SinkUnusable,  # access denied
    1049: SinkUnusable,  # unknown database
    1142: SinkUnusable,  # command denied
}


@pytest.mark.parametrize("code", CODES)
def test_codes_of_mysql(code: int) -> None:
    """So is a number of MySQL or MariaDB."""
    meant = MYSQL.meaning(pymysql.err.OperationalError(code, "words of the server"))
    assert type(meant) is CODES[code]
    assert str(meant).endswith("words of the server")


DRIVERS = {
    "postgresql+psycopg://u@127.0.0.1:1/x": ("psycopg", "postgresql"),
    "mysql+pymysql://u@127.0.0.1:1/x": ("pymysql", "mysql"),
    "mariadb://u@127.0.0.1:1/x": ("pymysql", "mysql"),
    "mssql+pyodbc://u@127.0.0.1:1/x?driver=FreeTDS": ("pyodbc", "mssql"),
}


@pytest.mark.parametrize("url", DRIVERS)
def test_a_missing_driver(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that isn't installed is named with the extra that brings it."""
    module, extra = DRIVERS[url]
    kept = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == module:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        return kept(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SinkAddress, match=re.escape(f"pip install 'sipcdr[{extra}]'")):
        Sink.open(url)


@pytest.mark.parametrize("url", [url for url in DRIVERS if "mssql" not in url])
def test_a_server_that_is_away(url: str) -> None:
    """A server that can't be reached may come back."""
    with pytest.raises(SinkUnavailable):
        Sink.open(url)


SECRETS = {
    "postgresql+psycopg://cdr:s3cret@db/x": "postgresql+psycopg://cdr:***@db/x",
    "mysql+pymysql://cdr:s3%40cret@db/x?charset=utf8mb4": "mysql+pymysql://cdr:***@db/x?charset=utf8mb4",
    "postgresql+psycopg://db/x?password=s3cret": "postgresql+psycopg://db/x?password=***",
    "postgresql+psycopg://db/x?sslpassword=s3cret": "postgresql+psycopg://db/x?sslpassword=***",
    "sqlite:///x.db": "sqlite:///x.db",
    "postgresql://cdr:s3@cret@db:port/x": "postgresql:***@db:port/x",
    "cdr:s3cret": "cdr:s3cret",
}


@pytest.mark.parametrize("url", SECRETS)
def test_urls_without_secrets(url: str) -> None:
    """A URL is shown without its password, wherever that stands in it."""
    assert without_secrets(url) == SECRETS[url]


def test_odbc_strings_without_secrets() -> None:
    """So is an ODBC connection string in a URL, also where the password has braces."""
    url = sa.URL.create("mssql+pyodbc", query={"odbc_connect": "DRIVER={X};UID=cdr;PWD={s3;cr}}et};Encrypt=yes"})
    assert "s3" not in without_secrets(url.render_as_string(hide_password=False))
    assert "s3" not in hidden("login of {s3;cr}}et} failed", secrets_of(url))


def test_errors_without_secrets(servers: Servers) -> None:
    """Nor does an error show it, whatever the driver says."""
    url = sa.make_url(servers.get("postgresql").url).set(password="s3cret", database="s3cret")
    with pytest.raises(SinkUnusable, match=r'database "\*\*\*" does not exist'):
        Sink.open(url.render_as_string(hide_password=False))
    with pytest.raises(SinkAddress) as caught:
        Sink.open("postgresql://cdr:s3@cret@db:port/x")
    assert "cret" not in str(caught.value)


def test_mariadb_without_loading(servers: Servers) -> None:
    """Where the server doesn't allow LOAD DATA LOCAL, rows go in by INSERT of many rows, and are the same."""
    place = servers.place("mariadb")
    rows = [details(number, server=f"s\t\\{number}") for number in range(50)]
    place.execute("SET GLOBAL local_infile = 0")
    try:
        with place.open() as sink:
            version = write(sink, *map(change, rows))
            stored = sink.read([change(row).call_key for row in rows])
            keys = [(stored[change(row).call_key].keys or ())[0].key for row in rows]
            write(sink, *(change((row, key), version=version) for row, key in zip(rows, keys, strict=True)))
            assert [each["Server"] for each in sink.sessions(row.call_id for row in rows)] == [
                row.server for row in rows
            ]
            with pytest.raises(SinkRefused):
                write(sink, *(change(details(number, response_code=1 << 40)) for number in range(100, 110)))
    finally:
        place.execute("SET GLOBAL local_infile = 1")
    place.assert_whole()


def test_a_server_that_asks_for_a_file() -> None:
    """A server that wants a file of this machine, asked or unasked, gets nothing of it."""

    class Server:
        upload = b""

        def __init__(self) -> None:
            self.sent: list[bytes] = []

        def write_packet(self, data: bytes) -> None:
            self.sent.append(data)

        def _read_packet(self) -> Any:
            return pymysql.protocol.MysqlPacket(b"\0\0\0\2\0\0\0", "utf8")

    server = Server()
    _Result(server)._read_load_local_packet(pymysql.protocol.MysqlPacket(b"\xfb/etc/passwd", "utf8"))
    assert server.sent == [b""]


@pytest.mark.parametrize("name", NAMES)
def test_an_lcscdr_of_somebody_else(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Its own names of the replaced pair are used, its ids counted on, and of equal users the smallest taken."""
    if name == "sqlite":
        place = Place("sqlite", f"sqlite:///{tmp_path}/cdr.db")
    else:
        place = fresh(request.getfixturevalue("servers").get(name), "somebody")
    for statement in somebody(place):
        place.execute(statement)
    place.execute("INSERT INTO Users (UserId, UserUri) VALUES (7, 'ann@corp.example')")
    place.execute("INSERT INTO Users (UserId, UserUri) VALUES (41, 'ann@corp.example')")
    with place.open() as sink:
        version = write(sink, *(change(details(number, user2=user(f"u{number}"))) for number in range(5)))
        key = (sink.read([change(details(1)).call_key])[change(details(1)).call_key].keys or ())[0].key
        write(sink, change((details(1, user1_client=Client("x")), key), version=version))
        write(sink, change(details(9, user2=User("new@corp.example", 1))))
    assert place.query("SELECT UserId, UserUri FROM Users WHERE UserId > 41 ORDER BY UserId") == [
        (42 + number, f"u{number}@corp.example") for number in range(5)
    ] + [(47, "ben@corp.example"), (48, "new@corp.example")]
    assert place.query("SELECT DISTINCT User1Id FROM SessionDetails") == [(7,)]
    assert place.query("SELECT COUNT(*) FROM SessionDetails WHERE ReplacesDialogIdTime IS NULL") == [(6,)]
    place.close()


def somebody(place: Place) -> list[str]:
    """Tables without indexes, identities for users, and with another name for the replaced pair."""
    dialect = {"mariadb": "mysql"}.get(place.kind, place.kind)
    others = frozenset(
        ("SessionDetails", f"ReplaceDialogId{part}", f"ReplacesDialogId{part}") for part in ("Time", "Seq")
    )
    engine = sa.create_engine(place.url)
    made = []
    for table in metadata(dialect, others).sorted_tables:
        if table.name.lower() in {name.lower() for name in TABLES}:
            text = str(sa.schema.CreateTable(table).compile(engine))
            lines = [
                re.sub(" (GENERATED BY DEFAULT AS IDENTITY|AUTO_INCREMENT)", "", line).replace("INTEGER", "INT")
                if line.strip().lower().startswith("userid ")
                else line
                for line in text.splitlines()
            ]
            text = "\n".join(lines)
            made.append(text)
    engine.dispose()
    return made
