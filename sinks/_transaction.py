"""`Transaction`: from the writers' lock to the commit; look-ups, Seq, and steps 5 to 8 of writing a batch of calls."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec
import sqlalchemy as sa

from sipcdr.builder import grid

from ._batch import Batch, Reference
from ._errors import SinkConflict, SinkRefused
from ._records import (
    Change,
    SessionKey,
    StoredCall,
    StoredKey,
    StoredPosition,
    packed_keys,
    packed_tags,
    replaced,
    unpacked_keys,
    unpacked_tags,
)
from ._statements import Statements, select_many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sipcdr.builder import SessionDetails

    from ._bulk import Bulk
    from ._lookups import Ids, Lookups


class Effect(msgspec.Struct):
    """What a transaction did to rows of SessionDetails."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0


class Transaction:
    """All that is written between the lock and the commit. Made by `Sink.begin`.

    version: the number of this transaction; none comes twice. alone: whether nobody has written since the sink's last
    `read`, so that all calls are as it found them; False where that isn't known. fenced: positions that `write` left
    out, as somebody else has taken their part of a source since.
    """

    def __init__(
        self, connection: sa.Connection, statements: Statements, lookups: Lookups, version: int, *, alone: bool = False
    ) -> None:
        self.version = version
        self.alone = alone
        self.effect = Effect()
        self.fenced: list[StoredPosition] = []
        self._connection = connection
        self._statements = statements
        self._lookups = lookups
        self._dialect = statements.dialect
        self._ids: list[tuple[str, Ids]] = []

    def read(self, keys: Sequence[bytes]) -> dict[bytes, StoredCall]:
        """The stored calls of these CallKeys."""
        return read_calls(self._connection, self._statements, keys)

    def versions(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        """The Versions of those of these CallKeys that are stored."""
        rows = select_many(self._connection, self._statements.read_versions, keys)
        return {bytes(key): version for key, version in rows}

    def write(self, changes: Sequence[Change], positions: Sequence[StoredPosition] = ()) -> None:
        """Make the database hold exactly these rows of these calls, each call at most once in a transaction.

        The steps before these are the writer's: joining, deriving, the lock, matching rows with keys; but of step 3
        this is done here: a position whose Epoch is old isn't written.
        5. look-ups; INSERT new sessions, UPDATE matched ones, replace their Dialogs, Media and references
        6. INSERT calls not stored; UPDATE the others where their Version is the one read
        7. resolve the references whose session or target is in this batch
        8. DELETE the sessions that go, children first; the positions

        Raises SinkConflict where a row isn't what `version` or a key says, and the other errors of this package.
        """
        if changes:
            batch = Batch(changes, self._dialect.time_of)
            self._allocate(batch)
            self._write_sessions(batch)
            stored = self._write_calls(batch)
            self._resolve(batch, stored)
            self._delete(batch)
        self._write_positions(positions)

    def forget(self, calls: Sequence[StoredCall]) -> None:
        """Delete calls with all that is theirs, their keys being known; references to their dialogs become NULL."""
        gone = [[key.key for key in call.keys or ()] for call in calls]
        # Also those that another program wrote.
        self._run(self._statements.unresolve, [self._bound(key) for keys in gone for key in keys])
        self.write(
            [Change(call.call_key, b"", call.version, 0, 0, [], keys) for call, keys in zip(calls, gone, strict=True)]
        )
        self._run(self._statements.delete_calls, [(call.call_key,) for call in calls])

    @property
    def connection(self) -> sa.Connection:
        """For this package's own statements."""
        return self._connection

    def committed(self) -> None:
        """Let the caches have the ids that this transaction found or gave out."""
        for table, ids in self._ids:
            self._lookups.committed(table, ids)

    def _allocate(self, batch: Batch) -> None:
        """Give new sessions their keys: 1, or after the highest Seq of their tick, by (InviteTime, ExternalId)."""
        rows, keys = batch.rows, batch.keys
        new = sorted([(rows[place].invite_time, rows[place].external_id, place) for place in batch.inserted])
        # Rows in the order of their keys cost a B-tree least.
        batch.inserted = [place for _, _, place in new]
        ticks = [grid(time) for time, _, _ in new]
        seqs = dict.fromkeys(ticks, 0)
        for time, highest in select_many(self._connection, self._statements.read_seqs, batch.texts.of(list(seqs))):
            seqs[self._dialect.micros_of(time)] = highest
        for tick, place in zip(ticks, batch.inserted, strict=True):
            seqs[tick] = seq = seqs[tick] + 1
            keys[place] = SessionKey(tick, seq)

    def _write_sessions(self, batch: Batch) -> None:
        # 5. Dialogs own the keys, so they come first.
        statements = self._statements
        count = len(batch.inserted)
        places = batch.inserted + batch.updated
        rows = [batch.rows[place] for place in places]
        keys = batch.bound([batch.keys[place] for place in places])
        names = [row.external_id for row in rows]
        checksums = [_signed(crc32(name)) for name in names]
        columns = self._columns(batch, rows)
        # New ones come first, and the shortest ends a zip.
        new = tuple(zip(*keys[:count], strict=True)) or ((), ())
        self._insert(statements.insert_dialogs, list(zip(*new, checksums, names, strict=False)))
        self._insert(statements.insert_sessions, list(zip(*new, *columns, repeat(0))))
        old = keys[count:]
        gone = old + batch.bound(batch.gone)
        self._run(statements.delete_media, gone)
        self._run(statements.delete_references, gone)
        if old:
            times, seqs = zip(*old, strict=True)
            self._found(
                statements.update_dialogs, list(zip(checksums[count:], names[count:], times, seqs, strict=True))
            )
            changed = [column[count:] for column in columns]
            self._found(statements.update_sessions, list(zip(*changed, times, seqs, strict=True)))
        self._insert(statements.insert_media, batch.media(places))
        self._insert(
            statements.insert_references,
            [
                (*self._bound(each.key), each.invite_time, each.target, packed_tags(each.tags))
                for each in batch.references
                if each.tags is not None
            ],
        )
        self.effect.inserted += count
        self.effect.updated += len(old)

    def _columns(self, batch: Batch, rows: list[SessionDetails]) -> list[Sequence[Any]]:
        """Rows as FIELD_COLUMNS are bound, by column: with ids for what look-ups hold, and texts for times."""
        columns, looked = batch.columns(rows)
        for each in looked:
            ids = self._lookups.ids(self._connection, each)
            self._ids.append((each.table, ids))
            id_of: Callable[[str | None], int | None] = ids.get  # type: ignore[assignment]
            for place, texts in zip(each.places, each.texts, strict=True):
                columns[place] = list(map(id_of, texts))
        return columns

    def _write_calls(self, batch: Batch) -> dict[bytes, Sequence[StoredKey]]:
        # 6. A call is stored with the keys of its sessions; compare-and-set says that nobody was in between.
        stored: dict[bytes, Sequence[StoredKey]] = {}
        inserted: list[tuple[Any, ...]] = []
        updated: list[tuple[Any, ...]] = []
        version = self.version
        firsts = batch.texts.of([change.first_time for change in batch.changes])
        lasts = batch.texts.of([change.last_time for change in batch.changes])
        for first, last, (change, keys) in zip(firsts, lasts, batch.stored_keys(), strict=True):
            stored[change.call_key] = keys
            content = (version, first, last, change.facts, packed_keys(keys))
            if change.version is None:
                inserted.append((change.call_key, *content))
            else:
                updated.append((*content, change.call_key, change.version))
        self._insert(self._statements.insert_calls, inserted)
        self._found(self._statements.update_calls, updated)
        return stored

    def _resolve(self, batch: Batch, stored: dict[bytes, Sequence[StoredKey]]) -> None:
        # 7. Those of this batch's sessions, and those whose target is a call of this batch.
        references = {each.key: each for each in batch.references}
        for time, seq, invite_time, target, tags in select_many(
            self._connection, self._statements.read_references, stored
        ):
            key = SessionKey(self._dialect.micros_of(time), seq)
            references[key] = Reference(key, invite_time, bytes(target), unpacked_tags(tags))
        others = {reference.target for reference in references.values()} - stored.keys()
        for target, packed in select_many(self._connection, self._statements.read_keys, others):
            stored[bytes(target)] = unpacked_keys(packed) or ()
        resolved = []
        for reference in references.values():
            dialog = None
            if reference.tags is not None:
                dialog = replaced(stored.get(reference.target, ()), reference.tags, reference.invite_time)
            resolved.append(((None, None) if dialog is None else self._bound(dialog)) + self._bound(reference.key))
        # A session that somebody deleted by hand may have left its reference: that isn't this batch's fault.
        self._run(self._statements.resolve, resolved)

    def _delete(self, batch: Batch) -> None:
        # 8. Media and references of these are gone since step 5; references to them point elsewhere since step 7.
        gone = batch.bound(batch.gone)
        self._run(self._statements.delete_sessions, gone)
        self._run(self._statements.delete_dialogs, gone)
        self.effect.deleted += len(gone)

    def _write_positions(self, positions: Sequence[StoredPosition]) -> None:
        stored = self._stored_positions({position.source for position in positions})
        updated: list[tuple[Any, ...]] = []
        inserted: list[tuple[Any, ...]] = []
        for each in positions:
            known = stored.get((each.source, each.partition))
            if known is None:
                inserted.append((each.source, each.partition, each.position, each.epoch))
            elif known.epoch > each.epoch:
                self.fenced.append(each)
            else:
                updated.append((each.position, each.epoch, each.source, each.partition))
        self._found(self._statements.update_positions, updated)
        self._insert(self._statements.insert_positions, inserted)

    def assign(self, source: str, starts: Mapping[str, int], *, anew: bool = False) -> list[StoredPosition]:
        """Take partitions of a source: give each its next Epoch, which fences who had it before.

        A partition that isn't stored yet gets its start for a position; `anew` sets those back that are, too.
        """
        stored = self._stored_positions({source})
        taken: list[StoredPosition] = []
        for partition, start in starts.items():
            known = stored.get((source, partition))
            position = start if known is None or anew else known.position
            taken.append(StoredPosition(source, partition, position, 1 if known is None else known.epoch + 1))
        self._write_positions(taken)
        return taken

    def positions(self, source: str) -> list[StoredPosition]:
        """All of a source."""
        return list(self._stored_positions([source]).values())

    def forget_positions(self, positions: Iterable[StoredPosition]) -> None:
        """Delete positions of what is no more; one that somebody else has taken since stays."""
        self._run(self._statements.delete_positions, [(each.source, each.partition, each.epoch) for each in positions])

    def _stored_positions(self, sources: Iterable[str]) -> dict[tuple[str, str], StoredPosition]:
        p = self._statements.tables["sipcdr_positions"].c
        return {
            (source, partition): StoredPosition(source, partition, position, epoch)
            for wanted in sources
            for source, partition, position, epoch in self._connection.execute(
                sa.select(p.Source, p.Partition, p.Position, p.Epoch).where(p.Source == wanted)
            )
        }

    def _bound(self, key: SessionKey) -> tuple[str, int]:
        return (self._dialect.time_of(key.time), key.seq)

    def _run(self, bulk: Bulk, rows: Sequence[tuple[Any, ...]]) -> int:
        return self._dialect.run(self._connection, bulk, rows) if rows else 0

    def _insert(self, bulk: Bulk, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run an INSERT that must add a row for each tuple; a driver may lose one without a word."""
        added = self._run(bulk, rows)
        if added != len(rows):
            raise SinkRefused(f"{len(rows) - added} of {len(rows)} rows were not taken: {bulk.target}")

    def _found(self, bulk: Bulk, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run an UPDATE that must find a row for each tuple."""
        found = self._run(bulk, rows)
        if found != len(rows):
            what = bulk.text.partition(" SET ")[0]
            raise SinkConflict(f"{len(rows) - found} of {len(rows)} rows are no longer there: {what}")


def _signed(checksum: int) -> int:
    """A checksum of 32 bits as the column holds it."""
    return checksum - (checksum >> 31 << 32)


def read_calls(connection: sa.Connection, statements: Statements, keys: Iterable[bytes]) -> dict[bytes, StoredCall]:
    """Read stored calls by CallKey."""
    return {
        bytes(key): StoredCall(bytes(key), version, bytes(facts), unpacked_keys(packed))
        for key, version, facts, packed in select_many(connection, statements.read_calls, keys)
    }
