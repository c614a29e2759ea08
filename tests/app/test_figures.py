"""The summary and the problems."""

from __future__ import annotations

from sipcdr.app._figures import Figures
from sipcdr.builder import Position, SipMessage
from sipcdr.ingest import Tally
from tests.app.capture import record


def test_methods_of_any_name_are_counted_in_bounded_memory() -> None:
    """A method that nobody knows is counted with the others like it."""
    figures = Figures(Tally())
    figures.messages(
        [
            SipMessage(0, method, 0, b"c", b"f", b"", 1, 1, {}, b"", 0, Position("x", 1))
            for method in ("INVITE", "FOO", "BAR", "\x1b[2J")
        ]
    )
    assert figures.requests == {"INVITE": 1, "other methods": 3}


def test_many_problems_are_cut_short() -> None:
    """The first problems are named with file, frame and byte; the others are counted."""
    tally = Tally()
    for number in range(1500):
        tally.problem("a\x1b.pcap", number, number * 10, "damaged\n")
    lines = list(Figures(tally).problems())
    assert lines[0] == "a\\x1b.pcap: damaged\\n"
    assert lines[1] == "a\\x1b.pcap, frame 1, byte 10: damaged\\n"
    assert len(lines) == 21
    assert lines[-1] == "and 1,480 more problems"


def test_sessions_are_counted_by_response() -> None:
    """Each code with its name, in order; sessions without a response too."""
    figures = Figures(Tally())
    shown = [record(ResponseCode=code) for code in (486, 200, None, 200, 299)]
    assert list(figures.shown(shown)) == shown
    [line] = [line for line in figures.summary() if line.startswith("sessions")]
    assert line == "sessions  5 shown: no response 1, 200 OK 2, 299 1, 486 Busy Here 1"
