"""`Transaction`: from the writers' lock to the commit; look-ups, Seq, and steps 5 to 8 of writing a batch of calls."""

from __future__ import annotations

import zlib
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from sipcdr.builder import SessionDetails, TagPair, call_key, grid

from ._columns import Kind
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
from ._statements import FIELD_COLUMNS, LOOKUPS, Statements, select_many

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ._bulk import Bulk
    from ._lookups import Ids, Lookups

_fields = attrgetter(*(column.field for column in FIELD_COLUMNS))
_TIMES: Final = tuple(place for place, column in enumerate(FIELD_COLUMNS) if column.kind is Kind.TIME)
_TEXT_OF_VALUE: Final = {"Users": attrgetter("uri"), "ClientVersions": attrgetter("version")}
_EXTRA_OF_VALUE: Final = {"Users": attrgetter("uri_type"), "ClientVersions": attrgetter("client_type")}
_LOOKUP_PLACES: Final = {
    table: tuple(place for place, column in enumerate(FIELD_COLUMNS) if column.refers.partition(".")[0] == table)
    for table in LOOKUPS
}
"""For each look-up table the places in FIELD_COLUMNS that refer to it."""


class Effect(msgspec.Struct):
    """What a transaction did to rows of SessionDetails."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0


class _Reference(msgspec.Struct, frozen=True):
    """A row of sipcdr_references."""

    key: SessionKey
    invite_time: int
    target: bytes
    tags: TagPair | None


class Transaction:
    """All that is written between the lock and the commit. Made by `Sink.begin`.

    version: the number of this transaction; none comes twice. fenced: positions that `write` left out, as somebody
    else has taken their part of a source since.
    """

    def __init__(self, connection: sa.Connection, statements: Statements, lookups: Lookups, version: int) -> None:
        self.version = version
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
            keys = self._allocate(changes)
            self._write_sessions(changes, keys)
            stored = self._write_calls(changes, keys)
            self._resolve(changes, keys, stored)
            self._delete(changes)
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

    def _allocate(self, changes: Sequence[Change]) -> list[list[SessionKey]]:
        """Give new sessions their keys: 1, or after the highest Seq of their tick, by (InviteTime, ExternalId)."""
        keys: list[list[SessionKey]] = []
        new: list[tuple[int, bytes, int, list[SessionKey], int]] = []
        for change in changes:
            of_call: list[SessionKey] = []
            for place, (row, key) in enumerate(change.rows):
                if key is None:
                    new.append((row.invite_time, row.external_id, grid(row.invite_time), of_call, place))
                    of_call.append(_NO_KEY)
                else:
                    of_call.append(key)
            keys.append(of_call)
        new.sort(key=_by_time_and_id)
        ticks = dict.fromkeys((item[2] for item in new), 0)
        texts = map(self._dialect.time_of, ticks)
        for time, highest in select_many(self._connection, self._statements.read_seqs, texts):
            ticks[self._dialect.micros_of(time)] = highest
        for _, _, tick, of_call, place in new:
            ticks[tick] = seq = ticks[tick] + 1
            of_call[place] = SessionKey(tick, seq)
        return keys

    def _write_sessions(self, changes: Sequence[Change], keys: list[list[SessionKey]]) -> None:
        # 5. Dialogs own the keys, so they come first.
        statements = self._statements
        text_of = self._dialect.time_of
        inserted: list[tuple[tuple[str, int], list[Any], SessionDetails]] = []
        updated: list[tuple[tuple[str, int], list[Any], SessionDetails]] = []
        for change, of_call in zip(changes, keys, strict=True):
            for (row, old), key in zip(change.rows, of_call, strict=True):
                item = ((text_of(key.time), key.seq), list(_fields(row)), row)
                (inserted if old is None else updated).append(item)
        everything = inserted + updated
        self._bind([values for _, values, _ in everything])

        dialogs = [(zlib.crc32(row.external_id), row.external_id) for _, _, row in everything]
        signed = [(crc - (crc >> 31 << 32), external_id) for crc, external_id in dialogs]
        count = len(inserted)
        self._insert(statements.insert_dialogs, [key + d for (key, _, _), d in zip(inserted, signed, strict=False)])
        self._insert(statements.insert_sessions, [(*key, *values, 0) for key, values, _ in inserted])
        old_keys = [key for key, _, _ in updated] + [self._bound(key) for change in changes for key in change.gone]
        self._run(statements.delete_media, old_keys)
        self._run(statements.delete_references, old_keys)
        self._found(
            statements.update_dialogs, [d + key for (key, _, _), d in zip(updated, signed[count:], strict=True)]
        )
        self._found(statements.update_sessions, [(*values, *key) for key, values, _ in updated])
        media: list[tuple[Any, ...]] = []
        references: list[tuple[Any, ...]] = []
        for bound, _, row in everything:
            if row.media:
                end = None if row.session_end_time is None else text_of(row.session_end_time)
                # StartTime is part of the key, so two rows of one medium and tick are one.
                starts = dict.fromkeys((medium.media_id, text_of(grid(medium.start_time))) for medium in row.media)
                media += [(*bound, *start, end) for start in starts]
            if row.reference is not None:
                target = row.reference
                references.append((*bound, row.invite_time, call_key(target.call_id), packed_tags(target.tags)))
        self._insert(statements.insert_media, media)
        self._insert(statements.insert_references, references)
        self.effect.inserted += count
        self.effect.updated += len(updated)

    def _bind(self, rows: list[list[Any]]) -> None:
        """Put into rows of FIELD_COLUMNS' values the ids of look-ups and the texts of times."""
        for table, places in _LOOKUP_PLACES.items():
            text_of_value = _TEXT_OF_VALUE.get(table)
            extra_of_value = _EXTRA_OF_VALUE.get(table)
            wanted: dict[str, Any] = {}
            for values in rows:
                for place in places:
                    value = values[place]
                    if value is not None:
                        if text_of_value is None or extra_of_value is None:
                            wanted[value] = None
                        else:
                            values[place] = text = text_of_value(value)
                            if text not in wanted:
                                wanted[text] = extra_of_value(value)
            if wanted:
                ids = self._lookups.ids(self._connection, table, wanted)
                self._ids.append((table, ids))
                for values in rows:
                    for place in places:
                        if values[place] is not None:
                            values[place] = ids[values[place]]
        text_of = self._dialect.time_of
        for values in rows:
            for place in _TIMES:
                if values[place] is not None:
                    values[place] = text_of(values[place])

    def _write_calls(
        self, changes: Sequence[Change], keys: list[list[SessionKey]]
    ) -> dict[bytes, tuple[StoredKey, ...]]:
        # 6. A call is stored with the keys of its sessions; compare-and-set says that nobody was in between.
        stored: dict[bytes, tuple[StoredKey, ...]] = {}
        inserted: list[tuple[Any, ...]] = []
        updated: list[tuple[Any, ...]] = []
        text_of = self._dialect.time_of
        for change, of_call in zip(changes, keys, strict=True):
            stored[change.call_key] = stored_keys = tuple(
                StoredKey((row.caller_tag, row.callee_tag), row.pairs, row.invite_time, key)
                for (row, _), key in zip(change.rows, of_call, strict=True)
            )
            content = (
                self.version,
                text_of(change.first_time),
                text_of(change.last_time),
                change.facts,
                packed_keys(stored_keys),
            )
            if change.version is None:
                inserted.append((change.call_key, *content))
            else:
                updated.append((*content, change.call_key, change.version))
        self._insert(self._statements.insert_calls, inserted)
        self._found(self._statements.update_calls, updated)
        return stored

    def _resolve(
        self, changes: Sequence[Change], keys: list[list[SessionKey]], stored: dict[bytes, tuple[StoredKey, ...]]
    ) -> None:
        # 7. Those of this batch's sessions, and those whose target is a call of this batch.
        references: dict[SessionKey, _Reference] = {}
        for change, of_call in zip(changes, keys, strict=True):
            for (row, _), key in zip(change.rows, of_call, strict=True):
                if row.reference is not None:
                    target = call_key(row.reference.call_id)
                    references[key] = _Reference(key, row.invite_time, target, row.reference.tags)
        for time, seq, invite_time, target, tags in select_many(
            self._connection, self._statements.read_references, stored
        ):
            key = SessionKey(self._dialect.micros_of(time), seq)
            references[key] = _Reference(key, invite_time, bytes(target), unpacked_tags(tags))
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

    def _delete(self, changes: Sequence[Change]) -> None:
        # 8. Media and references of these are gone since step 5; references to them point elsewhere since step 7.
        gone = [self._bound(key) for change in changes for key in change.gone]
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


_NO_KEY: Final = SessionKey(0, 0)


def _by_time_and_id(item: tuple[int, bytes, int, list[SessionKey], int]) -> tuple[int, bytes]:
    return item[:2]


def read_calls(connection: sa.Connection, statements: Statements, keys: Iterable[bytes]) -> dict[bytes, StoredCall]:
    """Read stored calls by CallKey."""
    return {
        bytes(key): StoredCall(bytes(key), version, bytes(facts), unpacked_keys(packed))
        for key, version, facts, packed in select_many(connection, statements.read_calls, keys)
    }
