"""`Record`: a session as people and programs are shown it, and the two machine formats, JSON and CSV.

A record has every column of SessionDetails by its name and in the schema's order, the look-ups resolved to their text
(so `User1`, not `User1Id`), then `CallId`, `FromTag`, `ToTag` (caller's and callee's) and `Media`. Times are texts,
ISO 8601 UTC with microseconds.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sipcdr.sinks import SESSION_COLUMNS, TIME_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipcdr.sinks import Session

Value = str | int | list[str] | None
Record = dict[str, Value]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Final = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_LAST: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


def iso(time: int) -> str:
    """Microseconds UTC since 1970 as `2026-11-23T08:00:00.000000Z`; years end at 1 and 9999."""
    second, micros = divmod(min(max(time, _FIRST), _LAST), 1_000_000)
    return f"{_to_the_second(second)}.{micros:06}Z"


@lru_cache(4096)
def _to_the_second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).isoformat()[:19]


def text(value: bytes) -> str:
    r"""A Call-ID or tag as text: bytes that are no UTF-8 stand as `\xff`."""
    return value.decode("utf-8", "backslashreplace")


_BYTES: Final = ("CallId", "FromTag", "ToTag")


def record_of(session: Session) -> Record:
    """The record of a session as `sinks` gives it, with times in microseconds and the Call-ID and tags as bytes."""
    record: dict[str, Any] = dict(session)
    for name in _BYTES:
        record[name] = text(record[name])
    for name in TIME_COLUMNS:
        time = record[name]
        if time is not None:
            record[name] = iso(time)
    return record


def visible(value: str) -> str:
    r"""A text that can do nothing to a terminal: controls, format and bidirectional signs stand escaped, as `\x1b`."""
    if value.isprintable():
        return value
    return "".join(sign if sign.isprintable() else _escaped(sign) for sign in value)


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")


_UNPRINTABLE_MAYBE: Final = re.compile("[^ -~]")


def _json_escape(match: re.Match[str]) -> str:
    sign = match[0]
    if sign.isprintable():
        return sign
    units = sign.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def json_lines(records: Iterable[Record]) -> Iterator[str]:
    r"""One JSON object a record and line. All values are exact: what isn't printable is escaped as `\u001b`."""
    encode = msgspec.json.Encoder().encode
    for record in records:
        line = encode(record).decode("utf-8")
        yield (line if line.isprintable() else _UNPRINTABLE_MAYBE.sub(_json_escape, line)) + "\n"


_FORMULA: Final = re.compile(r"[=@-]|\+(?![0-9])")


def csv_cell(value: Value) -> str | int:
    """A value as CSV has it, which a spreadsheet doesn't take for a formula."""
    if value is None:
        return ""
    if isinstance(value, int):
        return value
    shown = visible(value if isinstance(value, str) else ";".join(value))
    # A spreadsheet takes these for the beginning of a formula; "+49..." is a phone number.
    return "'" + shown if _FORMULA.match(shown) else shown


def csv_lines(records: Iterable[Record]) -> Iterator[str]:
    """A line of names, then one a record; NULL is empty, Media joined by `;`, formulas and controls made harmless."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(SESSION_COLUMNS)
    for record in records:
        writer.writerow([csv_cell(value) for value in record.values()])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()
