"""`Fact`: one sighting of a message, reduced to what the derivation reads (derivations.md section 2).

`Details` is the one list of what is kept of headers and body. It is packed as canonical bytes, so equal facts are
equal bytes. Credentials and message texts are never part of it.
"""

from __future__ import annotations

import binascii
import contextlib
import functools
import hashlib
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import msgspec
from msgspec import Meta

from ._body import NOTHING, body_of, invitation_of
from ._errors import CallDamaged
from ._syntax import first_value, parameter, split_values
from ._text import HEADER_LENGTH, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._message import SipMessage

INVITE, ACK, PRACK, UPDATE, INFO, MESSAGE, CANCEL, BYE = range(8)
METHODS = ("INVITE", "ACK", "PRACK", "UPDATE", "INFO", "MESSAGE", "CANCEL", "BYE")
"""Methods that are facts, in the order of facts. Everything else is counted only: no column needs it."""
METHOD_NUMBER: dict[str, int] = {name: number for number, name in enumerate(METHODS)}

FACT_SIZE = 4096
"""Bytes of a fact at the most."""
TAG_SIZE = 128


class Details(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a fact keeps of its message, in this fixed order; a field that is absent or of no use to a rule is empty.

    Header values are raw, cut to 1,024 characters. Of lists the value that the rules read is kept: the first Contact,
    the last Record-Route, the last ms-diagnostics.
    """

    from_: str = msgspec.field(name="f", default="")
    to: str = msgspec.field(name="t", default="")
    source: str = msgspec.field(name="s", default="")
    destination: str = msgspec.field(name="d", default="")
    content_type: str = msgspec.field(name="c", default="")
    has_body: bool = msgspec.field(name="b", default=False)
    sdp: tuple[str, ...] = msgspec.field(name="m", default=())
    contact: str = msgspec.field(name="C", default="")
    record_route: str = msgspec.field(name="R", default="")
    front_end: bool = msgspec.field(name="F", default=False)  # a Record-Route has ms-fe
    session_expires: str = msgspec.field(name="x", default="")
    user_agent: str = msgspec.field(name="u", default="")
    server: str = msgspec.field(name="S", default="")
    priority: str = msgspec.field(name="p", default="")
    replaces: tuple[str, ...] = msgspec.field(name="r", default=())
    referred_by: str = msgspec.field(name="B", default="")
    asserted: str = msgspec.field(name="P", default="")
    session_on_behalf: str = msgspec.field(name="o", default="")
    agent_on_behalf: str = msgspec.field(name="a", default="")
    ms_correlation_id: str = msgspec.field(name="k", default="")
    session_id: str = msgspec.field(name="i", default="")
    cisco_guid: str = msgspec.field(name="g", default="")
    configured_id: str = msgspec.field(name="K", default="")
    diagnostics: str = msgspec.field(name="D", default="")
    diagnostics_public: str = msgspec.field(name="E", default="")
    diagnostics_client: str = msgspec.field(name="G", default="")
    edge_trust: str = msgspec.field(name="e", default="")
    logon_data: str = msgspec.field(name="l", default="")
    location_data: str = msgspec.field(name="L", default="")
    call_info: str = msgspec.field(name="I", default="")
    embedded: str = msgspec.field(name="M", default="")  # ms-text-format, its ms-body left out
    supported: str = msgspec.field(name="U", default="")
    invitation: tuple[str, str, str] | None = msgspec.field(name="v", default=None)
    file_transfer: bool = msgspec.field(name="T", default=False)
    auth_target: str = msgspec.field(name="A", default="")
    machine: str = msgspec.field(name="n", default="")
    pool: str = msgspec.field(name="N", default="")
    history_info: str = msgspec.field(name="h", default="")
    conference: bool = msgspec.field(name="O", default=False)  # the Request-URI is a conference's


Time = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
Number = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Status = Annotated[int, Meta(ge=0, le=699)]


class Fact(msgspec.Struct, frozen=True, order=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One sighting. The order of the fields is the order of facts; `details` are packed `Details`.

    time: microseconds UTC. method: its number in `METHODS`. status: 0 for a request. Tags: an absent one is empty.
    """

    time: Time
    cseq: Number
    method: Annotated[int, Meta(ge=0, le=BYE)]
    status: Status
    from_tag: bytes
    to_tag: bytes
    vias: Annotated[int, Meta(ge=0, le=(1 << 32) - 1)]
    details: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Details).decode

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises on bytes that nobody packed."""


# The same as a mapping, so that what isn't there costs nothing.
_mapping: Any = TypedDict
_decode_fields = msgspec.msgpack.Decoder(
    _mapping("Fields", {field.encode_name: field.type for field in msgspec.structs.fields(Details)}, total=False)
).decode

KEYS = {field.name: field.encode_name for field in msgspec.structs.fields(Details)}
"""Of each field of `Details` the name under which it is packed."""


def fields_of(fact: Fact) -> dict[str, Any]:
    """Unpack just those of a fact's details that aren't empty, by their packed names. Raises CallDamaged."""
    try:
        fields: dict[str, Any] = _decode_fields(fact.details)
    except UNREADABLE as error:
        raise CallDamaged(f"stored details don't decode: {error}") from error
    if all(fields.values()):
        return fields
    return {name: value for name, value in fields.items() if value}


def details_of(fact: Fact) -> Details:
    """Unpack a fact's details. Raises CallDamaged."""
    try:
        return _decode(fact.details)
    except UNREADABLE as error:
        raise CallDamaged(f"stored details don't decode: {error}") from error


_NOT_COUNTED = frozenset(
    {
        "application/im-iscomposing+xml",
        "message/imdn+xml",
        "application/ms-imdn+xml",
        "text/x-msmsgsinvite",
    }
)


def countable(content_type: str) -> bool:
    """Whether a MESSAGE of that Content-Type is one that somebody wrote (`messages.not_im`)."""
    return content_type.partition(";")[0].strip().lower() not in _NOT_COUNTED


def short_tag(tag: bytes) -> bytes:
    """A tag as facts and rows hold it: one longer than 128 bytes is 63 of them, `~` and its SHA-256 in hex."""
    if len(tag) <= TAG_SIZE:
        return tag
    return tag[:63] + b"~" + hashlib.sha256(tag).hexdigest().encode()


def fact_of(message: SipMessage, correlation_header: str = "") -> Fact | None:
    """The fact of a message, or None where its method or status is none that a rule reads."""
    method = METHOD_NUMBER.get(message.method)
    status = message.status
    if method is None or (status and not 100 <= status <= 699):
        return None
    packed = _encode(_details(message, method, status, correlation_header))
    if len(packed) + len(message.from_tag) + len(message.to_tag) + 48 > FACT_SIZE:
        packed = _within(packed, FACT_SIZE - 2 * TAG_SIZE - 48)
    return Fact(
        message.time,
        message.cseq,
        method,
        status,
        short_tag(message.from_tag),
        short_tag(message.to_tag),
        message.vias,
        packed,
    )


def _details(message: SipMessage, method: int, status: int, correlation_header: str) -> Details:
    headers = message.headers
    kept = _kept(method, status, bool(message.to_tag), message.from_tag == message.to_tag)
    fields: dict[str, object] = {}
    for header, values in headers.items():
        for field, value_of in kept.get(header, ()):
            value = value_of(values)
            if value:
                fields[field] = value
    if message.source:
        fields["source"] = message.source
    if message.destination:
        fields["destination"] = message.destination
    content_type = headers.get(b"content-type")
    if content_type:
        _body_details(fields, content_type[0], message)
    embedded = headers.get(b"ms-text-format") or headers.get(b"ms-im-format")
    if embedded and method == INVITE and not status:
        _embedded_details(fields, embedded[0])
    if correlation_header and method == INVITE and not status:
        values = message.header(correlation_header.lower().encode())
        if values:
            fields["configured_id"] = text(values[0])
    if not status and b"opaque=app:conf:" in message.start_line.lower():
        fields["conference"] = True
    if message.machine:
        fields["machine"] = message.machine
        fields["pool"] = message.pool
    return Details(**fields)  # type: ignore[arg-type]


def _body_details(fields: dict[str, object], content_type: bytes, message: SipMessage) -> None:
    body = message.body
    length = message.headers.get(b"content-length", [b"0"])[0].strip()
    if not body and not (message.cut and length.isdigit() and length.strip(b"0")):
        return
    fields["has_body"] = True
    encoding = message.headers.get(b"content-encoding")
    if encoding and encoding[0].lower() not in (b"", b"identity"):
        return
    if message.cut:
        body = body[: body.rfind(b"\n") + 1]  # a line cut in its middle may mean anything
    found = body_of(content_type, body)
    if found is not NOTHING:
        fields["sdp"] = found.sdp
        fields["invitation"] = found.invitation
        fields["file_transfer"] = found.file_transfer


def _embedded_details(fields: dict[str, object], value: bytes) -> None:
    """`ms-text-format: TYPE;…;ms-body=BASE64`: keep the type and that there is a body, and what an invitation asks."""
    head, found, encoded = value.partition(b"ms-body=")
    if not found:
        return
    fields["embedded"] = text(head[: HEADER_LENGTH // 2])
    if head.lower().startswith(b"text/x-msmsgsinvite"):
        encoded = encoded.partition(b";")[0].strip(b' "')[:4096]
        with contextlib.suppress(binascii.Error):
            fields["invitation"] = invitation_of(binascii.a2b_base64(encoded))


def _first(values: list[bytes]) -> str:
    return text(values[0])


def _last_of_last(values: list[bytes]) -> str:
    elements = split_values(text(values[-1]))
    return elements[-1] if elements else ""


def _joined(values: list[bytes]) -> str:
    return text(b", ".join(values))


def _all(values: list[bytes]) -> tuple[str, ...]:
    return tuple(text(value) for value in values[:2])


def _first_element(values: list[bytes]) -> str:
    return first_value(text(values[0]))


def _last_element(values: list[bytes]) -> str:
    elements = split_values(text(values[-1][-HEADER_LENGTH:]))
    return elements[-1] if elements else ""


def _has_front_end(values: list[bytes]) -> bool:
    return any(b"ms-fe=" in value.lower() for value in values)


def _ms_tokens(values: list[bytes]) -> str:
    """Supported, where it names anything of Microsoft's: other option tags are of no use to a rule."""
    joined = b",".join(values).lower()
    return text(joined) if b"ms-" in joined else ""


def _auth_target(values: list[bytes]) -> str:
    """The only part of these headers that may be kept; their parameters are separated by commas."""
    return parameter(";" + text(values[0]).replace(",", ";"), "targetname") or ""


_KEEP: tuple[tuple[bytes, str, Callable[[list[bytes]], object], str], ...] = (
    (b"from", "from_", _first, "identity"),
    (b"to", "to", _first, "identity"),
    (b"content-type", "content_type", _first, "any"),
    (b"contact", "contact", _first_element, "endpoint"),
    (b"record-route", "record_route", _last_element, "invite"),
    (b"record-route", "front_end", _has_front_end, "invite"),
    (b"session-expires", "session_expires", _first, "refresh"),
    (b"user-agent", "user_agent", _first, "end"),
    (b"server", "server", _first, "end"),
    (b"priority", "priority", _first, "request"),
    (b"replaces", "replaces", _all, "invite request"),
    (b"referred-by", "referred_by", _first_element, "invite request"),
    (b"p-asserted-identity", "asserted", _joined, "asserted"),
    (b"p-session-on-behalf-of", "session_on_behalf", _first_element, "invite request"),
    (b"p-agent-on-behalf-of", "agent_on_behalf", _first_element, "invite request"),
    (b"history-info", "history_info", _first_element, "invite request"),
    (b"ms-correlation-id", "ms_correlation_id", _first, "any"),
    (b"session-id", "session_id", _first, "invite request"),
    (b"cisco-guid", "cisco_guid", _first, "invite request"),
    (b"ms-diagnostics", "diagnostics", _last_of_last, "diagnostics"),
    (b"ms-diagnostics-public", "diagnostics_public", _last_of_last, "diagnostics"),
    (b"ms-client-diagnostics", "diagnostics_client", _last_of_last, "diagnostics"),
    (b"ms-edge-proxy-message-trust", "edge_trust", _first, "any"),
    (b"ms-user-logon-data", "logon_data", _first, "any"),
    (b"ms-endpoint-location-data", "location_data", _first, "any"),
    (b"ms-call-info", "call_info", _first, "success"),
    (b"supported", "supported", _ms_tokens, "success"),
    (b"authentication-info", "auth_target", _auth_target, "any"),
    (b"proxy-authentication-info", "auth_target", _auth_target, "any"),
)
"""Header, field of `Details`, how its value is taken, and of which messages (a name in `_uses`)."""


def _uses(method: int, status: int, tagged: bool, same_tags: bool) -> dict[str, bool]:
    request = status == 0
    invite = method == INVITE
    success = 200 <= status < 300
    return {
        "any": True,
        "request": request,
        "invite": invite,
        "invite request": invite and request,
        "success": invite and success,
        "refresh": method in (INVITE, UPDATE) and success,
        "endpoint": invite and status != 100 and status < 300,
        "asserted": invite and (request or success),
        # ACK, PRACK and UPDATE open no row: their From matters only where it alone tells the sides apart.
        "identity": method not in (ACK, PRACK, UPDATE) or same_tags,
        # RFC 3261 16.10: a proxy makes 100, 407, tagless responses and those to CANCEL by itself.
        "end": request or (status not in (100, 407) and tagged and method != CANCEL),
        # Provisional responses report progress, not the outcome (MS-OCER 3.1).
        "diagnostics": status >= 200 or (request and method in (BYE, CANCEL)),
    }


@functools.lru_cache(maxsize=4096)
def _kept(
    method: int, status: int, tagged: bool, same_tags: bool
) -> dict[bytes, tuple[tuple[str, Callable[[list[bytes]], object]], ...]]:
    uses = _uses(method, status, tagged, same_tags)
    kept: dict[bytes, tuple[tuple[str, Callable[[list[bytes]], object]], ...]] = {}
    for header, field, value_of, use in _KEEP:
        if uses[use]:
            kept[header] = (*kept.get(header, ()), (field, value_of))
    return kept


def _within(packed: bytes, size: int) -> bytes:
    """Packed details without the fields that no longer fit: those before them in the fixed order stay."""
    details = _decode(packed)
    fields: dict[str, object] = {}
    used = 3
    for field in msgspec.structs.fields(Details):
        value = getattr(details, field.name)
        if value != field.default:
            used += len(_encode(value)) + 2
            if used <= size:
                fields[field.name] = value
            else:
                used -= len(_encode(value)) + 2
    return _encode(Details(**fields))  # type: ignore[arg-type]
