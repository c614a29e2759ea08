"""`Correlator`: which calls are in memory, and which are due; time is an argument."""

from __future__ import annotations

import random
import tracemalloc

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipcdr.builder import Call, Correlator, sessions
from tests.scenarios.derivation import rows_of
from tests.scenarios.every import SCENARIOS
from tests.scenarios.notation import at, messages

MINUTE = 60_000_000
HOUR = 60 * MINUTE


def correlator(*, hold: int = HOUR, memory: int = 1 << 30, linger: int | None = None) -> Correlator:
    """One with an hour's hold and memory enough, unless told otherwise."""
    return Correlator(hold=hold, memory=memory, linger=linger)


def due(under_test: Correlator, seconds: float) -> list[bytes]:
    """The Call-IDs that are due at a time."""
    return [call.call_id for call in under_test.advance(at(seconds))]


@pytest.mark.parametrize(
    ("last", "ends"),
    [
        ("0  a>b  BYE 2", True),
        ("0  a>b  486 1", True),
        ("0  a>b  401 1", False),
        ("0  a>b  407 1", False),
        ("0  a>b  200 1", False),
        ("0  a>b  200/MESSAGE 1", True),
        ("0  a>b  200/INFO 1", False),
        ("0  a>-  CANCEL 1", False),
    ],
)
def test_linger(last: str, ends: bool) -> None:
    """A call is due after 32 s of quiet behind a message that ends a session, else when hold is over."""
    under_test = correlator()
    under_test.receive(messages(last))
    assert under_test.next_deadline() == at(32 if ends else 3600)
    assert due(under_test, 31.999999) == []
    assert due(under_test, 32) == ([b"1@x.example"] if ends else [])
    assert due(under_test, 3600) == ([] if ends else [b"1@x.example"])
    assert len(under_test) == 0


def test_quiet() -> None:
    """A further message makes an ended call wait again."""
    under_test = correlator()
    under_test.receive(messages("0  a>b  BYE 2"))
    under_test.receive(messages("20  a>b  200/BYE 2"))
    assert due(under_test, 32) == []
    assert due(under_test, 52) == [b"1@x.example"]


def test_hold() -> None:
    """A call that goes on is due when its oldest fact has waited for hold; what follows is a new call."""
    under_test = correlator(hold=MINUTE)
    for second in range(0, 59, 10):
        under_test.receive(messages(f"{second}  a>b  INFO {second}  body=dtmf"))
    assert due(under_test, 59) == []
    assert due(under_test, 60) == [b"1@x.example"]
    under_test.receive(messages("61  a>b  INFO 61  body=dtmf"))
    assert under_test.next_deadline() == at(121)


def test_time_of_arrival() -> None:
    """Hold and linger count from when a message arrived, not from its time stamp."""
    under_test = correlator(hold=MINUTE)
    under_test.receive(messages("1000  a>-  INVITE 1  call=now"))
    under_test.receive(messages("0  a>b  BYE 2  call=late"))
    assert under_test.watermark == at(1000)
    assert due(under_test, 1031) == []
    assert due(under_test, 1032) == [b"late@x.example"]


def test_watermark_never_falls() -> None:
    """An earlier time than one seen moves nothing."""
    under_test = correlator()
    under_test.receive(messages("100  a>b  BYE 2"))
    assert due(under_test, 0) == []
    assert under_test.watermark == at(100)
    assert due(under_test, 132) == [b"1@x.example"]


def test_memory() -> None:
    """Over the cap the oldest calls are due early, counted; nothing is dropped."""
    under_test = correlator(memory=20_000)
    wire = messages("\n".join(f"{second}  a>-  INVITE 1  call={second}" for second in range(100)))
    found = []
    for message in wire:
        under_test.receive([message])
        assert under_test.memory_used <= 21_000
        found += under_test.advance(message.time)
    assert [call.call_id for call in found] == [message.call_id for message in wire[: len(found)]]
    assert len(found) > 50
    assert under_test.counts["early"] == len(found)
    assert len(found) + len(under_test.finish()) == 100
    assert under_test.memory_used == 0


def test_early_calls_apart() -> None:
    """Calls that are due by the memory cap alone are told from those whose time has come."""
    under_test = correlator(memory=5000, linger=0)
    under_test.receive(messages("0  a>b  BYE 2  call=ended"))
    under_test.receive(messages("\n".join(f"0  a>-  INVITE 1  call={number}" for number in range(20))))
    early: list[Call] = []
    assert [call.call_id for call in under_test.advance(at(0), early)] == [b"ended@x.example"]
    assert [call.call_id for call in early] == [b"%d@x.example" % number for number in range(len(early))]
    assert 5 < len(early) == under_test.counts["early"]


@pytest.mark.parametrize(("linger", "memory"), [(0, 1 << 30), (32_000_000, 5000)])
def test_calls_that_left_take_no_memory(linger: int, memory: int) -> None:
    """However many calls come and go, while an old one stays or before their time, what remains of them is bounded."""
    under_test = correlator(linger=linger, memory=memory)
    under_test.receive(messages("0  a>-  INVITE 1"))
    (ends,) = messages("1  a>b  BYE 2  call=2")
    tracemalloc.start()
    sizes = []
    for _ in range(3):
        for number in range(4000):
            under_test.receive([msgspec.structs.replace(ends.plain(), call_id=b"%d" % number)])
            under_test.advance(under_test.watermark)
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert len(under_test) < 10
    assert sizes[-1] < sizes[0] + 50_000


def test_memory_is_a_deadline() -> None:
    """Over the cap the deadline is now."""
    under_test = correlator(memory=100)
    assert under_test.next_deadline() is None
    under_test.receive(messages("5  a>-  INVITE 1"))
    assert under_test.next_deadline() == at(5)


def test_finish() -> None:
    """At the end of the input all calls are due, each once."""
    under_test = correlator()
    under_test.receive(messages("0  a>b  BYE 2  call=1\n1  a>-  INVITE 1  call=2"))
    assert sorted(call.call_id for call in under_test.finish()) == [b"1@x.example", b"2@x.example"]
    assert under_test.finish() == []
    assert under_test.next_deadline() is None
    assert due(under_test, 10**6) == []


def test_counts() -> None:
    """Messages that are no facts are counted by method; names as long as a page are one name."""
    under_test = correlator()
    under_test.receive(messages(f"0  a>-  OPTIONS 1\n0  a>b  200/OPTIONS 1\n0  a>-  {'X' * 60} 1"))
    assert under_test.counts == {"method OPTIONS": 2, "method other": 1}
    assert len(under_test) == 0


@settings(max_examples=20, derandomize=True, database=None)
@given(
    st.integers(0, 1 << 32),
    st.sampled_from([1, MINUTE, HOUR]),
    st.sampled_from([0, 5000, 1 << 30]),
    st.sampled_from([0, 32_000_000]),
)
def test_written_early(seed: int, hold: int, memory: int, linger: int) -> None:
    """Whenever calls are taken, what is taken of a Call-ID joins to the same rows."""
    chance = random.Random(seed)
    for scenario in chance.sample(SCENARIOS, 20):
        written = scenario.messages()
        under_test = correlator(hold=hold, memory=memory, linger=linger)
        taken: dict[bytes, Call] = {}
        for message in chance.sample(written, len(written)):
            under_test.receive([message])
            calls = under_test.advance(message.time) if chance.random() < 0.7 else []
            for call in calls:
                taken[call.call_id] = taken[call.call_id].join(call) if call.call_id in taken else call
        for call in under_test.finish():
            taken[call.call_id] = taken[call.call_id].join(call) if call.call_id in taken else call
        found = {row.external_id: row for call in taken.values() for row in sessions(call)}
        assert found == {row.external_id: row for row in rows_of(written)}, scenario.name


def test_absurd_times_move_no_watermark() -> None:
    """A time stamp beyond what may be true is counted, and makes no other call due; nor its own."""
    under_test = correlator(hold=MINUTE)
    under_test.receive(messages("0  a>b  INVITE 1"), at(100))
    under_test.receive(messages("9000  a>b  180 1"), at(100))
    assert under_test.counts["ahead"] == 1
    assert b"1@x.example" in under_test
    assert due(under_test, 59) == []
    assert due(under_test, 60) == [b"1@x.example"]
    assert b"1@x.example" not in under_test
