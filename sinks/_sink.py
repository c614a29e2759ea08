"""`Sink`: a database of call detail records."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Self

from ._address import engine_of, hidden, secrets_of
from ._dialect import WRITES, Dialect
from ._errors import SinkError, SinkUnusable
from ._existing import Existing, existing
from ._find import find_calls
from ._lookups import Lookups
from ._migrate import prepare
from ._output import read_sessions
from ._retention import Upkeep
from ._schema import metadata
from ._statements import LOOKUPS, Statements
from ._totals import Total, Totals, Waits
from ._transaction import Transaction, read_calls
from ._walk import Walk, Walked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import sqlalchemy as sa

    from ._records import SessionKey, StoredCall
    from ._session import Session


class Sink:
    """A database, by its SQLAlchemy URL. For one thread at a time; any number of processes may have one open.

    Every method raises only this package's errors (`SinkError`).
    """

    def __init__(self, engine: sa.Engine, statements: Statements) -> None:
        self._engine = engine
        self._writer = engine.execution_options(**{WRITES: True})
        self._statements = statements
        self._lookups = Lookups(self._statements)
        self._epoch: int | None = None
        # The last Version of our own, and what it was when stored calls were last read.
        self._version: int | None = None
        self._read_after: int | None = None
        self._errors = Errors(statements.dialect, engine.url)

    @classmethod
    def open(cls, url: str, *, ddl: bool = True) -> Self:
        """Connect to a database, and make what is missing of the schema unless `ddl` is False.

        Raises SinkAddress if the URL is none, names another database than the four, or needs a driver that isn't
        installed; SinkUnusable for a database that can't be used, such as one without our tables (with `ddl` False);
        SinkUnavailable for one that can't be reached now.
        """
        dialect, engine = engine_of(url)
        return cls.on(engine, dialect, ddl=ddl)

    @classmethod
    def on(cls, engine: sa.Engine, dialect: Dialect, *, ddl: bool = True) -> Self:
        """Take an engine that was made, as `open` does."""
        with Errors(dialect, engine.url)():
            try:
                with engine.connect() as connection:
                    found = existing(connection)
                tables, statements = _compiled(dialect, found)
                prepare(engine, tables, ddl=ddl)
            except BaseException:
                engine.dispose()
                raise
        return cls(engine, statements)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, keys: Sequence[bytes]) -> dict[bytes, StoredCall]:
        """The stored calls of these CallKeys, outside of any transaction that writes."""
        self._read_after = self._version
        with self._errors(), self._engine.connect() as connection:
            return read_calls(connection, self._statements, keys)

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """Take the writers' lock, and commit when the block ends; an exception rolls all back."""
        statements = self._statements
        with self._errors(), self._writer.connect() as connection:
            with connection.begin():
                connection.exec_driver_sql(statements.lock)
                row = connection.exec_driver_sql(statements.read_lock).fetchone()
                if row is None:
                    raise SinkUnusable("sipcdr_positions lacks the row of the writers' lock")
                version, epoch = row
                if epoch != self._epoch:
                    # Look-up rows were deleted since.
                    self._lookups.clear()
                    self._epoch = epoch
                # Every writer takes the lock, and so the next Version.
                alone = self._read_after is not None and version == self._read_after + 1
                transaction = Transaction(connection, statements, self._lookups, version, alone=alone)
                yield transaction
            self._version = version
            transaction.committed()

    def sessions(self, call_ids: Iterable[bytes]) -> Iterator[Session]:
        """The sessions of these Call-IDs, each once, by (InviteTime, CallId, tags); memory stays flat."""
        with self._errors(), self._engine.connect() as connection:
            yield from read_sessions(connection, self._statements, call_ids)

    def find(
        self, *, caller: str | None = None, callee: str | None = None, key: SessionKey | None = None, limit: int = 1000
    ) -> list[bytes]:
        """The Call-IDs of sessions of these users, or with this key; of many the `limit` latest sessions'.

        A user is a whole address as Users has it, or its user part; a callee is who was reached, or who was dialled.
        """
        with self._errors(), self._engine.connect() as connection:
            return find_calls(connection, self._statements, caller=caller, callee=callee, key=key, limit=limit)

    def totals(
        self, *, by: str | None = None, since: int | None = None, until: int | None = None
    ) -> tuple[list[Total], list[Waits]]:
        """Sums over the sessions whose InviteTime is from `since` on and before `until`, in microseconds UTC.

        by: `hour`, `day`, `agent` (the caller's), `server`, `code` or `diagnostic`; None: all in one.
        """
        with self._errors(), self._engine.connect() as connection:
            totals = Totals(self._statements, by, since, until)
            return totals.read(connection), totals.waits(connection)

    def walk(self) -> Iterator[Walked]:
        """All sessions in the order of their keys, each with what its keys stand for; memory stays flat."""
        walk = Walk(self._statements)
        after: tuple[int, int] | None = None
        while True:
            with self._errors(), self._engine.connect() as connection:
                page = walk.page(connection, after)
            if not page:
                return
            yield from page
            time, seq = page[-1].values["SessionIdTime"], page[-1].values["SessionIdSeq"]
            after = (int(str(time)), int(str(seq)))

    def upkeep(self) -> Upkeep:
        """What an administrator does to the database, over this sink's connections."""
        return Upkeep(self._engine, self._statements, self._errors, self.begin)

    def close(self) -> None:
        """Close all connections."""
        with self._errors():
            self._engine.dispose()


@cache
def _compiled(dialect: Dialect, found: Existing) -> tuple[sa.MetaData, Statements]:
    """The tables and the statements in a dialect, made once a process: compiling takes some 50 ms."""
    tables = metadata(dialect.name, found.names)
    # SQLite would take the next number, too; its one writer can know that before the row is there.
    numbered = frozenset(LOOKUPS) if dialect.name == "sqlite" else found.numbered
    return tables, Statements(tables, dialect, numbered)


class Errors:
    """Turns what SQLAlchemy and a driver raise into this package's errors, without a password in them."""

    def __init__(self, dialect: Dialect, url: sa.URL) -> None:
        self._dialect = dialect
        self._secrets = secrets_of(url)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Do so for what the block raises."""
        try:
            yield
        except SinkError:
            raise
        except Exception as error:
            meant = self._dialect.meaning(error)
            if meant is None:
                raise
            raise type(meant)(hidden(str(meant), self._secrets)) from error
