"""Text as it enters facts and columns (derivations.md section 4.3)."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter

HEADER_LENGTH = 1024
"""Characters of a header value that a fact keeps: more than any column takes."""

URI_LENGTH = 450
NAME_LENGTH = 256

# C0 and C1 controls, surrogates, and the two noncharacters at the end of every plane.
_UNFIT = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff"
    + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
    + "]"
)


def _each_byte(error: UnicodeError) -> tuple[str, int]:
    """Replace every byte of a bad sequence by one U+FFFD, where Python's "replace" would merge them."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\ufffd" * (error.end - error.start), error.end


codecs.register_error("sipcdr.each_byte", _each_byte)


def text(value: bytes) -> str:
    """A header value as text, cut to `HEADER_LENGTH` characters; each bad byte becomes U+FFFD."""
    if value.isascii():
        return value[:HEADER_LENGTH].decode("ascii")
    return value[: HEADER_LENGTH * 4 + 4].decode("utf-8", "sipcdr.each_byte")[:HEADER_LENGTH]


def fit(value: str, length: int, column: str, counts: Counter[str] | None = None) -> str | None:
    """`text.fit`: what a column of `length` UTF-16 units can hold of a value on every database, or None.

    What no database takes becomes U+FFFD, one for one; blanks around go; too long a value is cut, never inside a
    surrogate pair. `counts` gets `replaced COLUMN` and `truncated COLUMN`.
    """
    if value.isascii() and value.isprintable():
        fitted = value
    else:
        fitted = _UNFIT.sub("\ufffd", value)
        if counts is not None and "\ufffd" in fitted:
            counts["replaced " + column] += 1
    fitted = fitted.strip()
    if len(fitted) * 2 > length and _units(fitted) > length:
        fitted = _cut(fitted, length).rstrip()
        if counts is not None:
            counts["truncated " + column] += 1
    return fitted or None


def _units(value: str) -> int:
    return len(value) if value.isascii() else len(value.encode("utf-16-le")) // 2


def _cut(value: str, length: int) -> str:
    # "ignore" drops half a surrogate pair at the cut.
    return value.encode("utf-16-le")[: length * 2].decode("utf-16-le", "ignore")
