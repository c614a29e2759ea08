"""`Anonymizer`: messages as if others had called from elsewhere, before anything is derived from them.

So rows, exports, reports and databases hold none of the users, numbers and addresses. It works by what is known to be
harmless: a header that isn't listed here, and every body but SDP, keeps its form and loses its letters and digits.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from functools import lru_cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

import msgspec

from sipcdr.builder import COMPACT, Position
from sipcdr.ingest import Limits, Tally, scan

from ._message_text import headers_masked
from ._pseudonyms import Pseudonyms
from ._select import as_received

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipcdr.builder import SipMessage

    from ._select import Selection

_LONG: Final = {short.decode(): long.decode() for short, long in COMPACT.items()}

_ADDRESSES: Final = frozenset(
    {"from", "to", "contact", "route", "record-route", "path", "service-route", "p-asserted-identity", "diversion",
     "p-preferred-identity", "referred-by", "refer-to", "history-info", "remote-party-id", "p-called-party-id",
     "p-associated-uri", "reply-to", "p-session-on-behalf-of", "p-agent-on-behalf-of", "ms-call-info"}
)  # fmt: skip
_CALL_IDS: Final = frozenset({"call-id", "replaces", "join", "target-dialog", "in-reply-to"})
# Texts of programs and servers, in which addresses may stand.
_TEXTS: Final = frozenset(
    {"via", "reason", "warning", "ms-diagnostics", "ms-diagnostics-public", "ms-client-diagnostics", "www-authenticate",
     "proxy-authenticate", "authorization", "proxy-authorization", "authentication-info", "proxy-authentication-info",
     "ms-edge-proxy-message-trust", "ms-user-logon-data", "ms-endpoint-location-data"}
)  # fmt: skip
_AGENTS: Final = frozenset({"user-agent", "server"})
_AS_THEY_ARE: Final = frozenset(
    {"cseq", "max-forwards", "content-length", "content-encoding", "content-disposition", "expires",
     "mime-version", "allow", "allow-events", "supported", "require", "proxy-require", "unsupported", "session-expires",
     "min-se", "min-expires", "accept", "accept-encoding", "accept-language", "event", "subscription-state", "date",
     "timestamp", "rseq", "rack", "privacy", "retry-after", "priority", "session-id", "cisco-guid",
     "ms-correlation-id"}
)  # fmt: skip
_INVITATION: Final = ("application-guid", "application-name", "invitation-command")

_IPV4: Final = r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9]|\.[0-9])"
# One pass over a text: what an alternative has taken is left alone by the others.
_FINDS: Final = re.compile(
    rf"""(?P<uri>\b(?:sips?|im|pres|mailto|xmpp|callto|h323):(?:(?P<user>[^\s<>@",]{{1,256}})@)?
            (?P<host>\[[0-9a-fA-F:.%]{{2,64}}\]|[A-Za-z0-9_.-]{{1,255}})?)
    |(?P<tel>\btel:(?P<number>[^\s<>;?",]{{1,64}}))
    |(?P<context>(?<=phone-context=)\+?[0-9().-]{{1,40}})
    |(?P<opaque>(?:(?<=[;\s]tag=)|(?<=;to-tag=)|(?<=;from-tag=)|(?<=;local-tag=)|(?<=;remote-tag=)|(?<=;branch=)
            |(?<=;ftag=)|(?<=;vsf=)|(?<=;vst=))
            [^\s;,>]{{1,512}})
    |(?P<device>(?<=epid[=:])[0-9A-Za-z]{{1,64}}
            |(?<![0-9A-Za-z])[0-9a-fA-F]{{8}}(?:-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}}(?![0-9A-Za-z])
            |(?<![0-9A-Za-z:-])(?:[0-9a-fA-F]{{2}}[:-]){{5}}[0-9a-fA-F]{{2}}(?![0-9A-Za-z:-]))
    |(?P<mail>(?P<mailbox>[A-Za-z0-9_.+!%*~-]{{1,128}})@(?P<domain>\[[0-9a-fA-F:.]{{2,64}}\]|[A-Za-z0-9_.-]{{1,255}}))
    |(?P<v4>{_IPV4})
    |(?P<v6>(?<![0-9A-Za-z:])(?:[0-9a-fA-F]{{0,4}}:){{2,7}}(?:[0-9a-fA-F]{{1,4}}|(?:[0-9]{{1,3}}\.){{3}}[0-9]{{1,3}})?
            (?![0-9A-Za-z:]))
    |(?P<name>(?<![0-9A-Za-z_.%-])(?:[A-Za-z0-9_][A-Za-z0-9_-]{{0,62}}\.){{1,16}}[A-Za-z]{{2,63}}(?![0-9A-Za-z_-]))
    """,
    re.VERBOSE | re.IGNORECASE,
)
_DISPLAY: Final = re.compile(r'(^|,)(\s{0,64})(?:"((?:[^"\\]|\\.){0,1024})"|([^<>",;:@=]{1,256}))(\s{0,64})(?=<)')
_SENT_BY: Final = re.compile(
    r"(SIP\s{0,8}/\s{0,8}2\.0\s{0,8}/\s{0,8}\w{2,8}\s{1,8})([A-Za-z0-9_.-]{1,255}|\[[^\]]{1,64}\])"
)
_USERNAME: Final = re.compile(r'(\b(?:username|targetname)\s{0,8}=\s{0,8}"?)([^",\s]{1,256})', re.IGNORECASE)
_REALM: Final = re.compile(r'(\brealm\s{0,8}=\s{0,8}")([^"]{1,256})', re.IGNORECASE)
_HEADERS: Final = re.compile(r"\?([^>\s]{1,2048})")
_QUOTED: Final = re.compile(r'"[^"]{0,4096}"?')
_WORDS: Final = re.compile(r"[\w.+-]{3,128}")
_EMBEDDED: Final = re.compile(r"(;\s{0,8}(?:ms-body|msgr)\s{0,8}=)[^;\s]+", re.IGNORECASE)
_CACHED: Final = 512
_LETTER_OR_DIGIT: Final = re.compile(r"[^\W\d_]|(\d)")
_HEADER: Final = re.compile(r"([A-Za-z0-9_!%*+.`'~-]{1,64})(\s{0,8}:\s{0,8})(.*)", re.DOTALL)


class Anonymizer:
    """Replaces users, numbers and addresses, the same by the same. The key is forgotten with the object."""

    def __init__(self, key: bytes | None = None) -> None:
        self.names = Pseudonyms(key or secrets.token_bytes(32))
        self._captures: dict[str, str] = {}
        self._tally = Tally()
        self._limits = Limits()
        self._uris_cached = lru_cache(4096)(self._uris_of)
        self._users: frozenset[str] = frozenset()

    def messages(self, batch: Iterable[SipMessage]) -> list[SipMessage]:
        """The messages of a batch under other names."""
        return [self.message(message) for message in batch]

    def message(self, message: SipMessage) -> SipMessage:
        """A message under other names; its capture too."""
        raw, body_at = message.raw, message.body_at
        # Latin-1 keeps every byte.
        lines = [line.decode("latin-1") for line in _unfolded(raw[:body_at])]
        kind = next((value[0] for name, value in message.headers.items() if name == b"content-type" and value), b"")
        body = self.body(raw[body_at:].decode("latin-1"), kind.decode("latin-1").partition(";")[0].strip().lower())
        grown = len(body) - (len(raw) - body_at)
        self._users = frozenset(self._known(lines))
        made = [self._start_line(lines[0])]
        for line in lines[1:]:
            found = _HEADER.fullmatch(line)
            if found is None:
                made.append(_hidden(line))
                continue
            name, colon, value = found.groups()
            long = _long(name)
            if long == "content-length" and value.strip().isdigit():
                made.append(f"{name}{colon}{max(int(value[:10]) + grown, 0)}")
            else:
                made.append(name + colon + self.value(long, value))
        head = "\r\n".join(made) + "\r\n\r\n"
        scanned = scan(
            (head + body).encode("latin-1", "replace"), message.time, self._position(message.position), self._tally,
            self._limits, source=self._place(message.source), destination=self._place(message.destination),
            transport=message.transport, cut=message.cut,
            machine=self.names.host(message.machine) if message.machine else "",
            pool=self.names.host(message.pool) if message.pool else "",
        )  # fmt: skip
        if isinstance(scanned, str):  # it was a message before, and every part that makes it one is kept
            raise TypeError(f"an anonymized message can't be read: {scanned}")
        return scanned

    def sources(self, sources: Iterable[str]) -> set[str]:
        """Captures by the names that they have in messages."""
        return {self._captures.get(source, source) for source in sources}

    def selection(self, selection: Selection) -> Selection:
        """A selection by users and Call-ID as it finds the same sessions under their other names."""
        return msgspec.structs.replace(
            selection,
            caller=None if selection.caller is None else self.address(selection.caller),
            callee=None if selection.callee is None else self.address(selection.callee),
            call_id=None
            if selection.call_id is None
            else self.call_id(as_received(selection.call_id).decode("latin-1")),
        )

    def address(self, value: str) -> str:
        """A user as a selection has it: `ann@example.com`, or the part before the `@`."""
        user, at, host = value.partition("@")
        host, semicolon, rest = host.partition(";")
        return self.names.user(user) + at + (self.names.host(host) if host else "") + semicolon + rest

    def call_id(self, value: str) -> str:
        """A Call-ID: nothing of what stood before its `@`, which may name users, and another host behind it."""
        local, at, host = value.partition("@")
        return self.names.token(local) + at + (self.names.host(host) if host else "")

    def value(self, name: str, value: str) -> str:
        """The value of a header, by its long name in lower case."""
        if name in _AS_THEY_ARE:
            return value
        if name == "content-type":
            kind, _, parameters = value.partition(";")
            kept = [one for one in parameters.split(";") if one.strip().lower().startswith(("boundary=", "charset="))]
            return ";".join([kind, *kept])
        if name in _CALL_IDS:
            return self._call_ids(value)
        if name in _AGENTS:
            return self._agent(value)
        if name in ("ms-text-format", "ms-im-format"):
            return _EMBEDDED.sub(r"\1eA==", value)
        if name in _ADDRESSES:
            return self._uris(value)
        if name in _TEXTS:
            value = _USERNAME.sub(lambda m: m[1] + self._username(m[2]), value)
            value = _REALM.sub(lambda m: m[1] + self._realm(m[2]), value)
            if name == "via":
                value = _SENT_BY.sub(lambda m: m[1] + self._host(m[2]), value)
                return self._rest_of_via(value)
            # Numbers outside of quotes are codes, also where somebody's extension is the same.
            return _QUOTED.sub(lambda m: self._words(m[0]), self.text(value))
        return _hidden(value)

    def text(self, value: str) -> str:
        """A text with what is recognised in it as an address replaced."""
        return _FINDS.sub(self._found, value)

    def body(self, body: str, kind: str) -> str:
        """A body of this Content-Type (without parameters): SDP with other addresses; of others the form."""
        if kind == "message/sipfrag":
            lines = [line.rstrip("\r") for line in body.split("\n")]
            return "\r\n".join([self._start_line(lines[0]), *(self._line(line) for line in lines[1:])])
        if kind != "application/sdp" and not kind.startswith(("multipart/", "text/x-msmsgsinvite")):
            return _hidden(body)
        lines = []
        inside = kind == "application/sdp"
        for line in body.split("\n"):
            if line[:3] == "v=0":
                inside = True
            elif line[:2] == "--":
                inside = False
            if inside and line[1:2] == "=":
                lines.append(self._sdp_line(line))
            elif line[:2] == "--" or line.strip().lower().startswith("content-type:"):
                lines.append(line)
            elif line.partition(":")[0].strip().lower() in _INVITATION:
                lines.append(self.text(line))
            else:
                lines.append(_hidden(line))
        return "\n".join(lines)

    def _line(self, line: str) -> str:
        found = _HEADER.fullmatch(line)
        if found is None:
            return _hidden(line)
        name, colon, value = found.groups()
        return name + colon + self.value(_long(name), value)

    def _sdp_line(self, line: str) -> str:
        sign, value = line[0], line[2:]
        if sign == "o":
            user, blank, rest = value.partition(" ")
            return f"o={user if user == '-' else self.names.user(user)}{blank}{self._sdp_address(rest)}"
        if sign in "vtmbrz":
            return line
        if sign == "c":
            return "c=" + self._sdp_address(value)
        if sign == "a":
            key, colon, rest = value.partition(":")
            if key in ("rtpmap", "fmtp", "ptime", "maxptime", "mid", "group", "rtcp-fb", "setup", "ssrc-group"):
                return line
            if not colon:
                return line if key.strip() in _SDP_FLAGS else "a=" + _hidden(key)
            return f"a={key}:{self.text(rest) if key in _SDP_KEPT else _hidden(rest)}"
        return f"{sign}={_hidden(value)}"

    def _sdp_address(self, value: str) -> str:
        """`… IN IP4 host` with another host, which may be a name."""
        before, protocol, rest = value.rpartition(" IP4 ")
        if not protocol:
            before, protocol, rest = value.rpartition(" IP6 ")
        if not protocol:
            protocol = value[:4] if value[:4] in ("IP4 ", "IP6 ") else ""
            rest = value[len(protocol) :]
        host, slash, ttl = rest.partition("/")
        name = host.strip()
        return before + protocol + (host.replace(name, self._host(name)) if name else host) + slash + ttl

    def _start_line(self, line: str) -> str:
        """The request line with another URI, or the status line with its reason, which may name somebody."""
        if line[:4].upper() == "SIP/":
            version, code, reason = (*line.split(" ", 2), "", "")[:3]
            return f"{version} {code} {self._words(self.text(reason))}".rstrip()
        method, blank, rest = line.partition(" ")
        uri, last, version = rest.rpartition(" ")
        return method + blank + self._uris(uri) + last + version

    def _uris(self, value: str) -> str:
        return self._uris_cached(value) if len(value) <= _CACHED else self._uris_of(value)

    def _uris_of(self, value: str) -> str:
        """A value of addresses: display names, URIs, and the headers that an URI brings along, escaped in it."""
        value = _DISPLAY.sub(self._display, value)
        made = []
        at = 0
        for found in _HEADERS.finditer(value):
            made += [self.text(value[at : found.start()]), "?", self._escaped(found[1])]
            at = found.end()
        return "".join(made) + self.text(value[at:])

    def _escaped(self, value: str) -> str:
        made = []
        for header in value.split("&"):
            name, equals, escaped = header.partition("=")
            new = self.value(_long(name), unquote(escaped, "latin-1"))
            made.append(name + equals + quote(new, safe="", encoding="latin-1"))
        return "&".join(made)

    def _display(self, found: re.Match[str]) -> str:
        comma, before, quoted, plain, after = found.groups()
        name = quoted if quoted is not None else plain
        if not name.strip():
            return found[0]
        return f'{comma}{before}"{self.names.user(name.strip())}"{after or " "}'

    def _found(self, found: re.Match[str]) -> str:
        kind = found.lastgroup
        if found["uri"]:
            return self._uri(found)
        if found["tel"]:
            return "tel:" + self.names.user(found["number"])
        if found["mail"]:
            return self.names.user(found["mailbox"]) + "@" + self._host(found["domain"])
        text = found[0]
        if kind == "context":
            return self.names.number(text)
        if kind == "opaque":
            return ("z9hG4bK" if text.startswith("z9hG4bK") else "") + self.names.token(text)
        if kind == "device":
            return self.names.identifier(text)
        if kind == "v6" and not _is_address(text):
            return text
        if kind == "v4" and not _is_address(text):
            return text
        return self._host(text)

    def _uri(self, found: re.Match[str]) -> str:
        scheme = found["uri"].partition(":")[0]
        user, host = found["user"], found["host"]
        made = scheme + ":"
        if user is not None:
            # A password, and parameters of a number, are left out.
            name, _, parameters = unquote(user, "latin-1").partition(";")
            context = parameters.partition("phone-context=")[2].partition(";")[0]
            made += quote(self.names.user(name.partition(":")[0]), safe="+*#().-_")
            made += f";phone-context={self._context(context)}@" if context else "@"
        return made + (self._host(host) if host else "")

    def _context(self, context: str) -> str:
        return self.names.number(context) if context[:1] in "+0123456789" else self._host(context)

    def _host(self, host: str) -> str:
        return self.names.host(host)

    def _realm(self, realm: str) -> str:
        return realm if "." in realm else self.names.user(realm)  # a domain is found by `text`

    def _username(self, name: str) -> str:
        return name if "@" in name else self.names.user(name)

    def _rest_of_via(self, value: str) -> str:
        """What stands behind the sent-by of each Via: branch, received and so on."""
        made = []
        for at, part in enumerate(value.split(";")):
            name, equals, content = part.partition("=")
            if at == 0 or not equals:
                made.append(part)
            elif name.strip().lower() in ("received", "maddr"):
                host, comma, rest = content.partition(",")
                made.append(name + equals + self._host(host.strip()) + comma + rest)
            elif name.strip().lower() == "branch":
                branch, comma, rest = content.partition(",")
                cookie = "z9hG4bK" if branch.startswith("z9hG4bK") else ""
                made.append(name + equals + cookie + self.names.token(branch.strip()) + comma + rest)
            else:
                content, comma, rest = content.partition(",")
                kept = content if content.strip().isdigit() or name.strip().lower() in ("transport", "comp") else ""
                made.append(name + equals + (kept or _hidden(content)) + comma + rest)
        return ";".join(made)

    def _call_ids(self, value: str) -> str:
        call_id, semicolon, parameters = value.partition(";")
        return self.call_id(call_id.strip()) + semicolon + self.text(semicolon + parameters)[1:]

    def _agent(self, value: str) -> str:
        """The name and version of a program. A version of four numbers isn't an address, unless it is a private one."""
        found = re.sub(_IPV4, lambda m: self._host(m[0]) if _is_private(m[0]) else m[0], value)
        return self._words(found)

    def _words(self, value: str) -> str:
        """A text of words, without those that are users of this message."""
        users = self._users
        return _WORDS.sub(lambda m: self.names.user(m[0]) if m[0].lower() in users else m[0], value)

    def _known(self, lines: list[str]) -> Iterator[str]:
        """Users that a message names in its addresses, and the words of their names."""
        for line in lines:
            name, _, value = line.partition(":")
            if _long(name.strip()) in _ADDRESSES or line is lines[0]:
                for found in _FINDS.finditer(value):
                    if found["user"]:
                        yield found["user"].partition(";")[0].partition(":")[0].lower()
                for found in _DISPLAY.finditer(value):
                    yield from (found[3] or found[4] or "").lower().split()

    def _place(self, place: str) -> str:
        host, colon, port = place.rpartition(":")
        return (self._host(host) + colon + port) if host else place

    def _position(self, position: Position) -> Position:
        """The frame in a capture whose name, which may be telling, is a number."""
        source = position.source
        if source not in self._captures:
            suffix = PurePath(source).suffix
            kept = suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""
            self._captures[source] = f"capture-{len(self._captures) + 1}{kept}"
        return Position(self._captures[source], position.number, position.partition)


_SDP_FLAGS: Final = frozenset({"sendrecv", "sendonly", "recvonly", "inactive", "rtcp-mux", "ice-lite", "bundle-only"})
_SDP_KEPT: Final = frozenset({"candidate", "rtcp", "remote-candidates", "connection", "content", "curr", "des", "conf",
                              "accept-types", "path"})  # fmt: skip


def _long(name: str) -> str:
    """A header's name in lower case, long where it was written short."""
    return _LONG.get(name.lower(), name.lower())


def _unfolded(head: bytes) -> list[bytes]:
    """The lines of a head, credentials masked, each header in one."""
    lines: list[bytes] = []
    for line in headers_masked(head):
        bare = line.rstrip(b"\r")
        if bare[:1] in (b" ", b"\t") and len(lines) > 1:
            lines[-1] += b" " + bare.strip()
        elif bare.strip() or not lines:
            lines.append(bare.strip() if not lines else bare)
    return lines


def _hidden(text: str) -> str:
    """The form of a text: `x` for letters, `0` for digits."""
    return _LETTER_OR_DIGIT.sub(lambda found: "0" if found[1] else "x", text)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_private(text: str) -> bool:
    return _is_address(text) and ipaddress.ip_address(text).is_private
