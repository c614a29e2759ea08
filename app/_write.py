"""Writing a batch of calls, the one road from due calls into a database."""

from __future__ import annotations

import base64
import json
import os
import random
import time
from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING, Final

import msgspec

from sipcdr.builder import BuilderError, Call, call_key, sessions
from sipcdr.sinks import (
    Change,
    SinkConflict,
    SinkError,
    SinkRefused,
    SinkUnavailable,
    StoredPosition,
    session_of,
)

from ._derived import Derived, call_of
from ._facts import compressed, decompressed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from sipcdr.builder import Rules, SessionDetails
    from sipcdr.sinks import SessionKey, Sink, StoredCall, StoredKey

    from ._derived import Due

CONFLICTS: Final = 8
"""At this conflict of one batch in a row the data is taken for what the database refuses."""


class Retry(msgspec.Struct, frozen=True):
    """How long to go on while a database is away, in seconds.

    first, most: the shortest and the longest wait between two attempts. patience: how long a batch may get nowhere;
    None: without end.
    """

    first: float = 0.05
    most: float = 5.0
    patience: float | None = 60.0


REPLAY: Final = Retry()
"""A replay gives up after a minute."""


class Damaged(msgspec.Struct, frozen=True):
    """A stored call whose Facts can't be used: its CallKey in hex, and why. Its rows are left alone."""

    call_key: str
    reason: str


class Outcome(msgspec.Struct):
    """What has been written so far.

    calls: that brought new facts and were written. unchanged: that brought none. frozen: whose stored facts were
    purged, so that nothing was changed. refused: that the database didn't take. inserted, updated, deleted: rows of
    SessionDetails. counts: what `sessions` found odd. fenced: positions that weren't written, as another writer has
    taken their partitions since.
    """

    calls: int = 0
    unchanged: int = 0
    frozen: int = 0
    refused: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    damaged: dict[bytes, Damaged] = msgspec.field(default_factory=dict)
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    fenced: list[StoredPosition] = msgspec.field(default_factory=list)


class Refusals:
    """A file of refused calls, one JSON object a line: Call-ID, reason, rows, facts in base64. Made with the first."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def refuse(self, call: Call, reason: str, rows: Sequence[SessionDetails], facts: bytes) -> None:
        """Append a call, and flush it to the disk."""
        record = {
            "call_id": _text(call.call_id),
            "reason": reason,
            "rows": [session_of(row) for row in rows],
            "facts": base64.b64encode(facts).decode(),
        }
        # ASCII only, as a value may be what no encoding takes.
        self.append(json.dumps(record, ensure_ascii=True, default=_text).encode() + b"\n")

    def append(self, line: bytes) -> None:
        """Append a line, and flush it to the disk."""
        with self.path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())


def write_calls(
    sink: Sink,
    calls: Sequence[Due],
    rules: Rules,
    *,
    outcome: Outcome,
    refusals: Refusals,
    positions: Sequence[StoredPosition] = (),
    again: bool = False,
    keep_damaged: bool = False,
    retry: Retry = REPLAY,
    failed: Callable[[SinkError], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Write calls and positions, all or nothing; `outcome` says what came of it.

    The steps, of which this function does 1, 3 and 4, and the sink the others:
    1. Before the lock: read the stored calls, join, derive, compress; leave out calls that bring no new fact.
    2. Begin, and take the writers' lock.
    3. Check the Versions, unless nobody has written since step 1; a call that isn't as it was read goes through steps 1
       and 4 again, under the lock. (The sink checks the Epochs: a position whose Epoch is old is left out, and is
       `outcome.fenced`.)
    4. Match each call's rows with its keys, in three passes; what is left over is new, or goes. (It reads nothing but
       what step 1 read, so it is done there.)
    5. Write look-ups, sessions, Dialogs, Media and references.
    6. Write the calls, by compare-and-set on their Versions.
    7. Resolve references.
    8. Delete the sessions that go; write the positions; commit.

    With `again`, calls that were read from the database are derived again: in step 1 none is left out that is still
    stored, and none is made that isn't.

    A call whose stored facts can't be used is left alone; with `keep_damaged` what would have joined it goes to
    `refusals`, before the positions pass it.

    After a lost connection, a lock time-out or a conflict it begins at step 1 again, with growing waits; `failed` is
    told why. Data that the database refuses, or that meets its eighth conflict, is found by halving the batch, of which
    only the last part carries the positions; the refused call goes to `refusals` first.

    Raises SinkUnavailable when `retry.patience` is over, SinkError's other children at once, and OSError where a
    refused call can't be kept.
    """
    merged = _merged(calls)
    conflicts = 0
    wait = retry.first
    since = clock()
    while True:
        try:
            _write_once(sink, merged, rules, outcome, positions, again=again, keep=refusals if keep_damaged else None)
        except SinkUnavailable as error:
            failed(error)
            if retry.patience is not None and clock() - since >= retry.patience:
                raise
        except SinkConflict as error:
            conflicts += 1
            failed(error)
            if conflicts >= CONFLICTS:
                refusal: SinkError = error
                break
        except SinkRefused as error:
            refusal = error
            break
        else:
            return
        # Jitter, so that writers that met once don't meet again.
        sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311
        wait = min(2 * wait, retry.most)

    def part(some: Sequence[Due], carried: Sequence[StoredPosition]) -> None:
        write_calls(
            sink,
            some,
            rules,
            outcome=outcome,
            refusals=refusals,
            positions=carried,
            again=again,
            keep_damaged=keep_damaged,
            retry=retry,
            failed=failed,
            sleep=sleep,
            clock=clock,
        )

    if len(merged) > 1:
        half = len(merged) // 2
        part(merged[:half], ())
        part(merged[half:], positions)
    elif merged:
        call = call_of(merged[0])
        refusals.refuse(call, str(refusal), sessions(call, rules), compressed(bytes(call)))
        outcome.refused += 1
        if positions:
            part((), positions)
    else:
        # Positions alone: there is nothing to halve.
        raise refusal


def _write_once(
    sink: Sink,
    calls: Sequence[Due],
    rules: Rules,
    outcome: Outcome,
    positions: Sequence[StoredPosition],
    *,
    again: bool,
    keep: Refusals | None,
) -> None:
    # 1. What is slow, before the lock. What this attempt sees counts only if it is committed.
    seen = Outcome()
    by_key = {call_key(call.call_id): call for call in calls}
    changes = _changes(sink.read(list(by_key)), by_key, rules, seen, again=again, keep=keep)
    if changes or positions:
        # 2.
        with sink.begin() as transaction:
            # 3.
            if not transaction.alone:
                versions = transaction.versions(list(changes))
                moved = {key: by_key[key] for key, change in changes.items() if versions.get(key) != change.version}
                if moved:
                    for key in moved:
                        del changes[key]
                    changes |= _changes(transaction.read(list(moved)), moved, rules, seen, again=again, keep=keep)
            # 4. to 8.
            transaction.write(list(changes.values()), positions)
        outcome.inserted += transaction.effect.inserted
        outcome.updated += transaction.effect.updated
        outcome.deleted += transaction.effect.deleted
        outcome.fenced += transaction.fenced
    outcome.calls += len(changes)
    outcome.unchanged += seen.unchanged
    outcome.frozen += seen.frozen
    outcome.damaged |= seen.damaged
    outcome.counts += seen.counts


def _merged(calls: Sequence[Due]) -> list[Due]:
    """Each Call-ID once: a batch may hold a call that was due twice."""
    merged: dict[bytes, Due] = {}
    for call in calls:
        other = merged.setdefault(call.call_id, call)
        if other is not call:
            merged[call.call_id] = call_of(other).join(call_of(call))
    return list(merged.values())


def _changes(
    stored: dict[bytes, StoredCall],
    calls: dict[bytes, Due],
    rules: Rules,
    seen: Outcome,
    *,
    again: bool,
    keep: Refusals | None,
) -> dict[bytes, Change]:
    """Steps 1 and 4 for calls by their CallKeys: those that are to be written, joined, derived, compressed, matched."""
    changes: dict[bytes, Change] = {}
    for key, due in calls.items():
        before = stored.get(key)
        if before is None and isinstance(due, Derived):
            seen.counts.update(due.odd)
            rows, gone = match(due.rows, ())
            changes[key] = Change(key, due.facts, None, due.first_time, due.last_time, rows, gone)
            continue
        joined = call = call_of(due)
        version = None
        keys: Sequence[StoredKey] = ()
        if before is not None:
            if not before.facts:
                seen.frozen += 1
                continue
            try:
                old = stored_bytes(before)
                joined = Call.from_bytes(old).join(call)
            except (BuilderError, ValueError) as error:
                seen.damaged[key] = Damaged(key.hex(), str(error))
                if keep is not None:
                    keep.refuse(call, str(error), sessions(call, rules), compressed(bytes(call)))
                continue
            packed = bytes(joined)
            if packed == old and not again:
                seen.unchanged += 1
                continue
            version, keys = before.version, before.keys or ()
        elif again:
            # Purged meanwhile.
            continue
        else:
            packed = bytes(joined)
        rows, gone = match(sessions(joined, rules, seen.counts), keys)
        facts = compressed(packed)
        changes[key] = Change(key, facts, version, joined.first_time or 0, joined.last_time or 0, rows, gone)
    return changes


def match(
    rows: Sequence[SessionDetails], keys: Sequence[StoredKey]
) -> tuple[list[tuple[SessionDetails, SessionKey | None]], list[SessionKey]]:
    """Step 4: which row keeps which key (derivations.md 2.3, `key.known`), and which keys go.

    Rows take the keys in their order, each once and the earliest first, in three passes: the same two tags in either
    order and the same InviteTime; the same two tags; a tag in common that isn't empty. InviteTime comes first because
    generations of a call have equal tags.
    """
    if not keys:
        return [(row, None) for row in rows], []
    taken: list[SessionKey | None] = [None] * len(rows)
    free = dict(enumerate(keys))
    for signs in (_pair_and_time, _pair, _tags):
        waiting: defaultdict[object, deque[int]] = defaultdict(deque)
        for number, key in free.items():
            for sign in signs(key.tags, key.invite_time):
                waiting[sign].append(number)
        for place, row in enumerate(rows):
            if taken[place] is None:
                earliest = _earliest(free, waiting, signs((row.caller_tag, row.callee_tag), row.invite_time))
                if earliest is not None:
                    taken[place] = free.pop(earliest).key
        if not free:
            break
    return list(zip(rows, taken, strict=True)), [key.key for key in free.values()]


def _earliest(free: dict[int, StoredKey], waiting: dict[object, deque[int]], signs: Iterable[object]) -> int | None:
    """The first key that is still free and has one of these signs."""
    numbers: list[int] = []
    for sign in signs:
        queue = waiting.get(sign)
        while queue and queue[0] not in free:
            queue.popleft()
        if queue:
            numbers.append(queue[0])
    return min(numbers, default=None)


def _pair_and_time(tags: tuple[bytes, bytes], invite_time: int) -> tuple[object, ...]:
    return ((min(tags), max(tags), invite_time),)


def _pair(tags: tuple[bytes, bytes], _: int) -> tuple[object, ...]:
    return ((min(tags), max(tags)),)


def _tags(tags: tuple[bytes, bytes], _: int) -> tuple[object, ...]:
    return tuple({tag for tag in tags if tag})


def stored_bytes(stored: StoredCall) -> bytes:
    """The call's bytes. Raises ValueError if facts or keys are damaged, or the facts of a newer format."""
    if stored.keys is None:
        raise ValueError("the stored keys of its sessions don't decode")
    return decompressed(stored.facts)


def _text(value: bytes) -> str:
    """Bytes of a message as text."""
    return value.decode("utf-8", "backslashreplace")
