"""What is kept of old calls: deleting them, emptying their facts, and deleting look-up rows that nothing refers to.

All in bounded transactions under the writers' lock, so that a daemon goes on beside them.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from ._dialect import AT_ONCE, WRITES
from ._lcscdr import TABLES
from ._records import StoredCall, unpacked_keys
from ._statements import LOOKUPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from ._dialect import Dialect
    from ._statements import Statements
    from ._transaction import Transaction

BATCH: Final = 1000
"""Calls of a transaction."""


class _Range(msgspec.Struct, frozen=True):
    """Stored calls by their numbers, which are given out ascending: from `first` to `last`."""

    first: int
    last: int


class Numbered(msgspec.Struct, frozen=True):
    """A stored call with its number."""

    number: int
    call: StoredCall


class Purged(msgspec.Struct):
    """What one batch deleted, or emptied.

    last: the number of the last call that was looked at, after which the next batch begins. damaged: CallKeys of calls
    whose keys can't be read, which are left alone.
    """

    last: int
    calls: int = 0
    sessions: int = 0
    damaged: list[bytes] = []


class _Calls:
    """The statements for stored calls by their numbers and age."""

    def __init__(self, tables: Mapping[str, sa.Table], dialect: Dialect) -> None:
        self._calls = tables["sipcdr_calls"]
        self._dialect = dialect

    def old(self, connection: sa.Connection, before: int, after: int, *, with_facts: bool) -> _Range | None:
        """The next calls whose last fact is older than `before`, in microseconds UTC; None if there are no more."""
        c = self._calls.c
        chosen = sa.select(c.CallNumber).where(c.CallNumber > after, *self._are_old(before, with_facts=with_facts))
        numbers = connection.scalars(chosen.order_by(c.CallNumber).limit(BATCH)).all()
        return _Range(numbers[0], numbers[-1]) if numbers else None

    def read(self, connection: sa.Connection, before: int, numbers: _Range) -> list[StoredCall]:
        """These calls, without their facts, as far as they are still that old."""
        c = self._calls.c
        chosen = sa.select(c.CallKey, c.Version, c.Keys).where(
            c.CallNumber.between(numbers.first, numbers.last), *self._are_old(before, with_facts=False)
        )
        return [
            StoredCall(bytes(key), version, b"", unpacked_keys(bytes(packed)))
            for key, version, packed in connection.execute(chosen)
        ]

    def freeze(self, connection: sa.Connection, before: int, numbers: _Range, version: int) -> int:
        """Empty the facts of these calls, as far as they are still that old; returns of how many."""
        c = self._calls.c
        changed = (
            sa.update(self._calls)
            # A writer that has read the facts meanwhile is to see that they are gone.
            .values(Facts=b"", Version=version)
            .where(c.CallNumber.between(numbers.first, numbers.last), *self._are_old(before, with_facts=True))
        )
        return connection.execute(changed).rowcount

    def page(self, connection: sa.Connection, after: int, upto: int, since: int | None, most: int) -> list[Numbered]:
        """The next calls with all that is stored of them, whose last fact isn't older than `since`."""
        c = self._calls.c
        chosen = sa.select(c.CallNumber, c.CallKey, c.Version, c.Facts, c.Keys).where(
            c.CallNumber > after, c.CallNumber <= upto
        )
        if since is not None:
            chosen = chosen.where(c.LastTime >= self._time(since))
        return [
            Numbered(number, StoredCall(bytes(key), version, bytes(facts), unpacked_keys(bytes(packed))))
            for number, key, version, facts, packed in connection.execute(chosen.order_by(c.CallNumber).limit(most))
        ]

    def last(self, connection: sa.Connection) -> int:
        """The number of the last call that is stored; 0 if there is none."""
        return connection.scalar(sa.select(sa.func.max(self._calls.c.CallNumber))) or 0

    def _are_old(self, before: int, *, with_facts: bool) -> list[sa.ColumnElement[bool]]:
        c = self._calls.c
        return [c.LastTime < self._time(before), *([c.Facts != b""] if with_facts else [])]

    def _time(self, time: int) -> sa.ColumnElement[Any]:
        """A time as LastTime has it; without the type PostgreSQL would be given a text."""
        return sa.literal(self._dialect.time_of(time), self._calls.c.LastTime.type)


class Upkeep:
    """What an administrator does to a database. Made by `Sink.upkeep`; raises what a sink does.

    Times are microseconds UTC. A method that takes `after` does one batch and is called again with the last number it
    gave, so whoever calls may stop, or try again after an error, between any two.
    """

    def __init__(
        self,
        engine: sa.Engine,
        statements: Statements,
        errors: Callable[[], AbstractContextManager[None]],
        begin: Callable[[], AbstractContextManager[Transaction]],
    ) -> None:
        self._engine = engine
        self._statements = statements
        self._errors = errors
        self._begin = begin
        self._positions = statements.tables["sipcdr_positions"]
        self._calls = _Calls(statements.tables, statements.dialect)

    def purge(self, before: int, after: int = 0) -> Purged | None:
        """Delete the next calls whose last fact is older than `before`, with their sessions; None: there are no more.

        References to their dialogs become NULL.
        """
        with self._errors(), self._engine.connect() as connection:
            numbers = self._calls.old(connection, before, after, with_facts=False)
        if numbers is None:
            return None
        done = Purged(numbers.last)
        with self._begin() as transaction:
            calls = self._calls.read(transaction.connection, before, numbers)
            done.damaged = [call.call_key for call in calls if call.keys is None]
            whole = [call for call in calls if call.keys is not None]
            transaction.forget(whole)
        done.calls = len(whole)
        done.sessions = sum(len(call.keys or ()) for call in whole)
        return done

    def freeze(self, before: int, after: int = 0) -> Purged | None:
        """Empty the facts of the next calls whose last fact is older than `before`; None: there are no more.

        Their rows stay; what comes later of such a call changes nothing.
        """
        with self._errors(), self._engine.connect() as connection:
            numbers = self._calls.old(connection, before, after, with_facts=True)
        if numbers is None:
            return None
        done = Purged(numbers.last)
        with self._begin() as transaction:
            done.calls = self._calls.freeze(transaction.connection, before, numbers, transaction.version)
        return done

    def purge_lookups(self) -> dict[str, int]:
        """Delete look-up rows that nothing refers to, and let all writers forget their ids; returns how many of each.

        Raises SinkLocked, without waiting, while a writer is at work.
        """
        statements = self._statements
        with self._alone() as connection:
            unused = _unused_lookups(connection, statements.tables)
            for name, ids in unused.items():
                if ids:
                    statements.dialect.run(connection, statements.delete_lookups[name], [(number,) for number in ids])
            stale = sa.update(self._positions).where(*_lock(self._positions))
            connection.execute(stale.values(Epoch=self._positions.c.Epoch + 1))
        return {name: len(ids) for name, ids in unused.items()}

    def raise_if_busy(self) -> None:
        """Raise SinkLocked if a writer is at work."""
        with self._alone():
            pass

    @contextmanager
    def _alone(self) -> Iterator[sa.Connection]:
        """A transaction with the writers' lock, which isn't waited for."""
        engine = self._engine.execution_options(**{WRITES: True, AT_ONCE: True})
        with self._errors(), engine.connect() as connection:
            try:
                with connection.begin():
                    connection.execute(
                        sa.select(self._positions.c.Position)
                        .where(*_lock(self._positions))
                        .with_for_update(nowait=True)
                        .with_hint(self._positions, "WITH (UPDLOCK, NOWAIT)", "mssql")
                    )
                    yield connection
            finally:
                # It doesn't wait for locks, which who takes it next wouldn't expect.
                connection.invalidate()

    def calls(self, after: int, upto: int, *, since: int | None, most: int) -> list[Numbered]:
        """The next stored calls, at most `most`, with numbers up to `upto`, whose last fact isn't before `since`."""
        with self._errors(), self._engine.connect() as connection:
            return self._calls.page(connection, after, upto, since, most)

    def last_number(self) -> int:
        """The number of the last stored call; 0 if there is none."""
        with self._errors(), self._engine.connect() as connection:
            return self._calls.last(connection)

    def position(self, source: str, partition: str) -> int | None:
        """The Position of a source's part, or None."""
        p = self._positions.c
        chosen = sa.select(p.Position).where(p.Source == source, p.Partition == partition)
        with self._errors(), self._engine.connect() as connection:
            found: int | None = connection.scalar(chosen)
            return found

    def forget_position(self, source: str, partition: str) -> None:
        """Delete the Position of a source's part."""
        p = self._positions.c
        with self._begin() as transaction:
            transaction.connection.execute(
                sa.delete(self._positions).where(p.Source == source, p.Partition == partition)
            )


def _lock(positions: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
    """The row of the writers' lock."""
    return (positions.c.Source == "", positions.c.Partition == "")


def _unused_lookups(connection: sa.Connection, tables: Mapping[str, sa.Table]) -> dict[str, list[int]]:
    """Ids of look-up rows that nothing refers to, by their tables, with all tables considered that say they refer."""
    referring = _referring(connection, tables)
    unused: dict[str, list[int]] = {}
    for name in LOOKUPS:
        (key,) = tables[name].primary_key
        used = sa.union(*(sa.select(column.label("id")).where(column.is_not(None)) for column in referring[name]))
        found = used.subquery("used")
        chosen = (
            sa.select(key).select_from(tables[name].outerjoin(found, key == found.c.id)).where(found.c.id.is_(None))
        )
        unused[name] = list(connection.scalars(chosen))
    return unused


def _referring(connection: sa.Connection, tables: Mapping[str, sa.Table]) -> dict[str, list[sa.ColumnElement[int]]]:
    """For each look-up table the columns that refer to it: ours, and those that other tables declare."""
    referring = _declared(sa.inspect(connection), tables)
    for name, columns in TABLES.items():
        for column in columns:
            target = column.refers.partition(".")[0]
            if target in LOOKUPS:
                referring[target].append(tables[name].c[column.name])
    return referring


def _declared(inspector: sa.Inspector, tables: Mapping[str, sa.Table]) -> defaultdict[str, list[sa.ColumnElement[int]]]:
    """Columns of other tables that refer to look-up tables by a foreign key."""
    referring: defaultdict[str, list[sa.ColumnElement[int]]] = defaultdict(list)
    ours = {table.name.lower() for table in tables.values()}
    called = {tables[name].name.lower(): name for name in LOOKUPS}
    for (_, table), keys in inspector.get_multi_foreign_keys().items():
        for key in keys:
            lookup = called.get(key["referred_table"].lower())
            if table is not None and table.lower() not in ours and lookup is not None:
                other: Any = sa.table(table, *map(sa.column, key["constrained_columns"]))
                referring[lookup] += list(other.c)
    return referring
