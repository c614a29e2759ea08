"""Reading header values: lists, name-addr and parameters (RFC 3261 sections 7.3.1, 20.10 and 25.1).

Every function is linear in its input, and none raises on malformed text.
"""

from __future__ import annotations


def first_value(value: str) -> str:
    """The first element of a comma-separated list."""
    if "," not in value:
        return value.strip()
    for part in split_values(value):
        return part
    return ""


def split_values(value: str) -> list[str]:
    """Elements of a comma-separated list; commas in quotes or `<>` don't separate, empty elements are dropped."""
    if "," not in value:
        stripped = value.strip()
        return [stripped] if stripped else []
    parts: list[str] = []
    start = 0
    at = 0
    angle = False
    size = len(value)
    while at < size:
        sign = value[at]
        if sign == '"' and not angle:
            at = _quoted_end(value, at)
            continue
        if sign == "<":
            angle = True
        elif sign == ">":
            angle = False
        elif sign == "," and not angle:
            parts.append(value[start:at].strip())
            start = at + 1
        at += 1
    parts.append(value[start:].strip())
    return [part for part in parts if part]


def _quoted_end(value: str, at: int) -> int:
    """Behind the quoted string that begins at `at`; behind the quote itself if it never ends (derivations.md 4.1)."""
    end = at + 1
    while True:
        quote = value.find('"', end)
        if quote < 0:
            return at + 1
        backslashes = 0
        while value[quote - 1 - backslashes] == "\\" and quote - 1 - backslashes > at:
            backslashes += 1
        if backslashes % 2 == 0:
            return quote + 1
        end = quote + 1


def address(value: str) -> tuple[str, str]:
    """The URI of a name-addr or addr-spec, and the header parameters behind it with their leading semicolon.

    With a `<` outside a quoted string the URI is what stands up to the matching `>`; else what stands up to the first
    `;`, blank or `,` (RFC 3261 section 20: then parameters are the header's).
    """
    at = 0
    size = len(value)
    while at < size:
        sign = value[at]
        # A quote counts only where a display name may stand; escaped outside a quoted string it is none.
        if sign == '"' and (at == 0 or value[at - 1] != "\\"):
            at = _quoted_end(value, at)
        elif sign == "<":
            close = value.find(">", at)
            if close < 0:
                return value[at + 1 :].strip(), ""
            return value[at + 1 : close].strip(), value[close + 1 :]
        else:
            at += 1
    bare = value.strip()
    for at, sign in enumerate(bare):
        if sign in "; \t,":
            return bare[:at], bare[at:]
    return bare, ""


def parameter(parameters: str, name: str) -> str | None:
    """The value of `;name=value` (quotes removed), "" for `;name` alone, None if absent. The first one wins.

    Names are compared without case. `name` is given in lower case.
    """
    at = 0
    size = len(parameters)
    while True:
        at = parameters.find(";", at)
        if at < 0:
            return None
        end = at + 1
        while end < size and parameters[end] != ";":
            end = _quoted_end(parameters, end) if parameters[end] == '"' else end + 1
        key, equals, value = parameters[at + 1 : end].partition("=")
        if key.strip().lower() == name:
            value = value.strip()
            if len(value) >= 2 and value[0] == value[-1] == '"':
                value = value[1:-1]
            return value if equals else ""
        at = end
