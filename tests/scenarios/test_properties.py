"""What must hold of every scenario whatever becomes of its messages on the way (P1 to P3, P5, P6, P8)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from sipcdr.builder import Call, Correlator, Position, Rules, SessionDetails, SipMessage, _call, grid, sessions
from sipcdr.builder._state import walk
from tests.scenarios.derivation import RULES, calls_of, rows_of, states_of
from tests.scenarios.every import SCENARIOS
from tests.scenarios.notation import START, messages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from tests.scenarios.notation import Scenario

chances = st.integers(0, 1 << 32).map(random.Random)
"""A source of chance: which messages, in what order. A seed says less than a list of them, and costs less."""
few = settings(max_examples=6, derandomize=True, database=None)
often = settings(max_examples=1000, derandomize=True, database=None)


def _of_every_scenario(holds: Callable[[Scenario, random.Random], None]) -> None:
    """Try a property on every scenario, a few times."""

    @few
    @given(chances)
    def tried(chance: random.Random) -> None:
        for scenario in SCENARIOS:
            holds(scenario, chance)

    tried()


def _low(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds so low that all but the shortest scenarios meet them: Python's, whose twin has none to set."""
    monkeypatch.setitem(globals(), "Call", _call.Call)
    monkeypatch.setattr("tests.scenarios.derivation.Call", _call.Call)
    monkeypatch.setattr(_call, "CLASS_SIZE", 1)
    monkeypatch.setattr(_call, "SLIM_SIZE", 3)


def test_order() -> None:
    """P1: messages in any order, and any of them several times, give the same rows."""
    _of_every_scenario(_any_order)


def test_order_above_the_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """P1 holds where a call has more facts than are kept."""
    _low(monkeypatch)
    _of_every_scenario(_any_order)


def _any_order(scenario: Scenario, chance: random.Random) -> None:
    written = scenario.messages()
    mixed = _shuffled([*written, *chance.choices(written, k=chance.randrange(8) if written else 0)], chance)
    assert _rows(mixed) == _rows(written), scenario.name
    assert _packed(mixed) == _packed(written), scenario.name


def test_cut() -> None:
    """P2: a call that goes into bytes and out of them at any point goes on as if nothing had happened."""
    _of_every_scenario(_any_cut)


def test_cut_above_the_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """P2 holds where a call has more facts than are kept."""
    _low(monkeypatch)
    _of_every_scenario(_any_cut)


def _any_cut(scenario: Scenario, chance: random.Random) -> None:
    written = _shuffled(scenario.messages(), chance)
    calls: dict[bytes, Call] = {}
    for message in written:
        call = calls.setdefault(message.call_id, Call(message.call_id))
        call.add(message)
        if chance.random() < 0.3:
            calls[message.call_id] = Call.from_bytes(bytes(call))
    assert {call_id: sessions(call) for call_id, call in calls.items()} == _rows(written), scenario.name
    assert {call_id: bytes(call) for call_id, call in calls.items()} == _packed(written), scenario.name


def test_join() -> None:
    """P3: two parts of a call, overlapping or not, join to the whole from either side, in rows and in bytes."""
    _of_every_scenario(_any_parts)


def test_join_above_the_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """P3 holds where a call has more facts than are kept."""
    _low(monkeypatch)
    _of_every_scenario(_any_parts)


def _any_parts(scenario: Scenario, chance: random.Random) -> None:
    for call_id, written in _by_call(scenario.messages()).items():
        one, other = Call(call_id), Call(call_id)
        for message in _shuffled(written, chance):
            place = chance.randrange(3)
            if place != 1:
                one.add(message)
            if place != 0:
                other.add(message)
        # A part that was read before has been trimmed to the bounds by itself.
        if chance.random() < 0.5:
            one, other = Call.from_bytes(bytes(one)), Call.from_bytes(bytes(other))
        whole = calls_of(written)[0]
        assert bytes(one.join(other)) == bytes(other.join(one)) == bytes(whole), scenario.name
        assert sessions(one.join(other)) == sessions(whole), scenario.name


NOISE = ["REGISTER", "OPTIONS", "SUBSCRIBE", "NOTIFY", "BENOTIFY", "REFER", "PUBLISH", "SERVICE", "FOO"]


def test_noise() -> None:
    """P5: other calls, and messages of methods that are no facts, change no row."""
    _of_every_scenario(_any_noise)


def _any_noise(scenario: Scenario, chance: random.Random) -> None:
    written = scenario.messages()
    other = chance.choice(SCENARIOS)
    ours = {message.call_id for message in written}
    strange = [
        msgspec.structs.replace(message.plain(), call_id=b"other " + message.call_id) for message in other.messages()
    ]
    tags = [b"", *{message.from_tag for message in written}, *{message.to_tag for message in written}, b"zz"]
    strange += [
        msgspec.structs.replace(
            message.plain(),
            method=chance.choice(NOISE),
            status=chance.choice([0, 200, 404]),
            time=message.time + chance.randrange(-(10**9), 10**9),
            from_tag=chance.choice(tags),
            to_tag=chance.choice(tags),
            cseq=chance.randrange(9),
        )
        for message in (chance.choices(written, k=5) if written else ())
    ]
    correlator = Correlator(RULES, hold=1 << 60, memory=1 << 30, linger=1 << 60)
    correlator.receive(_shuffled([*written, *strange], chance))
    found = {call.call_id: sessions(call) for call in correlator.finish()}
    expected = {call_id: rows for call_id, rows in _rows(written).items() if call_id in found}
    assert {call_id: rows for call_id, rows in found.items() if call_id in ours} == expected, scenario.name
    assert sum(map(len, _rows(written).values())) == sum(map(len, expected.values())), scenario.name


def test_shift() -> None:
    """P6: a constant added to all times is added to the times of the rows, and changes nothing else."""
    _of_every_scenario(_any_shift)


def _any_shift(scenario: Scenario, chance: random.Random) -> None:
    shift = chance.randrange(-(10**15), 10**15)
    written = scenario.messages()
    moved = [msgspec.structs.replace(message.plain(), time=message.time + shift) for message in written]
    assert rows_of(moved) == [_moved(row, shift) for row in rows_of(written)], scenario.name


@often
@given(st.integers(-(10**15), 10**15), st.integers(-(10**9), 10**9))
def test_shift_on_the_grid(time: int, steps: int) -> None:
    """P6: key times follow a shift by a multiple of 10 ms."""
    assert grid(time + steps * 10_000) == grid(time) + steps * 10_000


def test_copies() -> None:
    """P8: messages seen again at further hops or taps, up to 40 ms later, with as many Vias or more, change no row."""
    _of_every_scenario(_any_copies)


def _any_copies(scenario: Scenario, chance: random.Random) -> None:
    written = scenario.messages()
    copies = [
        msgspec.structs.replace(
            message.plain(),
            time=message.time + chance.randrange(40_001),
            vias=message.vias + chance.randrange(3),
            source=f"198.51.100.{chance.randrange(9)}:5060",
            position=Position("tap", 1),
        )
        for message in _first_sightings(written)
        for _ in range(chance.randrange(3))
    ]
    assert _rows(_shuffled([*written, *copies], chance)) == _rows(written), scenario.name


def test_states() -> None:
    """The state machine's walk ends in the state that is read off the set, for any part of a call in any order."""
    _of_every_scenario(_any_states)


def _any_states(scenario: Scenario, chance: random.Random) -> None:
    written = _shuffled(scenario.messages(), chance)
    for session in states_of(written[: chance.randrange(len(written) + 1)]):
        assert walk(session)[-1].state is session.state(), scenario.name


def test_long_chat() -> None:
    """A chat of 10,000 MESSAGEs, each seen at three places, counts exactly, and its halves join to the same bytes."""
    opening = messages(
        """
        0        a>-  INVITE 1  sdp=message
        1        a>b  200 1  sdp=message
        1.05     a>b  ACK 1
        """
    )
    text, reply = messages("5  a>b  MESSAGE 2\n5  b>a  MESSAGE 1")
    sightings = [
        msgspec.structs.replace(
            (reply if number % 4 == 3 else text).plain(),
            time=START + number * 1_000_000 + hop,
            cseq=number + 2,
            vias=1 + hop,
        )
        for number in range(10_000)
        for hop in range(3)
    ]
    one, other = Call(opening[0].call_id), Call(opening[0].call_id)
    random.Random(7).shuffle(sightings)
    for number, message in enumerate([*opening, *sightings]):
        (one, other)[number % 2].add(message)
    joined = one.join(other)
    (row,) = sessions(joined)
    assert (row.user1_message_count, row.user2_message_count) == (7500, 2500)
    assert joined.capped
    assert len(bytes(joined)) < 4 * 1024 * 1024
    assert bytes(joined) == bytes(other.join(one))


def _by_call(written: list[SipMessage]) -> dict[bytes, list[SipMessage]]:
    found: dict[bytes, list[SipMessage]] = {}
    for message in written:
        found.setdefault(message.call_id, []).append(message)
    return found


def _rows(written: list[SipMessage], rules: Rules = RULES) -> dict[bytes, list[SessionDetails]]:
    return {call.call_id: sessions(call, rules) for call in calls_of(written)}


def _packed(written: list[SipMessage]) -> dict[bytes, bytes]:
    return {call.call_id: bytes(call) for call in calls_of(written)}


def _shuffled(written: list[SipMessage], chance: random.Random) -> list[SipMessage]:
    return chance.sample(written, len(written))


def _moved(row: SessionDetails, shift: int) -> SessionDetails:
    external_id = row.external_id
    ending = b";%d" % row.invite_time
    if external_id.endswith(ending):
        external_id = external_id.removesuffix(ending) + b";%d" % (row.invite_time + shift)
    return msgspec.structs.replace(
        row,
        external_id=external_id,
        invite_time=row.invite_time + shift,
        response_time=None if row.response_time is None else row.response_time + shift,
        session_end_time=None if row.session_end_time is None else row.session_end_time + shift,
        last_modified_time=row.last_modified_time + shift,
        media=tuple(msgspec.structs.replace(item, start_time=item.start_time + shift) for item in row.media),
    )


def _first_sightings(written: list[SipMessage]) -> Iterator[SipMessage]:
    """Sightings that are no copies themselves: a copy's copy may be later than T1."""
    seen: dict[tuple[object, ...], int] = {}
    for message in sorted(written, key=lambda message: message.time):
        identity = (
            *(message.call_id, message.method, message.status, message.cseq, message.from_tag, message.to_tag),
            message.headers[b"from"][0] if message.from_tag == message.to_tag else b"",
        )
        if identity not in seen or message.time - seen[identity] > RULES.t1:
            seen[identity] = message.time
            yield message
