"""SIP in JSON envelopes: Homer's shapes, and one of ours with names that can be changed.

| shape                                         | told by           | message, time, addresses                        |
|-----------------------------------------------|-------------------|-------------------------------------------------|
| hep-js, paStash                               | `rcinfo`          | `payload`; `timeSeconds`, `srcIp`, … in `rcinfo` |
| heplify-server's rows                         | `protocol_header` | `raw`; the same names in `protocol_header`      |
| captagent's `transport_json`                  | `tss`             | `payload`; `tss`, `tsu`, `src_ip4`, … beside it |
| ours: `{"message": "INVITE …", "time": …, …}` | none of these     | as `Names` says                                 |

Numbers may be texts. A message in JSON is Unicode text, so what wasn't UTF-8 in it was lost before it came here.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SIP: Final = 1
_TRANSPORTS: Final = {6: "TCP", 17: "UDP", 132: "SCTP"}
_HOST: Final = re.compile(r"[0-9A-Za-z._:%-]{1,255}")
_NUMBER: Final = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?")


class Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where an envelope has what; a dot leads into an object: `params.message`. A name may be absent in an envelope.

    message: the SIP message as text. message_base64: the same in base64, where `message` isn't there. time: number of
    seconds, milliseconds, microseconds or nanoseconds since 1970, by its size, or ISO 8601, without a zone UTC. source,
    destination: `host:port`, or `host` with the port beside it. transport: as in a Via, or the IP protocol's number.
    """

    message: str = "message"
    message_base64: str = "message_base64"
    time: str = "time"
    source: str = "source"
    source_port: str = "source_port"
    destination: str = "destination"
    destination_port: str = "destination_port"
    transport: str = "transport"


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A SIP message taken out of its envelope. time: microseconds UTC, None where the envelope has none that is one."""

    message: bytes
    time: int | None
    source: str
    destination: str
    transport: str


def envelopes(value: bytes, names: Names) -> list[Envelope | str]:
    """What a JSON value holds: an envelope, or several in an array; each opened, or the reason why it can't be."""
    document = _parse(value)
    if isinstance(document, dict):
        return [_open(document, names)]
    if isinstance(document, list):
        return [_open(item, names) if isinstance(item, dict) else "JSON that is no object" for item in document]
    return [document if isinstance(document, str) else "JSON that is no object"]


def _parse(value: bytes) -> Any:
    """The document, or a text that says what is wrong with it."""
    value = value.removeprefix(b"\xef\xbb\xbf")
    try:
        return _objects(msgspec.json.decode(value))
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass
    # The standard library takes what is still clear: lone surrogates, and with replacements bytes that aren't UTF-8.
    try:
        return _objects(json.loads(value.decode("utf-8", "replace")))
    except (ValueError, RecursionError):
        return "JSON that can't be read"


def _objects(document: Any) -> Any:
    return document if isinstance(document, (dict, list)) else "JSON that is no object"


def _open(document: dict[str, Any], names: Names) -> Envelope | str:
    rcinfo = document.get("rcinfo", document.get("protocol_header"))
    if isinstance(rcinfo, str):
        # A database's JSON column, written as text.
        rcinfo = _parse(rcinfo.encode("utf-8", "replace"))
    if isinstance(rcinfo, dict):
        message = document.get("payload" if "rcinfo" in document else "raw")
        return _homer(message, rcinfo)
    if "tss" in document:
        return _captagent(document)
    return _named(document, names)


def _homer(message: Any, rcinfo: dict[str, Any]) -> Envelope | str:
    kind = rcinfo.get("payloadType", rcinfo.get("proto_type", _SIP))
    if _whole(kind) != _SIP:
        return "JSON envelope of another protocol than SIP"
    return _envelope(
        message,
        _seconds(
            rcinfo.get("timeSeconds", rcinfo.get("time_sec")), rcinfo.get("timeUseconds", rcinfo.get("time_usec"))
        ),
        address(rcinfo.get("srcIp"), rcinfo.get("srcPort")),
        address(rcinfo.get("dstIp"), rcinfo.get("dstPort")),
        transport(rcinfo.get("protocol")),
    )


def _captagent(document: dict[str, Any]) -> Envelope | str:
    if _whole(document.get("proto_type", _SIP)) != _SIP:
        return "JSON envelope of another protocol than SIP"
    return _envelope(
        document.get("payload"),
        _seconds(document.get("tss"), document.get("tsu")),
        address(document.get("src_ip4") or document.get("src_ip6"), document.get("src_port")),
        address(document.get("dst_ip4") or document.get("dst_ip6"), document.get("dst_port")),
        transport(document.get("ip_proto")),
    )


def _named(document: dict[str, Any], names: Names) -> Envelope | str:
    message = _find(document, names.message)
    if message is None:
        message = _find(document, names.message_base64)
        if isinstance(message, str):
            try:
                message = base64.b64decode(message, validate=True)
            except (binascii.Error, ValueError):
                return "base64 that can't be read"
    return _envelope(
        message,
        moment(_find(document, names.time)),
        address(_find(document, names.source), _find(document, names.source_port)),
        address(_find(document, names.destination), _find(document, names.destination_port)),
        transport(_find(document, names.transport)),
    )


def _find(document: Any, path: str) -> Any:
    if path in document:
        return document[path]
    for name in path.split("."):
        if not isinstance(document, dict):
            return None
        document = document.get(name)
    return document


def _envelope(message: Any, time: int | None, source: str, destination: str, by: str) -> Envelope | str:
    if isinstance(message, str):
        message = message.encode("utf-8", "replace")
    if not isinstance(message, bytes) or not message:
        return "JSON envelope without a message"
    return Envelope(message, time, source, destination, by)


def _whole(value: Any) -> int | None:
    """A number that may be written as text."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return int(value)
    return value if isinstance(value, int) else None


def _seconds(seconds: Any, micros: Any) -> int | None:
    whole = _whole(seconds)
    return (whole * 1_000_000 + (_whole(micros) or 0)) if whole else None


def moment(value: Any) -> int | None:
    """Microseconds UTC of a time: seconds, milliseconds, microseconds or nanoseconds by size; of ISO 8601; or None."""
    if isinstance(value, str):
        value = value.strip()
        if not _NUMBER.fullmatch(value):
            return _iso(value)
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        # As text, because a float of today's microseconds has none of them to spare.
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    if not number.is_finite() or number <= 0:
        return None
    digits = number.adjusted() + 1
    if digits <= 11:
        scaled = number * 1_000_000
    elif digits <= 14:
        scaled = number * 1000
    elif digits <= 17:
        scaled = number
    elif digits <= 20:
        scaled = number / 1000
    else:
        return None
    return int(scaled)


def _iso(value: str) -> int | None:
    if len(value) > 40:
        return None
    try:
        parsed = datetime.fromisoformat(value)
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=UTC)
        return (parsed - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None


def address(host: Any, port: Any = None) -> str:
    """`host:port` of a host that may have its port with it; empty where it is no host."""
    if not isinstance(host, str):
        return ""
    host = host.strip()
    if host.startswith("[") or host.count(":") == 1:
        name, _, behind = host.rpartition(":")
        if name and not behind.endswith("]"):
            host, port = name, behind
    host = host.strip("[]")
    number = _whole(port) or 0
    if not _HOST.fullmatch(host) or not 0 <= number <= 65_535:
        return ""
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"


def transport(value: Any) -> str:
    """`UDP`, `TCP` and so on, of a name or an IP protocol's number; empty for anything else."""
    number = _whole(value)
    if number is not None:
        return _TRANSPORTS.get(number, "")
    known = value.strip().upper() if isinstance(value, str) and len(value) <= 8 else ""
    return known if known in ("UDP", "TCP", "TLS", "SCTP", "WS", "WSS") else ""
