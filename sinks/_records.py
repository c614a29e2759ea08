"""What passes between the program and a sink: keys, stored calls, changes, positions.

Keys and Facts are stored as bytes. Keys is a MessagePack array, which this module packs and unpacks; of Facts a sink
knows only that they are bytes, and that a call without them is frozen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

# msgspec reads the annotations of what it decodes.
from sipcdr.builder import SessionDetails, TagPair  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Sequence


class SessionKey(msgspec.Struct, frozen=True, order=True, array_like=True, gc=False):
    """The key of a session: SessionIdTime in microseconds UTC, on the grid, and SessionIdSeq."""

    time: int
    seq: int


class StoredKey(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A session as its call's Keys have it.

    tags: caller's and callee's. pairs: the tag pairs that it answers to when a Replaces names it.
    invite_time: microseconds UTC. key: of its rows, for as long as they live.
    """

    tags: tuple[bytes, bytes]
    pairs: tuple[TagPair, ...]
    invite_time: int
    key: SessionKey


class StoredCall(msgspec.Struct, frozen=True, gc=False):
    """A row of sipcdr_calls: facts are empty in a frozen call, keys in the order of `sessions()`, None if damaged."""

    call_key: bytes
    version: int
    facts: bytes
    keys: tuple[StoredKey, ...] | None


class Change(msgspec.Struct, frozen=True):
    """What is to become of one call.

    facts: the call's bytes, compressed, a format byte in front. version: as read, or None if the call isn't stored.
    first_time, last_time: of its facts, in microseconds UTC.
    rows: all its sessions in the order of `sessions()`, each with the key that it keeps, or None if it is new.
    gone: keys of sessions that are no more.
    """

    call_key: bytes
    facts: bytes
    version: int | None
    first_time: int
    last_time: int
    rows: list[tuple[SessionDetails, SessionKey | None]]
    gone: list[SessionKey]


class StoredPosition(msgspec.Struct, frozen=True):
    """How far a part of a source is written: every message before `position` is in stored calls."""

    source: str
    partition: str
    position: int
    epoch: int = 0


def replaced(keys: Sequence[StoredKey], tags: TagPair, invite_time: int) -> SessionKey | None:
    """The session that a Replaces with these tags names, of its target's sessions as they are stored.

    Of those that answer to the tags the last that began no later than the referring INVITE, in microseconds UTC, else
    the first.
    """
    answering = [key for key in keys if tags in key.pairs]
    earlier = [key for key in answering if key.invite_time <= invite_time]
    return earlier[-1].key if earlier else answering[0].key if answering else None


_encode = msgspec.msgpack.Encoder().encode
_decode_keys = msgspec.msgpack.Decoder(tuple[StoredKey, ...]).decode
_decode_tags = msgspec.msgpack.Decoder(tuple[bytes, bytes]).decode


def packed_keys(keys: Sequence[StoredKey]) -> bytes:
    """Keys as they are stored."""
    return _encode(keys)


def unpacked_keys(data: bytes) -> tuple[StoredKey, ...] | None:
    """Keys as they were, or None where the database holds something else."""
    try:
        return _decode_keys(data)
    except msgspec.DecodeError:
        return None


def packed_tags(tags: TagPair) -> bytes:
    """A reference's tags as they are stored; equal pairs are equal bytes."""
    return _encode(tags)


def unpacked_tags(data: bytes) -> TagPair | None:
    """A reference's tags as they were, or None where the database holds something else."""
    try:
        return _decode_tags(data)
    except msgspec.DecodeError:
        return None
