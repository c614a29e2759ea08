"""Rows, changes and raw SQL for the tests of this folder."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from sipcdr.builder import Client, Media, SessionDetails, User, call_key
from sipcdr.sinks import Change, SessionKey, Sink

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DAY: Final = 1_795_392_000_000_000
"""2026-11-23 00:00:00 UTC in microseconds."""


def at(text: str) -> int:
    """Microseconds of `DD HH:MM:SS.ffffff` in November 2026."""
    day, clock = text.split()
    hours, minutes, seconds = clock.split(":")
    whole, _, fraction = seconds.partition(".")
    total = (int(day) - 23) * 86400 + int(hours) * 3600 + int(minutes) * 60 + int(whole)
    return DAY + total * 1_000_000 + int(fraction.ljust(6, "0"))


def user(name: str) -> User:
    """`phone`, or a user of corp.example."""
    return User("+4930551@corp.example;user=phone", 0) if name == "phone" else User(f"{name}@corp.example", 1)


def details(number: int = 1, call: str = "", **columns: Any) -> SessionDetails:
    """An answered audio call of ann to ben, unless `columns` say otherwise; `number` tells calls apart."""
    call_id = (call or f"c{number}@corp.example").encode()
    caller, callee = columns.pop("tags", (b"f%d" % number, b"t%d" % number))
    invite = columns.pop("invite_time", at("23 08:00:00") + number * 10_000_000)
    usual: dict[str, Any] = {
        "call_id": call_id,
        "caller_tag": caller,
        "callee_tag": callee,
        "external_id": b";".join((call_id, caller, callee)),
        "pairs": ((min(caller, callee), max(caller, callee)),),
        "user1": user("ann"),
        "user2": user("ben"),
        "invite_time": invite,
        "response_time": invite + 1_000_000,
        "response_code": 200,
        "call_priority": 2,
        "session_end_time": invite + 30_000_000,
        "media_types": 16,
        "media": (Media(5, invite),),
        "user1_client": Client("OC/16.0", 4),
        "last_modified_time": invite + 30_000_000,
    }
    return SessionDetails(**(usual | columns))


def change(
    *rows: SessionDetails | tuple[SessionDetails, SessionKey | None],
    version: int | None = None,
    gone: Sequence[SessionKey] = (),
    call: str = "",
    facts: bytes = b"\x01facts",
) -> Change:
    """A change of one call to these rows, new ones unless they come with a key."""
    pairs = [row if isinstance(row, tuple) else (row, None) for row in rows]
    call_id = call.encode() if call else pairs[0][0].call_id
    times = [row.invite_time for row, _ in pairs] or [at("23 08:00:00")]
    return Change(call_key(call_id), facts, version, min(times), max(times), pairs, list(gone))


def write(sink: Sink, *changes: Change) -> int:
    """Write changes in one transaction, and return its Version."""
    with sink.begin() as transaction:
        transaction.write(changes)
    return transaction.version


def url(path: Path) -> str:
    """The database URL of a file."""
    return f"sqlite:///{path}"


def query(path: Path, text: str, *binds: object) -> list[tuple[Any, ...]]:
    """What a program other than ours reads in the file."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(text, binds).fetchall()


def execute(path: Path, text: str) -> None:
    """Change the file as a program other than ours would."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(text)


def assert_whole(path: Path) -> None:
    """Foreign keys hold, the file is sound, and each session has its Dialogs row."""
    assert query(path, "PRAGMA foreign_key_check") == []
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    counts = query(
        path,
        "SELECT (SELECT COUNT(*) FROM Dialogs), (SELECT COUNT(*) FROM SessionDetails),"
        " (SELECT COUNT(*) FROM Dialogs JOIN SessionDetails USING (SessionIdTime, SessionIdSeq))",
    )
    assert len(set(counts[0])) == 1
