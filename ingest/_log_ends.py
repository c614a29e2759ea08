"""Messages in logs that have dropped their CRs: how long they say they are, and as they were on the wire."""

from __future__ import annotations

import re

from ._sip import end_of_head

_CONTENT_LENGTH = re.compile(rb"\n(?:content-length|l)[ \t]*:[ \t]*([0-9]{1,10})[ \t]*\r?\n", re.IGNORECASE)


def content_length(data: bytes, at: int, body_at: int) -> int:
    """What the first Content-Length in a head says, -1 without one that is a number."""
    found = _CONTENT_LENGTH.search(data, at, body_at)
    return int(found[1]) if found is not None else -1


def on_the_wire(raw: bytes) -> bytes:
    """A message whose CRs the log has dropped, with them.

    The body gets them too, unless it has the length that Content-Length says without.
    """
    first = raw.find(b"\n")
    if first < 0 or raw[first - 1 : first] == b"\r":
        return raw
    body_at = end_of_head(raw)
    if body_at < 0:
        return _with_returns(raw)
    head, body = raw[:body_at], raw[body_at:]
    length = _CONTENT_LENGTH.search(head)
    if length is None or int(length[1]) != len(body):
        body = _with_returns(body)
    return _with_returns(head) + body


def _with_returns(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def with_bare_ends(data: bytes, at: int, size: int, ended: bool) -> int | None:
    """Where `size` bytes end if each line end without CR stood for two; None if more bytes are needed."""
    left = size
    known = len(data)
    while left > 0:
        end = data.find(b"\n", at, at + left)
        if end < 0:
            return None if at + left > known and not ended else at + left
        line = end + 1 - at
        left -= line + (data[end - 1 : end] != b"\r")
        at = end + 1
        if left < 0:  # it ends before the line end
            return at - 1
    return at
