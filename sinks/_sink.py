"""`Sink`: a database of call detail records."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Self

import sqlalchemy as sa

from ._constants import CONSTANT_ROWS
from ._errors import SinkAddress, SinkUnusable
from ._lookups import Lookups
from ._output import Session, read_sessions
from ._schema import metadata
from ._sqlite import WRITES, engine_of, error_of
from ._statements import Statements
from ._transaction import Transaction, read_calls
from ._views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ._records import StoredCall


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

    @classmethod
    def open(cls, url: str, *, ddl: bool = True) -> Self:
        """Connect to a database, and make what is missing of the schema unless `ddl` is False.

        Raises SinkAddress if the URL is none or names another database than SQLite, and SinkUnusable for a file that
        can't be opened or is no database, or a database without our tables (with `ddl` False).
        """
        try:
            parsed = sa.make_url(url)
            if parsed.get_backend_name() != "sqlite":
                raise SinkAddress(f"no support for {parsed.get_backend_name()} databases")
            engine = engine_of(parsed)
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ImportError, ValueError) as error:
            raise SinkAddress(f"no database URL such as sqlite:///sipcdr.db: {error}") from error
        tables, statements = _compiled("sqlite")
        with _errors():
            try:
                _prepare(engine, tables, ddl=ddl)
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
        with _errors(), self._engine.connect() as connection:
            return read_calls(connection, self._statements, keys)

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """Take the writers' lock, and commit when the block ends; an exception rolls all back."""
        statements = self._statements
        with _errors(), self._writer.connect() as connection:
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
                transaction = Transaction(connection, statements, self._lookups, version)
                yield transaction
            transaction.committed()

    def sessions(self, call_ids: Iterable[bytes]) -> Iterator[Session]:
        """The sessions of these Call-IDs, each once, by (InviteTime, CallId, tags); memory stays flat."""
        with _errors(), self._engine.connect() as connection:
            yield from read_sessions(connection, self._statements, call_ids)

    def close(self) -> None:
        """Close all connections."""
        with _errors():
            self._engine.dispose()


@cache
def _compiled(dialect: str) -> tuple[sa.MetaData, Statements]:
    """The tables and the statements in a dialect, made once a process: compiling takes some 50 ms."""
    tables = metadata(dialect)
    return tables, Statements(tables, sa.make_url(f"{dialect}://").get_dialect()())


@contextmanager
def _errors() -> Iterator[None]:
    """Turn what SQLAlchemy and the driver raise into this package's errors."""
    try:
        yield
    except Exception as error:
        meant = error_of(error)
        if meant is None:
            raise
        raise meant from error


def _prepare(engine: sa.Engine, tables: sa.MetaData, *, ddl: bool) -> None:
    """Make the tables, views and constant rows that aren't there."""
    with engine.connect() as connection:
        if not _missing(connection, tables):
            return
    if not ddl:
        raise SinkUnusable("the database lacks tables or rows of sipcdr, and may not be changed to have them")
    with engine.execution_options(**{WRITES: True}).begin() as connection:
        names = set(sa.inspect(connection).get_table_names())
        tables.create_all(connection, [table for table in tables.sorted_tables if table.name not in names])
        views = sa.inspect(connection).get_view_names()
        for name, select in VIEWS.items():
            if name not in views:
                text = select(tables).compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True})
                connection.exec_driver_sql(f"CREATE VIEW {name} AS {text}")
        for table, row in _missing_rows(connection, tables):
            connection.execute(table.insert().values(row))


def _missing(connection: sa.Connection, tables: sa.MetaData) -> bool:
    inspector = sa.inspect(connection)
    there = {*inspector.get_table_names(), *inspector.get_view_names()}
    if not there.issuperset(tables.tables.keys() | VIEWS.keys()):
        return True
    return bool(_missing_rows(connection, tables))


def _missing_rows(connection: sa.Connection, tables: sa.MetaData) -> list[tuple[sa.Table, dict[str, object]]]:
    """Constant rows and the writers' lock, as far as they aren't there; by their keys."""
    missing: list[tuple[sa.Table, dict[str, object]]] = []
    lock = {"sipcdr_positions": (("", "", 0, 0),)}
    for name, rows in (CONSTANT_ROWS | lock).items():
        table = tables.tables[name]
        keys = [column.key for column in table.primary_key]
        there = {tuple(row) for row in connection.execute(sa.select(*table.primary_key))}
        for row in rows:
            values: dict[str, object] = dict(zip((column.key for column in table.c), row, strict=True))
            if tuple(values[key] for key in keys) not in there:
                missing.append((table, values))
    return missing
