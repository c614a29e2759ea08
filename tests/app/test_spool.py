"""What a replay keeps on disk until its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcdr.app._spool import Spool
from sipcdr.builder import Call, Position
from sipcdr.ingest import Limits, Tally, scan
from tests.app.capture import answered, busy

if TYPE_CHECKING:
    from fixtures.calls import Sent


def call_of(sent: list[Sent]) -> Call:
    """The call that these messages make."""
    call: Call | None = None
    for number, one in enumerate(sent):
        message = scan(one.payload, one.time, Position("x", number), Tally(), Limits())
        assert not isinstance(message, str)
        call = call or Call(message.call_id)
        call.add(message)
    assert call is not None
    return call


def test_call_ids_are_kept() -> None:
    """A Call-ID that is written is given out, whatever its bytes."""
    with Spool() as spool:
        spool.note([b"a", b"\xff\x00"])
        spool.note([b"b", b"a"])
        assert set(spool.call_ids()) == {b"a", b"b", b"\xff\x00"}


def test_kept_calls_are_joined() -> None:
    """Parts of a call become one, in the order in which the calls first came."""
    sent = answered("c1")
    with Spool() as spool:
        spool.keep([call_of(sent[:2]), call_of(busy("c2"))])
        spool.keep([call_of(sent[2:])])
        [calls] = spool.calls(10, 1 << 20)
    assert {bytes(call) for call in calls} == {bytes(call_of(sent)), bytes(call_of(busy("c2")))}


def test_kept_calls_come_in_bounded_batches() -> None:
    """Not more than so many calls at a time, nor many more bytes of facts."""
    with Spool() as spool:
        spool.keep(call_of(busy(f"c{n}")) for n in range(5))
        assert [len(calls) for calls in spool.calls(2, 1 << 20)] == [2, 2, 1]
        assert [len(calls) for calls in spool.calls(10, 1)] == [1, 1, 1, 1, 1, 0]
