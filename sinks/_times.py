"""Times between the program's microseconds UTC and what databases take and give."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_THREE = tuple(f"{number:03}" for number in range(1000))


@lru_cache(4096)
def _second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).isoformat(" ", "seconds")[:19] + "."


def text_of(time: int) -> str:
    """Return `2026-11-23 08:05:10.120000`. Raises OverflowError outside the years 1 to 9999."""
    # Formatting the digits anew would take most of the time.
    millis = time // 1000
    return _second(millis // 1000) + _THREE[millis % 1000] + _THREE[time % 1000]


def micros_of(value: str | datetime) -> int:
    """Return the microseconds since 1970 of such a text, or of a time without a zone. ValueError if it is none."""
    time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return (time.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
