# The scan of a SIP message, for every source alike: captures, Kafka, HEP and logs.
#
# It reads leniently, as RFC 4475 asks of a receiver and derivations.md 4.2 says: what can be understood is used, what
# can't is counted, and a message is refused only without what makes it one: a start line of SIP/2.0, Call-ID, CSeq,
# From and To. It goes over the header lines once and keeps the values of HEADERS. All it does is linear in its input.
#
# Speed: header names are looked up as they stand, in any spelling seen before, and From and To values are remembered
# with their tags, because a call sends them many times over.
"""Finds the parts of a SIP message in its bytes."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final

from sipcdr.builder import COMPACT, HEADERS, Position, SipMessage

if TYPE_CHECKING:
    from collections import Counter

    from ._limits import Limits
    from ._tally import Tally

EARLIEST: Final = -6_847_804_800_000_000
"""1753-01-01 in microseconds: before it and after `LATEST` no database column takes a time."""
LATEST: Final = 253_402_300_799_999_999

FIRST_BYTE: Final = bytes(
    byte in b"!%'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_`abcdefghijklmnopqrstuvwxyz~\r\n" for byte in range(256)
)
"""1 for each byte that a SIP message may begin with: a token's, or a line end before the start line."""

_TOKEN = re.compile(rb"[!%'*+\-.0-9A-Z_`a-z~]{1,64}")
_METHODS: Final = {
    name.encode(): name
    for name in (
        "INVITE",
        "ACK",
        "BYE",
        "CANCEL",
        "OPTIONS",
        "REGISTER",
        "PRACK",
        "SUBSCRIBE",
        "NOTIFY",
        "PUBLISH",
        "INFO",
        "REFER",
        "MESSAGE",
        "UPDATE",
        "SERVICE",
        "BENOTIFY",
    )
}
_STATUSES: Final = {b"%d" % status: status for status in range(100, 700)}

# Headers of which the first counts (derivations.md 4.2), so that another value is worth a count.
_SINGLE: Final = frozenset({b"call-id", b"content-length", b"cseq", b"from", b"priority", b"referred-by", b"to"})

# Names as spelled on the wire; "" for those that no rule reads. Spellings met are added, up to a bound.
_NAMES: dict[bytes, bytes] = {}
_NAMES_KEPT: Final = 4096
_NAME_LENGTH: Final = 64


def _long_name(spelled: bytes) -> bytes:
    name = spelled.strip().lower()
    name = COMPACT.get(name, name)
    known = name if name in HEADERS else b""
    if len(_NAMES) < _NAMES_KEPT and len(spelled) <= _NAME_LENGTH:
        _NAMES[spelled] = known
    return known


for _name in (*HEADERS, *COMPACT):
    for _spelled in (_name, _name.title(), _name.upper()):
        _long_name(_spelled)


_STATUS_LINE = re.compile(rb"SIP/[0-9]{1,3}\.[0-9]{1,3} +[0-9]", re.IGNORECASE)


def is_start_line(line: bytes) -> bool:
    """Whether a line is a SIP start line of any version (RFC 3261 sections 7.1, 7.2), `SIP` in any case."""
    if line[:4].upper() == b"SIP/":
        return _STATUS_LINE.match(line) is not None
    method, _, rest = line.rstrip().partition(b" ")
    uri, _, version = rest.rpartition(b" ")
    return uri != b"" and version[:4].upper() == b"SIP/" and _TOKEN.fullmatch(method) is not None


_KNOWN_START = re.compile(
    rb"(?:" + b"|".join(_METHODS) + rb") [^ ]+ SIP/[0-9]|SIP/[0-9]\.[0-9] [1-6][0-9][0-9](?![0-9])"
)


def start_within(line: bytes) -> int:
    """Where a SIP start line begins in a line, -1 if none does.

    Behind lost bytes the line may be the end of a body and a start line in one.
    """
    found = _KNOWN_START.search(line)
    if found is not None:
        return found.start()
    return 0 if is_start_line(line) else -1


def end_of_head(data: bytes | bytearray, start: int = 0) -> int:
    """Where the body begins: behind the first empty line at or after `start`, -1 if there is none yet."""
    crlf = data.find(b"\n\r\n", start)
    bare = data.find(b"\n\n", start) if crlf < 0 else data.find(b"\n\n", start, crlf + 1)
    if bare >= 0:
        return bare + 2
    return crlf + 3 if crlf >= 0 else -1


def scan(
    data: bytes,
    time: int,
    position: Position,
    tally: Tally,
    limits: Limits,
    source: str = "",
    destination: str = "",
    transport: str = "",
    cut: bool = False,
    machine: str = "",
    pool: str = "",
) -> SipMessage | str:
    """The message that `data` begins with, or the reason why it can't be used.

    Its `raw` ends where Content-Length says, so what stands behind it in `data` is left to the caller. time:
    microseconds UTC. cut: the capture has less than was sent. Oddities are counted in `tally`, a refusal is not.
    """
    if data[:1] in (b"\r", b"\n"):
        data = data.lstrip(b"\r\n")  # RFC 3261 7.5: line ends before the start line are ignored
    if len(data) > limits.message:
        tally.limit(position.source, position.number, f"message longer than {limits.message} bytes")
        data = data[: limits.message]
        cut = too_long = True
    else:
        too_long = False
    body_at = end_of_head(data)
    if body_at < 0:
        if cut and not too_long:
            return "headers cut short" if is_start_line(data.partition(b"\n")[0]) else "not SIP"
        # Without an empty line all is head, up to the limit's last whole line.
        body_at = data.rfind(b"\n") + 1 if too_long else len(data)
    lines = data[:body_at].split(b"\n")
    line = lines[0].rstrip()
    method = ""
    status = 0
    if line[:8] == b"SIP/2.0 ":
        status = _STATUSES.get(line[8:11], 0)
        if line[11:12].isdigit():
            status = 0
    elif line[-8:] == b" SIP/2.0" and line.count(b" ") > 1:
        method = _METHODS.get(line[: line.find(b" ")], "")
    if not method and not status:
        method, status, reason = _start(line)
        if reason:
            return reason

    headers: dict[bytes, list[bytes]] = {}
    if data.find(b"\n ", 0, body_at) >= 0 or data.find(b"\n\t", 0, body_at) >= 0:
        lines = _unfold(lines)
    if len(lines) > limits.headers:
        lines = _within(lines, position, tally, limits)
    names = _NAMES
    counts = tally.counts
    for line in lines[1:]:
        spelled, _, value = line.partition(b":")
        name = names.get(spelled)
        if name is None:
            name = _long_name(spelled)
        if name:
            if name not in headers:
                headers[name] = [value.strip()]
                continue
            value = value.strip()
            if name in _SINGLE and headers[name][0] != value:
                counts["header given twice, the copies differ"] += 1
            headers[name].append(value)
    if body_at > limits.header:
        _cut_values(headers, position, tally, limits)

    try:
        call_id = headers[b"call-id"][0]
        cseq_value = headers[b"cseq"][0]
        from_value = headers[b"from"][0]
        to_value = headers[b"to"][0]
    except KeyError as missing:
        return _MISSING[missing.args[0]]
    if not (call_id and cseq_value and from_value and to_value):
        return _MISSING[next(name for name in _MISSING if not headers[name][0])]
    number, _, cseq_method = cseq_value.partition(b" ")
    if not number.isdigit() or not cseq_method:
        number, cseq_method = _cseq(cseq_value)
    if not number or len(number) > 18:
        return "CSeq number longer than 18 digits" if number else "CSeq isn't a number"
    if not method:
        cseq_method = cseq_method.strip()
        method = _METHODS.get(cseq_method) or _method(cseq_method)
        if not method:
            return "no method in CSeq"
    elif _METHODS.get(cseq_method) != method and cseq_method.strip() != method.encode():
        counts["CSeq method other than the request's"] += 1
    if not EARLIEST <= time <= LATEST:
        return "time outside the years 1753 to 9999"

    if b"content-encoding" in headers and headers[b"content-encoding"][0].lower() not in (b"", b"identity"):
        counts["body encoded"] += 1  # what media it names stays unknown
    end = len(data)
    if b"content-length" in headers:
        end = _end(headers[b"content-length"][0], body_at, end, cut, counts)
    vias = 0
    for via in headers.get(b"via", ()):
        vias += 1 if b"," not in via else _elements(via)
    return SipMessage(
        time,
        method,
        status,
        call_id,
        _tag(from_value) if len(from_value) < _TAGGED_LENGTH else tag_of(from_value),
        _tag(to_value) if len(to_value) < _TAGGED_LENGTH else tag_of(to_value),
        int(number),
        vias,
        headers,
        data if end == len(data) else data[:end],
        body_at,
        position,
        source,
        destination,
        transport,
        cut,
        machine,
        pool,
    )


_MISSING: Final = {
    b"call-id": "no Call-ID",
    b"cseq": "no CSeq",
    b"from": "no From",
    b"to": "no To",
}


def _start(line: bytes) -> tuple[str, int, str]:
    """Method, status and reason for refusal of a start line."""
    if not is_start_line(line):
        return "", 0, "not SIP"
    first, _, rest = line.partition(b" ")
    if first[:4].upper() == b"SIP/":
        if first.upper() != b"SIP/2.0":
            return "", 0, "SIP version other than 2.0"
        status = _STATUSES.get(rest.split(None, 1)[0], 0)
        return "", status, "" if status else "status outside 100 to 699"
    if rest[-8:].upper() != b" SIP/2.0":
        return "", 0, "SIP version other than 2.0"
    return _METHODS.get(first) or _method(first), 0, ""


def _method(spelled: bytes) -> str:
    return spelled.decode("ascii") if _TOKEN.fullmatch(spelled) else ""


def _cseq(value: bytes) -> tuple[bytes, bytes]:
    """Digits and method of a CSeq value that has no single blank between them: `1INVITE`, tabs, no method."""
    digits = len(value) - len(value.lstrip(b"0123456789"))
    return value[:digits], value[digits:]


def _end(value: bytes, body_at: int, available: int, cut: bool, counts: Counter[str]) -> int:
    """Where a message ends by its Content-Length: not behind what there is."""
    if not value.isdigit():
        counts["Content-Length isn't a number"] += 1
        return available
    end = body_at + int(value[:10])
    if end <= available:
        return end
    if not cut:
        counts["Content-Length larger than the message"] += 1
    return available


def _unfold(lines: list[bytes]) -> list[bytes]:
    """Lines with those that begin with a blank joined to the one before (RFC 3261 section 7.3.1)."""
    joined: list[list[bytes]] = []
    for number, line in enumerate(lines):
        if line[:1] not in (b" ", b"\t"):
            joined.append([line.strip()])
        elif number > 1 and line.strip():  # the start line has no continuation
            joined[-1].append(line.strip())
    return [b" ".join(parts) for parts in joined]


def _within(lines: list[bytes], position: Position, tally: Tally, limits: Limits) -> list[bytes]:
    """The start line and as many headers as a message may have."""
    filled = [line for line in lines if line.strip()]
    if len(filled) <= limits.headers + 1:
        return filled
    tally.limit(position.source, position.number, f"more than {limits.headers} headers")
    return filled[: limits.headers + 1]


def _cut_values(headers: dict[bytes, list[bytes]], position: Position, tally: Tally, limits: Limits) -> None:
    for values in headers.values():
        for at, value in enumerate(values):
            if len(value) > limits.header:
                tally.limit(position.source, position.number, f"header value longer than {limits.header} bytes")
                values[at] = value[: limits.header]


def _elements(value: bytes) -> int:
    """Elements of a comma-separated list that aren't empty; commas in quotes or `<>` don't separate."""
    found = 0
    filled = angle = False
    quotes = True
    at = 0
    while at < len(value):
        sign = value[at]
        if sign == 0x22 and quotes and not angle:
            at, quotes = _behind_quoted(value, at)
            filled = True
            continue
        if sign == 0x2C and not angle:
            found += filled
            filled = False
        elif sign not in b" \t\r\n":
            filled = True
            angle = (angle or sign == 0x3C) and sign != 0x3E
        at += 1
    return found + filled


_TAGGED_LENGTH: Final = 512


def tag_of(value: bytes) -> bytes:
    """The tag of a From or To value, empty if it has none.

    A header parameter stands behind `<…>`, or behind the addr-spec where there is none (RFC 3261 section 20). Quoted
    names may hold anything; a quote that never ends, or one that is escaped outside a quoted string, is none. The
    first tag wins, its name in any case.
    """
    at = 0
    size = len(value)
    quotes = b'"' in value
    while quotes and at < size and value[at] != 0x3C:
        if value[at] == 0x22 and (at == 0 or value[at - 1] != 0x5C):
            at, quotes = _behind_quoted(value, at)
        else:
            at += 1
    at = value.find(b"<", at)
    if at >= 0:
        close = value.find(b">", at)
        return _parameter(value, close + 1) if close >= 0 else b""
    at = next((at for at, sign in enumerate(value) if sign in b"; \t,"), size)
    return _parameter(value, at)


_tag = functools.lru_cache(maxsize=4096)(tag_of)


def _parameter(value: bytes, at: int) -> bytes:
    """What `;tag=` is at or after `at`; semicolons in quoted values don't separate."""
    size = len(value)
    quotes = value.find(b'"', at) >= 0
    while True:
        at = value.find(b";", at)
        if at < 0:
            return b""
        end = at + 1
        if quotes:
            while end < size and value[end] != 0x3B:
                if value[end] == 0x22 and quotes:
                    end, quotes = _behind_quoted(value, end)
                else:
                    end += 1
        else:
            end = value.find(b";", end)
            if end < 0:
                end = size
        name, _, found = value[at + 1 : end].partition(b"=")
        if name.strip().lower() == b"tag":
            found = found.strip()
            if len(found) >= 2 and found[0] == found[-1] == 0x22:
                found = found[1:-1]
            return found
        at = end


def _behind_quoted(value: bytes, at: int) -> tuple[int, bool]:
    """Behind the quoted string that begins at `at`, or behind the quote itself and False if it never ends.

    Then all quotes after it are escaped, so none of them begins one that ends either.
    """
    end = at + 1
    while True:
        quote = value.find(b'"', end)
        if quote < 0:
            return at + 1, False
        backslashes = 0
        while value[quote - 1 - backslashes] == 0x5C and quote - 1 - backslashes > at:
            backslashes += 1
        if backslashes % 2 == 0:
            return quote + 1, True
        end = quote + 1
