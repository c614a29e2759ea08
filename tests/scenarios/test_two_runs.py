"""What must hold of every scenario in a database, whoever writes which part of it and when (P4, P5, P7)."""

from __future__ import annotations

import itertools
import random
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipcdr.builder import SipMessage, grid
from tests.scenarios.database import Rows, everything_in, keys_in, sessions_in, write
from tests.scenarios.derivation import rows_of
from tests.scenarios.every import SCENARIOS
from tests.scenarios.notation import Scenario, at, call_id, messages


def _apart(scenario: Scenario) -> list[SipMessage]:
    """A scenario's messages with Call-IDs that no other scenario has, so that all can go into one database."""
    prefix = scenario.name.encode() + b" "
    found = []
    for message in scenario.messages():
        headers = message.headers
        if b"replaces" in headers:
            headers = headers | {b"replaces": [prefix + value for value in headers[b"replaces"]]}
        found.append(msgspec.structs.replace(message.plain(), call_id=prefix + message.call_id, headers=headers))
    return found


ALL = [message for scenario in SCENARIOS for message in _apart(scenario)]

chances = st.integers(0, 1 << 32).map(random.Random)
few = settings(max_examples=5, derandomize=True, database=None)


@few
@given(chances)
def test_two_runs(chance: random.Random) -> None:
    """P4, P7: two runs with a part of all messages each leave the same rows in either order; again changes nothing."""
    one, other = _parts(ALL, chance)
    with tempfile.TemporaryDirectory() as folder:
        expected, path, reverse = (Path(folder) / name for name in ("whole.db", "path.db", "reverse.db"))
        write(expected, ALL)
        write(path, one, other)
        write(reverse, other, one)
        assert _difference(sessions_in(path), sessions_in(expected)) == {}
        assert _difference(sessions_in(reverse), sessions_in(expected)) == {}
        before = everything_in(path)
        for run in (one, other, ALL):
            write(path, run)
            assert everything_in(path) == before


@few
@given(chances)
def test_message_by_message(chance: random.Random) -> None:
    """P4: many runs, none of which has more than a message or two of a call, leave the same rows."""
    runs: list[list[SipMessage]] = [[] for _ in range(8)]
    for message in ALL:
        chance.choice(runs).append(message)
    with tempfile.TemporaryDirectory() as folder:
        whole, path = Path(folder) / "whole.db", Path(folder) / "path.db"
        write(whole, ALL)
        write(path, *runs)
        assert _difference(sessions_in(path), sessions_in(whole)) == {}


def test_rows_of_the_derivation(tmp_path: Path) -> None:
    """What is written are the rows that the derivation gives, no more and no less."""
    write(tmp_path / "whole.db", ALL)
    found = sessions_in(tmp_path / "whole.db")
    assert {row.external_id: row.response_code for row in rows_of(ALL)} == {
        external_id: session["ResponseCode"] for external_id, session in found.items()
    }


def test_among_others(tmp_path: Path) -> None:
    """P5: other calls in the database leave a scenario's rows as they are."""
    write(tmp_path / "whole.db", ALL)
    together = sessions_in(tmp_path / "whole.db")
    for part in range(7):
        path = tmp_path / f"{part}.db"
        write(path, [message for scenario in SCENARIOS[part::7] for message in _apart(scenario)])
        for external_id, session in sessions_in(path).items():
            assert together.pop(external_id) == session
    assert not together


def _parts(written: list[SipMessage], chance: random.Random) -> tuple[list[SipMessage], list[SipMessage]]:
    places = [chance.randrange(3) for _ in written]
    one = [message for message, place in zip(written, places, strict=True) if place != 1]
    other = [message for message, place in zip(written, places, strict=True) if place != 0]
    return one, other


def _difference(found: Rows, expected: Rows) -> dict[bytes, tuple[object, object]]:
    return {
        external_id: (found.get(external_id), expected.get(external_id))
        for external_id in found.keys() | expected.keys()
        if found.get(external_id) != expected.get(external_id)
    }


def _named(name: str) -> list[SipMessage]:
    return next(scenario for scenario in SCENARIOS if scenario.name == name).messages()


@pytest.mark.parametrize(
    ("number", "replacing", "replaced"),
    [
        ("S77", b"3@x.example;a2;c2", b"2@x.example;b2;c"),
        ("S78", b"3@x.example;a2;c2", b"2@x.example;b2;c"),
        ("S79", b"3@x.example;a2;c2", b"2@x.example;b2;c"),
        ("S80", b"1@x.example;a;b", None),
        ("S81", b"2@x.example;c;a2", b"1@x.example;a;b2"),
        ("S82", b"1@x.example;a;b", None),
    ],
)
def test_replaced(tmp_path: Path, number: str, replacing: bytes, replaced: bytes | None) -> None:
    """A session refers to the one that it replaced, whichever of the calls is written first."""
    by_call: dict[bytes, list[SipMessage]] = {}
    for message in _named(number):
        by_call.setdefault(message.call_id, []).append(message)
    for order, runs in enumerate(itertools.permutations(by_call.values())):
        path = tmp_path / f"{order}.db"
        write(path, *runs)
        found = {external_id: session["Replaced"] for external_id, session in sessions_in(path).items()}
        assert found.pop(replacing) == replaced
        assert not any(found.values())


@pytest.mark.parametrize("hour", [0, 1])
def test_replaced_generation(tmp_path: Path, hour: int) -> None:
    """Of generations with equal tags the latest that began no later than the replacing call is meant."""
    again = 3600 * hour + 7
    write(
        tmp_path / "cdr.db",
        messages(
            f"""
            0        a>-  INVITE 1
            1        a>b  200 1
            2        a>b  BYE 2
            3600     a>-  INVITE 1
            3601     a>b  200 1
            3602     a>b  BYE 2
            {again}  c>-b INVITE 1  call=2  | Replaces: 1@x.example;to-tag=b;from-tag=a
            {again}.1 c>b2 200 1  call=2
            """
        ),
    )
    names = [b"1@x.example;a;b", b"1@x.example;a;b;%d" % at(3600)]
    found = sessions_in(tmp_path / "cdr.db")
    assert found.keys() == {*names, b"2@x.example;c;b2"}
    assert found[b"2@x.example;c;b2"]["Replaced"] == names[hour]


def test_key_of_an_orphan(tmp_path: Path) -> None:
    """S120: a row written from its BYE keeps its key when the INVITE comes, though caller and callee turn round."""
    path = tmp_path / "cdr.db"
    wire = _named("S120")
    write(path, wire[:2])
    ((external_id, key),) = keys_in(path).items()
    assert (external_id, key) == (b"1@x.example;b;a", ("2026-11-23 08:01:00.000000", 1))
    write(path, wire[2:])
    assert keys_in(path) == {b"1@x.example;a;b": key}
    (session,) = sessions_in(path).values()
    assert session["InviteTime"] == "2026-11-23 08:00:00.000000"


@pytest.mark.parametrize(
    ("number", "order"),
    [
        ("S142", [b"1@x.example;a;b", b"2@x.example;a;b"]),
        ("S143", [b"2@x.example;a;b", b"1@x.example;a;b"]),
        ("S30", [b"1@x.example;a;b1", b"1@x.example;a;b2"]),
    ],
)
def test_seq(tmp_path: Path, number: str, order: list[bytes]) -> None:
    """Sessions of one key time count 1, 2 by time and ExternalId when written together; a replay keeps them."""
    path = tmp_path / "cdr.db"
    expected = {external_id: ("2026-11-23 08:00:00.000000", seq) for seq, external_id in enumerate(order, 1)}
    assert grid(at("0.001")) == grid(at(0))
    write(path, _named(number))
    assert keys_in(path) == expected
    write(path, _named(number)[::-1])
    assert keys_in(path) == expected


def test_seq_in_order_of_writing(tmp_path: Path) -> None:
    """S142: sessions of one key time that are written apart count in the order of writing."""
    one, two = ([message for message in _named("S142") if message.call_id == call_id(name)] for name in "12")
    write(tmp_path / "cdr.db", two, one)
    assert {external_id: seq for external_id, (_, seq) in keys_in(tmp_path / "cdr.db").items()} == {
        b"2@x.example;a;b": 1,
        b"1@x.example;a;b": 2,
    }
