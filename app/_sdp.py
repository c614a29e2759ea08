"""What an SDP says of media, for people (marks of the ladder) and for `extract` (where the media goes)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from ._mask import decoded

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARTS: Final = 8
_STREAMS: Final = 32
_LINES: Final = 2000

# RFC 3551 section 6: payload types that need no rtpmap.
_STATIC: Final = {b"0": "PCMU", b"3": "GSM", b"4": "G723", b"8": "PCMA", b"9": "G722", b"15": "G728", b"18": "G729",
                  b"26": "JPEG", b"31": "H261", b"34": "H263"}  # fmt: skip


class Stream(msgspec.Struct):
    """An m-line (RFC 8866 section 5.14).

    medium: `audio`, `video`, … codec: of the first payload type. host: where it is to be sent, as the SDP writes it.
    control: the port of RTCP (RFC 3605), 0 where it is the next one. held: sendonly, inactive or 0.0.0.0 (RFC 3264
    section 8.4, RFC 2543).
    """

    medium: str
    port: int
    host: str = ""
    codec: str = ""
    control: int = 0
    held: bool = False

    @property
    def mark(self) -> str:
        """In words: `audio PCMU`, `video refused`, `audio PCMA hold`."""
        if not self.port:
            return f"{self.medium} refused"
        return " ".join(word for word in (self.medium, self.codec, "hold" if self.held else "") if word)


def streams_of(body: bytes) -> list[Stream]:
    """The streams of a body's SDP; of several parts that of the last one, which is the one meant where they differ."""
    found: list[Stream] = []
    for part in _descriptions(body):
        streams = _streams(part)
        if len(streams) >= len(found):
            found = streams
    return found


def _descriptions(body: bytes) -> Iterator[bytes]:
    """Each text from a `v=0` line up to the next one."""
    at = 0 if body[:3] == b"v=0" else body.find(b"\nv=0") + 1
    for _ in range(_PARTS):
        if body[at : at + 3] != b"v=0":
            return
        following = body.find(b"\nv=0", at) + 1
        yield body[at:following] if following else body[at:]
        if not following:
            return
        at = following


def _streams(part: bytes) -> list[Stream]:
    streams: list[Stream] = []
    host, held = "", False  # of the session, for streams that say nothing
    first = b""
    for line in part.split(b"\n", _LINES)[:_LINES]:
        line = line.strip()  # noqa: PLW2901
        stream = streams[-1] if streams else None
        if line[:2] == b"m=":
            words = line[2:200].split()
            if len(words) < 2 or len(streams) >= _STREAMS:
                continue
            first = words[3] if len(words) > 3 else b""
            port = words[1].partition(b"/")[0]
            number = int(port) if port.isdigit() and len(port) < 6 else 0
            streams.append(Stream(decoded(words[0], 20), number, host, _STATIC.get(first, ""), held=held))
        elif line[:2] == b"c=":
            words = line[2:].split()
            address = decoded(words[2].partition(b"/")[0], 64) if len(words) > 2 else ""
            if stream is None:
                host, held = address, address == "0.0.0.0"  # noqa: S104 (it says hold, RFC 2543)
            else:
                stream.host, stream.held = address, stream.held or address == "0.0.0.0"  # noqa: S104
        elif line in (b"a=sendonly", b"a=inactive"):
            if stream is None:
                held = True
            else:
                stream.held = True
        elif line in (b"a=sendrecv", b"a=recvonly") and stream is not None:
            stream.held = False
        elif stream is not None and first and line.startswith(b"a=rtpmap:" + first + b" "):
            stream.codec = decoded(line.split(None, 1)[1].partition(b"/")[0], 20)
        elif stream is not None and line.startswith(b"a=rtcp:"):
            port = line[7:].split(None, 1)[0] if line[7:].strip() else b""
            stream.control = int(port) if port.isdigit() and len(port) < 6 else 0
    return streams
