"""The daemon's upkeep: facts are emptied by the time of what is read, not by the clock."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sipcdr.app._config import parse
from sipcdr.app._metrics import Metrics
from sipcdr.app._upkeep import keep_up
from sipcdr.app._write import Outcome, Refusals, write_calls
from sipcdr.builder import Call, Rules
from sipcdr.sinks import Sink
from tests.scenarios.notation import at, messages

if TYPE_CHECKING:
    from sipcdr.builder import SipMessage

RULES = Rules()
DAY = 86_400


def call_of(message: SipMessage) -> Call:
    call = Call(message.call_id)
    call.add(message, RULES)
    return call


@pytest.mark.parametrize(
    ("watermarks", "frozen"),
    [((8 * DAY,), 1), ((8 * DAY, 7.5 * DAY), 1), ((8 * DAY, 1 * DAY), 0), ((8 * DAY, None), 0), ((), 2)],
)
def test_facts_are_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watermarks: tuple[float | None, ...], frozen: int
) -> None:
    """After seven days of the slowest source's time; while one hasn't said where it is, nothing is."""
    monkeypatch.setattr("sipcdr.app._upkeep._UPKEEP_SECONDS", 0.02)
    url = f"sqlite:///{tmp_path}/cdr.db"
    settings = parse(f'[database]\nurl = "{url}"\n[[source]]\ntype = "hep"\n', "x", {})
    # Both long ago by the clock.
    old, newer = messages(f"0  a>- INVITE 1 call=1\n{3 * DAY}  a>- INVITE 1 call=2")
    monkeypatch.setattr("sipcdr.app._upkeep.time.time_ns", lambda: at(30 * DAY) * 1000)
    with Sink.open(url) as sink:
        write_calls(sink, [call_of(old), call_of(newer)], RULES, outcome=Outcome(), refusals=Refusals(Path("none")))
    metrics = Metrics()
    stop = threading.Event()
    rounds = 0

    def marks() -> list[int | None]:
        nonlocal rounds
        rounds += 1
        if rounds == 3:
            stop.set()
        return [None if day is None else at(day) for day in watermarks]

    keep_up(settings, metrics, stop, marks)
    with closing(sqlite3.connect(tmp_path / "cdr.db")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM sipcdr_calls WHERE Facts = x''").fetchone() == (frozen,)
    assert metrics.registry.get_sample_value("sipcdr_calls_stored") == 2
