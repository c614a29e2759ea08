"""From messages to calls that are due, where memory is small."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from sipcdr.app._reading import Reading, due_calls
from sipcdr.app._select import Selection
from sipcdr.ingest import Tally
from tests.road import HOUR, messages

FIXTURES = Path(__file__).parent.parent.parent / "fixtures"

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipcdr.builder import Call, SipMessage


def due(batches: Iterable[list[SipMessage]], memory: int, hold: int = HOUR) -> list[Call]:
    """What is due of these batches, in its order."""
    reading = Reading(Tally())
    found = due_calls(batches, Selection(), reading, hold=hold, tick=lambda: None, memory=memory)
    calls = [call for part in found for call in part]
    assert (reading.odd["calls that waited on disk, as memory was full"] > 0) == (memory == 0)
    return calls


def joined(calls: list[Call]) -> dict[bytes, bytes]:
    """Each call with what was due of it."""
    found: dict[bytes, Call] = {}
    for call in calls:
        found[call.call_id] = found[call.call_id].join(call) if call.call_id in found else call
    return {call_id: bytes(call) for call_id, call in found.items()}


@pytest.mark.parametrize("seed", range(5))
def test_calls_that_memory_has_no_room_for_are_whole(seed: int) -> None:
    """In order each call is due once, with all that was read of it; nothing is lost in any other order."""
    found = messages(*sorted(FIXTURES.glob("*.pcap")))
    if seed:
        random.Random(seed).shuffle(found)
    batches = [found[at : at + 100] for at in range(0, len(found), 100)]
    small = due(batches, 0, 1 << 60)
    assert joined(small) == joined(due(batches, 1 << 30, 1 << 60))
    if not seed:
        assert len(joined(small)) == len(small)


def test_calls_on_disk_are_due_when_they_have_waited() -> None:
    """A call that memory had no room for waits for an hour, as it would in memory; or until nothing comes any more."""
    first, *rest = messages(FIXTURES / "answered.pcap")
    late = msgspec.structs.replace(rest[-1].plain(), time=first.time + HOUR)
    assert [len(call.facts) for call in due([[first], rest], 0)] == [1 + len(rest)]
    assert [len(call.facts) for call in due([[first], [], rest], 0)] == [1, len(rest)]
    assert [len(call.facts) for call in due([[first], [late], rest], 0)] == [2, len(rest)]
