"""Sums over sessions by the database, and all its sessions one by one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from sipcdr.builder import Client, Media, Reference
from sipcdr.sinks import Sink, Total, Waits
from tests.sinks.rows import at, change, details, write

if TYPE_CHECKING:
    from sipcdr.builder import SessionDetails

PBX = Client("PBX 1.0", None)


def session(
    number: int, invite: str, wait: float | None, talk: float | None, code: int | None, **more: Any
) -> SessionDetails:
    """A session that began at `invite`, was answered by `code` after `wait` seconds and ended `talk` seconds later."""
    began = at(invite)
    response = None if wait is None else began + round(wait * 1_000_000)
    end = None if talk is None or response is None else response + round(talk * 1_000_000)
    columns: dict[str, Any] = {"media_types": 16, "user1_client": PBX, "server": "fe1.corp.example"} | more
    return details(
        number, invite_time=began, response_time=response, response_code=code, session_end_time=end, **columns
    )  # fmt: skip


ROWS = (
    session(1, "23 08:00:00", 1.25, 60.5, 200),
    session(2, "23 08:59:59.9", 12.345678, 2_600_000, 200),  # longer than 32 bits of milliseconds
    session(3, "23 09:00:00", 2, None, 200, server=None),
    session(4, "23 09:10:00", 0.5, 0, 486, diagnostic_id=1003),
    session(5, "24 10:00:00", 0.5, 0, 486, diagnostic_id=1003, user1_client=None),
    session(6, "24 10:00:01", None, None, None),
    session(7, "24 10:00:02", 0.2, 30, 200, media_types=1),
    session(8, "24 11:00:00", -0.5, 1, 200),  # the clocks of two taps differ
)


@pytest.fixture
def filled(sink: Sink) -> Sink:
    """A database with these sessions."""
    write(sink, *(change(row) for row in ROWS))
    return sink


def test_sums(filled: Sink) -> None:
    """Sessions with the same codes and media are one row, with the time that they talked."""
    totals, waits = filled.totals()
    assert set(totals) == {
        Total(None, 200, None, 16, 4, 3, 60_500 + 2_600_000_000 + 1000),
        Total(None, 486, 1003, 16, 2, 0, 0),
        Total(None, None, None, 16, 1, 0, 0),
        Total(None, 200, None, 1, 1, 1, 30_000),
    }
    assert set(waits) == {
        Waits(None, 16, 0, 1),
        Waits(None, 16, 1250, 1),
        Waits(None, 16, 2000, 1),
        Waits(None, 16, 12_300, 1),
        Waits(None, 1, 200, 1),
    }


@pytest.mark.parametrize(
    ("by", "counts"),
    [
        ("hour", {"2026-11-23 08": 2, "2026-11-23 09": 2, "2026-11-24 10": 3, "2026-11-24 11": 1}),
        ("day", {"2026-11-23": 4, "2026-11-24": 4}),
        ("agent", {"PBX 1.0": 7, None: 1}),
        ("server", {"fe1.corp.example": 7, None: 1}),
        ("code", {200: 5, 486: 2, None: 1}),
        ("diagnostic", {1003: 2, None: 6}),
    ],
)
def test_by_group(filled: Sink, by: str, counts: dict[Any, int]) -> None:
    """Sessions are put together by what was asked for."""
    totals, waits = filled.totals(by=by)
    found: Counter[Any] = Counter()
    for total in totals:
        found[total.of] += total.count
    assert found == counts
    assert {wait.of for wait in waits} <= set(counts)


def test_of_a_time(filled: Sink) -> None:
    """Only sessions from one time on and before another are summed up."""
    totals, waits = filled.totals(since=at("23 09:00:00"), until=at("24 10:00:00"))
    assert sum(total.count for total in totals) == 2
    assert sum(wait.count for wait in waits) == 1


def test_walk(filled: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """All sessions come, page by page, with the dialog that each replaced in the place of its key."""
    monkeypatch.setattr("sipcdr.sinks._walk.PAGE", 3)
    replaced = ROWS[0]
    late = details(
        9, media=(Media(5, at("25 08:00:01")), Media(6, at("25 08:00:02"))), invite_time=at("25 08:00:00"),
        session_end_time=at("25 08:01:00"), reference=Reference(replaced.call_id, replaced.pairs[0]),
    )  # fmt: skip
    write(filled, change(late))
    walked = list(filled.walk())
    assert [one.external_id for one in walked] == [row.external_id for row in (*ROWS, late)]
    assert [one.values["InviteTime"] for one in walked] == [row.invite_time for row in (*ROWS, late)]
    assert walked[-1].replaced == replaced.external_id
    assert walked[-1].media == (
        (5, at("25 08:00:01"), at("25 08:01:00")),
        (6, at("25 08:00:02"), at("25 08:01:00")),
    )
    assert walked[0].values["User1"] == "ann@corp.example"
