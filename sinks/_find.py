"""Which stored calls have sessions of a user, or one with a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from sipcdr.builder import call_key

from ._records import SessionKey, unpacked_keys
from ._statements import Statements, select_many

if TYPE_CHECKING:
    from collections.abc import Iterator

_ESCAPE = "\\"
_MOST_SEMICOLONS = 64


def find_calls(
    connection: sa.Connection,
    statements: Statements,
    *,
    caller: str | None,
    callee: str | None,
    key: SessionKey | None,
    limit: int,
) -> list[bytes]:
    """The Call-IDs of sessions, the latest `limit` of them, that are of these users or have this key.

    A user is a whole address as Users has it or the part before its `@` or `;`; a callee is who was reached or dialled.
    """
    tables, dialect = statements.tables, statements.dialect
    details, dialogs = tables["SessionDetails"], tables["Dialogs"]
    same = (dialogs.c.SessionIdTime == details.c.SessionIdTime) & (dialogs.c.SessionIdSeq == details.c.SessionIdSeq)
    wanted = sa.select(dialogs.c.ExternalId, details.c.SessionIdTime, details.c.SessionIdSeq).select_from(
        details.join(dialogs, same)
    )
    if caller is not None:
        wanted = wanted.where(details.c.User1Id.in_(_users(statements, caller)))
    if callee is not None:
        users = _users(statements, callee)
        wanted = wanted.where(details.c.User2Id.in_(users) | details.c.TargetUserId.in_(users))
    if key is not None:
        # Of the column's type, or a driver would send text.
        time = sa.bindparam("time", dialect.time_of(key.time), type_=details.c.SessionIdTime.type)
        wanted = wanted.where((details.c.SessionIdTime == time) & (details.c.SessionIdSeq == key.seq))
    wanted = wanted.order_by(details.c.SessionIdTime.desc(), details.c.SessionIdSeq.desc()).limit(limit)
    found = connection.execute(wanted).fetchall()
    # A Call-ID may hold semicolons, so ExternalId can't be split: which of its beginnings it is, Keys tell.
    sessions = {SessionKey(dialect.micros_of(time), seq): list(_beginnings(bytes(name))) for name, time, seq in found}
    candidates = {call_key(text): text for texts in sessions.values() for text in texts}
    calls: dict[bytes, None] = {}
    for stored, packed in select_many(connection, statements.read_keys, candidates):
        text = candidates[bytes(stored)]
        for one in unpacked_keys(bytes(packed)) or ():
            if text in sessions.get(one.key, ()):
                calls[text] = None
    return list(calls)


def _users(statements: Statements, wanted: str) -> sa.Select[tuple[int]]:
    users = statements.tables["Users"]
    pattern = wanted
    for sign in (_ESCAPE, "%", "_", "["):
        pattern = pattern.replace(sign, _ESCAPE + sign)
    return sa.select(users.c.UserId).where(
        (users.c.UserUri == wanted)
        | users.c.UserUri.like(pattern + "@%", escape=_ESCAPE)
        | users.c.UserUri.like(pattern + ";%", escape=_ESCAPE)
    )


def _beginnings(external: bytes) -> Iterator[bytes]:
    """What a Call-ID may be by an ExternalId: all before one of its semicolons."""
    at = external.find(b";")
    for _ in range(_MOST_SEMICOLONS):
        if at < 0:
            return
        yield external[:at]
        at = external.find(b";", at + 1)
