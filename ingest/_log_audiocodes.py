"""AudioCodes gateways' syslog.

    … ---- Incoming SIP Message from 192.0.2.10:5060 to SIPInterface #0 (LAN) UDP TO(#1) ---- #012INVITE … [Time:23-11@09:14:07.482]

Line ends are written `#012` or real. A long message goes on in the next line, whose prefix has the same `[SID=…]`.
"""  # noqa: E501 (the line is so long)

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ._limits import LOG_MESSAGE
from ._log_format import Finder, Record, Taken, content_length, host_port, on_the_wire, unescaped, whole_line
from ._log_time import stamp_in
from ._sip import end_of_head

if TYPE_CHECKING:
    from ._log_time import Clock

_OPENING = re.compile(
    rb"---- (Incoming|Outgoing) SIP Message (?:from|to) ([^ \r\n]{3,128}) (?:to|from) SIPInterface #\d{1,5}"
    rb"[^\r\n]{0,200}?(?: (UDP|TCP|TLS|SCTP|WS|WSS))?(?: (?:TO|FROM)?\(#?\d{1,7}\))?(?: SocketID\(\d{1,9}\))? ?----"
    rb"(?: |(?=#)|\r?$)"
)
_TIME = re.compile(rb"\[Time: ?(\d\d-\d\d@\d\d:\d\d:\d\d(?:\.\d{1,6})?)\]")
_SID = re.compile(rb"\[SID=([0-9A-Za-z:._-]{1,64})\]")
_HEAD = re.compile(rb"[^\r\n]{0,256}?\[S=\d{1,12}\] ?(?:\[(?:SID|BID|RAISE)[^\]\r\n]{0,64}\] ?){0,4}")
_LINES: Final = 2000


class AudioCodes:
    """Reads such logs."""

    name = "audiocodes"
    windows = False
    joins = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._marks = Finder(b"---- Incoming SIP Message from ", b"---- Outgoing SIP Message to ")

    def search(self, data: bytes, at: int) -> int:
        """Where the next mark of an opening line is."""
        return self._marks.search(data, at)

    def take(self, data: bytes, low: int, at: int, ended: bool) -> Taken | None:
        """The message behind the opening that `at` is in."""
        line = whole_line(data, low, at, ended)
        if line is None:
            return None
        begin, end, following = line
        found = _OPENING.match(data, at, end)
        if found is None:
            return Taken(following, opened=False)
        lines = _lines(data, found.end(), end, following, _SID.search(data, begin, at), ended)
        if lines is None:
            return None
        text, stop, whole = lines
        stamp = stamp_in(text[1]) if text[1] else stamp_in(data[begin:at])
        time = self._clock.moment(stamp) if stamp is not None else None
        if stamp is None or time is None:
            return Taken(stop, damage="a record without a time")
        peer = host_port(found[2])
        received = found[1] == b"Incoming"
        record = Record(
            on_the_wire(text[0]),
            begin,
            time,
            stamp.tick,
            source=peer if received else "",
            destination="" if received else peer,
            transport=(found[3] or b"").decode("ascii"),
            cut=not whole,
        )
        return Taken(stop, (record,), damage="" if whole else "a record cut short")


def _lines(
    data: bytes, at: int, end: int, following: int, session: re.Match[bytes] | None, ended: bool
) -> tuple[tuple[bytes, bytes], int, bool] | None:
    """The message's text and its time, where it ends, and whether it is whole; None if more bytes are needed."""
    text = unescaped(data[at:end]).lstrip(b"\r\n ")
    stop = following
    escaped = text.count(b"\n") > 1
    for _ in range(_LINES):
        found = _TIME.search(text)
        if found is not None:
            return (text[: found.start()].rstrip(b" "), found[1]), stop, True
        if len(text) > LOG_MESSAGE:
            return (text, b""), stop, False
        if escaped and _is_whole(text):
            return (text, b""), stop, True
        line = whole_line(data, stop, stop, ended)
        if line is None or (stop >= len(data) and not ended):
            return None
        begin, line_end, after = line
        if begin >= len(data):
            return (text, b""), stop, _is_whole(text)
        content = data[begin:line_end]
        if b"---- Incoming SIP Message " in content or b"---- Outgoing SIP Message " in content:
            return (text, b""), stop, _is_whole(text)
        head = _HEAD.match(content)
        if head is not None:
            other = _SID.search(head[0])
            if session is not None and (other is None or other[1] != session[1]):
                if _is_whole(text):
                    return (text, b""), stop, True
                stop = after
                continue
            content = content[head.end() :]
            text += unescaped(content)
        else:
            text += (b"" if text.endswith(b"\n") or not text else b"\n") + content + b"\n"
        stop = after
    return (text, b""), stop, False


def _is_whole(text: bytes) -> bool:
    body_at = end_of_head(text)
    if body_at < 0:
        return False
    body = text[body_at:]
    return len(body) + body.count(b"\n") >= content_length(text, 0, body_at)
