"""The command `diff`: what is in one of two databases only, and what differs; a replay of captures is one, too.

Both are read in the order of their keys, which may differ; so sessions wait on disk until both are read, and are
compared by Dialogs.ExternalId: Call-ID and tags, and InviteTime where these come again.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from sipcdr.ingest import Inputs, Tally
from sipcdr.sinks import TIME_COLUMNS, Sink, SinkAddress, SinkError, without_secrets

from ._explanations import MEDIA
from ._figures import Figures
from ._mask import harmless
from ._reading import HOLD, due_calls
from ._records import iso, json_lines, text
from ._replay import replay_into
from ._select import Selection
from ._spool import Spool
from ._status import ALL_READ, NOT_ALL_READ, REFUSED, USAGE, say
from ._terminal import Paper, show, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sipcdr.ingest import LogOptions
    from sipcdr.sinks import Walked

    from ._records import Record

_KEYS: Final = frozenset({"SessionIdTime", "SessionIdSeq", "ReplaceDialogIdTime", "ReplaceDialogIdSeq"})
"""Columns whose values say only which row it is."""
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode

Values = dict[str, Any]


class Difference(msgspec.Struct, frozen=True):
    """A session that isn't the same on both sides. one, other: its columns there; None where it isn't."""

    dialog: str
    one: Values | None
    other: Values | None

    @property
    def columns(self) -> list[str]:
        """The columns that differ, where both have the session."""
        if self.one is None or self.other is None:
            return []
        return [name for name, value in self.one.items() if value != self.other[name]]


def diff_of(one: str, others: Sequence[str], form: str, logs: LogOptions) -> int:
    """Compare two sides, each a database URL or captures; returns the exit status."""
    problems = 0
    with ExitStack() as stack:
        sides = stack.enter_context(_Sides())
        for side, named in enumerate(([one], others)):
            try:
                if "://" in named[0]:
                    with closing(Sink.open(named[0], ddl=False)) as sink:
                        sides.add(side, sink.walk())
                else:
                    problems += _replayed(sides, side, named, logs)
            except SinkError as error:
                say(f"{without_secrets(named[0])}: {error}")
                return USAGE if isinstance(error, SinkAddress) else REFUSED
            except sqlite3.Error as error:
                say(f"the temporary file (TMPDIR says where): {error}")
                return REFUSED
        counts = {"equal": sides.equal(), "differ": 0, "only in A": 0, "only in B": 0}
        found = _counted(sides.differences(), counts)
        if form == "json":
            status = write(json_lines(cast("Record", _json(each)) for each in found))
        else:
            paper = Paper.of_stdout()
            status = show(line for each in found for line in _lines(each, paper))
        for _ in found:  # also what nobody read on
            pass
    say(", ".join(f"{count:,} {words}" for words, count in counts.items()))
    if status != ALL_READ or problems:
        return NOT_ALL_READ
    return ALL_READ if counts["equal"] == sum(counts.values()) else NOT_ALL_READ


def _replayed(sides: _Sides, side: int, paths: Sequence[str], logs: LogOptions) -> int:
    """Replay captures into a database of the moment; returns how many problems there were."""
    figures = Figures(Tally())
    with tempfile.TemporaryDirectory(prefix="sipcdr-") as folder:
        url = f"sqlite:///{Path(folder) / 'replay.db'}"
        with closing(Sink.open(url)) as sink, Spool() as spool:
            inputs = Inputs(paths, tally=figures.tally, logs=logs)
            due = due_calls(inputs, Selection(), figures, hold=HOLD, tick=lambda: None)
            replay_into(sink, due, Selection(), figures, spool, tick=lambda: None)
            sides.add(side, sink.walk())
    for line in figures.problems():
        say(line)
    return figures.tally.problem_count


class _Sides:
    """Sessions of both sides in a temporary database of SQLite's own."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(
            """
            PRAGMA temp_store = FILE;
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            CREATE TABLE sessions (
                side INTEGER, dialog BLOB, nth INTEGER, invite INTEGER, data BLOB, PRIMARY KEY (side, dialog, nth)
            ) WITHOUT ROWID;
            BEGIN;
            """
        )

    def __enter__(self) -> _Sides:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def add(self, side: int, sessions: Iterable[Walked]) -> None:
        """Take the sessions of a side in. An ExternalId that comes again gets a number."""
        self._database.executemany(
            "INSERT INTO sessions VALUES"
            " (?1, ?2, (SELECT COUNT(*) FROM sessions WHERE side = ?1 AND dialog = ?2), ?3, ?4)",
            ((side, each.external_id, each.values["InviteTime"], _encode(_compared(each))) for each in sessions),
        )

    def equal(self) -> int:
        """How many sessions are the same."""
        [count] = self._database.execute(
            "SELECT COUNT(*) FROM sessions AS a JOIN sessions AS b ON b.side = 1 AND a.dialog = b.dialog"
            " AND a.nth = b.nth AND a.data = b.data WHERE a.side = 0"
        ).fetchone()
        return int(count)

    def differences(self) -> Iterator[Difference]:
        """Sessions that aren't, by time."""
        rows = self._database.execute(
            """
            SELECT a.invite, a.dialog, a.nth, a.data, b.data FROM sessions AS a
            LEFT JOIN sessions AS b ON b.side = 1 AND a.dialog = b.dialog AND a.nth = b.nth
            WHERE a.side = 0 AND (b.data IS NULL OR a.data <> b.data)
            UNION ALL
            SELECT b.invite, b.dialog, b.nth, NULL, b.data FROM sessions AS b
            LEFT JOIN sessions AS a ON a.side = 0 AND a.dialog = b.dialog AND a.nth = b.nth
            WHERE b.side = 1 AND a.data IS NULL
            ORDER BY 1, 2, 3
            """
        )
        for _, dialog, _, one, other in rows:
            yield Difference(
                text(dialog), None if one is None else _decode(one), None if other is None else _decode(other)
            )


def _compared(session: Walked) -> Values:
    """What of a session is compared, in the order of columns."""
    values: Values = {}
    for name, value in session.values.items():
        if name == "ReplaceDialogIdTime":
            # The key stands for a dialog; one that isn't there any more is as good as none.
            values["ReplaceDialog"] = None if session.replaced is None else text(session.replaced)
        elif name not in _KEYS:
            values[name] = iso(value) if name in TIME_COLUMNS and isinstance(value, int) else value
    values["Media"] = [
        f"{MEDIA.get(1 << number - 1, number)} {iso(start)} {'' if end is None else iso(end)}".rstrip()
        for number, start, end in session.media
        if number > 0
    ]
    return values


def _counted(differences: Iterable[Difference], counts: dict[str, int]) -> Iterator[Difference]:
    for each in differences:
        counts["only in B" if each.one is None else "only in A" if each.other is None else "differ"] += 1
        yield each


def _lines(difference: Difference, paper: Paper) -> Iterator[str]:
    one, other = difference.one, difference.other
    there = cast("Values", other if one is None else one)
    sign, style = ("-", "red") if other is None else ("+", "green") if one is None else ("~", "yellow")
    code = there["ResponseCode"]
    users = [harmless(there[name] or "unknown") for name in ("User1", "User2")]
    arrow = "→" if paper.lines else "->"
    yield paper.paint(
        f"{sign} {there['InviteTime'][:19].replace('T', ' ')}  {users[0]} {arrow} {users[1]}"
        f"  {'no response' if code is None else code}  {harmless(difference.dialog)}",
        style,
    )
    for name in difference.columns:
        values = [_shown(side[name]) for side in (one, other) if side is not None]
        yield f"    {name:<19} {f' {arrow} '.join(values)}"


def _shown(value: Any) -> str:
    if value is None:
        return "NULL"
    return harmless(", ".join(value) or "none" if isinstance(value, list) else str(value))


def _json(difference: Difference) -> dict[str, Any]:
    """One object: where the session is, and the columns that differ, or all of them where only one side has it."""
    one, other = difference.one, difference.other
    if one is None or other is None:
        return {
            "Dialog": difference.dialog,
            "In": "A" if other is None else "B",
            "Columns": one if one is not None else other,
        }
    columns = {name: {"A": one[name], "B": other[name]} for name in difference.columns}
    return {"Dialog": difference.dialog, "In": "both", "Columns": columns}
