r"""Traces of Lync Server and Skype for Business Server: the SIPStack component, as CLS search or OCSLogger write them.

A record stands between two lines::

    TL_INFO(TF_PROTOCOL) [pool3\fe2]0B6C.1D34::11/23/2026-09:14:07.482.00001a2f (SIPStack,…) [2150934417] $$begin_record
    Direction: incoming;source="internal edge";destination="external edge"
    Peer: 10.4.0.21:50811
    Start-Line: INVITE sip:ben@corp.example SIP/2.0
    From: …
    Message-Body: v=0
    …
    $$end_record

The trace keeps headers and body, not the bytes: a Content-Length may not fit. The server's own address isn't in it; its
name is, where the log was collected from several.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

from ._limits import LOG_MESSAGE
from ._log_format import (
    NOT_SIP,
    Finder,
    Record,
    Taken,
    content_length,
    host_port,
    line_around,
    measured,
    on_the_wire,
)
from ._log_time import stamp_in

if TYPE_CHECKING:
    from ._log_time import Clock, Stamp

_BEGIN: Final = b"$$begin_record"
_END: Final = b"$$end_record"
_BODY: Final = b"\nMessage-Body:"
_CLOSING = re.compile(rb"\r?\n\$\$end_record")

_HEAD = re.compile(
    rb"TL_[A-Z]{1,16}\((TF_[A-Z_]{1,32})\) {0,4}\[([^\]\r\n]{0,255})\] {0,4}[0-9A-Fa-f]{1,8}\.[0-9A-Fa-f]{1,8}::"
    rb"(\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d\.\d{1,6})"
)
_ANY_HEAD = re.compile(rb"^TL_[A-Z]{1,16}\(TF_[A-Z_]{1,32}\)[^\n]{0,2048}(?:\n|\Z)", re.MULTILINE)
_FIELD = re.compile(rb"^(Direction|Peer|Transport|Local-IP):[ \t]*([^\r\n]*)", re.MULTILINE)
_NO_BODY: Final = (b"", b"-", b"\xe2\x80\x93", b"\x96")
"""An empty body: nothing, a hyphen, an en dash in UTF-8 or in a Windows code page."""
_DUMP: Final = b"Base64 dump"


class SipStack:
    """Reads such traces."""

    name = "sipstack"
    windows = True
    joins = False
    _mark = _BEGIN
    _head = _HEAD
    _any_head = _ANY_HEAD

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begins = Finder(self._mark)
        self._bounds = Finder(_BEGIN, _END)

    def search(self, data: bytes, at: int) -> int:
        """Where the next record's mark is."""
        return self._begins.search(data, at)

    def take(self, data: bytes, low: int, at: int, ended: bool) -> Taken | None:
        """The record whose first line has its mark at `at`."""
        line = line_around(data, low, at, ended)
        if line is None:
            return None
        begin, _, following = line
        head = self._head.search(data, begin, at)
        if head is None:
            return Taken(following, opened=False)
        if not self._is_message(head):
            return Taken(following, odd=NOT_SIP)
        bound = self._bounds.search(data, following)
        if bound < 0:
            if not ended:
                return None
            bound = len(data)
        stop = _behind_body(data, following, bound, ended)
        if stop < 0:
            return None
        whole = data.startswith(_END, stop)
        text = data[following : data.rfind(b"\n", following, stop) + 1 or following] if whole else data[following:stop]
        end = stop + len(_END) if whole else stop
        if not whole:
            # Up to the next record's first line, whatever that is of.
            other = self._any_head.search(text)
            if other is not None:
                text = text[: other.start()]
                end = following + other.start()
            elif stop < len(data):
                end = following
        elif stop == bound and (b"\nTL_" in text or text.startswith(b"TL_")):
            text = _ANY_HEAD.sub(b"", text)
        damage = "" if whole else "a record without its end"
        stamp = self._stamp(head)
        time = self._clock.moment(stamp) if stamp is not None else None
        raw = _message(text)
        if raw is None or stamp is None or time is None:
            return Taken(end, damage=damage or "a record without " + ("a start line" if raw is None else "a time"))
        fields = {found[1]: found[2].strip() for found in _FIELD.finditer(text, 0, text.find(b"Start-Line:"))}
        pool, machine, peer = self._places(head, fields)
        incoming = fields.get(b"Direction", b"").lower().startswith(b"incoming")
        source, destination = (peer, machine) if incoming else (machine, peer)
        record = Record(raw, begin, time, stamp.tick, source, destination, "", machine, pool, not whole)
        return Taken(end, (record,), damage=damage)

    def _is_message(self, head: re.Match[bytes]) -> bool:
        return head[1] == b"TF_PROTOCOL"

    def _stamp(self, head: re.Match[bytes]) -> Stamp | None:
        return stamp_in(head[3])

    def _places(self, head: re.Match[bytes], fields: dict[bytes, bytes]) -> tuple[str, str, str]:
        """Pool and machine that wrote the record, and the other side's address."""
        return *_machine(head[2]), host_port(fields.get(b"Peer", b""))


def _behind_body(data: bytes, at: int, stop: int, ended: bool) -> int:
    """Where a record ends whose body may hold a mark: where it has its length. -1 if more bytes are needed."""
    mark = data.find(_BODY, at, stop)
    begin = mark + len(_BODY)
    if mark < 0 or data[begin:stop].strip() in _NO_BODY[1:]:
        return stop
    begin += data.startswith(b" ", begin)
    size = content_length(data, at, mark + 1)
    if not stop - begin < size <= LOG_MESSAGE:
        return stop
    end = measured(data, begin, size, ended, _CLOSING)
    if end is None:
        return -1
    return data.index(_END, end) if end >= 0 else stop


def _machine(prefix: bytes) -> tuple[str, str]:
    r"""Pool and machine of a head's `[pool\machine]`; a number there is a processor's."""
    pool, backslash, machine = prefix.rpartition(b"\\")
    if not backslash:
        return "", ""
    return pool.strip().decode("utf-8", "replace"), machine.strip().decode("utf-8", "replace")


def _message(text: bytes) -> bytes | None:
    """The SIP message of a record's text."""
    start = text.find(b"Start-Line:")
    if start < 0:
        return None
    body_at = text.find(_BODY, start)
    head = text[start + len(b"Start-Line:") : body_at if body_at >= 0 else len(text)].strip()
    body = b""
    if body_at >= 0:
        body = text[body_at + len(_BODY) :]
        body = body[1:] if body.startswith(b" ") else body
        # The line end before the mark is the trace's.
        body = body.removesuffix(b"\n").removesuffix(b"\r")
        if body.strip() in _NO_BODY:
            body = b""
        elif body.lstrip()[: len(_DUMP)] == _DUMP:
            body = _of_base64(body.lstrip()[len(_DUMP) :])
    if b"\r\n" in head:
        lines = [line.rstrip(b"\r") for line in head.split(b"\n")]
        return b"\r\n".join(line for line in lines if line) + b"\r\n\r\n" + body
    lines = [line for line in head.split(b"\n") if line]
    return on_the_wire(b"\n".join(lines) + b"\n\n" + body)


def _of_base64(text: bytes) -> bytes:
    """A body that was written in base64; what can't be decoded is no body."""
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        return b""
