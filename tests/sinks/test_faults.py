"""A full disk, a file that is read-only, locked or no database: errors that say so, and what was committed stays."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from sipcdr.sinks import Sink, SinkError, SinkFull, SinkLocked, SinkReadOnly, SinkUnusable
from tests.sinks.rows import assert_whole, change, details, execute, query, url, write

if TYPE_CHECKING:
    from pathlib import Path


def test_a_full_disk(path: Path) -> None:
    """When no page is left the transaction fails as full, and what was committed before is whole."""
    with Sink.open(url(path)) as sink:
        write(sink, *(change(details(number)) for number in range(100)))
        limit_pages(sink)
        with pytest.raises(SinkFull, match="no room is left: database or disk is full"):
            write(sink, *(change(details(number), facts=b"\x01" * 100_000) for number in range(100, 200)))
        assert len(list(sink.sessions(details(number).call_id for number in range(200)))) == 100
    assert query(path, "SELECT COUNT(*) FROM SessionDetails") == [(100,)]
    assert_whole(path)


def limit_pages(sink: Sink) -> None:
    """Let the file grow no more, in the one connection that the sink has."""
    with sink._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 20}")


def test_a_read_only_file(path: Path) -> None:
    """A database that may only be read can be read, and says so when it is written."""
    with Sink.open(url(path)) as sink:
        write(sink, change(details(1)))
    execute(path, "PRAGMA journal_mode = DELETE")
    with Sink.open(f"sqlite:///file:{path}?mode=ro&uri=true") as sink:
        assert len(list(sink.sessions([details(1).call_id]))) == 1
        with pytest.raises(SinkReadOnly, match="the database is read-only"):
            write(sink, change(details(2)))
    assert_whole(path)


def test_an_empty_read_only_file(path: Path) -> None:
    """A read-only database that lacks the tables is an error about being read-only."""
    path.touch()
    with pytest.raises(SinkReadOnly):
        Sink.open(f"sqlite:///file:{path}?mode=ro&uri=true")


def test_a_locked_file(path: Path) -> None:
    """While another program holds the lock a writer waits for the time-out, then fails as locked; reading goes on."""
    with Sink.open(f"{url(path)}?timeout=0.05") as sink:
        write(sink, change(details(1)))
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(SinkLocked, match="another program holds the database: database is locked"):
                write(sink, change(details(2)))
            assert len(sink.read([change(details(1)).call_key])) == 1
        write(sink, change(details(2)))
    assert query(path, "SELECT COUNT(*) FROM SessionDetails") == [(2,)]
    assert_whole(path)


def test_a_database_that_is_locked_at_the_start(path: Path) -> None:
    """A file whose tables can't be made as it is locked is an error that says so."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SinkLocked):
            Sink.open(f"{url(path)}?timeout=0.05")


BAD_URLS = {
    "sqlite:////no/such/folder/cdr.db": "unable to open database file",
    "cdr.db": "no database URL such as sqlite:///sipcdr.db",
    "": "no database URL",
    "oracle://host/x": "no support for oracle databases",
    "sqlite+nodriver:///x.db": "no support for sqlite.nodriver: write sqlite",
    "sqlite:///x.db?timeout=soon": "no database URL",
}


@pytest.mark.parametrize("bad", BAD_URLS)
def test_urls_that_name_no_database(bad: str) -> None:
    """What is no URL of a database that can be opened is refused with the reason."""
    with pytest.raises(SinkUnusable, match=BAD_URLS[bad]):
        Sink.open(bad)


def test_a_file_that_is_no_database(path: Path) -> None:
    """A file of another kind is named as such, and left alone."""
    path.write_bytes(b"not a database, certainly " * 100)
    with pytest.raises(SinkUnusable, match="not a database"):
        Sink.open(url(path))
    assert path.read_bytes() == b"not a database, certainly " * 100


def test_a_damaged_database(path: Path) -> None:
    """Pages that were overwritten end in an error of ours, not in another's."""
    with Sink.open(url(path)) as sink:
        write(sink, *(change(details(number)) for number in range(500)))
    size = path.stat().st_size
    with path.open("r+b") as file:
        for offset in range(size // 2, size, 4096):
            file.seek(offset)
            file.write(b"\xa5" * 2048)
    with pytest.raises(SinkError), Sink.open(url(path)) as sink:
        list(sink.sessions(details(number).call_id for number in range(500)))


def test_a_database_of_somebody_else(path: Path) -> None:
    """A table of ours with other columns is an error that names what is missing."""
    execute(path, "CREATE TABLE Tenants (Name TEXT)")
    with pytest.raises(SinkUnusable, match="no such column"):
        Sink.open(url(path))


def test_keys_that_do_not_decode(path: Path) -> None:
    """Damaged Keys are named with their CallKey."""
    with Sink.open(url(path)) as sink:
        write(sink, change(details(1)))
        execute(path, "UPDATE sipcdr_calls SET Keys = x'c1c1'")
        key = change(details(1)).call_key
        assert sink.read([key])[key].keys is None
        with pytest.raises(SinkUnusable, match=key.hex()):
            list(sink.sessions([details(1).call_id]))


def test_the_lock_row_is_missing(path: Path) -> None:
    """Without the writers' lock nothing is written."""
    with Sink.open(url(path)) as sink:
        execute(path, "DELETE FROM sipcdr_positions")
        with pytest.raises(SinkUnusable, match="writers' lock"):
            write(sink, change(details(1)))
    Sink.open(url(path)).close()
    assert query(path, "SELECT * FROM sipcdr_positions") == [("", "", 0, 0)]
