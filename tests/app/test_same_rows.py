"""The same captures in every database: the same rows, column by column, and the same output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sipcdr.app._records import json_lines, record_of
from sipcdr.app._write import Outcome, Refusals, write_calls
from sipcdr.builder import Rules
from sipcdr.sinks._columns import OWN_TABLES, Kind
from sipcdr.sinks._lcscdr import TABLES
from sipcdr.sinks._statements import LOOKUPS
from tests import road
from tests.places import NAMES, Place, fresh

if TYPE_CHECKING:
    from sipcdr.builder import SipMessage
    from tests.places import Servers

CAPTURES = sorted((Path(__file__).parent.parent.parent / "fixtures").glob("*.pcap*"))


@pytest.fixture(scope="module")
def messages() -> list[SipMessage]:
    """What the shipped captures hold."""
    return road.messages(*CAPTURES)


@pytest.fixture(scope="module")
def sqlite(messages: list[SipMessage], tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[str]]:
    """What SQLite holds, to which the others are held."""
    folder = tmp_path_factory.mktemp("same")
    return written(Place("sqlite", f"sqlite:///{folder}/cdr.db"), messages, folder)


def written(place: Place, messages: list[SipMessage], folder: Path) -> tuple[dict[str, Any], list[str]]:
    """All rows of all tables after two runs, the second of which has other halves of the calls; and the output."""
    outcome = Outcome()
    refusals = Refusals(folder / "refused.jsonl")
    with place.open() as sink:
        for part in (messages[::2], messages[::3] + messages[1::2]):
            write_calls(sink, road.calls(part), Rules(), outcome=outcome, refusals=refusals)
        shown = list(json_lines(map(record_of, sink.sessions({message.call_id for message in messages}))))
    assert not outcome.refused
    rows = {name: columns_of(place, name) for name in (TABLES | OWN_TABLES) if name != "sipcdr_positions"}
    place.close()
    return rows, shown


def columns_of(place: Place, table: str) -> list[dict[str, Any]]:
    """A table's rows, with the text of a look-up in the place of its number, as numbers may have gaps."""
    columns = (TABLES | OWN_TABLES)[table]
    found = [
        dict(zip((column.name for column in columns), row, strict=True))
        for row in place.query(f"SELECT * FROM {table}")
    ]
    for column in columns:
        lookup, _, number = column.refers.partition(".")
        if column.kind in (Kind.IDENTITY, Kind.BIG_IDENTITY):
            for row in found:
                del row[column.name]
        elif lookup in LOOKUPS:
            texts = dict(place.query(f"SELECT {number}, {LOOKUPS[lookup]} FROM {lookup}"))
            for row in found:
                row[column.name] = texts.get(row[column.name])
    return sorted(found, key=repr)


@pytest.mark.parametrize("name", [*(name for name in NAMES if name != "sqlite"), "postgresql-odbc", "mariadb-odbc"])
def test_the_same_rows(
    name: str, messages: list[SipMessage], sqlite: tuple[dict[str, Any], list[str]], servers: Servers, tmp_path: Path
) -> None:
    """Every table has the same rows, keys included, column by column, and JSON is the same to the letter."""
    place = fresh(servers.get(name.removesuffix("-odbc")), "same")
    place.name = name
    rows, shown = written(place, messages, tmp_path)
    expected, expected_shown = sqlite
    assert len(expected["SessionDetails"]) > 20
    for table, found in expected.items():
        assert rows[table] == found, table
    assert shown == expected_shown
