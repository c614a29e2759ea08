"""Rules for ids, servers, content and what was replaced (derivations.md 3.3, 3.4, 3.7, 3.8, 3.13 to 3.15)."""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from typing import TYPE_CHECKING

from ._columns import Column, Finding, Row, texts_begin
from ._facts import ACK, short_tag
from ._row import Reference, TagPair
from ._syntax import address, parameter, split_values
from ._text import NAME_LENGTH, fit
from ._users import host_of, uri_host, uri_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ._groups import Message

Text = tuple[str, "Message"]


def _guid(value: str) -> str | None:
    """A UUID with or without hyphens and braces, in the stored form; None if it is none."""
    digits = value.strip().strip("{}").replace("-", "")
    if len(digits) != 32 or not all(sign in "0123456789abcdefABCDEF" for sign in digits):
        return None
    return str(uuid.UUID(hex=digits))


def _corr_configured(row: Row) -> Text | None:
    found = row.first(row.initial, "configured_id")
    if found is None:
        return None
    return _guid(found[0]) or str(uuid.uuid5(uuid.NAMESPACE_URL, found[0])), found[1]


def _corr_ms(row: Row) -> Text | None:
    others = (message for message in row.session.messages if message not in row.initial)
    for message in (*row.initial, *others):
        value = message.header("ms_correlation_id")
        if value:
            guid = _guid(value)
            if guid is not None:
                return guid, message
            row.counts["malformed Ms-Correlation-Id"] += 1
    return None


def _corr_session_id(row: Row) -> Text | None:
    found = row.first(row.initial, "session_id")
    if found is None:
        return None
    guid = _guid(found[0].partition(";")[0])
    if guid is None:
        row.counts["malformed Session-ID"] += 1
        return None
    # RFC 7989 section 5: all zeros is the null UUID of a side not known yet.
    return None if not guid.strip("0-") else (guid, found[1])


def _corr_cisco(row: Row) -> Text | None:
    found = row.first(row.initial, "cisco_guid")
    if found is None:
        return None
    numbers = found[0].strip().split("-")
    if len(numbers) != 4 or not all(n.isascii() and n.isdigit() and len(n) <= 10 for n in numbers):
        row.counts["malformed Cisco-Guid"] += 1
        return None
    guid = _guid("".join(f"{int(number):08x}" for number in numbers))
    return None if guid is None else (guid, found[1])


CORRELATION_ID: Column[str] = (
    ("corr.configured", "configured_id", _corr_configured),
    ("corr.ms", "ms_correlation_id", _corr_ms),
    ("corr.session_id", "session_id", _corr_session_id),
    ("corr.cisco", "cisco_guid", _corr_cisco),
)

_EPID_NAMESPACE = uuid.UUID("fcacfb03-8a73-46ef-91b1-e5ebeeaba4fe").bytes_le


def epid_guid(epid: str) -> str:
    """The GUID of an endpoint id (`endpoint.epid`): name-based SHA-1 over Microsoft's byte order, case kept."""
    digest = bytearray(hashlib.sha1(_EPID_NAMESPACE + epid.encode(), usedforsecurity=False).digest()[:16])
    digest[7] = digest[7] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes_le=bytes(digest)))


def _opaque(contact: str) -> list[str]:
    """The parts of a Contact URI's `opaque` parameter, where the URI is a GRUU."""
    parameters = uri_parameters(address(contact)[0])
    if parameter(parameters, "gruu") is None:
        return []
    return (parameter(parameters, "opaque") or "").split(":")


_18_BYTES = re.compile("([A-Za-z0-9_/+-]{24})=*")


def _decoded(text: str) -> bytes | None:
    """16 bytes in base64 of 18, in the alphabet of URLs or the other."""
    digits = _18_BYTES.fullmatch(text)
    return None if digits is None else base64.b64decode(digits[1].replace("-", "+").replace("_", "/"))[:16]


def _endpoint_gruu(contact: str) -> str | None:
    parts = _opaque(contact)
    if len(parts) < 3 or [part.lower() for part in parts[:2]] != ["user", "epid"]:
        return None
    data = _decoded(parts[2])
    return None if data is None else str(uuid.UUID(bytes_le=data))


def _endpoint_server_gruu(contact: str) -> str | None:
    parts = _opaque(contact)
    if len(parts) < 3 or parts[0].lower() != "srvr":
        return None
    data = _decoded(parts[2])
    return None if data is None else str(uuid.UUID(bytes=data))


def _endpoint_instance(contact: str) -> str | None:
    uri, parameters = address(contact)
    for value in (parameter(parameters, "+sip.instance"), parameter(uri_parameters(uri), "gr")):
        urn = (value or "").strip().strip("<>").lower()
        if urn.startswith("urn:uuid:"):
            guid = _guid(urn[9:])
            if guid is not None:
                return guid
    return None


def _endpoint_epid(value: str) -> str | None:
    epid = parameter(address(value)[1], "epid")
    return epid_guid(epid) if epid and epid.isascii() and epid.isalnum() else None


# Each with what a Contact must have in it, so that most are passed over quickly.
_BY_CONTACT: tuple[tuple[str, str, Callable[[str], str | None]], ...] = (
    ("endpoint.gruu", "opaque", _endpoint_gruu),
    ("endpoint.server_gruu", "opaque", _endpoint_server_gruu),
    ("endpoint.instance", "urn:uuid:", _endpoint_instance),
)


def endpoints(row: Row, caller: bool) -> Iterator[Finding[str]]:
    """User1EndpointId, User2EndpointId: the device that a side used, by each rule in order of priority."""
    if caller:
        messages, addressed = row.initial, [(message, "from_") for message in row.initial]
    else:
        success = row.session.success
        early = [m for m in row.session.responses if m.status < 200 and m.to_tag]
        messages = [*([success] if success is not None else []), *early]
        addressed = [(message, "to") for message in (*messages, *row.initial)]
    contacts = [(contact, message) for message in messages if (contact := message.header("contact"))]
    for name, mark, rule in _BY_CONTACT:
        for contact, message in contacts:
            guid = rule(contact) if mark in contact else None
            if guid is not None:
                yield name, guid, message
    for message, header in addressed:
        value = message.header(header)
        guid = _endpoint_epid(value) if "epid" in value else None
        if guid is not None:
            yield "endpoint.epid", guid, message


def endpoint_id(row: Row, caller: bool) -> str | None:
    """What the first rule yields."""
    for _, guid, _ in endpoints(row, caller):
        return guid
    return None


Place = tuple[str, str | None]
"""ServerFQDN and PoolFQDN."""


def _server_trace(row: Row) -> tuple[Place, Message] | None:
    for messages in (row.initial, row.session.messages):
        for message in messages:
            for details in message.details:
                if details.machine:
                    return (details.machine.lower(), details.pool.lower() or None), message
    return None


def _record_route(row: Row) -> Text | None:
    """The last Record-Route: the proxy on the caller's side (RFC 3261 section 16.6 step 4).

    Tapped at the caller, the INVITE has none yet, but the response has.
    """
    return row.first(row.initial, "record_route") or row.first(row.session.responses, "record_route")


def _server_ms_fe(row: Row) -> tuple[Place, Message] | None:
    found = _record_route(row)
    if found is None:
        return None
    uri = address(found[0])[0]
    front_end = parameter(uri_parameters(uri), "ms-fe")
    return ((front_end.lower(), uri_host(uri)), found[1]) if front_end else None


def _server_configured(row: Row) -> tuple[Place, Message] | None:
    hosts = row.rules.hosts
    if not hosts:
        return None
    candidates: list[tuple[str, Message]] = []
    route = _record_route(row)
    if route is not None:
        candidates.append((uri_host(address(route[0])[0]), route[1]))
    if row.initial:
        earliest = row.initial[0]
        details = earliest.details[0]
        candidates.append((host_of(details.destination), earliest))
        candidates.append((host_of(details.source), earliest))
    for host, message in candidates:
        place = hosts.get(host) or hosts.get(host.strip("[]"))
        if place is not None:
            return place, message
    return None


def _server_record_route(row: Row) -> tuple[Place, Message] | None:
    found = _record_route(row)
    host = uri_host(address(found[0])[0]) if found is not None else ""
    return None if found is None or not host else ((host, host), found[1])


def _server_auth_target(row: Row) -> tuple[Place, Message] | None:
    found = row.first(row.session.messages, "auth_target")
    if found is None:
        return None
    target = found[0].lower().removeprefix("sip/")
    return ((target, None), found[1]) if target else None


SERVER: Column[Place] = (
    ("server.trace", "machine", _server_trace),
    ("server.ms_fe", "front_end", _server_ms_fe),
    ("server.configured", "", _server_configured),
    ("server.record_route", "record_route", _server_record_route),
    ("server.auth_target", "auth_target", _server_auth_target),
)

_TOKEN = re.compile(r"[a-z0-9!#$&^_.+*%'`|~-]+/[a-z0-9!#$&^_.+*%'`|~-]+")


def content_type_of(value: str) -> str | None:
    """`type/subtype` in lower case; of the parameters only `call-type` is kept (MS-OCER section 3.1.4.1)."""
    kind, _, parameters = value.partition(";")
    kind = kind.strip().lower()
    if _TOKEN.fullmatch(kind) is None:
        return None
    call_type = parameter(";" + parameters, "call-type")
    return f"{kind};call-type={call_type.lower()}" if call_type else kind


def _content(row: Row, messages: Iterable[Message]) -> Text | None:
    for message in messages:
        for details in message.details:
            if details.has_body and details.content_type:
                content_type = content_type_of(details.content_type)
                fitted = fit(content_type or "", NAME_LENGTH, "ContentTypes.ContentType", row.counts)
                if fitted is not None:
                    return fitted, message
    return None


def _content_invite(row: Row) -> Text | None:
    return _content(row, row.own)


def _content_answer(row: Row) -> Text | None:
    session = row.session
    if any(details.has_body for message in row.own for details in message.details):
        return None
    acks = [m for m in session.inside if m.method == ACK and m.cseq == session.attempt]
    return _content(row, [*([session.success] if session.success is not None else []), *acks])


def _content_first_relevant(row: Row) -> Text | None:
    return _content(row, texts_begin(row.session))


CONTENT_TYPE: Column[str] = (
    ("content.invite", "content_type", _content_invite),
    ("content.answer", "content_type", _content_answer),
    ("content.first_relevant", "content_type", _content_first_relevant),
)


def pair_of(one: bytes, other: bytes) -> TagPair:
    """Two tags without direction. RFC 3891 section 3: `0` stands for an absent tag too."""
    one = b"" if one == b"0" else one
    other = b"" if other == b"0" else other
    return (one, other) if one <= other else (other, one)


def _replaces_header(row: Row) -> tuple[Reference, Message] | None:
    # Only a 2xx means that something was replaced.
    if not row.session.answered:
        return None
    for message in row.own:
        values = next((details.replaces for details in message.details if details.replaces), ())
        if values:
            reference = reference_of(values)
            return None if reference is None else (reference, message)
    return None


def reference_of(values: tuple[str, ...]) -> Reference | None:
    """The dialog that Replaces headers name (RFC 3891 section 6.1): one header, with one to-tag and one from-tag."""
    elements = [element for value in values for element in split_values(value)]
    if len(elements) != 1:
        return None
    call_id, *parameters = elements[0].split(";")
    tags: dict[str, list[bytes]] = {"to-tag": [], "from-tag": []}
    for item in parameters:
        name, _, value = item.partition("=")
        if name.strip().lower() in tags and value.strip():
            tags[name.strip().lower()].append(short_tag(value.strip().encode("utf-8", "replace")))
    if not call_id.strip() or any(len(given) != 1 for given in tags.values()):
        return None
    pair = pair_of(tags["to-tag"][0], tags["from-tag"][0])
    return Reference(call_id.strip().encode("utf-8", "replace"), pair)


REPLACES: Column[Reference] = (("replaces.header", "replaces", _replaces_header),)
