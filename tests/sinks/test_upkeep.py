"""What an administrator does, in T-SQL: as SQL Server can't run in the tests, statements are parsed and recorded."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from sipcdr.sinks import StoredPosition, _check, _retention
from sipcdr.sinks._mssql import MSSQL
from sipcdr.sinks._schema import metadata, tables_of
from tests.sinks.rows import at, change, details, write
from tests.tsql import STATEMENTS, recording

if TYPE_CHECKING:
    from pathlib import Path

    from sipcdr.sinks import Sink

DAY = 86_400_000_000


@pytest.fixture
def sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sink:
    """A recording sink for SQL Server with ten calls, five of them a day older. No other table refers to look-ups."""
    monkeypatch.setattr(_retention, "_declared", lambda *_: defaultdict(list))
    made = recording(str(tmp_path / "x.db"))
    old = [details(number, invite_time=at("22 08:00:00") + number, server="old.example") for number in range(5)]
    write(made, *(change(row) for row in old), *(change(details(number)) for number in range(10, 15)))
    return made


def test_purge(sink: Sink) -> None:
    """Old calls go with all their rows, and then what they alone referred to."""
    upkeep = sink.upkeep()
    done = upkeep.purge(at("23 00:00:00"))
    assert done is not None
    assert (done.calls, done.sessions, done.damaged) == (5, 5, [])
    assert upkeep.purge(at("23 00:00:00"), done.last) is None
    assert len(list(sink.sessions(details(number).call_id for number in range(20)))) == 5
    upkeep.raise_if_busy()
    deleted = upkeep.purge_lookups()
    assert {name: count for name, count in deleted.items() if count} == {"Servers": 1}
    assert any("WITH (UPDLOCK, NOWAIT)" in text for text in STATEMENTS)


def test_facts(sink: Sink) -> None:
    """Facts go alone, once; the calls' Versions are those of the write that emptied them."""
    upkeep = sink.upkeep()
    done = upkeep.freeze(at("23 00:00:00"))
    assert done is not None
    assert done.calls == 5
    assert upkeep.freeze(at("23 00:00:00")) is None
    calls = [numbered.call for numbered in upkeep.calls(0, upkeep.last_number(), since=None, most=100)]
    assert [bool(call.facts) for call in calls] == [False] * 5 + [True] * 5
    assert {call.version for call in calls} == {1, 2}


def test_pages_of_stored_calls(sink: Sink) -> None:
    """They come by their numbers, from a time on."""
    upkeep = sink.upkeep()
    assert [each.number for each in upkeep.calls(0, 10, since=at("23 00:00:00"), most=3)] == [6, 7, 8]
    assert [each.number for each in upkeep.calls(8, 9, since=None, most=3)] == [9]


def test_positions(sink: Sink) -> None:
    """A position is found, and forgotten, by its source and part."""
    with sink.begin() as transaction:
        transaction.write([], [StoredPosition("a", "1", 7), StoredPosition("a", "3", 8)])
    upkeep = sink.upkeep()
    assert (upkeep.position("a", "1"), upkeep.position("a", "2")) == (7, None)
    upkeep.forget_position("a", "1")
    assert (upkeep.position("a", "1"), upkeep.position("a", "3")) == (None, 8)


def test_check(sink: Sink) -> None:
    """The queries that look for rows which refer to none find none."""
    tables = tables_of(metadata("mssql"))
    with sink.begin() as transaction:
        connection = transaction.connection
        assert list(_check._constants(connection, tables)) == []
        assert list(_check._orphans(connection, tables, alone=True)) == []
        assert list(_check._keys(connection, tables, MSSQL, alone=True)) == []
