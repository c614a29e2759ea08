"""The table of sessions for people: readable at 80 columns, with more in it at 110 and 150.

Lines are made one by one, as a replay may print a hundred thousand; widths follow the first `SAMPLE` records.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

import msgspec
from rich.cells import cell_len, set_cell_size

from ._codes import NAMES
from ._records import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ._records import Record

SAMPLE: Final = 1000
_GAP: Final = "  "
_TENTH: Final = timedelta(milliseconds=100)
# Select Graphic Rendition (ECMA-48): the only escapes that the table writes. The code's first digit gives its color.
_BOLD, _GREEN, _RED, _RESET = "\x1b[1m", "\x1b[32m", "\x1b[31m", "\x1b[0m"
_COLORS: Final = {"2": _GREEN, "4": _RED, "5": _RED, "6": _RED}


class Column(msgspec.Struct, frozen=True):
    """A column of the table.

    least: the width, in cells, below which it isn't narrowed; 0 for one that is always shown whole.
    room: the width of the table from which on it is there.
    """

    title: str
    cell: Callable[[Record], str]
    least: int = 0
    room: int = 0
    right: bool = False


def _time(value: object, length: int) -> str:
    return str(value)[:length].replace("T", " ")


def _user(value: object) -> str:
    return "-" if value is None else visible(str(value).removesuffix(";user=phone"))


def _code(record: Record) -> str:
    code = record["ResponseCode"]
    return "-" if code is None else str(code)


def _result(record: Record) -> str:
    code = record["ResponseCode"]
    return NAMES.get(code, "-") if isinstance(code, int) else "-"


def _answered(record: Record) -> bool:
    code = record["ResponseCode"]
    return isinstance(code, int) and 200 <= code < 300


def _span(begin: object, end: object) -> str:
    """The time from one of a record's times to another: `4.2s` below a minute, then `3:07`, `1:03:07`, rounded down."""
    tenths = max((datetime.fromisoformat(str(end)) - datetime.fromisoformat(str(begin))) // _TENTH, 0)
    if tenths < 600:
        return f"{tenths // 10}.{tenths % 10}s"
    minutes, seconds = divmod(tenths // 10, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _wait(record: Record) -> str:
    response = record["ResponseTime"]
    return "-" if response is None else _span(record["InviteTime"], response)


def _duration(record: Record) -> str:
    if not _answered(record):
        return "-"
    end = record["SessionEndTime"]
    return "no end" if end is None else _span(record["ResponseTime"], end)


# Shorter than in MediaList, and as plain.
_MEDIA: Final = {"File Transfer": "File", "Remote Assistance": "Remote", "Application Sharing": "Sharing"}


def _media(record: Record) -> str:
    media = record["Media"]
    if not isinstance(media, list) or not media:
        return "-"
    messages = f"IM {record['User1MessageCount']}/{record['User2MessageCount']}"
    return ", ".join(messages if name == "IM" else _MEDIA.get(name, name) for name in media)


def _notes(record: Record) -> str:
    notes = []
    target = record["TargetUser"]
    if target is not None and target != record["User2"]:
        notes.append(f"dialled {_user(target)}")
    if record["OnBehalfOf"] is not None:
        notes.append(f"for {_user(record['OnBehalfOf'])}")
    if record["ReferredBy"] is not None:
        notes.append(f"referred by {_user(record['ReferredBy'])}")
    if record["ReplaceDialogIdTime"] is not None:
        notes.append(f"took over the call of {_time(record['ReplaceDialogIdTime'], 19)}")
    if record["DiagnosticId"]:
        notes.append(f"diagnostic {record['DiagnosticId']}")
    return ", ".join(notes)


COLUMNS: Final[tuple[Column, ...]] = (
    Column("When (UTC)", lambda r: _time(r["InviteTime"], 19)),
    Column("Caller", lambda r: _user(r["User1"]), least=14),
    Column("Callee", lambda r: _user(r["User2"]), least=14),
    Column("Code", _code),
    Column("Result", _result, least=12, room=150),
    Column("Wait", _wait, room=110, right=True),
    Column("Duration", _duration, right=True),
    Column("Media", _media, least=11),
    # Whole as long as may be: it is what the next command asks for.
    Column("Call-ID", lambda r: visible(str(r["CallId"])), least=40, room=110),
    Column("Notes", _notes, least=14, room=150),
)


def table_lines(records: Iterable[Record], width: int | None, *, colors: bool) -> Iterator[str]:
    """The table's lines. width: cells to keep within, None for no limit. colors: whether to write any."""
    waiting = iter(records)
    sample = list(islice(waiting, SAMPLE))
    columns = [column for column in COLUMNS if width is None or width >= column.room]
    widths = _fit(columns, sample, width)

    def line(cells: Iterable[str]) -> list[str]:
        return [_cell(cell, size, column) for cell, size, column in zip(cells, widths, columns, strict=True)]

    code = next(number for number, column in enumerate(columns) if column.title == "Code")
    title = _GAP.join(line(column.title for column in columns)).rstrip()
    yield (f"{_BOLD}{title}{_RESET}" if colors else title) + "\n"
    for record in chain(sample, waiting):
        cells = line(column.cell(record) for column in columns)
        color = _COLORS.get(cells[code][0]) if colors else None
        if color is not None:
            cells[code] = f"{color}{cells[code]}{_RESET}"
        yield _GAP.join(cells).rstrip() + "\n"


def _cell(value: str, size: int, column: Column) -> str:
    """A cell cut or filled to its width; one without a limit may be wider in a later record."""
    length = cell_len(value)
    if length > size:
        return set_cell_size(value, size - 1) + "…" if column.least else value
    return " " * (size - length) + value if column.right else value + " " * (size - length)


def _fit(columns: list[Column], sample: list[Record], width: int | None) -> list[int]:
    """The widths of the columns: as the sample needs, the widest narrowed first while they don't fit."""
    widths = [
        max(cell_len(column.title), *(cell_len(column.cell(record)) for record in sample), 1) for column in columns
    ]
    if width is None:
        return widths
    over = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    while over > 0:
        room, widest = max(
            (size - column.least if column.least else 0, at)
            for at, (size, column) in enumerate(zip(widths, columns, strict=True))
        )
        if room <= 0:
            break
        widths[widest] -= 1
        over -= 1
    return widths
