"""Records and the two machine formats."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcdr.app._records import Value, csv_lines, iso, json_lines, text, visible
from sipcdr.sinks import SESSION_COLUMNS
from tests.app.capture import KEYS, MORNING, record


def test_a_record_has_the_columns_of_the_contract() -> None:
    """The names and their order are a contract of the output."""
    assert list(record()) == KEYS
    assert list(SESSION_COLUMNS) == KEYS


def test_the_columns_are_those_of_the_schema() -> None:
    """The contract follows the schema's file, where that is at hand."""
    folder = os.environ.get("SIPCDR_SCHEMA")
    if not folder:
        pytest.skip("SIPCDR_SCHEMA names no folder")
    lines = (Path(folder) / "lcscdr.tsv").read_text(encoding="utf-8").splitlines()
    columns = [line.split("\t") for line in lines if line.startswith("SessionDetails\t")]
    lookups = ("Users.", "Servers.", "Pools.", "ContentTypes.", "ClientVersions.", "EdgeServers.")
    names = [
        column[2][:-2] if any(f"->{lookup}" in column[5] for lookup in lookups) else column[2] for column in columns
    ]
    assert KEYS[:36] == names


def test_json_has_types_of_the_contract() -> None:
    """Numbers are numbers, times ISO 8601 UTC with microseconds, NULL null, media a list."""
    [line] = json_lines([record(ResponseCode=200, Media=["Audio", "Video"])])
    got = json.loads(line)
    assert list(got) == KEYS
    assert got["InviteTime"] == "2026-11-23T08:00:00.000000Z"
    assert got["SessionEndTime"] is None
    assert got["User1"] is None
    assert (got["ResponseCode"], got["CallPriority"], got["Processed"]) == (200, 0, 0)
    assert (got["CallId"], got["FromTag"], got["ToTag"]) == ("c1", "f1", "")
    assert got["Media"] == ["Audio", "Video"]


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (MORNING + 123_456, "2026-11-23T08:00:00.123456Z"),
        (-62_135_596_800_000_000, "0001-01-01T00:00:00.000000Z"),
        (1 << 63, "9999-12-31T23:59:59.999999Z"),
        (-(1 << 63), "0001-01-01T00:00:00.000000Z"),
    ],
)
def test_times(time: int, shown: str) -> None:
    """A time is shown in full, and one beyond the calendar as its last moment."""
    assert iso(time) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("ann@example.com", "ann@example.com"),
        ("jörg@例え.example", "jörg@例え.example"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\rb\nc\td", "a\\rb\\nc\\td"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb", "a\\u202eb"),
        ("\U000e0041", "\\U000e0041"),
        ("\x00\x07\x08\x7f", "\\x00\\x07\\x08\\x7f"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
    ],
)
def test_visible(value: str, shown: str) -> None:
    """Nothing that a terminal would act on is left, and nothing else is changed."""
    assert visible(value) == shown


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3", "'-2+3"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("+", "'+"),
        ("+49301234", "+49301234"),
        ("\t=1", "\\t=1"),
        ("plain", "plain"),
        ('a"b,c\nd', 'a"b,c\\nd'),
        (None, ""),
        (-5, "-5"),
        (["Audio", "Video"], "Audio;Video"),
        ([], ""),
    ],
)
def test_csv_cells(value: Value, cell: str) -> None:
    """A spreadsheet takes no value for a formula; a phone number and a number stay as they are."""
    head, row = csv.reader(io.StringIO("".join(csv_lines([record(User1=value)]))))
    assert head == KEYS
    assert row[KEYS.index("User1")] == cell


def test_csv_without_sessions() -> None:
    """Without sessions there is the line of names."""
    assert "".join(csv_lines([])) == ",".join(KEYS) + "\n"


@given(st.text())
def test_json_gives_every_text_back_and_shows_only_printable_signs(value: str) -> None:
    """JSON is exact whatever the text, on one line, and harmless on a terminal."""
    encodable = value.encode("utf-8", "replace").decode()
    [line] = json_lines([record(User2=encodable)])
    assert json.loads(line)["User2"] == encodable
    assert line[-1] == "\n"
    assert line[:-1].isprintable()


@given(st.binary())
def test_bytes_become_text(value: bytes) -> None:
    """A Call-ID of any bytes can be shown, and one of UTF-8 is shown as it is."""
    assert text(value).encode("utf-8").decode("utf-8") == text(value)
    assert text("é\u4f8b".encode()) == "é\u4f8b"


@given(st.lists(st.one_of(st.text(), st.none(), st.integers()), max_size=3))
def test_csv_is_one_line_a_record(values: list[Value]) -> None:
    """Whatever the values, a record stays one line of as many cells as there are names."""
    lines = "".join(csv_lines([record(User1=value) for value in values])).split("\n")
    assert len(lines) == len(values) + 2
    assert {len(row) for row in csv.reader(lines[:-1])} == {len(KEYS)}
