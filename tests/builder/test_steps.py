"""Steps of derivations.md section 2.1 by their numbers, as far as no scenario shows them."""

from __future__ import annotations

import pytest

from sipcdr.builder import Client
from tests.builder.rows import rows, wire
from tests.scenarios.notation import at

UP = ("0  a>-  INVITE 1", "1  a>b  200 1")
END = "60  a>b  BYE 9"

Row = tuple[bytes, bytes, int, int | None]


def brief(*lines: str) -> list[Row]:
    """Tags, InviteTime and SessionEndTime of the rows."""
    return [(row.caller_tag, row.callee_tag, row.invite_time, row.session_end_time) for row in rows(wire(*lines))]


@pytest.mark.parametrize(
    ("name", "lines", "expected"),
    [
        (
            "4: both tags began something, one was answered",
            (*UP, "30  b>-  INVITE 5", "60  b>a  BYE 6"),
            [(b"a", b"b", at(0), at(60)), (b"b", b"", at(30), None)],
        ),
        (
            "4: both began something, both were answered",
            (*UP, "30  b>-  INVITE 5", "31  b>a  200 5", "60  b>a  BYE 6"),
            [(b"a", b"b", at(0), None), (b"b", b"a", at(30), at(60))],
        ),
        (
            "4: a MESSAGE between the two goes with the INVITE",
            ("0  a>-  MESSAGE 1", "1  b>a  MESSAGE 1", "2  b>-  INVITE 5", "3  b>a  BYE 6"),
            [(b"a", b"", at(0), at(0)), (b"b", b"a", at(2), at(3))],
        ),
        (
            "5: an orphan's caller sent its earliest request, not a response",
            ("0  b>a  200/INFO 1", "1  a>b  BYE 2"),
            [(b"a", b"b", at(0), at(1))],
        ),
        (
            "5: or a response, where there is no request",
            ("0  b>a  200/INFO 1", "1  a>b  200/BYE 2"),
            [(b"b", b"a", at(0), at(1))],
        ),
        (
            "6b: an INVITE that goes on being sent is one",
            ("0,20,40,60  a>-  INVITE 1", "61  a>b  486 1"),
            [(b"a", b"b", at(0), at(61))],
        ),
        (
            "6b: the same CSeq after more than 32 s of quiet is another",
            ("0,20  a>-  INVITE 1", "52.000001  a>-  INVITE 1", "53  a>b  486 1"),
            [(b"a", b"", at(0), None), (b"a", b"b", at("52.000001"), at(53))],
        ),
        (
            "7: a BYE and an INVITE of the same microsecond belong together",
            (*UP, "60  a>b  BYE 2", "60  a>-  INVITE 5", "61  a>c  486 5"),
            [(b"a", b"b", at(0), at(60))],
        ),
        (
            "7: an INVITE after the BYE doesn't",
            (*UP, "60  a>b  BYE 2", "60.000001  a>-  INVITE 5", "61  a>c  486 5"),
            [(b"a", b"b", at(0), at(60)), (b"a", b"c", at("60.000001"), at(61))],
        ),
        (
            "7: a session timer that ran out ends a session",
            ("0  a>-  INVITE 1", "1  a>b  200 1  | Session-Expires: 90", "200  a>-  INVITE 5", "201  a>c  486 5"),
            [(b"a", b"b", at(0), None), (b"a", b"c", at(200), at(201))],
        ),
        (
            "9: a start inside a dialog has one row, whatever its re-INVITEs get",
            ("0  a>b  INVITE 5", "1  a>b  200 5", "2  b>a  INVITE 7", "3  b>a  200 7", END),
            [(b"a", b"b", at(0), at(60))],
        ),
        (
            "end.bye: its request counts, though a response is earlier",
            (*UP, "59.9  a>b  200/BYE 9", END),
            [(b"a", b"b", at(0), at(60))],
        ),
        ("a group that nothing opens", ("0  a>b  ACK 1", "1  a>b  UPDATE 2"), []),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_step(name: str, lines: tuple[str, ...], expected: list[Row]) -> None:
    """The step that the case is named after decides."""
    assert brief(*lines) == expected


def test_losing_fork() -> None:
    """13: what a losing fork says of itself is not the callee's; what another attempt got is the row's."""
    (row,) = rows(
        wire(
            "0  a>-  INVITE 1  sdp=audio,video",
            "0.5  a>b2  180 1  sdp=audio,video | User-Agent: Loser/1",
            "1  a>b  200 1  sdp=audio,video:0",
            "70  a>b2  487 1",
        )
    )
    assert (row.user2_client, row.media_types, row.last_modified_time) == (None, 16, at(1))
    (row,) = rows(
        wire(
            "0  a>-  INVITE 1",
            "0.5  a>b2  488 1  | User-Agent: B/1",
            "0.6  a>-  INVITE 2",
            "1  a>b  200 2",
        )
    )
    assert row.user2_client == Client("B/1")


def test_reinvite_is_no_retry() -> None:
    """8: an INVITE with the tag of a failure is no attempt where a 2xx has given that tag before."""
    (row,) = rows(
        wire(
            "0  a>-  INVITE 1",
            "0.1  a>b  407 1",
            "0.2  a>-  INVITE 2",
            "1  a>b  200 2",
            "30  a>b  INVITE 3  sdp=audio,video",
            "31  a>b  200 3  sdp=audio,video",
        )
    )
    assert row.media_types == 48
    assert [item.start_time for item in row.media] == [at("0.2"), at(30)]


def test_strays_open_no_row() -> None:
    """12: a message to an early dialog of an answered call is in no column."""
    (row,) = rows(
        wire(*UP, "0.5  a>b2  180 1", "5  a>b2  INFO 2  body=csta", "6  a>b2  BYE 3  | ms-diagnostics: 7", END)
    )
    assert (row.session_end_time, row.user1_flag, row.diagnostic_id) == (at(60), 0, None)
