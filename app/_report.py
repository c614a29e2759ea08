"""`Report`: one page of HTML with the sessions of a replay, for somebody who has neither captures nor sipcdr.

The page loads nothing: its Content-Security-Policy allows its own script and style by their hashes and nothing else.
Data stand in it as JSON in script elements that aren't run, `<`, `>` and `&` escaped; its script makes text of them.
"""

from __future__ import annotations

import base64
import hashlib
import os
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sipcdr.sinks import SESSION_COLUMNS, TIME_COLUMNS

from ._codes import NAMES
from ._mask import harmless
from ._records import text, visible
from ._report_details import MESSAGES, details_of
from ._report_figures import cards_of
from ._report_spool import ReportSpool
from ._statistics import IM_ONLY, Group, outcome_of, post_dial_delays

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet
    from types import TracebackType
    from typing import BinaryIO, Self

    from sipcdr.builder import Call, SipMessage

    from ._records import Record, Value

DETAILS: Final = 2000
"""Sessions with messages, call flow and provenance, unless told otherwise."""
_RANKS: Final = {"failed": 0, "no response": 0, "cancelled": 1, "redirected": 1, "answered": 2}
"""Which sessions get details first."""
_BLOCK: Final = 2000
_INTERNED: Final = 100_000
_COLUMNS: Final = (*(name for name in SESSION_COLUMNS if name != "Media"), "Delay", "Detail")
_NUMBERS: Final = frozenset(
    {"SessionIdSeq", "ReplaceDialogIdSeq", "IsUser1Internal", "IsUser2Internal", "ResponseCode", "DiagnosticId",
     "CallPriority", "User1MessageCount", "User2MessageCount", "MediaTypes", "User1Flag", "User2Flag", "CallFlag",
     "Processed", "Delay", "Detail"}
)  # fmt: skip
_TEXTS: Final = tuple(name for name in _COLUMNS if name not in _NUMBERS | TIME_COLUMNS)
_UNIQUE: Final = frozenset({"CallId", "FromTag", "ToTag"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_encode: Final = msgspec.json.Encoder().encode


class Report:
    """A report in the making. Raises OSError where its file can't be written, which it tries at once.

    details: how many sessions get messages, call flow and provenance.
    """

    def __init__(self, path: str, details: int = DETAILS) -> None:
        self._path = Path(path)
        self._details = details
        self._part = self._path.with_name(self._path.name + ".part")
        self._file: BinaryIO = self._part.open("wb")
        self._spool = ReportSpool()
        self._group = Group()
        self._strings: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._spool.__exit__()
        self._file.close()
        with suppress(OSError):
            self._part.unlink(missing_ok=True)

    def read(self, batches: Iterable[list[SipMessage]]) -> Iterator[list[SipMessage]]:
        """Pass messages on, and keep them for the details."""
        for batch in batches:
            self._spool.keep_messages((text(message.call_id), message) for message in batch)
            yield batch

    def due(self, calls: Iterable[Call]) -> None:
        """Note the post-dial delays of calls."""
        for call in calls:
            delays = {text(tag): delay for tag, delay in post_dial_delays(call).items()}
            self._spool.keep_delays(text(call.call_id), delays)

    def shown(self, records: Iterable[Record]) -> Iterator[Record]:
        """Pass sessions on, and put them into the report."""
        for record in records:
            self._take(record)
            yield record

    def _take(self, record: Record) -> None:
        code, media = _number(record["ResponseCode"]), _number(record["MediaTypes"])
        im_only = media == IM_ONLY
        outcome = outcome_of(code)
        invite, response, end = (_micros(record[name]) for name in ("InviteTime", "ResponseTime", "SessionEndTime"))
        kept = None if im_only else self._spool.delay_of(str(record["CallId"]), str(record["FromTag"]))
        delay = None if kept is None else kept.of(invite)
        self._group.add(code, _number(record["DiagnosticId"]), im_only=im_only)
        if delay is not None:
            self._group.delays.add(delay)
        if outcome == "answered" and not im_only and response is not None:
            self._group.answers.add(response - (invite or 0))
            if end is not None:
                self._group.add_talk(end - response)
        self._spool.keep_row(record, _RANKS[outcome], delay)

    def write(self, sources: str, notes: list[str], logs: AbstractSet[str] = frozenset()) -> None:
        """Write the page. Raises OSError.

        sources: what was read, in words. notes: what is to be known of it. logs: the sources that are logs.
        """
        wanted = self._spool.want(self._details)
        style, script, page = (
            files(__package__).joinpath(f"_report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js", "html")
        )
        page = page.replace("{{policy}}", _policy(style, script)).replace("{{style}}", style)
        self._file.write(page.encode())
        base, last, total = self._write_rows(logs)
        self._block('id="strings"', list(self._strings))
        calls = self._group.calls + self._group.messages
        self._block('id="meta"', {
            "columns": _COLUMNS,
            "times": sorted(TIME_COLUMNS),
            "texts": _TEXTS,
            "names": NAMES,
            "base": base,
            "sub": f"{_period(base, last)}{visible(sources)}, by sipcdr {version('sipcdr')}" if calls else sources,
            "cards": cards_of(self._group),
            "note": _note(wanted, total),
            "notes": [visible(note) for note in notes],
        })  # fmt: skip
        self._file.write(f"<script>{script}</script>\n</body>\n</html>\n".encode())
        self._file.close()
        os.replace(self._part, self._path)  # noqa: PTH105 (also onto a file that is there, on Windows too)

    def _write_rows(self, logs: AbstractSet[str]) -> tuple[int, int, int]:
        """The blocks of rows, and those of details. Returns the first and the last InviteTime, and how many rows."""
        base = last = total = 0
        rows: list[list[Any]] = []
        numbers: dict[str, int] = {}
        sessions: list[tuple[str, dict[int, int]]] = []
        for number, kept in enumerate(self._spool.rows()):
            record = kept.record
            last = _micros(record["InviteTime"]) or 0
            if number == 0:
                base = last
            detail = -1
            if kept.wanted:
                call = str(record["CallId"])
                detail = numbers.setdefault(call, len(sessions))
                if detail == len(sessions):
                    sessions.append((call, {}))
                sessions[detail][1][number] = kept.place
            rows.append([*self._row(record, base), kept.delay, detail])
            total += 1
            if len(rows) == _BLOCK:
                self._block('class="rows"', rows)
                rows = []
        self._block('class="rows"', rows)
        for number, (call, places) in enumerate(sessions):
            wanted = {at: self._spool.record(place) for at, place in places.items()}
            messages = self._spool.messages(call, MESSAGES)
            more = self._spool.message_count(call) - len(messages)
            self._block(f'id="d{number}"', details_of(messages, more, wanted, base, logs))
        return base, last, total

    def _row(self, record: Record, base: int) -> Iterator[Any]:
        for name in _COLUMNS[:-2]:
            value = record[name]
            if value is None or name in _NUMBERS:
                yield value
            elif name in TIME_COLUMNS:
                micros = _micros(value)
                yield None if micros is None else micros - base
            else:
                shown = harmless(str(value))
                yield shown if name in _UNIQUE else self._interned(shown)

    def _interned(self, shown: str) -> int | str:
        """The number of a text among those that are there once for all rows; the text itself where these are many."""
        number = self._strings.get(shown)
        if number is None:
            if len(self._strings) >= _INTERNED:
                return shown
            number = self._strings[shown] = len(self._strings)
        return number

    def _block(self, attributes: str, data: Any) -> None:
        """Data that the page's script reads. In JSON these signs stand in strings only, where an escape is the same."""
        encoded = _encode(data)
        for sign, escape in ((b"<", rb"\u003c"), (b">", rb"\u003e"), (b"&", rb"\u0026"),
                             ("\u2028".encode(), rb"\u2028"), ("\u2029".encode(), rb"\u2029")):  # fmt: skip
            encoded = encoded.replace(sign, escape)
        self._file.write(f'<script type="application/json" {attributes}>'.encode() + encoded + b"</script>\n")


def _policy(style: str, script: str) -> str:
    """The page may run its script, and have its style; it may load, send, frame and submit nothing."""
    hashes = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (script, style)]
    return (
        f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; base-uri 'none';"
        " form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _note(wanted: int, total: int) -> str:
    if wanted == total:
        return "Messages, call flow and provenance are embedded for all sessions."
    return (
        f"Messages, call flow and provenance are embedded for {wanted:,} of {total:,} sessions, the failed ones first."
        f" For all: sipcdr replay … --report-details {total}; for one: sipcdr explain PATH --call-id ID."
    )


def _period(first: int, last: int) -> str:
    begin, end = (datetime.fromtimestamp(micros // 1_000_000, UTC).isoformat(" ")[:16] for micros in (first, last))
    return f"{begin} to {end[11:] if begin[:10] == end[:10] else end} UTC, "


def _number(value: Value) -> int | None:
    return value if isinstance(value, int) else None


def _micros(value: Value) -> int | None:
    """A record's time in microseconds."""
    if not isinstance(value, str):
        return None
    moment = datetime.fromisoformat(value) - _EPOCH
    return (moment.days * 86_400 + moment.seconds) * 1_000_000 + moment.microseconds
