"""The kernel's `sessions` is its Python's twin: the same rows, the same counts."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.mutations import RULES, changed, difference
from sipcdr.builder import Rules
from sipcdr.builder._call import Call as PythonCall
from sipcdr.builder._sessions import python_sessions
from tests.scenarios.every import SCENARIOS
from tests.tools import kernel


def test_scenarios() -> None:
    """The kernel by itself gives the rows and counts of every scenario, by any rules."""
    native = kernel()
    for scenario in SCENARIOS:
        calls: dict[bytes, PythonCall] = {}
        for message in scenario.messages():
            calls.setdefault(message.call_id, PythonCall(message.call_id)).add(message)
        for call in calls.values():
            for rules in RULES:
                expected: Counter[str] = Counter()
                found: Counter[str] = Counter(expected)
                rows = native.sessions(native.Call.from_bytes(bytes(call)), rules, found)
                assert rows == python_sessions(call, rules, expected), scenario.name
                assert found == expected, scenario.name


@settings(max_examples=3000, deadline=None, database=None)
@given(st.integers(0, 1 << 32))
def test_changed_calls(seed: int) -> None:
    """Calls of several dialogs, generations and forks with odd values in any field have the same rows."""
    kernel()
    chance = Random(seed)
    assert difference(changed(chance), chance.choice(RULES)) == ""


def test_counts_add_up() -> None:
    """What the kernel counts is added to what was counted before."""
    native = kernel()
    call = PythonCall(b"1@x.example")
    for message in next(scenario for scenario in SCENARIOS if scenario.name == "S197").messages():
        call.add(message)
    counts = Counter({"stray in-dialog messages": 5})
    native.sessions(native.Call.from_bytes(bytes(call)), Rules(), counts)
    assert counts["stray in-dialog messages"] > 5
