"""The road that a replay takes, for tests: captures through reader and correlator into a database, and back as rows.

Rows are as fixtures/NAME.json has them: a database key, which depends on what was written before, reads as what it
stands for (P4 of the scenarios).
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from sipcdr.app._records import record_of
from sipcdr.app._write import Outcome, Refusals, write_calls
from sipcdr.builder import Correlator, Rules
from sipcdr.ingest import Inputs, Tally
from sipcdr.sinks import Sink

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from fixtures.rows import Row
    from sipcdr.builder import Call, SipMessage

HOUR = 3_600_000_000
MEMORY = 64 << 20
KEYS = ("SessionIdTime", "SessionIdSeq", "ReplaceDialogIdTime", "ReplaceDialogIdSeq")


def messages(*captures: Path, tally: Tally | None = None) -> list[SipMessage]:
    """All messages of the captures."""
    inputs = Inputs([str(capture) for capture in captures], tally=tally or Tally())
    return [message for batch in inputs for message in batch]


def calls(some: Iterable[SipMessage]) -> list[Call]:
    """The calls that these messages make."""
    correlator = Correlator(Rules(), hold=HOUR, memory=MEMORY)
    correlator.receive(list(some))
    return correlator.finish()


def write(database: Path, some: Sequence[Call]) -> None:
    """Write calls as one run of the program would."""
    with closing(Sink.open(f"sqlite:///{database}")) as sink:
        write_calls(sink, some, Rules(), outcome=Outcome(), refusals=Refusals(database.with_suffix(".jsonl")))


def rows(database: Path, call_ids: Iterable[bytes]) -> list[Row]:
    """The rows of these Call-IDs, in the order of the output."""
    with closing(Sink.open(f"sqlite:///{database}")) as sink:
        records = [record_of(session) for session in sink.sessions(call_ids)]
    dialogs = {
        (row["SessionIdTime"], row["SessionIdSeq"]): f"{row['CallId']};{row['FromTag']};{row['ToTag']}"
        for row in records
    }
    found: list[Row] = []
    for record in records:
        replaced = (record["ReplaceDialogIdTime"], record["ReplaceDialogIdSeq"])
        row: Row = {name: value for name, value in record.items() if name not in KEYS}
        row["ReplacesDialogId"] = None if replaced == (None, None) else dialogs[replaced]
        found.append(row)
    return found


def replayed(database: Path, some: Sequence[SipMessage]) -> list[Row]:
    """The rows that these messages give in one run."""
    write(database, calls(some))
    return rows(database, {message.call_id for message in some})
