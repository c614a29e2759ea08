"""`SipMessage`: what every source of `ingest/` yields and the only type of this package that it knows.

A source finds the message's bytes, scans its head once and keeps the values of the headers in `HEADERS`; any
other header is found on demand by `SipMessage.header`.
"""

from __future__ import annotations

import msgspec

# Headers that a rule of derivations.md reads, or that make a message one: the scan keeps these and no others.
# Compact forms: RFC 3261 section 7.3.3 and the IANA registry.
HEADERS: frozenset[bytes] = frozenset(
    {
        b"authentication-info",
        b"call-id",
        b"cisco-guid",
        b"contact",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"cseq",
        b"from",
        b"history-info",
        b"ms-call-info",
        b"ms-client-diagnostics",
        b"ms-correlation-id",
        b"ms-diagnostics",
        b"ms-diagnostics-public",
        b"ms-edge-proxy-message-trust",
        b"ms-endpoint-location-data",
        b"ms-im-format",
        b"ms-text-format",
        b"ms-user-logon-data",
        b"p-agent-on-behalf-of",
        b"p-asserted-identity",
        b"p-session-on-behalf-of",
        b"priority",
        b"proxy-authentication-info",
        b"record-route",
        b"referred-by",
        b"replaces",
        b"server",
        b"session-expires",
        b"session-id",
        b"supported",
        b"to",
        b"user-agent",
        b"via",
    }
)

COMPACT: dict[bytes, bytes] = {
    b"a": b"accept-contact",
    b"b": b"referred-by",
    b"c": b"content-type",
    b"d": b"request-disposition",
    b"e": b"content-encoding",
    b"f": b"from",
    b"i": b"call-id",
    b"j": b"reject-contact",
    b"k": b"supported",
    b"l": b"content-length",
    b"m": b"contact",
    b"n": b"identity-info",
    b"o": b"event",
    b"r": b"refer-to",
    b"s": b"subject",
    b"t": b"to",
    b"u": b"allow-events",
    b"v": b"via",
    b"x": b"session-expires",
    b"y": b"identity",
}


class Position(msgspec.Struct, frozen=True, gc=False):
    """Where a message was read: a capture and its frame, a log and its line, or a topic, partition and offset.

    `source` is the path, topic or listener; `number` the frame (from 1), line or offset; `partition` is empty
    but for a topic.
    """

    source: str
    number: int
    partition: str = ""


class SipMessage(msgspec.Struct, frozen=True, gc=False):
    """One sighting of a SIP request or response (RFC 3261 section 7), whole or cut by the capture.

    time: microseconds UTC since 1970, as the observer (capture, broker, log) stamped it.
    method: of a request its own, of a response that of its CSeq, as sent (methods are case-sensitive).
    status: 100 to 699, or 0 for a request.
    call_id, from_tag, to_tag: the bytes received, without blanks around; an absent tag is empty.
    cseq: the CSeq number.
    vias: number of Via values.
    headers: the values of the headers in `HEADERS`, by long lower-case name in the order received: unfolded, trimmed,
        as bytes. A comma-joined line is one value here; `vias` counts its parts.
    raw: the message's bytes, head and body, as captured (limits of `ingest` applied).
    body_at: where the body begins in `raw`.
    source, destination: `host:port`, IPv6 in brackets; empty where unknown.
    transport: `UDP`, `TCP`, `TLS`, `WS`, `SCTP`, or empty.
    cut: the capture or a limit ended the message before its own end.
    machine, pool: what a server's trace names itself (`server.trace`).
    """

    time: int
    method: str
    status: int
    call_id: bytes
    from_tag: bytes
    to_tag: bytes
    cseq: int
    vias: int
    headers: dict[bytes, list[bytes]]
    raw: bytes
    body_at: int
    position: Position
    source: str = ""
    destination: str = ""
    transport: str = ""
    cut: bool = False
    machine: str = ""
    pool: str = ""

    @property
    def start_line(self) -> bytes:
        """The request line or status line, without its line end."""
        return self.raw.split(b"\n", 1)[0].rstrip(b"\r")

    @property
    def body(self) -> bytes:
        """The message's body: what Content-Length says, or what there is of it."""
        return self.raw[self.body_at :]

    def plain(self) -> SipMessage:
        """Itself: the native kernel's messages have this too, and give a `SipMessage`, whose fields can be replaced."""
        return self

    def header(self, name: bytes) -> list[bytes]:
        """All values of any header, by its long lower-case name, unfolded and trimmed, in the order received."""
        if name in HEADERS:
            return self.headers.get(name, [])
        values: list[bytes] = []
        current = False
        for line in self.raw[: self.body_at].split(b"\n")[1:]:
            if line[:1] in (b" ", b"\t"):
                if current:
                    values[-1] = (values[-1] + b" " + line.strip()).strip()
                continue
            key, colon, value = line.partition(b":")
            key = key.strip().lower()
            current = bool(colon) and COMPACT.get(key, key) == name
            if current:
                values.append(value.strip())
        return values
