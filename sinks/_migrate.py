"""The schema's life: what of it a database lacks, its version, and the statements that make it.

Alembic keeps the version in a table of its own and runs the migrations; it is imported only where one has to run, and
to print them. What is missing is made; what is there is never altered, as it may be Microsoft's.
"""

from __future__ import annotations

import io
import re
import threading
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine.mock import MockConnection

from ._constants import CONSTANT_ROWS
from ._dialect import WRITES
from ._errors import SinkUnusable
from ._schema import metadata, tables_of
from ._views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from ._dialect import Dialect

SCHEMA_VERSION: Final = "0001"
"""The version that this sipcdr needs: the last migration in `migrations/versions`."""
VERSION_TABLE: Final = "sipcdr_version"
"""The table that holds a database's version."""
_VERSION: Final = sa.table(VERSION_TABLE, sa.column("version_num"))
_FOLDER: Final = Path(__file__).with_name("migrations")
_ALEMBIC: Final = threading.Lock()
"""Alembic keeps what it is doing in variables of its modules."""
_NAMED: Final = 8
"""Things that an error names before it only counts."""

Row = dict[str, Any]


class Missing(msgspec.Struct):
    """What a database lacks.

    tables: in the order in which they can be made. rows: constant ones and the writers' lock, with their tables'
    names. version: what the database has; None if it has none.
    """

    tables: list[sa.Table]
    views: list[str]
    rows: list[tuple[str, Row]]
    version: str | None

    def __bool__(self) -> bool:
        return bool(self.tables or self.views or self.rows or self.version != SCHEMA_VERSION)

    def described(self) -> list[str]:
        """Each thing in words; rows go with their table."""
        tables = {table.name.lower() for table in self.tables}
        found = [f"table {table.name}" for table in self.tables] + [f"view {name}" for name in self.views]
        found += [f"row {_values(row)} of {name}" for name, row in self.rows if name.lower() not in tables]
        if self.version is None:
            found.append(f"schema version (table {VERSION_TABLE})")
        elif self.version != SCHEMA_VERSION:
            found.append(f"schema version {SCHEMA_VERSION}: it has {self.version}")
        return found

    def summary(self) -> str:
        """All of it, as far as a line holds it."""
        found = self.described()
        if len(self.tables) > 1:
            names = ", ".join(table.name for table in self.tables)
            found = [f"tables {names}", *found[len(self.tables) :]]
        more = len(found) - _NAMED
        return ", ".join(found[:_NAMED]) + (f" and {more} more things" if more > 0 else "")


def prepare(engine: sa.Engine, tables: sa.MetaData, *, ddl: bool) -> None:
    """Make what a database lacks, or with `ddl` False only look. Raises SinkUnusable where it can't be used as it is.

    Several processes may do so at once: one whose statement fails looks again, as long as others get on.
    """
    with engine.connect() as connection:
        lacking = missing(connection, tables)
    while lacking:
        if not ddl:
            raise SinkUnusable(
                f"the database lacks {lacking.summary()}; `sipcdr db upgrade` makes that, `sipcdr db sql` prints how"
            )
        before = lacking.described()
        try:
            with engine.execution_options(**{WRITES: True}).begin() as connection:
                upgrade(connection, tables)
        except sa.exc.DBAPIError:
            with engine.connect() as connection:
                lacking = missing(connection, tables)
            if lacking.described() == before:
                raise
        else:
            return


def upgrade(connection: sa.Connection, tables: sa.MetaData) -> None:
    """Bring a database to this version, in the transaction of `connection`."""
    lacking = missing(connection, tables)
    statements = list(_statements(connection.dialect, tables, lacking))
    if lacking.version != SCHEMA_VERSION:
        _migrate({"connection": connection}, statements)
    else:
        # Somebody dropped it.
        for statement in statements:
            connection.execute(statement)


def script(dialect: Dialect) -> str:
    """The statements that make the whole schema in an empty database, for its administrator to run."""
    tables = metadata(dialect.name)
    everything = Missing(tables.sorted_tables, list(VIEWS), list(_constant_rows(tables)), None)
    statements = _statements(dialect.compiler(), tables, everything)
    return _migrate({"dialect_name": dialect.name, "literal_binds": True}, statements)


def version_of(connection: sa.Connection) -> str | None:
    """The version of a database's schema, or None if it has none. Raises SinkUnusable for a newer sipcdr's."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    version: str | None = connection.scalar(sa.select(sa.func.max(_VERSION.c.version_num)))
    if version is not None and (not re.fullmatch("[0-9]{4}", version) or version > SCHEMA_VERSION):
        raise SinkUnusable(
            f"the schema is of version {version}, which is a newer sipcdr's: this one knows {SCHEMA_VERSION}"
        )
    return version


def missing(connection: sa.Connection, tables: sa.MetaData) -> Missing:
    """Look at a database."""
    inspector = sa.inspect(connection)
    there = {name.lower() for name in chain(inspector.get_table_names(), inspector.get_view_names())}
    return Missing(
        tables=[table for table in tables.sorted_tables if table.name.lower() not in there],
        views=[name for name in VIEWS if name.lower() not in there],
        rows=_missing_rows(connection, tables, there),
        version=version_of(connection) if VERSION_TABLE in there else None,
    )


def _missing_rows(connection: sa.Connection, tables: sa.MetaData, there: Container[str]) -> list[tuple[str, Row]]:
    """Constant rows of which neither the number nor a unique text is there: Microsoft's tables number their own way."""
    found: dict[tuple[str, str], set[Any]] = {}
    absent: list[tuple[str, Row]] = []
    for name, row in _constant_rows(tables):
        table = tables_of(tables)[name]
        marks = [next(iter(table.primary_key)), *(column for index in table.indexes for column in index.columns)]
        if table.name.lower() in there:
            for column in marks:
                if (name, column.key) not in found:
                    found[name, column.key] = set(connection.scalars(sa.select(column).distinct()))
            if any(row[column.key] in found[name, column.key] for column in marks):
                continue
        absent.append((name, row))
    return absent


def _constant_rows(tables: sa.MetaData) -> Iterator[tuple[str, Row]]:
    """Microsoft's constant rows, and the row of the writers' lock, each with its table's name."""
    for name, rows in (CONSTANT_ROWS | {"sipcdr_positions": (("", "", 0, 0),)}).items():
        names = [column.key for column in tables_of(tables)[name].c]
        for row in rows:
            yield name, dict(zip(names, row, strict=True))


def _statements(dialect: sa.Dialect, tables: sa.MetaData, lacking: Missing) -> Iterator[sa.Executable]:
    """What makes this, in its order."""
    made: list[sa.Executable] = []
    collector: Any = MockConnection(dialect, lambda statement, *_, **__: made.append(statement))
    tables.create_all(collector, lacking.tables, checkfirst=False)
    yield from made
    for name in lacking.views:
        text = VIEWS[name](tables).compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        # A text of SQLAlchemy's takes a colon for a bind.
        yield sa.text(f"CREATE VIEW {name} AS {text}".replace(":", r"\:"))
    for name, row in lacking.rows:
        yield tables_of(tables)[name].insert().values(row)


def _migrate(options: Row, statements: Iterable[sa.Executable]) -> str:
    """Let Alembic run the migrations; returns what it writes where there is no connection."""
    from alembic import command
    from alembic.config import Config

    written = io.StringIO()
    config = Config(output_buffer=written)
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes |= {"options": options, "version_table": VERSION_TABLE, "missing": statements}
    with _ALEMBIC:
        command.upgrade(config, "head", sql="connection" not in options)
    return written.getvalue()


def _values(row: Row) -> str:
    return "(" + ", ".join(repr(value) for value in row.values()) + ")"
