"""What an administrator asks of a database that may lack everything: to upgrade it, its version, what differs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ._address import address_of, engine_of
from ._check import check as differences
from ._existing import existing
from ._migrate import missing, script, version_of
from ._schema import metadata
from ._sink import Errors, Sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from ._dialect import Dialect


def upgrade(url: str) -> list[str]:
    """Make what a database lacks, and say in words what that was. Raises what `Sink.open` does."""
    with _connected(url) as (connection, tables, _):
        made = missing(connection, tables).described()
    Sink.open(url).close()
    return made


def current(url: str) -> str | None:
    """The version of a database's schema, or None if it has none. Raises what `Sink.open` does."""
    with _connected(url) as (connection, _, _):
        return version_of(connection)


def check(url: str) -> Iterator[str]:
    """Name each thing in which a database isn't as it should be, a line each. Raises what `Sink.open` does."""
    with _connected(url) as (connection, tables, dialect):
        yield from differences(connection, tables, dialect)


def ddl(name: str) -> str:
    """The statements that make everything in an empty database of this kind. Raises SinkAddress for an unknown one."""
    return script(address_of(f"{name}://")[0])


@contextmanager
def _connected(url: str) -> Iterator[tuple[sa.Connection, sa.MetaData, Dialect]]:
    """A connection to a database as it is."""
    dialect, engine = engine_of(url)
    with Errors(dialect, engine.url)():
        try:
            with engine.connect() as connection:
                yield connection, metadata(dialect.name, existing(connection).names), dialect
        finally:
            engine.dispose()
