"""`SessionDetails`: what `sessions` gives and the only type of this package that `sinks/` knows.

Texts fit their columns already (derivations.md section 4.3); times are microseconds UTC since 1970.
"""

from __future__ import annotations

import msgspec

TagPair = tuple[bytes, bytes]
"""Two dialog tags without direction: the lesser one (as bytes) first."""


class User(msgspec.Struct, frozen=True, gc=False):
    """A row of Users: the address without scheme, lower case; `uri_type` 0 a phone, 1 a user (UriTypes)."""

    uri: str
    uri_type: int


class Client(msgspec.Struct, frozen=True, gc=False):
    """A row of ClientVersions: the User-Agent or Server text, and its UAType in UserAgentDef if it has one."""

    version: str
    client_type: int | None = None


class Media(msgspec.Struct, frozen=True, gc=False):
    """A row of Media: MediaId 1 to 7 (MediaList) and when the medium was asked for. It ends with the session."""

    media_id: int
    start_time: int


class Reference(msgspec.Struct, frozen=True, gc=False):
    """The dialog that a session replaced (RFC 3891): its Call-ID and its two tags without direction."""

    call_id: bytes
    tags: TagPair


class SessionDetails(msgspec.Struct, frozen=True, gc=False):
    """One session: a row of SessionDetails with its look-ups as values, its Dialogs and Media rows.

    call_id: the Call-ID as received. caller_tag, callee_tag: the tags of the two sides, empty where unknown.
    external_id: Dialogs.ExternalId, at most 775 bytes.
    pairs: the tag pairs that the session answers to when a Replaces names it (derivations.md 2.1 step 17), sorted.
    reference: the replaced dialog, where one was replaced; its key is looked up when rows are written.
    Other fields are the columns of schema/lcscdr.tsv under their names in Python's spelling.
    """

    call_id: bytes
    caller_tag: bytes
    callee_tag: bytes
    external_id: bytes
    pairs: tuple[TagPair, ...]
    invite_time: int
    last_modified_time: int
    reference: Reference | None = None
    correlation_id: str | None = None
    user1: User | None = None
    user2: User | None = None
    user1_endpoint_id: str | None = None
    user2_endpoint_id: str | None = None
    target_user: User | None = None
    session_started_by: User | None = None
    on_behalf_of: User | None = None
    referred_by: User | None = None
    server: str | None = None
    pool: str | None = None
    content_type: str | None = None
    user1_client: Client | None = None
    user2_client: Client | None = None
    user1_edge_server: str | None = None
    user2_edge_server: str | None = None
    is_user1_internal: int | None = None
    is_user2_internal: int | None = None
    response_time: int | None = None
    response_code: int | None = None
    diagnostic_id: int | None = None
    call_priority: int = 0
    user1_message_count: int = 0
    user2_message_count: int = 0
    session_end_time: int | None = None
    media_types: int = 0
    media: tuple[Media, ...] = ()
    user1_flag: int = 0
    user2_flag: int = 0
    call_flag: int = 0


def grid(time: int) -> int:
    """Round microseconds to SQL Server's `datetime` grid of 1/300 s, as shown with three decimals.

    schema/README.md F1: rounded once, in whole numbers; a value on the grid rounds to itself.
    """
    second, micros = divmod(time, 1_000_000)
    step = (micros * 3 + 5000) // 10000
    return (second + step // 300) * 1_000_000 + (20 * (step % 300) + 3) // 6 * 1000
