"""Sessions read back for people and programs: every column by its name, look-ups as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sipcdr.builder import Client, Media, Reference, grid
from sipcdr.sinks import SESSION_COLUMNS, TIME_COLUMNS, Sink, session_of
from tests.sinks.rows import at, change, details, user, write

if TYPE_CHECKING:
    from tests.places import Place

NAMES = """
SessionIdTime SessionIdSeq CorrelationId ReplaceDialogIdTime ReplaceDialogIdSeq User1 User2 User1EndpointId
User2EndpointId TargetUser SessionStartedBy OnBehalfOf ReferredBy Server Pool ContentType User1ClientVer
User2ClientVer User1EdgeServer User2EdgeServer IsUser1Internal IsUser2Internal InviteTime ResponseTime ResponseCode
DiagnosticId CallPriority User1MessageCount User2MessageCount SessionEndTime MediaTypes User1Flag User2Flag CallFlag
Processed LastModifiedTime CallId FromTag ToTag Media
"""

FULL: dict[str, Any] = {
    "correlation_id": "5c3e9a10-7d42-4b61-9f0e-2a8b71c4d9e3",
    "user1_endpoint_id": "5311b51c-39a9-5887-b22c-da3eaf56e4ac",
    "user2_endpoint_id": "5311b51c-39a9-5887-b22c-da3eaf56e4ad",
    "target_user": user("cleo"),
    "session_started_by": user("ann"),
    "on_behalf_of": user("chief"),
    "referred_by": user("desk"),
    "server": "fe1.corp.example",
    "pool": "pool1.corp.example",
    "content_type": "application/sdp",
    "user1_client": Client("OC/16", 4),
    "user2_client": Client("Phone", None),
    "user1_edge_server": "edge1.corp.example",
    "user2_edge_server": "edge2.corp.example",
    "is_user1_internal": 1,
    "is_user2_internal": 0,
    "diagnostic_id": 13014,
    "user1_message_count": 5,
    "user2_message_count": 3,
    "media_types": 49,
    "media": (Media(1, at("23 10:00:00")), Media(5, at("23 10:00:00")), Media(6, at("23 10:00:01"))),
    "user1_flag": 1,
    "call_flag": 3,
}


def test_the_names(sink: Sink) -> None:
    """The columns are those of SessionDetails, texts without Id, then Call-ID, tags and media, in a fixed order."""
    assert list(SESSION_COLUMNS) == NAMES.split()
    row = details(1)
    write(sink, change(row))
    (session,) = sink.sessions([row.call_id])
    assert list(session) == list(SESSION_COLUMNS)
    assert {name for name in SESSION_COLUMNS if name.endswith("Time")} == TIME_COLUMNS


def test_a_session_in_full(sink: Sink) -> None:
    """Every look-up comes back as its text, times as microseconds, media as names in the order of ids."""
    row = details(1, **FULL)
    write(sink, change(row))
    (session,) = sink.sessions([row.call_id])
    assert session == session_of(row)
    assert session["SessionIdTime"] == grid(row.invite_time)
    assert session["InviteTime"] == row.invite_time
    assert session["Media"] == ["IM", "Audio", "Video"]
    assert (session["CallId"], session["FromTag"], session["ToTag"]) == (row.call_id, b"f1", b"t1")
    assert [session[name] for name in ("OnBehalfOf", "User2ClientVer", "User1EdgeServer", "User2EdgeServer")] == [
        "chief@corp.example",
        "Phone",
        "edge1.corp.example",
        "edge2.corp.example",
    ]
    assert {name for name in SESSION_COLUMNS if session[name] is None} == {"ReplaceDialogIdTime", "ReplaceDialogIdSeq"}


def test_a_session_that_has_little(sink: Sink) -> None:
    """What is NULL in the database is None."""
    bare = details(1, user1=None, user2=None, user1_client=None, media=(), media_types=0, session_end_time=None)
    write(sink, change(bare))
    assert list(sink.sessions([bare.call_id])) == [session_of(bare)]


def test_a_replaced_dialog(sink: Sink) -> None:
    """The key of the replaced dialog is the database's, its time in microseconds."""
    old = details(1)
    write(sink, change(old), change(details(2, reference=Reference(old.call_id, old.pairs[0]))))
    (session,) = sink.sessions([details(2).call_id])
    assert (session["ReplaceDialogIdTime"], session["ReplaceDialogIdSeq"]) == (grid(old.invite_time), 1)


def test_the_order(sink: Sink) -> None:
    """Sessions come by InviteTime, Call-ID and tags, each once, whatever is asked for and how often."""
    start = at("23 10:00:00")
    rows = [
        details(1, "b@x", tags=(b"2", b"1"), invite_time=start),
        details(1, "b@x", tags=(b"1", b"2"), invite_time=start),
        details(1, "a@x", tags=(b"3", b"3"), invite_time=start),
        details(1, "z@x", invite_time=start - 1),
    ]
    write(sink, change(rows[0], rows[1]), change(rows[2]), change(rows[3]))
    asked = [b"b@x", b"unknown@x", b"a@x", b"z@x", b"b@x"]
    found = [(session["CallId"], session["FromTag"]) for session in sink.sessions(asked)]
    assert found == [(b"z@x", b"f1"), (b"a@x", b"3"), (b"b@x", b"1"), (b"b@x", b"2")]
    assert list(sink.sessions([])) == []
    assert list(sink.sessions([b"unknown@x"])) == []


def test_many_sessions_on_one_tick(sink: Sink) -> None:
    """A session is found by both halves of its key."""
    rows = [details(number, invite_time=at("23 10:00:00")) for number in range(600)]
    write(sink, *map(change, rows))
    found = {session["CallId"]: session["SessionIdSeq"] for session in sink.sessions(row.call_id for row in rows)}
    assert sorted(seq for seq in found.values() if isinstance(seq, int)) == list(range(1, 601))
    assert len(found) == 600


def test_a_session_deleted_meanwhile(sink: Sink, place: Place) -> None:
    """A key whose row somebody deleted is passed over."""
    write(sink, change(details(1)), change(details(2)))
    place.execute("DELETE FROM SessionDetails WHERE SessionIdTime = '2026-11-23 08:00:10.000000'")
    place.execute("DELETE FROM Media WHERE SessionIdTime = '2026-11-23 08:00:10.000000'")
    place.execute("DELETE FROM Dialogs WHERE SessionIdTime = '2026-11-23 08:00:10.000000'")
    assert [session["CallId"] for session in sink.sessions([b"c1@corp.example", b"c2@corp.example"])] == [
        b"c2@corp.example"
    ]
