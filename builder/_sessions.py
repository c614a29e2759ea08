"""`sessions`: the derivation, one pure function of a call's facts (derivations.md sections 2.1 and 3)."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Final

from ._columns import (
    CALL_FLAG,
    CALL_PRIORITY,
    DIAGNOSTIC_ID,
    END_TIME,
    INVITE_TIME,
    LAST_MODIFIED_TIME,
    RESPONSE,
    USER1_FLAG,
    USER2_FLAG,
    Row,
    derive,
    derive_bits,
    message_counts,
)
from ._dialogs import Session, Shape, over
from ._groups import generations
from ._ignore import ignored
from ._kernel import native
from ._labels import CONTENT_TYPE, CORRELATION_ID, REPLACES, SERVER, endpoint_id, pair_of
from ._media import media_of
from ._parties import (
    IS_USER1_INTERNAL,
    IS_USER2_INTERNAL,
    ON_BEHALF_OF,
    REFERRED_BY,
    STARTED_BY_CALLER,
    TARGET_USER,
    USER1,
    USER1_CLIENT,
    USER1_EDGE_SERVER,
    USER2,
    USER2_CLIENT,
    USER2_EDGE_SERVER,
)
from ._row import SessionDetails, TagPair
from ._rules import Rules
from ._text import NAME_LENGTH, fit

if TYPE_CHECKING:
    from ._call import Call

EXTERNAL_ID_LENGTH: Final = 775
"""Bytes of Dialogs.ExternalId."""

_RULES = Rules()


def sessions(call: Call, rules: Rules = _RULES, counts: Counter[str] | None = None) -> list[SessionDetails]:
    """The rows of a call, in the order of (InviteTime, ExternalId).

    `counts` gets what was odd: values replaced or cut to fit a column, malformed headers, conference legs (which are
    no rows), sessions that `Rules.ignore` leaves out, strays (in-dialog messages that belong to no row) and groups
    that no message opens.
    """
    counts = Counter() if counts is None else counts
    if native is not None and isinstance(call, native.Call):
        rows: list[SessionDetails] = native.sessions(call, rules, counts)
        return rows
    return python_sessions(call, rules, counts)


def python_sessions(call: Call, rules: Rules, counts: Counter[str]) -> list[SessionDetails]:
    """What `sessions` gives, by this Python, which defines it."""
    rows: list[SessionDetails] = []
    found = rows_of(call, rules, counts)
    for row, external_id in found:
        if is_conference(row):
            counts["conference legs"] += 1
            continue
        details = columns_of(call, row, external_id)
        why = ignored(row, details)
        if why:
            counts[f"ignored by {why}"] += 1
        else:
            rows.append(details)
    for row, _ in found:
        row.session.shape.release()
    return rows


def rows_of(call: Call, rules: Rules, counts: Counter[str]) -> list[tuple[Row, bytes]]:
    """The rows to be and their ExternalIds, conference legs too, in the order of (InviteTime, ExternalId)."""
    found: list[tuple[int, bytes, Row]] = []
    for generation in generations(call, rules, lambda current, time: over(current, time, rules), counts):
        shape = Shape(generation)
        if shape.strays:
            counts["stray in-dialog messages"] += shape.strays
        for session in shape.rows:
            row = Row(session, rules, counts)
            parts = (call.call_id, generation.caller, callee_tag(session))
            found.append((row.start.time, b";".join(parts), row))
    found.sort(key=lambda item: item[:2])
    taken: set[bytes] = set()
    return [(row, _unique(external_id, row.start.time, taken)) for _, external_id, row in found]


def callee_tag(session: Session) -> bytes:
    """The callee's part of ExternalId (step 15)."""
    if session.shape.page_mode:
        return b""
    if session.tag is not None:
        return session.tag
    if session.final is not None and session.final.to_tag:
        return session.final.to_tag
    for message in session.responses:
        if message.status < 200 and message.to_tag:
            return message.to_tag
    for message in session.inside:
        if message.other:
            return message.other
    return b""


def _unique(external_id: bytes, invite_time: int, taken: set[bytes]) -> bytes:
    """Step 16: a later generation's text ends in its InviteTime."""
    unique = external_id
    while unique in taken:
        unique = external_id + b";%d" % invite_time
        invite_time += 1
    taken.add(unique)
    if len(unique) <= EXTERNAL_ID_LENGTH:
        return unique
    return unique[:700] + b"~" + hashlib.sha256(unique).hexdigest().encode()


def is_conference(row: Row) -> bool:
    """MS-SIPRE section 2.2.3: the focus and its MCUs are addressed by a GRUU of a conference."""
    start = row.start
    return (row.has("conference") and bool(start.header("conference"))) or "opaque=app:conf:" in start.header(
        "to"
    ).lower()


def _pairs(session: Session, caller: bytes, callee: bytes) -> tuple[TagPair, ...]:
    """Step 17: the tag pairs that the row answers to."""
    pairs = {pair_of(caller, callee)}
    shape = session.shape
    if len(shape.rows) == 1:
        for messages in (shape.responses, shape.cancels, session.inside):
            for message in messages:
                if message.other:
                    pairs.add(pair_of(caller, message.other))
    return tuple(sorted(pairs))


def columns_of(call: Call, row: Row, external_id: bytes) -> SessionDetails:
    """All columns of a row."""
    session = row.session
    caller = session.shape.generation.caller
    callee = callee_tag(session)
    invite_time = derive(row, INVITE_TIME)
    response_time, response_code = derive(row, RESPONSE) or (None, None)
    if response_time is not None and invite_time is not None and response_time < invite_time:
        row.counts["response before its INVITE"] += 1
    end_time = derive(row, END_TIME)
    if end_time is not None and response_time is not None and end_time < response_time:
        row.counts["end before its response"] += 1
    server, pool = derive(row, SERVER) or ("", None)
    media_types, media = media_of(session)
    user1 = derive(row, USER1)
    count1, count2 = message_counts(row)
    return SessionDetails(
        call_id=call.call_id,
        caller_tag=caller,
        callee_tag=callee,
        external_id=external_id,
        pairs=_pairs(session, caller, callee),
        reference=derive(row, REPLACES),
        correlation_id=derive(row, CORRELATION_ID),
        user1=user1,
        user2=derive(row, USER2),
        user1_endpoint_id=endpoint_id(row, True),
        user2_endpoint_id=endpoint_id(row, False),
        target_user=derive(row, TARGET_USER),
        session_started_by=user1 if derive(row, STARTED_BY_CALLER) else None,
        on_behalf_of=derive(row, ON_BEHALF_OF),
        referred_by=derive(row, REFERRED_BY),
        server=fit(server, NAME_LENGTH, "Servers.ServerFQDN", row.counts),
        pool=fit(pool or "", NAME_LENGTH, "Pools.PoolFQDN", row.counts),
        content_type=derive(row, CONTENT_TYPE),
        user1_client=derive(row, USER1_CLIENT),
        user2_client=derive(row, USER2_CLIENT),
        user1_edge_server=derive(row, USER1_EDGE_SERVER),
        user2_edge_server=derive(row, USER2_EDGE_SERVER),
        is_user1_internal=derive(row, IS_USER1_INTERNAL),
        is_user2_internal=derive(row, IS_USER2_INTERNAL),
        invite_time=row.start.time,
        response_time=response_time,
        response_code=response_code,
        diagnostic_id=derive(row, DIAGNOSTIC_ID),
        call_priority=derive(row, CALL_PRIORITY) or 0,
        user1_message_count=count1,
        user2_message_count=count2,
        session_end_time=end_time,
        media_types=media_types,
        media=media,
        user1_flag=derive_bits(row, USER1_FLAG),
        user2_flag=derive_bits(row, USER2_FLAG),
        call_flag=derive_bits(row, CALL_FLAG),
        last_modified_time=derive(row, LAST_MODIFIED_TIME) or 0,
    )
