"""A log that grows: what is whole is given out when nothing has come for a while, and nothing else is."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures import logs as writers
from sipcdr.ingest import LogOptions, LogReader, Tally, log_options

if TYPE_CHECKING:
    from sipcdr.ingest import LogMessage

LOGS = writers.logs()
CALL = writers.the_call()
every = pytest.mark.parametrize("name", LOGS)


def options(name: str) -> LogOptions:
    log = LOGS[name]
    return log_options(log.form, log.timezone, date.fromisoformat(log.begins) if log.begins else None)


@every
def test_the_last_message_of_a_quiet_log(name: str) -> None:
    """It needs no line behind it."""
    reader = LogReader("log", Tally(), options=options(name))
    found = reader.feed(LOGS[name].data) + reader.settle()
    assert len(found) == len(CALL)
    assert reader.settle() == []


@every
@settings(max_examples=60)
@given(data=st.data())
def test_quiet_anywhere(name: str, data: st.DataObject) -> None:
    """Wherever a log rests for a while, its messages, their times and their places are the same."""
    log = LOGS[name].data
    cuts = sorted(data.draw(st.lists(st.integers(0, len(log)), min_size=1, max_size=8)))
    tally, other = Tally(), Tally()
    whole = LogReader("log", tally, options=options(name))
    rests = LogReader("log", other, options=options(name))
    found: list[LogMessage] = []
    for begin, end in zip((0, *cuts), (*cuts, len(log)), strict=True):
        found += rests.feed(log[begin:end]) + rests.settle()
    assert found + rests.finish() == whole.feed(log) + whole.finish()
    assert (tally.problems, tally.counts) == (other.problems, other.counts)


@every
def test_quiet_behind_each_line(name: str) -> None:
    """The same behind each line of it, be that all there is of a record."""
    log = LOGS[name].data
    tally = Tally()
    whole = LogReader("log", tally, options=options(name))
    expected = whole.feed(log) + whole.finish()
    for at in (place + 1 for place, byte in enumerate(log) if byte == 0x0A):
        other = Tally()
        rests = LogReader("log", other, options=options(name))
        found = rests.feed(log[:at]) + rests.settle() + rests.feed(log[at:])
        assert found + rests.finish() == expected
        assert (tally.problems, tally.counts) == (other.problems, other.counts)
