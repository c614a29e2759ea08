"""Avaya Contact Center's `SipMessages.log`, of the family of SIPStack's traces.

    23/11/2026-09:14:07.482 [0x00001b30] - --> Message to Send (Dest Address IP: 192.0.2.10:5060):$$begin_record
    Direction: outgoing
    Start-Line: INVITE sip:…
    …
    Message-Body: Base64 dump
    dj0w…
    $$end_record

The day stands first. The other side's address is in the first line, or in `Peer:`; the own one isn't written.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ._log_format import host_port
from ._log_sipstack import SipStack
from ._log_time import stamp_in

if TYPE_CHECKING:
    from ._log_time import Stamp

_HEAD = re.compile(
    rb"(\d\d)/(\d\d)/(\d{4}-\d\d:\d\d:\d\d\.\d{1,6}) {1,4}\[0x[0-9A-Fa-f]{1,16}\] - "
    rb"[^\r\n(]{0,64}(?:\([A-Za-z ]{1,32}IP: ?([^ )\r\n]{1,128})\))?\Z"
)
_ANY_HEAD = re.compile(rb"^\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d\.\d[^\n]{0,2048}(?:\n|\Z)", re.MULTILINE)


class Avaya(SipStack):
    """Reads such logs."""

    name = "avaya"
    _mark = b":$$begin_record"
    _head = _HEAD
    _any_head = _ANY_HEAD

    def _is_message(self, head: re.Match[bytes]) -> bool:  # noqa: ARG002
        return True

    def _stamp(self, head: re.Match[bytes]) -> Stamp | None:
        return stamp_in(b"%b/%b/%b" % (head[2], head[1], head[3]))

    def _places(self, head: re.Match[bytes], fields: dict[bytes, bytes]) -> tuple[str, str, str]:
        return "", "", host_port(head[4] or fields.get(b"Peer", b""))
