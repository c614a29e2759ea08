"""Writing changes: keys, look-ups, references, compare-and-set, positions; all or nothing."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcdr.builder import Client, Media, Reference, User, call_key, grid
from sipcdr.sinks import SessionKey, Sink, SinkConflict, SinkRefused, StoredPosition
from sipcdr.sinks._times import micros_of, text_of
from tests.places import NAMES, Place
from tests.sinks.rows import at, change, details, user, write

if TYPE_CHECKING:
    from pathlib import Path

    from sipcdr.builder import SessionDetails
    from sipcdr.sinks import Transaction


def key_of(sink: Sink, call: str, place: int = 0) -> SessionKey:
    """The key of a stored session."""
    keys = sink.read([call_key(call.encode())])[call_key(call.encode())].keys
    assert keys is not None
    return keys[place].key


def test_what_is_stored_is_read_back(sink: Sink) -> None:
    """A stored call has its Version, facts, and the tags, pairs, InviteTime and key of each session."""
    row = details(1)
    version = write(sink, change(row, facts=b"\x01abc"))
    stored = sink.read([call_key(row.call_id), call_key(b"another")])
    (call,) = stored.values()
    assert (call.call_key, call.version, call.facts) == (call_key(row.call_id), version, b"\x01abc")
    assert call.keys is not None
    (key,) = call.keys
    assert (key.tags, key.pairs, key.invite_time) == ((b"f1", b"t1"), ((b"f1", b"t1"),), row.invite_time)
    assert key.key == SessionKey(grid(row.invite_time), 1)


@pytest.mark.parametrize("size", [1, 255, 8000, 8001, 100_000, 2_000_000])
def test_facts_of_any_size(sink: Sink, size: int) -> None:
    """Facts are bytes of any kind and number, alone or beside others."""
    facts = random.Random(size).randbytes(size)
    write(sink, change(details(1), facts=facts))
    write(sink, change(details(2), facts=b"\x01\\\t\n\r\0'"), change(details(3), facts=facts))
    keys = [change(details(number)).call_key for number in (1, 2, 3)]
    stored = sink.read(keys)
    assert [stored[key].facts for key in keys] == [facts, b"\x01\\\t\n\r\0'", facts]


def test_more_calls_than_one_select_asks_for(sink: Sink, place: Place) -> None:
    """Reads and writes go in chunks, of which the last is filled up."""
    rows = [details(number) for number in range(700)]
    write(sink, *map(change, rows))
    assert len(sink.read([call_key(row.call_id) for row in rows])) == 700
    assert [session["CallId"] for session in sink.sessions(row.call_id for row in rows)] == [r.call_id for r in rows]
    assert place.query("SELECT COUNT(*), COUNT(DISTINCT UserUri) FROM SessionDetails, Users") == [(1400, 2)]


def test_seq_on_equal_ticks(sink: Sink, place: Place) -> None:
    """Sessions on one tick count 1, 2, 3, by exact time and then ExternalId, after what is there."""
    start = at("23 10:00:00")
    late, early, tied = (
        details(1, invite_time=start + 900),
        details(2, invite_time=start),
        details(3, invite_time=start),
    )
    write(sink, change(late), change(tied), change(early))
    write(sink, change(details(4, invite_time=start - 100)))
    write(sink, change(details(5, invite_time=start + 4000)))
    assert place.query("SELECT SessionIdSeq, ExternalId FROM Dialogs ORDER BY SessionIdTime, SessionIdSeq") == [
        (1, b"c2@corp.example;f2;t2"),
        (2, b"c3@corp.example;f3;t3"),
        (3, b"c1@corp.example;f1;t1"),
        (4, b"c4@corp.example;f4;t4"),
        (1, b"c5@corp.example;f5;t5"),
    ]


def test_a_matched_row_keeps_its_key(sink: Sink, place: Place) -> None:
    """The key stays though InviteTime, tags and ExternalId change; Dialogs, Media and look-ups follow."""
    first = details(1, session_end_time=None)
    version = write(sink, change(first))
    key = key_of(sink, "c1@corp.example")
    moved = details(
        1,
        invite_time=first.invite_time - 5_000_000,
        tags=(b"t1", b"f1"),
        user1=user("cleo"),
        media_types=48,
        media=(Media(5, first.invite_time - 5_000_000), Media(6, first.invite_time)),
    )
    write(sink, change((moved, key), version=version))
    assert place.query("SELECT SessionIdTime, InviteTime, MediaTypes FROM SessionDetails") == [
        (text_of(key.time), text_of(moved.invite_time), 48)
    ]
    assert place.query("SELECT ExternalId FROM Dialogs") == [(b"c1@corp.example;t1;f1",)]
    assert place.query("SELECT SessionIdSeq, MediaId, StartTime, EndTime FROM Media ORDER BY MediaId") == [
        (1, 5, text_of(grid(moved.invite_time)), text_of(moved.session_end_time or 0)),
        (1, 6, text_of(grid(first.invite_time)), text_of(moved.session_end_time or 0)),
    ]
    assert place.query("SELECT UserUri FROM Users JOIN SessionDetails ON UserId = User1Id") == [("cleo@corp.example",)]


def test_fewer_rows_delete_keys_with_children(sink: Sink, place: Place) -> None:
    """A session that is no more leaves no row in any table, and others' references to it are empty."""
    one, two = details(1), details(2, "c1@corp.example", reference=Reference(b"x@corp.example", (b"f3", b"t3")))
    version = write(sink, change(one, two))
    write(sink, change(details(9, reference=Reference(b"c1@corp.example", (b"f2", b"t2")))))
    assert place.query("SELECT COUNT(*) FROM SessionDetails WHERE ReplaceDialogIdSeq = 1") == [(1,)]
    keys = [key_of(sink, "c1@corp.example", place) for place in (0, 1)]
    with sink.begin() as transaction:
        transaction.write([change((one, keys[0]), version=version, gone=[keys[1]])])
    assert transaction.effect.deleted == 1
    for table in ("SessionDetails", "Dialogs", "Media", "sipcdr_references"):
        gone = place.query(f"SELECT * FROM {table} WHERE SessionIdTime = ?", text_of(keys[1].time))
        assert gone == [], table
    assert place.query("SELECT COUNT(*) FROM SessionDetails WHERE ReplaceDialogIdSeq IS NOT NULL") == [(0,)]
    assert place.query("SELECT COUNT(*) FROM sipcdr_references") == [(1,)]


def test_more_rows_get_new_keys(sink: Sink, place: Place) -> None:
    """A session that joins a call on the same tick gets the next Seq, and the first keeps its own."""
    one = details(1)
    version = write(sink, change(one))
    other = details(2, "c1@corp.example", invite_time=one.invite_time)
    write(sink, change(other, (one, key_of(sink, "c1@corp.example")), version=version))
    assert place.query("SELECT SessionIdSeq, ExternalId FROM Dialogs ORDER BY 1") == [
        (1, b"c1@corp.example;f1;t1"),
        (2, b"c1@corp.example;f2;t2"),
    ]


def test_a_call_without_rows_is_stored(sink: Sink, place: Place) -> None:
    """ACKs alone make no row, but their facts may join later ones."""
    write(sink, change(call="acks@corp.example"))
    assert sink.read([call_key(b"acks@corp.example")]).popitem()[1].keys == ()
    assert place.query("SELECT COUNT(*) FROM SessionDetails") == [(0,)]


def test_compare_and_set(sink: Sink, place: Place) -> None:
    """A change of a call that somebody else changed or stored in between is a conflict, and writes nothing."""
    version = write(sink, change(details(1)))
    key = key_of(sink, "c1@corp.example")
    write(sink, change((details(1), key), version=version))
    before = place.everything()
    with pytest.raises(SinkConflict):
        write(sink, change(details(2)), change((details(1), key), version=version))
    with pytest.raises(SinkConflict):
        write(sink, change(details(3)), change(details(1)))
    with pytest.raises(SinkConflict, match="no longer there"):
        write(
            sink,
            change(details(4, call="c4"), version=None),
            change((details(5), SessionKey(grid(at("23 01:00:00")), 1))),
        )
    assert place.everything() == before


def test_versions_never_come_twice(sink: Sink, place: Place) -> None:
    """Each transaction has a Version of its own, also when the one before was rolled back."""
    versions = [write(sink, change(details(number))) for number in (1, 2)]
    with pytest.raises(SinkConflict):
        write(sink, change(details(1)))
    with place.open() as other:
        versions.append(write(other, change(details(3))))
    versions.append(write(sink, change(details(4))))
    assert versions == sorted(set(versions))
    with sink.begin() as transaction:
        assert transaction.versions([call_key(details(3).call_id), b"0" * 16]) == {
            call_key(details(3).call_id): versions[2]
        }


def test_alone_until_another_writes(sink: Sink, place: Place) -> None:
    """A transaction knows that calls are as the sink's last read found them only where nobody has written since."""

    def alone() -> bool:
        with sink.begin() as transaction:
            return transaction.alone

    assert not alone()  # nothing was read
    sink.read([])
    assert alone()
    assert not alone()  # the one before wrote since
    sink.read([])
    with pytest.raises(SinkConflict):
        write(sink, change((details(1), SessionKey(0, 1)), version=1))
    assert alone()  # what was rolled back wrote nothing
    sink.read([])
    with place.open() as other:
        write(other, change(details(1)))
    assert not alone()


REFERRING = details(7, invite_time=at("23 12:00:00"), reference=Reference(b"c1@corp.example", (b"a", b"b")))
CANDIDATES: dict[str, tuple[list[SessionDetails], int | None]] = {
    "no such call": ([], None),
    "other tags": ([details(1, tags=(b"a", b"c"))], None),
    "the tags in their order": ([details(1, tags=(b"a", b"b"))], 0),
    "the tags turned round": ([details(1, tags=(b"b", b"a"))], 0),
    "a pair that it answers to": ([details(1, tags=(b"a", b"c"), pairs=((b"a", b"b"), (b"a", b"c")))], 0),
    "the last that began no later": (
        [
            details(1, tags=(b"a", b"b"), invite_time=at("23 10:00:00")),
            details(1, tags=(b"a", b"b"), invite_time=at("23 12:00:00"), external_id=b"2"),
            details(1, tags=(b"a", b"b"), invite_time=at("23 12:00:01"), external_id=b"3"),
        ],
        1,
    ),
    "else the first": (
        [
            details(1, tags=(b"a", b"b"), invite_time=at("23 13:00:00")),
            details(1, tags=(b"a", b"b"), invite_time=at("23 14:00:00"), external_id=b"2"),
        ],
        0,
    ),
}


@pytest.mark.parametrize("place", NAMES, indirect=True)
@pytest.mark.parametrize("order", ["target first", "target later", "together"])
@pytest.mark.parametrize("name", CANDIDATES)
def test_references(sink: Sink, place: Place, name: str, order: str) -> None:
    """A reference names a session of its target by tags and time, whichever of the two is written first."""
    targets, expected = CANDIDATES[name]
    changes = [change(*targets, call="c1@corp.example"), change(REFERRING)]
    if order == "together":
        write(sink, *changes)
    else:
        for each in changes if order == "target first" else reversed(changes):
            write(sink, each)
    (found,) = place.query(
        "SELECT ReplaceDialogIdTime, ReplaceDialogIdSeq FROM SessionDetails AS s JOIN Dialogs AS d"
        " ON d.SessionIdTime = s.SessionIdTime AND d.SessionIdSeq = s.SessionIdSeq WHERE ExternalId = ?",
        REFERRING.external_id,
    )
    key = None if expected is None else key_of(sink, "c1@corp.example", expected)
    assert found == ((None, None) if key is None else (text_of(key.time), key.seq))


def test_a_reference_is_resolved_again(sink: Sink, place: Place) -> None:
    """When a better session of the target turns up, or the reference itself goes, the pair follows."""
    early = details(1, tags=(b"a", b"b"), invite_time=at("23 10:00:00"))
    late = details(1, tags=(b"b", b"a"), invite_time=at("23 11:00:00"), external_id=b"late")
    target = write(sink, change(early))
    referring = write(sink, change(REFERRING))
    pair = "SELECT ReplaceDialogIdTime FROM SessionDetails WHERE InviteTime = '2026-11-23 12:00:00.000000'"
    assert place.query(pair) == [("2026-11-23 10:00:00.000000",)]
    write(sink, change((early, key_of(sink, "c1@corp.example")), late, version=target))
    assert place.query(pair) == [("2026-11-23 11:00:00.000000",)]
    without = details(7, invite_time=REFERRING.invite_time)
    write(sink, change((without, key_of(sink, "c7@corp.example")), version=referring))
    assert place.query(pair) == [(None,)]
    assert place.query("SELECT COUNT(*) FROM sipcdr_references") == [(0,)]


def test_a_reference_whose_session_was_deleted_by_hand(sink: Sink, place: Place) -> None:
    """What an operator's own DELETE leaves of a reference stops no writer."""
    write(sink, change(REFERRING))
    for table in ("Media", "SessionDetails", "Dialogs"):
        place.execute(f"DELETE FROM {table}")
    write(sink, change(details(1, tags=(b"a", b"b"))))
    assert place.query("SELECT COUNT(*) FROM SessionDetails") == [(1,)]


def test_a_call_that_replaces_itself(sink: Sink, place: Place) -> None:
    """A session may name its own dialog; it goes as any other."""
    row = details(1, reference=Reference(b"c1@corp.example", (b"f1", b"t1")))
    version = write(sink, change(row))
    key = key_of(sink, "c1@corp.example")
    assert place.query("SELECT ReplaceDialogIdTime = SessionIdTime FROM SessionDetails") == [(1,)]
    write(sink, change(call="c1@corp.example", version=version, gone=[key]))
    assert place.query("SELECT (SELECT COUNT(*) FROM SessionDetails), (SELECT COUNT(*) FROM Dialogs)") == [(0, 0)]


def test_lookups_are_shared(sink: Sink, place: Place) -> None:
    """A text is one row of its table, whoever writes it first, and a second writer finds it."""
    columns = {"server": "fe1", "pool": "pool", "content_type": "application/sdp", "user1_edge_server": "edge"}
    write(sink, change(details(1, **columns)), change(details(2, **columns, user2_edge_server="edge")))
    with place.open() as other:
        write(other, change(details(3, **columns)))
    for table in ("Servers", "Pools", "ContentTypes", "ClientVersions", "EdgeServers"):
        assert place.query(f"SELECT COUNT(*) FROM {table}") == [(1,)], table
    assert place.query("SELECT UserUri FROM Users ORDER BY UserUri") == [("ann@corp.example",), ("ben@corp.example",)]


def test_versions_differ_by_case(sink: Sink, place: Place) -> None:
    """Clients that write their name in another case are other clients."""
    write(sink, change(details(1, user1_client=Client("oc/1"))), change(details(2, user1_client=Client("OC/1"))))
    assert sorted(place.query("SELECT Version FROM ClientVersions")) == [("OC/1",), ("oc/1",)]


def test_users_by_case(path: Path) -> None:
    """SQLite doesn't tell addresses apart by case, so one that is there in another case is that row."""
    place = Place("sqlite", f"sqlite:///{path}")
    with place.open() as sink:
        place.execute("INSERT INTO Users (UserUri, UriTypeId) VALUES ('Ann@Corp.example', 1)")
        write(
            sink,
            change(details(1, user1=user("ann"), user2=User("X@corp.example", 1))),
            change(details(2, user1=User("x@corp.example", 1))),
        )
    assert place.query("SELECT UserUri FROM Users ORDER BY UserId") == [
        ("Ann@Corp.example",),
        ("X@corp.example",),
        ("ben@corp.example",),
    ]
    assert place.query("SELECT User1Id, User2Id FROM SessionDetails ORDER BY InviteTime") == [(1, 2), (2, 3)]
    place.close()


def test_a_rollback_leaves_no_id_in_a_cache(sink: Sink, place: Place) -> None:
    """Ids given out in a transaction that was rolled back are never used again."""
    write(sink, change(details(1)))
    with pytest.raises(SinkConflict):
        write(sink, change(details(2, user1=user("gone"))), change(details(1)))
    with place.open() as other:
        write(other, change(details(3, user1=user("other"))))
    write(sink, change(details(4, user1=user("gone"))))
    found = place.query("SELECT UserUri FROM Users JOIN SessionDetails ON User1Id = UserId ORDER BY InviteTime")
    assert [uri for (uri,) in found] == ["ann@corp.example", "other@corp.example", "gone@corp.example"]


def test_a_new_epoch_empties_the_caches(sink: Sink, place: Place) -> None:
    """When look-up rows were deleted, the lock's Epoch says so, and a writer asks the database again."""
    write(sink, change(details(1)))
    place.execute("UPDATE Users SET UserUri = 'was ann' WHERE UserUri = 'ann@corp.example'")
    write(sink, change(details(2)))
    place.execute("UPDATE sipcdr_positions SET Epoch = Epoch + 1 WHERE Source = ''")
    write(sink, change(details(3)))
    found = place.query("SELECT UserUri FROM Users JOIN SessionDetails ON User1Id = UserId ORDER BY InviteTime")
    assert found == [("was ann",), ("was ann",), ("ann@corp.example",)]


def test_caches_forget_what_is_not_used(sink: Sink, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache holds so many of the latest texts; one that it has forgotten is the same row still."""
    monkeypatch.setattr("sipcdr.sinks._lookups._MOST", 2)
    for call, server in enumerate((1, 2, 3, 4, 5, 1)):
        write(sink, change(details(call, server=f"fe{server}")))
    assert len(place.query("SELECT ServerFQDN FROM Servers")) == 5
    found = place.query(
        "SELECT ServerFQDN FROM Servers JOIN SessionDetails ON Servers.ServerId = SessionDetails.ServerId"
        " ORDER BY InviteTime"
    )
    assert [name for (name,) in found] == ["fe1", "fe2", "fe3", "fe4", "fe5", "fe1"]


def test_positions(sink: Sink, place: Place) -> None:
    """Positions are written with their batch, also when no call is left, and roll back with it."""
    with sink.begin() as transaction:
        transaction.write(
            [change(details(1))], [StoredPosition("topic", "0", 10, 1), StoredPosition("topic", "1", 2**40, 1)]
        )
    with sink.begin() as transaction:
        transaction.write([], [StoredPosition("topic", "0", 11, 1)])
    with pytest.raises(SinkConflict), sink.begin() as transaction:
        transaction.write([change(details(1))], [StoredPosition("topic", "0", 12, 1)])
    assert place.query("SELECT * FROM sipcdr_positions WHERE Source <> '' ORDER BY 1, 2") == [
        ("topic", "0", 11, 1),
        ("topic", "1", 2**40, 1),
    ]


def test_partitions_are_taken_with_their_epochs(sink: Sink) -> None:
    """Who takes a partition fences who had it: the old one's position is left out, its rows are written."""
    with sink.begin() as transaction:
        first = transaction.assign("topic", {"0": 5, "1": 6})
    assert first == [StoredPosition("topic", "0", 5, 1), StoredPosition("topic", "1", 6, 1)]
    with sink.begin() as transaction:
        transaction.write([], [StoredPosition("topic", "0", 50, 1), StoredPosition("topic", "1", 60, 1)])
    with sink.begin() as transaction:
        assert transaction.assign("topic", {"0": 5}) == [StoredPosition("topic", "0", 50, 2)]
    late = [StoredPosition("topic", "0", 70, 1), StoredPosition("topic", "1", 80, 1)]
    with sink.begin() as transaction:
        transaction.write([change(details(1))], late)
    assert transaction.fenced == late[:1]
    assert transaction.effect.inserted == 1
    with sink.begin() as transaction:
        transaction.write([], [StoredPosition("topic", "0", 51, 2)])
    with sink.begin() as transaction:
        # Set back.
        assert transaction.assign("topic", {"0": 7}, anew=True) == [StoredPosition("topic", "0", 7, 3)]
        assert transaction.assign("topic", {"0": 9, "1": 9}) == [
            StoredPosition("topic", "0", 7, 4),
            StoredPosition("topic", "1", 80, 2),
        ]


def test_an_exception_rolls_everything_back(sink: Sink, place: Place) -> None:
    """What fails inside the block comes out as it is, and nothing of the transaction stays."""
    before = place.everything()

    def fail(transaction: Transaction) -> None:
        transaction.write([change(details(1))])
        raise KeyError

    with pytest.raises(KeyError), sink.begin() as transaction:
        fail(transaction)
    assert place.everything() == before


HOSTILE = [
    "'; DROP TABLE Users; --",
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "\x1b[31mred",
    "😀" * 225,
    "a" * 450,
    "%s %(x)s ? :name {0}",
    "\ufffd",
    "ﬀ ß ẞ İ",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_values_are_stored_as_they_are(sink: Sink, place: Place, text: str) -> None:
    """Values are bound, never put into SQL, and come back as they went in."""
    row = details(
        1, user1=User(text, 1), server=text[:256], user1_client=Client(text[:256]), external_id=text.encode()[:772]
    )
    write(sink, change(row))
    (session,) = sink.sessions([row.call_id])
    assert (session["User1"], session["Server"], session["User1ClientVer"]) == (text, text[:256], text[:256])
    assert place.query("SELECT ExternalId FROM Dialogs") == [(text.encode()[:772],)]


REFUSED: dict[str, dict[str, Any]] = {
    "a lone surrogate": {"server": "\ud800"},
    "an integer beyond 64 bits": {"response_code": 1 << 70},
    "a year beyond 9999": {"session_end_time": 1 << 60},
    "a bit that is 2": {"is_user1_internal": 2},
    "a medium that is none": {"media": (Media(9, 0),)},
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_values(sink: Sink, place: Place, name: str) -> None:
    """What the database can't hold is refused as data, and nothing of the transaction stays."""
    if name == "a bit that is 2" and place.kind == "mariadb":
        pytest.skip("TINYINT(1) holds it")
    write(sink, change(details(1)))
    before = place.everything()
    with pytest.raises(SinkRefused if name != "a medium that is none" else SinkConflict):
        write(sink, change(details(2)), change(details(3, **REFUSED[name])))
    assert place.everything() == before


@given(st.integers(min_value=-62135596800_000_000, max_value=253402300799_999_999))
def test_times_as_text(time: int) -> None:
    """A time of any year is 26 characters, comes back as it was, and sorts as text as it does as a number."""
    text = text_of(time)
    assert len(text) == 26
    assert micros_of(text) == time
    assert (text < text_of(0)) == (time < 0)


def test_times_of_the_documentation() -> None:
    """The text's form, and the grid's, are those that the schema states."""
    assert text_of(at("23 08:05:10.120400")) == "2026-11-23 08:05:10.120400"
    assert text_of(grid(at("23 08:05:10.120400"))) == "2026-11-23 08:05:10.120000"
    assert text_of(grid(at("24 07:59:59.998500"))) == "2026-11-24 08:00:00.000000"
