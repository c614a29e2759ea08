"""Whose sessions make no rows."""

from __future__ import annotations

from collections import Counter

import pytest

from sipcdr.builder import Call, Ignore, Rules, explain, sessions
from tests.builder.rows import invite, rows, wire
from tests.scenarios.a_basic import ANSWERED
from tests.scenarios.notation import call_id, messages, user

SCANNED = invite("User-Agent: Friendly-Scanner 1.8")
A, B = user("A").uri, user("B").uri


@pytest.mark.parametrize(
    ("said", "ignore", "why"),
    [
        (SCANNED, Ignore(user_agents=("friendly-scanner*",)), "user agent"),
        (SCANNED, Ignore(user_agents=("sipvicious", "*SCANNER 1.8")), "user agent"),
        (SCANNED, Ignore(user_agents=("scanner",)), ""),
        (SCANNED, Ignore(user_agents=("friendly.scanner*",)), ""),
        (ANSWERED, Ignore(user_agents=("*",)), ""),
        (ANSWERED, Ignore(users=(A.upper(),)), "user"),
        (ANSWERED, Ignore(users=(B.partition("@")[0],)), "user"),
        (ANSWERED, Ignore(users=("nobody", B + "x")), ""),
        (ANSWERED, Ignore(), ""),
    ],
)
def test_a_session_is_left_out_by_agent_or_user(said: str, ignore: Ignore, why: str) -> None:
    """In any case of letters, the whole text; counted by what it was left out for."""
    counts: Counter[str] = Counter()
    found = rows(said, Rules(ignore=ignore), counts)
    assert (len(found), counts[f"ignored by {why}"]) == ((0, 1) if why else (1, 0))


@pytest.mark.parametrize(
    ("network", "left"), [("192.0.2.0/28", 0), ("192.0.2.1", 0), ("198.51.100.0/24", 1), ("2001:db8::/32", 1)]
)
def test_a_session_is_left_out_by_the_callers_address(network: str, left: int) -> None:
    """Where its first message was seen nearest to the caller, behind a proxy or not."""
    said = wire(
        "0    a>-  INVITE 1  v=2 src=198.51.100.9:5060",
        "0.1  a>-  INVITE 1  src=192.0.2.1:5060",
        "1    a>b  486 1  src=198.51.100.7:5060",
    )
    assert len(rows(said, Rules(ignore=Ignore(addresses=(network,))))) == left


def test_an_ignored_session_is_stored_and_explained() -> None:
    """Its facts stay, so another list brings its row back; `explain` says why there is none."""
    call = Call(call_id())
    for message in messages(SCANNED):
        call.add(message, Rules())
    rules = Rules(ignore=Ignore(user_agents=("friendly*",)))
    assert sessions(Call.from_bytes(bytes(call)), rules) == []
    assert len(sessions(Call.from_bytes(bytes(call)))) == 1
    assert [explained.left_out for explained in explain(call, rules)] == ["ignored by user agent"]


def test_the_answer_to_an_ignored_invite_makes_no_row() -> None:
    """It is a rule on rows: no message is kept away from the others."""
    said = wire(*SCANNED.strip().splitlines()[:2])
    assert rows(said, Rules(ignore=Ignore(user_agents=("friendly*",)))) == []
