"""`Selection`: which messages are read, and which sessions are shown and their calls written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from ._records import text

if TYPE_CHECKING:
    from sipcdr.builder import SipMessage

    from ._records import Record


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked for; a field that is None chooses everything.

    since, until: microseconds UTC; messages from `since` on and before `until`.
    caller, callee: an address as Users.UserUri has it, or its user part. call_id: the whole Call-ID.
    """

    since: int | None = None
    until: int | None = None
    caller: str | None = None
    callee: str | None = None
    call_id: str | None = None

    @property
    def asks_for_users(self) -> bool:
        """Whether only derived sessions tell which calls are meant."""
        return self.caller is not None or self.callee is not None

    def messages(self, batch: list[SipMessage]) -> list[SipMessage]:
        """The messages of a batch that are chosen by time and Call-ID."""
        if self.since is not None:
            batch = [message for message in batch if message.time >= self.since]
        if self.until is not None:
            batch = [message for message in batch if message.time < self.until]
        if self.call_id is not None:
            batch = [message for message in batch if text(message.call_id) == self.call_id]
        return batch

    def session(self, record: Record) -> bool:
        """Whether a session is chosen by its users. A callee is who was reached, or who was dialled."""
        return (self.caller is None or _is(self.caller, record["User1"])) and (
            self.callee is None or _is(self.callee, record["User2"]) or _is(self.callee, record["TargetUser"])
        )


def address(value: str) -> str:
    """An address as a user writes it (`sip:Ann@Example.com:5060`, `tel:+49-30-1`, `ann`) in the form of UserUri."""
    scheme, colon, rest = value.strip().strip("<>").lower().partition(":")
    if not colon:
        return scheme
    if scheme == "tel":
        return rest.translate(str.maketrans("", "", "-.() "))
    if scheme not in ("sip", "sips"):
        return f"{scheme}:{rest}"
    user, at, host = rest.partition("@")
    if not at:
        user, host = "", rest
    match = re.match(r"\[[^]]*\]|[^:;?]*", host)
    host = match[0] if match else host
    return user.partition(":")[0] + at + host


def _is(wanted: str, uri: object) -> bool:
    """Whether a stored address is the wanted one: whole, without parameters, or its user part."""
    if not isinstance(uri, str):
        return False
    user = uri.partition("@")[0]
    return wanted in (uri, uri.removesuffix(";user=phone"), user, user.partition(";")[0])


def as_received(call_id: str) -> bytes:
    r"""A Call-ID as the user wrote it, `\xff` for a byte that is no UTF-8, as it was received."""
    return re.sub(rb"\\x([89a-f][0-9a-f])", lambda found: bytes([int(found[1], 16)]), call_id.encode())
