"""What must not be shown of messages: passwords in addresses, and escapes that a terminal would obey."""

from __future__ import annotations

import re
from typing import Final

from ._records import visible

# RFC 3261 section 19.1.1: `sip:user:password@host`. Bounded, so that it can't backtrack far.
_PASSWORD: Final = re.compile(r"(sips?:[^\s:@<>;?]{1,256}):[^\s@<>]{1,256}@", re.IGNORECASE)


def harmless(value: str) -> str:
    """A text of a message as it may be shown: passwords masked, controls and bidirectional signs escaped."""
    return visible(_PASSWORD.sub(r"\1:***@", value))


def decoded(value: bytes, length: int = 1024) -> str:
    """Bytes of a message as they may be shown, cut to a length."""
    return harmless(value[: length * 4].decode("utf-8", "backslashreplace")[:length])
