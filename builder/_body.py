"""What a message's body says of media (derivations.md section 3.30): m-lines, file transfer, invitations.

Only these facts of a body are kept, never its text.
"""

from __future__ import annotations

import msgspec

from ._syntax import parameter
from ._text import text

DEPTH = 4
"""Levels of multipart in multipart that are opened (RFC 2046 section 5.1)."""
PARTS = 16
"""Parts of a message's body that are looked at."""
M_LINES = 32
"""m-lines of one SDP that are kept."""


class Body(msgspec.Struct, frozen=True, gc=False):
    """What a rule reads of a body.

    sdp: one text for each `application/sdp` part: its m-lines as `name port`, with ` f` behind it where the
        medium has `a=file-selector` (RFC 5547), separated by `;`.
    invitation: of a `text/x-msmsgsinvite` part Application-GUID, Application-Name and Invitation-Command.
    file_transfer: a part is `application/ms-filetransfer+xml`.
    """

    sdp: tuple[str, ...] = ()
    invitation: tuple[str, str, str] | None = None
    file_transfer: bool = False


NOTHING = Body()


def body_of(content_type: bytes, body: bytes) -> Body:
    """The media facts of a body of that Content-Type (its value as received)."""
    kind = _kind(content_type)
    if kind == b"application/sdp":
        return Body(sdp=(_m_lines(body),))
    if not body or not kind.startswith((b"multipart/", b"text/x-msmsgsinvite", b"application/ms-filetransfer")):
        return NOTHING
    sdp: list[str] = []
    invitation: tuple[str, str, str] | None = None
    file_transfer = False
    waiting = [(content_type, body, 0)]
    seen = 0
    while waiting and seen < PARTS:
        seen += 1
        part_type, part, depth = waiting.pop(0)
        kind = _kind(part_type)
        if kind == b"application/sdp":
            sdp.append(_m_lines(part))
        elif kind == b"text/x-msmsgsinvite":
            invitation = invitation or invitation_of(part)
        elif kind == b"application/ms-filetransfer+xml":
            file_transfer = True
        elif kind.startswith(b"multipart/") and depth < DEPTH:
            waiting[:0] = [(inner, content, depth + 1) for inner, content in _parts(part_type, part)]
    return Body(tuple(sdp), invitation, file_transfer)


def invitation_of(part: bytes) -> tuple[str, str, str]:
    """Application-GUID, Application-Name and Invitation-Command of a `text/x-msmsgsinvite` text, lower case."""
    found = {b"application-guid": "", b"application-name": "", b"invitation-command": ""}
    for line in part[:4096].splitlines():
        name, _, value = line.partition(b":")
        name = name.strip().lower()
        if found.get(name) == "":
            found[name] = text(value.strip()[:64]).lower()
    return found[b"application-guid"], found[b"application-name"], found[b"invitation-command"]


def _kind(content_type: bytes) -> bytes:
    return content_type.partition(b";")[0].strip().lower()


def _m_lines(sdp: bytes) -> str:
    """The m-lines of an SDP (RFC 8866 section 5.14); illegal upper case is no m-line, a cut body has those it has."""
    found: list[str] = []
    at = 0 if sdp[:2] == b"m=" else sdp.find(b"\nm=") + 1
    while (at > 0 or (at == 0 and sdp[:2] == b"m=")) and len(found) < M_LINES:
        end = sdp.find(b"\nm=", at)
        section = sdp[at + 2 :] if end < 0 else sdp[at + 2 : end]
        words = section[:80].partition(b"\n")[0].split(None, 2)
        if words:
            name = text(words[0][:32]).lower().replace(";", ".")
            port = words[1].partition(b"/")[0] if len(words) > 1 else b""
            found.append(f"{name} {port[:5].decode('ascii') if port.isdigit() else ''}")
            if b"\na=file-selector" in section:
                found[-1] += " f"
        if end < 0:
            break
        at = end + 1
    return ";".join(found)


def _parts(content_type: bytes, body: bytes) -> list[tuple[bytes, bytes]]:
    """(Content-Type, content) of each part; preamble and epilogue are dropped, the closing delimiter may lack."""
    boundary = parameter(";" + text(content_type).partition(";")[2], "boundary")
    if not boundary:
        return []
    delimiter = b"--" + boundary.encode()
    # RFC 2046 section 5.1.1: a delimiter begins a line; the line end before it belongs to it.
    pieces = (b"\n" + body).split(b"\n" + delimiter, PARTS + 1)[1:]
    found: list[tuple[bytes, bytes]] = []
    for piece in pieces[:PARTS]:
        if piece.startswith(b"--"):
            break
        _, newline, part = piece.partition(b"\n")
        if newline:
            found.append(_part(part))
    return found


def _part(part: bytes) -> tuple[bytes, bytes]:
    """Headers end at the first empty line; a part without Content-Type is text/plain (RFC 2046 section 5.2)."""
    content_type = b"text/plain"
    at = 0
    while at < len(part):
        end = part.find(b"\n", at)
        line = part[at:] if end < 0 else part[at:end]
        at = len(part) if end < 0 else end + 1
        if not line.strip():
            break
        name, _, value = line.partition(b":")
        if name.strip().lower() in (b"content-type", b"c"):
            content_type = value.strip()
    return content_type, part[at:]
