"""Every scenario of the table: its messages in, its rows out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import pytest

from sipcdr.builder import Correlator
from sipcdr.builder._facts import METHODS
from sipcdr.builder._state import closing_time, walk
from tests.scenarios.derivation import RULES, rows_of, states_of
from tests.scenarios.every import NUMBERS, SCENARIOS
from tests.scenarios.notation import at

if TYPE_CHECKING:
    from sipcdr.builder import SessionDetails, SipMessage
    from tests.scenarios.notation import Row, Scenario


@pytest.mark.parametrize("number", NUMBERS)
def test_scenario(number: str) -> None:
    """The messages of a scenario give its rows, in every column, in each of its variants."""
    for scenario in SCENARIOS:
        if scenario.number == number:
            _check(scenario)


def test_every_number_is_there() -> None:
    """No scenario of the 208 is left out, and none is there without a number."""
    assert sorted(NUMBERS) == sorted([*(f"S{number}" for number in range(1, 208)), "S54b"])
    names = [each.name for each in SCENARIOS]
    assert len(names) == len(set(names))


def _check(scenario: Scenario) -> None:
    counts: Counter[str] = Counter()
    found = scenario.scanned(counts)
    assert tuple(reason for reason in found if isinstance(reason, str)) == scenario.refused, scenario.name
    messages = [message for message in found if not isinstance(message, str)]
    correlator = Correlator(RULES, hold=1, memory=1 << 30)
    correlator.receive(messages)
    counts.update(correlator.counts)
    rows = rows_of(messages, counts)
    assert [row.external_id for row in rows] == [row.columns["external_id"] for row in scenario.rows], scenario.name
    for expected, row in zip(scenario.rows, rows, strict=True):
        assert _difference(_columns(expected, messages), row) == {}, scenario.name
    for reason, count in scenario.counts.items():
        assert counts[reason] == count, f"{scenario.name}: {reason} in {counts}"
    states = states_of(messages)
    for session in states:
        assert walk(session)[-1].state is session.state(), scenario.name
    if any(expected.state or expected.closes for expected in scenario.rows):
        for expected, session in zip(scenario.rows, states, strict=True):
            assert expected.state in (None, session.state().value), scenario.name
            assert expected.closes is None or closing_time(session, RULES) == at(expected.closes), scenario.name


def _columns(expected: Row, messages: list[SipMessage]) -> dict[str, object]:
    """The expected columns; LastModifiedTime, where not given, is that of the call's last message."""
    if expected.columns["last_modified_time"] is not None:
        return expected.columns
    first: dict[tuple[object, ...], int] = {}
    for message in messages:
        if message.call_id == expected.columns["call_id"] and message.method in METHODS:
            identity = (message.method, message.status, message.cseq, message.from_tag, message.to_tag)
            first[identity] = min(first.get(identity, message.time), message.time)
    return expected.columns | {"last_modified_time": max(first.values())}


def _difference(expected: dict[str, object], row: SessionDetails) -> dict[str, str]:
    found = msgspec.structs.asdict(row)
    return {
        column: f"expected {expected[column]!r}, found {found[column]!r}"
        for column in expected
        if expected[column] != found[column]
    }
