"""Cases of single rules: a few messages in the scenarios' notation, and the columns that must come out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sipcdr.builder import Call, Rules, SessionDetails, sessions
from tests.scenarios.a_basic import ANSWERED
from tests.scenarios.notation import call_id, messages

if TYPE_CHECKING:
    from collections import Counter

DEFAULT = Rules()


class Case(NamedTuple):
    """A rule's name with what is special, the messages, the columns, the operator's rules."""

    name: str
    wire: str
    columns: dict[str, Any]
    rules: Rules


def case(name: str, wire: str, *, rules: Rules = DEFAULT, **columns: object) -> Case:
    """One case; `columns` as SessionDetails names them."""
    return Case(name, wire, columns, rules)


def wire(*lines: str) -> str:
    """Lines of the notation."""
    return "\n".join(lines)


def invite(*headers: str) -> str:
    """S1 with these headers in its INVITE."""
    return ANSWERED.replace("INVITE 1", " | ".join(("INVITE 1 ", *headers)), 1)


def answer(*headers: str, to: str = "200 1") -> str:
    """S1 with these headers in its 200, or in another line."""
    return ANSWERED.replace(to, " | ".join((to + " ", *headers)), 1)


def rows(wire: str, rules: Rules = DEFAULT, counts: Counter[str] | None = None) -> list[SessionDetails]:
    """The rows of messages of one Call-ID."""
    call = Call(call_id())
    for message in messages(wire):
        call.add(message, rules)
    return sessions(call, rules, counts)


def check(tried: Case) -> None:
    """The case gives one row with its columns."""
    (row,) = rows(tried.wire, tried.rules)
    assert {column: getattr(row, column) for column in tried.columns} == tried.columns
