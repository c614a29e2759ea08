"""A user's address as Users.UserUri holds it (derivations.md section 4.1)."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from ._row import User
from ._syntax import address, parameter
from ._text import URI_LENGTH, fit

if TYPE_CHECKING:
    from collections import Counter

_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()")
_SEPARATORS = str.maketrans("", "", "-.() \t")


def user_of(value: str, column: str, counts: Counter[str] | None = None) -> User | None:
    """The user that a From, To or similar header value names, or None where it names none."""
    uri, _ = address(value)
    stored, uri_type = stored_uri(uri)
    fitted = fit(stored, URI_LENGTH, column, counts)
    return None if fitted is None else User(fitted, uri_type)


def stored_uri_of(value: str) -> str:
    """The stored form of the URI in a From or To value: what tells two sides with equal tags apart."""
    return stored_uri(address(value)[0])[0]


@functools.lru_cache(maxsize=4096)
def stored_uri(uri: str) -> tuple[str, int]:
    """A URI in the stored form, and its UriTypeId: 0 a phone, 1 a user."""
    scheme, colon, rest = uri.partition(":")
    scheme = scheme.strip().lower()
    if colon and scheme in ("sip", "sips"):
        return _sip(rest)
    if colon and scheme == "tel":
        return _tel(rest), 0
    return uri.strip().lower(), 1


def _sip(rest: str) -> tuple[str, int]:
    # The user part ends at the first "@" and may itself hold ";" and "?" (VoLTE's phone-context).
    user, at, hostport = rest.partition("@")
    if not at:
        user, hostport = "", rest
    else:
        user = _unescape(user.partition(":")[0].strip())
    hostport, _, headers_less = hostport.partition("?")[0].partition(";")
    host = host_of(hostport)
    phone = bool(headers_less) and (parameter(";" + headers_less, "user") or "").lower() == "phone"
    if not user:
        return host, 1
    stored = f"{user}@{host}".lower()
    return (stored + ";user=phone", 0) if phone else (stored, 1)


def host_of(hostport: str) -> str:
    """The host of `host[:port]` in lower case; IPv6 keeps its brackets (RFC 3261 section 25.1)."""
    hostport = hostport.strip().lower()
    if hostport.startswith("["):
        close = hostport.find("]")
        return hostport if close < 0 else hostport[: close + 1]
    return hostport.partition(":")[0].strip()


def user_part(stored: str) -> str:
    """The user of a stored address: what stands before `@`, of a phone number the number; empty for a host alone."""
    user, at, _ = stored.partition("@")
    if at:
        return user
    number = stored.partition(";")[0]
    return number if number.isascii() and number.lstrip("+").isdigit() else ""


def _after_user(uri: str) -> str:
    """The part of a sip or sips URI that begins with its host."""
    rest = uri.partition(":")[2]
    user, at, hostport = rest.partition("@")
    return hostport if at and ("<" not in user) else rest


def uri_host(uri: str) -> str:
    """The host of a sip or sips URI, in lower case, without its port."""
    return host_of(_after_user(uri).partition("?")[0].partition(";")[0])


def uri_parameters(uri: str) -> str:
    """The parameters of a sip or sips URI, with the semicolon before the first."""
    rest = _after_user(uri).partition("?")[0]
    return rest[rest.find(";") :] if ";" in rest else ""


def _unescape(user: str) -> str:
    """Decode escapes of unreserved characters only: others mean something else decoded (RFC 3261 section 19.1.4)."""
    if "%" not in user:
        return user

    def decode(match: re.Match[str]) -> str:
        sign = chr(int(match[1], 16))
        return sign if sign in _UNRESERVED else match[0]

    return _ESCAPE.sub(decode, user)


def _tel(rest: str) -> str:
    number, _, parameters = rest.partition("?")[0].partition(";")
    kept = number.translate(_SEPARATORS)
    for name in ("phone-context", "ext"):
        value = parameter(";" + parameters, name)
        # RFC 3966: a global number has no phone-context; one that is there says nothing.
        if value and not (name == "phone-context" and kept.startswith("+")):
            kept += f";{name}={value}"
    return kept.lower()
