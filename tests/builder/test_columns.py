"""Times, codes, counts and flags (derivations.md 3.22 to 3.29, 3.31 to 3.33), by their rules' names."""

from __future__ import annotations

import pytest

from sipcdr.builder import Rules
from tests.builder.rows import Case, answer, case, check, invite, rows, wire
from tests.scenarios.a_basic import ANSWERED
from tests.scenarios.notation import at

CASES = [
    case(
        "response.reinvite retry",
        wire("0  a>b  INVITE 5", "0.1  a>b  491 5", "2  a>b  INVITE 6", "2.1  a>b  200 6"),
        invite_time=at(0),
        response_time=at("2.1"),
        response_code=200,
    ),
    case(
        "invite.reinvite",
        wire("0  a>b  INFO 4  body=dtmf", "1  a>b  INVITE 5", "1.1  a>b  200 5"),
        invite_time=at(1),
        response_code=200,
    ),
    case(
        "response.first_relevant challenged",
        wire("0  a>b  BYE 2", "0.1  a>b  407/BYE 2", "0.2  a>b  BYE 3", "0.3  a>b  200/BYE 3"),
        response_time=at(0),
        response_code=200,
        session_end_time=at(0),
    ),
    case("response.first_relevant not answered", "0  a>b  BYE 2", response_time=at(0), response_code=None),
    case(
        "diagnostics BYE before 2xx",
        answer("ms-diagnostics: 5;reason=x").replace("BYE 2", "BYE 2  | ms-diagnostics-public: 6", 1),
        diagnostic_id=6,
    ),
    case(
        "diagnostics header order",
        ANSWERED.replace(
            "BYE 2", "BYE 2  | ms-client-diagnostics: 1 | ms-diagnostics-public: 2 | ms-diagnostics: 3", 1
        ),
        diagnostic_id=3,
    ),
    case(
        "diagnostics CANCEL",
        wire("0  a>-  INVITE 1", "1  a>-  CANCEL 1  | ms-diagnostics: 7", "2  a>b  487 1"),
        diagnostic_id=7,
    ),
    case(
        "diagnostics final before CANCEL",
        wire("0  a>-  INVITE 1", "1  a>-  CANCEL 1  | ms-diagnostics: 7", "2  a>b  487 1  | ms-diagnostics: 8"),
        diagnostic_id=8,
    ),
    case(
        "diagnostics early BYE",
        wire("0  a>-  INVITE 1", "0.1  a>b  180 1", "1  a>b  BYE 2  | ms-diagnostics: 9", "2  a>b  487 1"),
        diagnostic_id=9,
    ),
    case(
        "diagnostics page mode",
        wire("0  a>-  MESSAGE 1", "1  a>b  404/MESSAGE 1  | ms-diagnostics: 10"),
        diagnostic_id=10,
    ),
    case("diagnostics mid-dialog", wire("0  a>b  BYE 2  | ms-diagnostics: 11", "1  a>b  200/BYE 2"), diagnostic_id=11),
    case(
        "diagnostics not of Reason",
        ANSWERED.replace("BYE 2", 'BYE 2  | Reason: Q.850;cause=16 | Warning: 399 x "y"', 1),
        diagnostic_id=None,
    ),
    case("priority.header twice", invite("Priority: urgent", "Priority: normal"), call_priority=3),
    case(
        "priority.header of the first request",
        wire("0  a>b  INFO 2", "1  a>b  BYE 3  | Priority: emergency"),
        call_priority=2,
    ),
    case("priority.header of an INFO", "0  a>b  INFO 2  body=dtmf  | Priority: emergency", call_priority=4),
    case(
        "messages.challenged",
        ANSWERED + "70  a>b  MESSAGE 3\n70.1  a>b  407/MESSAGE 3\n70.2  a>b  MESSAGE 4\n70.3  a>b  200/MESSAGE 4",
        user1_message_count=1,
    ),
    case(
        "messages.challenged and given up",
        ANSWERED + "70  a>b  MESSAGE 3\n70.1  a>b  407/MESSAGE 3",
        user1_message_count=1,
    ),
    case("messages.count failed", ANSWERED + "70  b>a  MESSAGE 3\n70.1  b>a  480/MESSAGE 3", user2_message_count=1),
    case(
        "messages.embedded ms-im-format",
        invite("ms-im-format: text/plain;ms-body=aGk=").replace("200 1", "200 1  | Supported: ms-text-format", 1),
        user1_message_count=1,
        media_types=17,
    ),
    case(
        "messages.embedded without body",
        invite("ms-text-format: text/plain").replace("200 1", "200 1  | Supported: ms-text-format", 1),
        user1_message_count=0,
        media_types=16,
    ),
    case("end.bye response", ANSWERED.replace("60       a>b  BYE 2", "", 1), session_end_time=at("60.1")),
    case("end.cancel response", wire("0  a>-  INVITE 1", "1  a>b  200/CANCEL 1"), session_end_time=at(1)),
    case(
        "end.cancel BYE first",
        wire("0  a>-  INVITE 1", "0.1  a>b  180 1", "1  a>b  BYE 2", "2  a>-  CANCEL 1"),
        session_end_time=at(1),
    ),
    case("flag csta A", ANSWERED + "70  a>b  INFO 3  body=csta", user1_flag=1, user2_flag=0),
    case("flag csta B", ANSWERED + "70  b>a  INFO 3  body=csta", user1_flag=0, user2_flag=1),
    case("flag agent by the answer", answer("Ms-Call-Info: rgs.anonymization"), call_flag=2),
    case(
        "flag retried and agent",
        wire(
            "0  a>-  INVITE 1",
            "1  a>b  488 1",
            "2  a>-  INVITE 2  | P-Agent-On-Behalf-Of: <sip:g@x.example>",
            "3  a>b  200 2",
        ),
        call_flag=3,
    ),
]


@pytest.mark.parametrize("tried", CASES, ids=[tried.name for tried in CASES])
def test_column(tried: Case) -> None:
    """The rule that the case is named after gives the columns."""
    check(tried)


def test_t1() -> None:
    """T1 is the operator's: with a fifth of it a redial after 7 s is another session."""
    redial = wire("0  a>-  INVITE 1", "0.1  a>b  486 1", "7  a>-  INVITE 2", "7.1  a>b2  486 2")
    assert [row.invite_time for row in rows(redial)] == [at(0)]
    assert [row.invite_time for row in rows(redial, Rules(t1=100_000))] == [at(0), at(7)]


def test_maximum_age() -> None:
    """The maximum age is the operator's: an INVITE after it begins another session."""
    later = wire("0  a>-  INVITE 1", "1  a>b  200 1", "20000  a>-  INVITE 2", "20001  a>b2  200 2")
    assert [row.invite_time for row in rows(later)] == [at(0), at(0)]
    aged = rows(later, Rules(maximum_age=3600 * 1_000_000))
    assert [row.invite_time for row in aged] == [at(0), at(20000)]
