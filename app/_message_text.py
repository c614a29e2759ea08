"""A message's text as it may be shown: without passwords, answers to challenges and media keys, and harmless.

What is masked: in Authorization and Proxy-Authorization everything but who, where and how (RFC 7616, RFC 4559 and
bearer tokens alike); in the headers that challenge or inform, what a secret made; passwords in URIs; the keys of SDP
(RFC 4568) and of ICE (RFC 8839).
"""

from __future__ import annotations

import re
from typing import Final

from ._mask import harmless

LONGEST: Final = 16_384
"""Bytes of a message that are shown."""

_SHOWN: Final = frozenset({b"username", b"realm", b"uri", b"algorithm", b"qop", b"nc", b"opaque", b"nonce", b"stale",
                           b"targetname", b"version", b"cnum", b"domain"})  # fmt: skip
_MADE: Final = frozenset({b"response", b"rspauth", b"cnonce", b"nextnonce", b"gssapi-data", b"crand", b"srand", b"snum",
                          b"auts"})  # fmt: skip
"""Parameters that a secret made: named, but without their value. Of others not even the name is shown."""
_SCHEMES: Final = frozenset({b"digest", b"ntlm", b"kerberos", b"tls-dsa"})
"""Schemes of parameters; of others, known or not, all is one secret."""
_OPAQUE: Final = frozenset({b"basic", b"bearer", b"negotiate"})
_CREDENTIALS: Final = frozenset(
    {b"authorization", b"proxy-authorization", b"authentication-info", b"proxy-authentication-info",
     b"www-authenticate", b"proxy-authenticate"}
)  # fmt: skip
_PARAMETER: Final = re.compile(rb'([A-Za-z0-9_-]{1,64})\s{0,8}=\s{0,8}("(?:[^"\\]|\\.){0,4096}"?|[^\s,;"]{0,4096})')
_SCHEME: Final = re.compile(rb"\s*[A-Za-z0-9_-]{1,32}(?=\s|$)")
_KEY: Final = re.compile(rb"^(a=crypto:.{0,128}?inline:|a=ice-pwd:|a=key-mgmt:|k=[a-z]{1,16}:)[^\r\n]+", re.MULTILINE)
_MASK: Final = b"***"


def shown_text(raw: bytes, body_at: int) -> str:
    """The text of a message, its lines separated by line feeds; what is cut is said in the last line."""
    head, body = raw[:body_at], raw[body_at:]
    lines = headers_masked(head)
    data = b"\n".join(line.rstrip(b"\r") for line in lines) + _KEY.sub(rb"\1" + _MASK, body).replace(b"\r\n", b"\n")
    more = len(data) - LONGEST
    text = "\n".join(
        "\t".join(harmless(word) for word in line.split("\t"))
        for line in data[:LONGEST].decode("utf-8", "backslashreplace").split("\n")
    )
    return text + f"\n[{more:,} more bytes]" if more > 0 else text


def headers_masked(head: bytes) -> list[bytes]:
    """The lines of a head, with credentials masked; a folded header that has some becomes one line."""
    lines: list[bytes] = []
    secret = False
    for number, line in enumerate(head.split(b"\n")):
        if secret and line[:1] in (b" ", b"\t") and line.strip():
            lines[-1] = lines[-1].rstrip() + b" " + line.strip()
            continue
        if secret:
            lines[-1] = _masked(lines[-1])
        secret = number > 0 and line.partition(b":")[0].strip().lower() in _CREDENTIALS
        lines.append(line)
    if secret:
        lines[-1] = _masked(lines[-1])
    return lines


def _masked(line: bytes) -> bytes:
    """A header of credentials with its scheme and what is no secret."""
    name, _, value = line.partition(b":")
    scheme = b""
    if not name.strip().lower().endswith(b"-info"):
        found = _SCHEME.match(value)
        scheme = b"" if found is None else found[0]
        if scheme.strip().lower() not in _SCHEMES:
            known = scheme if scheme.strip().lower() in _OPAQUE else b""
            return name + b":" + known + b" " + _MASK
    shown = [
        b" " + key + b"=" + (word if key.lower() in _SHOWN else _MASK)
        for key, word in _PARAMETER.findall(value[len(scheme) :])
        if key.lower() in _SHOWN | _MADE
    ]
    return name + b":" + scheme + (b",".join(shown) or b" " + _MASK)
