"""Why a row is so: `explain` against `sessions`, and what it says of competitors, endings and oddities."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import pytest

from sipcdr.builder import Explained, Rules, explain, sessions
from sipcdr.builder._state import State
from tests.scenarios.a_basic import ANSWERED, UP
from tests.scenarios.derivation import calls_of
from tests.scenarios.every import SCENARIOS
from tests.scenarios.notation import messages


def only(wire: str, rules: Rules | None = None) -> Explained:
    """The only session of a scenario's lines."""
    (call,) = calls_of(messages(wire))
    (found,) = explain(call, rules or Rules())
    return found


def test_explains_what_sessions_derives() -> None:
    """In every scenario the explained rows are the derived ones, columns and all, and end in the row's state."""
    for scenario in SCENARIOS:
        for call in calls_of(scenario.messages()):
            if len(call.facts) > 300:  # floods repeat themselves
                continue
            found = explain(call)
            assert [each.details for each in found if not each.left_out] == sessions(call), scenario.name
            for each in found:
                columns = {_field(column.column): column.value for column in each.columns}
                expected = {name: getattr(each.details, name) for name in columns}
                assert columns == expected, scenario.name
                moved = [message.state for message in each.messages if message.state is not None]
                # An ACK that overtook its 2xx stands in the order of facts, and moved the state behind it.
                assert each.state in moved, scenario.name


def test_names_every_column() -> None:
    """Each column of a row is explained, once."""
    names = [_field(column.column) for column in only(ANSWERED).columns]
    kept_beside = {"call_id", "caller_tag", "callee_tag", "external_id", "pairs", "media"}
    fields = {field.name for field in msgspec.structs.fields(type(only(ANSWERED).details))}
    assert sorted(names) == sorted(fields - kept_beside)


def _field(column: str) -> str:
    special = {"ReplaceDialogId": "reference", "User1ClientVer": "user1_client", "User2ClientVer": "user2_client"}
    if column in special:
        return special[column]
    return "".join("_" + sign.lower() if sign.isupper() else sign for sign in column).strip("_")


class Lost(NamedTuple):
    """What a column's winner and its competitors must be: the rule, the message, and each that lost."""

    name: str
    wire: str
    column: str
    rule: str
    message: int | None
    lost: tuple[tuple[object, str], ...] = ()


BUSY_FORKS = """
    0        a>-   INVITE 1
    1        a>b1  503 1
    2        a>b2  486 1
    3        a>b3  404 1
"""
LOST = [
    Lost("the retry's answer", "0 a>- INVITE 1\n0.1 a>p 407 1\n0.2 a>- INVITE 2\n1 a>b 200 2", "ResponseCode",
         "response.final", 3, ((407, "another attempt: this row's is the one that was answered"),)),
    Lost("the last attempt", "0 a>- INVITE 1\n0.1 a>p 407 1\n0.2 a>- INVITE 2\n1 a>b 486 2", "ResponseCode",
         "response.final", 3, ((407, "an earlier attempt: the last one decides"),)),
    Lost("the lowest class", BUSY_FORKS, "ResponseCode", "response.final", 2,
         ((503, "a forking proxy sends up 6xx first, then the lowest class (RFC 3261 16.7)"),
          (404, "the earlier one counts"))),
    Lost("the fewest Vias", "0 a>- INVITE 1\n1 a>b 404 1 v=2\n1.1 a>b 500 1", "ResponseCode", "response.final", 2,
         ((404, "it had 2 Vias, the chosen one 1: what the caller got counts"),)),
    Lost("the earlier BYE", UP + "\n60 a>b BYE 2\n60.01 b>a BYE 1", "SessionEndTime", "end.bye", 5,
         ((1_795_420_860_010_000, "the earlier one counts"),)),
    Lost("a final response and the CANCEL", "0 a>- INVITE 1\n5 a>- CANCEL 1\n5.1 a>b 487 1", "SessionEndTime",
         "end.final", 2, ((1_795_420_805_000_000, "end.final comes before end.cancel"),)),
    Lost("two headers of one message",
         "0 a>- INVITE 1 | Ms-Correlation-Id: 5c3e9a10-7d42-4b61-9f0e-2a8b71c4d9e3"
         " | Session-ID: 0123456789abcdef0123456789abcdef",
         "CorrelationId", "corr.ms", 0,
         (("01234567-89ab-cdef-0123-456789abcdef", "corr.ms comes before corr.session_id"),)),
    Lost("a refused stream", "0 a>- INVITE 1 sdp=audio,video\n1 a>b 200 1 sdp=audio,video:0", "MediaTypes",
         "stream.attempt", 0, ((32, "refused by port 0 in the answer"),)),
    Lost("a typing notice", UP + "\n9 a>b MESSAGE 2 body=typing\n10 a>b MESSAGE 3", "User1MessageCount",
         "messages.count", 6, ((1, "a typing notice or a receipt: nobody wrote it"),)),
    Lost("no rival", ANSWERED, "SessionEndTime", "end.bye", 5),
    Lost("nobody's", ANSWERED, "DiagnosticId", "", None),
]  # fmt: skip


@pytest.mark.parametrize("case", LOST, ids=[case.name for case in LOST])
def test_competitors(case: Lost) -> None:
    """A column names its rule and message, and what lost against it and why."""
    column = next(column for column in only(case.wire).columns if column.column == case.column)
    assert (column.rule, column.message) == (case.rule, case.message)
    assert tuple((lost.value, lost.why) for lost in column.lost) == case.lost


ENDINGS = [
    ("the caller hangs up", ANSWERED, ("hung up", "caller", 5, 200)),
    ("the callee hangs up", UP + "\n60 b>a BYE 1", ("hung up", "callee", 5, 200)),
    ("only the response to the callee's BYE is there", UP + "\n60 b>a 200/BYE 1", ("hung up", "callee", 5, 200)),
    ("still up", UP, ("up", "", None, 200)),
    ("busy", "0 a>- INVITE 1\n1 a>b 486 1", ("refused", "callee", 1, 486)),
    ("a server's failure", "0 a>- INVITE 1\n1 a>b 503 1", ("refused", "callee side", 1, 503)),
    ("moved", "0 a>- INVITE 1\n1 a>b 302 1", ("redirected", "callee side", 1, 302)),
    ("never logged in", "0 a>- INVITE 1\n1 a>b 407 1", ("challenged", "callee side", 1, 407)),
    ("cancelled", "0 a>- INVITE 1\n5 a>- CANCEL 1\n5.1 a>b 487 1", ("cancelled", "caller", 1, 487)),
    ("cancelled, no 487", "0 a>- INVITE 1\n5 a>- CANCEL 1", ("cancelled", "caller", 1, None)),
    ("cancelled, then 603", "0 a>- INVITE 1\n5 a>- CANCEL 1\n5.1 a>b 603 1", ("cancelled", "caller", 1, 603)),
    ("ringing", "0 a>- INVITE 1\n1 a>b 180 1", ("ringing", "", None, None)),
    ("nobody there", "0 a>- INVITE 1\n1 a>- 100 1", ("no answer", "", None, None)),
    ("page mode", "0 a>- MESSAGE 1\n0.1 a>b 200/MESSAGE 1", ("message", "caller", 1, 200)),
]


@pytest.mark.parametrize(("wire", "ended"), [ending[1:] for ending in ENDINGS], ids=[name for name, _, _ in ENDINGS])
def test_endings(wire: str, ended: tuple[str, str, int | None, int | None]) -> None:
    """How a session ended, who ended it, by which message, with which code."""
    ending = only(wire).ending
    assert (ending.how, ending.by, ending.message, ending.code) == ended


def test_ending_has_the_reason() -> None:
    """What stands beside the diagnostic id is part of the ending."""
    wire = '0 a>- INVITE 1\n1 a>b 404 1 | ms-diagnostics: 1003;reason="User does not exist";source="fe2.corp.example"'
    ending = only(wire).ending
    assert (ending.diagnostic, ending.reason, ending.waited) == (1003, "User does not exist", 1_000_000)


ODD = [
    ("a retransmitted INVITE", "0,0.5,1.5 a>- INVITE 1\n2 a>b 200 1\n2.1 a>b ACK 1", [("retransmitted", (0,))]),
    ("the same at two hops", "0 a>- INVITE 1\n0.1 a>- INVITE 1 v=2\n2 a>b 200 1\n2.1 a>b ACK 1", []),
    ("no ACK", "0 a>- INVITE 1\n2 a>b 200 1", [("no ACK", (1,))]),
    ("no answer to the BYE", UP + "\n60 a>b BYE 2", [("no response", (5,))]),
    ("one direction only", "1 a>b 200 1\n60 a>b 200/BYE 2",
     [("no ACK", (0,)), ("no request", (0,)), ("no request", (1,))]),
    ("a CANCEL in a dialog's middle", "0 a>- INVITE 1\n1 a>b 486 1\n1.1 a>b ACK 1\n2 a>b INFO 2\n2.1 a>b 481/INFO 2",
     [("unexpected", (3,)), ("unexpected", (4,))]),
    ("a stray", "0 a>- INVITE 1\n1 a>b1 180 1\n2 a>b2 200 1\n2.1 a>b2 ACK 1\n3 a>b1 BYE 2\n3.1 a>b1 481/BYE 2",
     [("stray", (4,)), ("stray", (5,))]),
    ("a value cut", "0 a>- INVITE 1 | Ms-Correlation-Id: none\n1 a>b 486 1\n1.1 a>b ACK 1", [("value", ())]),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "kinds"), [odd[1:] for odd in ODD], ids=[name for name, _, _ in ODD])
def test_anomalies(wire: str, kinds: list[tuple[str, tuple[int, ...]]]) -> None:
    """What is odd is named with its messages; copies at several hops aren't."""
    assert [(anomaly.kind, anomaly.messages) for anomaly in only(wire).anomalies] == kinds


def test_states_follow_the_messages() -> None:
    """Each message that moved the dialog carries the state after it."""
    states = [message.state for message in only(ANSWERED).messages]
    assert states == [
        State.PREPARATIVE,
        State.EARLY,
        State.EARLY,
        State.MORATORIUM,
        State.ESTABLISHED,
        State.MORTAL,
        State.MORGUE,
    ]


def test_the_sighting_is_the_one_that_has_the_header() -> None:
    """Of a message seen twice, the sighting counts in which the rule's header stands."""
    wire = "0 a>- INVITE 1\n0.01 a>- INVITE 1 v=2 | Ms-Correlation-Id: 5c3e9a10-7d42-4b61-9f0e-2a8b71c4d9e3"
    column = next(column for column in only(wire).columns if column.column == "CorrelationId")
    assert (column.message, column.sighting) == (0, 1)
