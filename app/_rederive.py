"""Deriving the rows of stored calls again, after a change of rules: all of them, or those that are not too old."""

from __future__ import annotations

import hashlib
import random
import time
from collections import Counter
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from sipcdr.builder import BuilderError, Call, Rules, SessionDetails, call_key, grid, sessions
from sipcdr.sinks import (
    SESSION_COLUMNS,
    TIME_COLUMNS,
    Session,
    SessionKey,
    Sink,
    SinkUnavailable,
    StoredCall,
    StoredPosition,
    Value,
    replaced,
    session_of,
)

from ._reading import BATCH_BYTES, BATCH_CALLS
from ._write import REPLAY, Damaged, Outcome, Refusals, Retry, match, stored_bytes, write_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sipcdr.sinks import Numbered, Upkeep

PROGRESS: Final = "sipcdr db rederive"
"""The Source of the position that says how far a run has come; its Partition says which run."""
_PAGES: Final = (16, 256)
"""Calls that one SELECT asks for, the first time and at most."""
_COMPARED: Final = tuple(
    name for name in SESSION_COLUMNS if name not in ("SessionIdTime", "SessionIdSeq", "CallId", "Media")
)
"""What may change: the key stays, and Media follows MediaTypes."""

_T = TypeVar("_T")


class Changes(msgspec.Struct):
    """What deriving again changes.

    calls: that were looked at. frozen: whose facts were purged. unchanged, changed, new, gone: sessions. columns:
    sessions by the column that changed. damaged: stored calls that can't be used.
    """

    calls: int = 0
    frozen: int = 0
    unchanged: int = 0
    changed: int = 0
    new: int = 0
    gone: int = 0
    columns: Counter[str] = msgspec.field(default_factory=Counter)
    damaged: list[Damaged] = []


def rederive(
    sink: Sink,
    rules: Rules,
    *,
    since: int | None,
    dry_run: bool,
    changes: Changes,
    outcome: Outcome,
    refusals: Refusals,
    tick: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Derive stored calls again whose last fact isn't older than `since`, in microseconds UTC.

    How far it has come is committed with each batch, so that a run which was ended goes on from there; one with other
    rules, or of another version of sipcdr, begins at the first call. With `dry_run` nothing is written. `tick` is given
    how many numbers of calls are done, of how many.

    Raises what `write_calls` does.
    """
    upkeep = sink.upkeep()
    run = run_name(rules, since)
    done = 0 if dry_run else patiently(lambda: upkeep.position(PROGRESS, run)) or 0
    last = patiently(upkeep.last_number)
    while batch := _batch(upkeep, done, last, since):
        calls: list[Call] = []
        stored: list[StoredCall] = []
        for numbered in batch:
            changes.calls += 1
            if not numbered.call.facts:
                changes.frozen += 1
                continue
            try:
                calls.append(Call.from_bytes(stored_bytes(numbered.call)))
                stored.append(numbered.call)
            except (BuilderError, ValueError) as error:
                changes.damaged.append(Damaged(numbered.call.call_key.hex(), str(error)))
        compare(sink, calls, stored, rules, changes)
        done = batch[-1].number
        if not dry_run:
            position = StoredPosition(PROGRESS, run, done)
            write_calls(sink, calls, rules, outcome=outcome, refusals=refusals, positions=[position], again=True)
        tick(done, last)
    if not dry_run:
        patiently(lambda: upkeep.forget_position(PROGRESS, run))


def run_name(rules: Rules, since: int | None) -> str:
    """What a run is told by: what it does to a call depends on nothing else."""
    # A configuration's durations are a kind of int.
    digest = hashlib.sha256(msgspec.json.encode(rules, enc_hook=int)).hexdigest()[:16]
    return f"{version('sipcdr')} rules {digest} since {since}"


def patiently(
    action: Callable[[], _T],
    *,
    retry: Retry = REPLAY,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> _T:
    """Do something that may be done again, until it has failed for as long as `retry` says. Raises SinkError."""
    wait = retry.first
    since = clock()
    while True:
        try:
            return action()
        except SinkUnavailable:
            if retry.patience is not None and clock() - since >= retry.patience:
                raise
        sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311
        wait = min(2 * wait, retry.most)


def _batch(upkeep: Upkeep, after: int, upto: int, since: int | None) -> list[Numbered]:
    """The next stored calls, bounded by their number and, within a page, by their bytes."""
    found: list[Numbered] = []
    size = 0
    most, limit = _PAGES
    while len(found) < BATCH_CALLS and size < BATCH_BYTES:

        def read(after: int = after, most: int = most) -> list[Numbered]:
            return upkeep.calls(after, upto, since=since, most=most)

        page = patiently(read)
        found += page
        if len(page) < most:
            break
        after = page[-1].number
        size += sum(len(numbered.call.facts) for numbered in page)
        most = min(2 * most, limit)
    return found


def compare(sink: Sink, calls: Sequence[Call], stored: Sequence[StoredCall], rules: Rules, changes: Changes) -> None:
    """Count in what the rows of these calls differ from those that the database has."""
    before = {_key(session): session for session in patiently(lambda: list(sink.sessions(c.call_id for c in calls)))}
    matched = [match(sessions(call, rules), read.keys or ()) for call, read in zip(calls, stored, strict=True)]
    references = [row.reference for rows, _ in matched for row, _ in rows if row.reference is not None]
    targets = patiently(lambda: sink.read([call_key(reference.call_id) for reference in references]))
    for rows, gone in matched:
        changes.gone += len(gone)
        for row, key in rows:
            if key is None:
                changes.new += 1
                continue
            old = before.get((key.time, key.seq), {})
            new = session_of(row) | _replaces(row, targets)
            differing = [name for name in _COMPARED if not _same(name, old.get(name), new[name])]
            changes.columns.update(differing)
            if differing:
                changes.changed += 1
            else:
                changes.unchanged += 1


def _key(session: Session) -> tuple[Value, Value]:
    return (session["SessionIdTime"], session["SessionIdSeq"])


def _replaces(row: SessionDetails, targets: Mapping[bytes, StoredCall]) -> Session:
    """The key of the dialog that a session replaced, of those that are stored."""
    key: SessionKey | None = None
    if row.reference is not None:
        target = targets.get(call_key(row.reference.call_id))
        key = None if target is None else replaced(target.keys or (), row.reference.tags, row.invite_time)
    if key is None:
        return {"ReplaceDialogIdTime": None, "ReplaceDialogIdSeq": None}
    return {"ReplaceDialogIdTime": key.time, "ReplaceDialogIdSeq": key.seq}


def _same(name: str, old: Value, new: Value) -> bool:
    """Whether a database has a value as it would now be written: SQL Server rounds times, and minds no letter case."""
    if name in TIME_COLUMNS and isinstance(new, int):
        return old in (new, grid(new))
    if isinstance(new, str) and isinstance(old, str):
        return old.lower() == new.lower()
    return old == new
