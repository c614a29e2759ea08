"""`Unwritten`: from where a source would be read again after a crash, at any moment; no clock, no broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcdr.app._unwritten import Holding, Part, Unwritten
from sipcdr.builder import Position, Rules, SipMessage
from sipcdr.sinks import StoredPosition
from tests.scenarios.notation import messages

if TYPE_CHECKING:
    import random

SECOND = 1_000_000
MINUTE = 60 * SECOND
RULES = Rules()
PART = Part("topic", "0")
OTHER = Part("topic", "1")
INVITE, INFO, BYE, OPTIONS = messages("0  a>- INVITE 1\n1  a>b INFO 2 body=dtmf\n2  a>b BYE 3\n3  a>- OPTIONS 4")


def sent(like: SipMessage, call_id: str, offset: int, time: float, part: Part = PART) -> SipMessage:
    """A message of a call, at an offset and a second."""
    where = Position(part.source, offset, part.partition)
    return msgspec.structs.replace(like.plain(), call_id=call_id.encode(), time=round(time * SECOND), position=where)


def unwritten(*, together: bool = False, memory: int = 1 << 30) -> Unwritten:
    """One with a hold of a minute and a linger of two seconds, and a part from offset 0."""
    made = Unwritten(RULES, Holding(2 * SECOND, MINUTE, memory), together=together)
    made.open(PART, 1, 0)
    return made


def take(under_test: Unwritten, elapsed: int = 0) -> tuple[list[str], list[int]]:
    """The Call-IDs that are due, and the positions that are told."""
    batch = under_test.take(elapsed)
    return [call.call_id.decode() for call in batch.calls], [each.position for each in batch.positions]


def test_a_position_is_the_first_message_that_is_not_written() -> None:
    """Calls that ended are written; the position waits at the oldest that hasn't, and is told when it changes."""
    under_test = unwritten()
    under_test.receive(PART, [sent(INVITE, "a", 0, 0), sent(OPTIONS, "o", 1, 0.5), sent(INVITE, "b", 2, 1)], 3)
    under_test.receive(PART, [sent(BYE, "a", 3, 2)], 5)
    assert take(under_test) == ([], [])
    assert take(under_test, 2 * SECOND) == (["a"], [2])
    assert take(under_test, 1 * SECOND) == ([], [])
    assert take(under_test, MINUTE) == (["b"], [5])
    assert take(under_test, MINUTE) == ([], [])


def test_methods_that_are_only_counted_hold_nothing() -> None:
    """A topic of OPTIONS moves its position on."""
    under_test = unwritten()
    under_test.receive(PART, [sent(OPTIONS, str(n), n, n) for n in range(100)], 100)
    assert take(under_test) == ([], [100])


def test_a_call_that_sends_for_hours_holds_no_position_back() -> None:
    """It is written each `hold`, and its position follows."""
    under_test = unwritten()
    lag = []
    for minute in range(1, 300):
        under_test.receive(PART, [sent(INFO, "long", minute, 60 * minute)], minute + 1)
        batch = under_test.take(0)
        lag += [minute + 1 - each.position for each in batch.positions]
    assert len(lag) == 150
    assert max(lag) <= 2


def test_a_call_that_is_written_and_goes_on_is_held_from_where_it_went_on() -> None:
    """What leaves memory takes its offset along; the next message of the call brings its own."""
    under_test = unwritten()
    under_test.receive(PART, [sent(INVITE, "a", 0, 0), sent(BYE, "a", 1, 1)], 2)
    assert take(under_test) == ([], [])
    assert take(under_test, 3 * SECOND) == (["a"], [2])
    under_test.receive(PART, [sent(INVITE, "b", 2, 4), sent(BYE, "a", 3, 4)], 4)
    assert take(under_test, 3 * SECOND) == (["a"], [])
    assert take(under_test, MINUTE) == (["b"], [4])


def test_a_batch_under_way_does_not_hide_what_came_since() -> None:
    """A position that a batch carries is below all that was read and isn't in it."""
    under_test = unwritten()
    under_test.receive(PART, [sent(INVITE, "a", 0, 0), sent(BYE, "a", 1, 0), sent(INVITE, "b", 2, 0)], 3)
    assert take(under_test) == ([], [])
    batch = under_test.take(3 * SECOND)
    under_test.receive(PART, [sent(INVITE, "c", 3, 4)], 4)
    assert batch.positions == [StoredPosition("topic", "0", 2, 1)]


def test_the_rest_is_written_oldest_first() -> None:
    """When a partition goes: in small batches, each with the position that it makes true."""
    under_test = unwritten()
    under_test.receive(PART, [sent(INVITE, str(n), n, n) for n in range(5)], 5)
    found = [([call.call_id for call in b.calls], [p.position for p in b.positions]) for b in under_test.rest(2)]
    assert found == [([b"0", b"1"], [2]), ([b"2", b"3"], [4]), ([b"4"], [5])]


def test_watermarks_keep_up_with_the_clock() -> None:
    """An idle topic holds no call back; one that catches up goes by its own, quicker time."""
    under_test = unwritten()
    under_test.receive(PART, [sent(INVITE, "a", 0, 0)], 1)
    assert take(under_test)[0] == []
    assert take(under_test, 59 * SECOND)[0] == []
    assert take(under_test, 1 * SECOND)[0] == ["a"]
    under_test.receive(PART, [sent(INVITE, "b", 1, 1000)], 2)
    under_test.receive(PART, [sent(INVITE, "c", 2, 1060)], 3)
    assert take(under_test, SECOND)[0] == ["b"]


def test_absurd_times_are_counted() -> None:
    """A time stamp far ahead makes nothing due; one far behind is late."""
    under_test = unwritten()
    under_test.receive(PART, [sent(INVITE, "a", 0, 100), sent(INVITE, "b", 1, 10**9)], 2, latest=10**6 * SECOND)
    assert take(under_test) == ([], [])
    under_test.receive(PART, [sent(INVITE, "c", 2, 30)], 3)
    assert (under_test.ahead, under_test.late) == (1, 1)


@pytest.mark.parametrize(("together", "split"), [(False, 1), (True, 0)])
def test_a_call_on_two_partitions(together: bool, split: int) -> None:
    """With a correlator for each it is noticed, and written in halves; with one for all it is one."""
    under_test = unwritten(together=together)
    under_test.open(OTHER, 1, 0)
    under_test.receive(PART, [sent(INVITE, "a", 0, 0)], 1)
    under_test.receive(OTHER, [sent(BYE, "a", 0, 1, OTHER)], 1)
    assert under_test.split == split
    assert len(under_test) == 1 + split
    assert take(under_test) == ([], [])
    batch = under_test.take(2 * MINUTE)
    assert len(batch.calls) == 1 + split
    assert {each.partition: each.position for each in batch.positions} == {"0": 1, "1": 1}


def test_offsets_that_are_gone() -> None:
    """Reading goes on behind a gap; where offsets begin anew, what is in memory is held at the beginning."""
    under_test = unwritten()
    under_test.receive(PART, [sent(INVITE, "a", 5, 0)], 6)
    under_test.skip(PART, 100)
    assert take(under_test)[1] == [5]
    under_test.skip(PART, 2)
    assert take(under_test)[1] == [2]
    assert take(under_test, MINUTE) == (["a"], [])


@given(st.randoms(use_true_random=False), st.booleans())
def test_no_message_is_ever_before_a_position_and_unwritten(chance: random.Random, together: bool) -> None:
    """Whatever comes in, is taken, or is due early as memory is full: before each position all is written."""
    under_test = unwritten(together=together, memory=4000)
    under_test.open(OTHER, 1, 0)
    facts: dict[tuple[Part, int], bytes] = {}
    in_batches: set[bytes] = set()
    offsets = {PART: 0, OTHER: 0}
    for step in range(60):
        part = chance.choice((PART, OTHER))
        batch = []
        for _ in range(chance.randrange(5)):
            message = sent(
                chance.choice((INVITE, INFO, BYE, OPTIONS)), f"c{chance.randrange(12)}", offsets[part],
                step + chance.randrange(-50, 50), part,
            )  # fmt: skip
            # Each fact is told apart by its time.
            message = msgspec.structs.replace(message.plain(), time=message.time + offsets[part] * 2 + (part == OTHER))
            batch.append(message)
            if message.method != "OPTIONS":
                facts[part, offsets[part]] = message.call_id + b" %d" % message.time
            offsets[part] += 1
        under_test.receive(part, batch, offsets[part])
        taken = under_test.take(chance.randrange(3 * SECOND)) if step < 59 else None
        for written in [taken] if taken else under_test.rest(3):
            in_batches |= {call.call_id + b" %d" % fact.time for call in written.calls for fact in call.facts}
            for each in written.positions:
                for (of, offset), fact in facts.items():
                    if of.partition == each.partition and offset < each.position:
                        assert fact in in_batches
    assert in_batches == set(facts.values())
