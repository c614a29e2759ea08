"""What differs between databases: `Dialect`, of which each of `_sqlite`, `_postgresql`, `_mysql`, `_mssql` makes one.

Types stand in `_types.py`, texts of statements in `_bulk.py` and `_statements.py`, both by a dialect's name.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ._errors import SinkError, SinkRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy.engine import Dialect as Compiler

    from ._bulk import Bulk

WRITES: Final = "sipcdr_writes"
"""The execution option of a connection whose transactions write: SQLite takes its write lock at once."""
AT_ONCE: Final = "sipcdr_at_once"
"""The execution option of a connection that doesn't wait for another's lock: SQLite's has its time-out taken away."""
LOCK_SECONDS: Final = 30
"""How long a statement waits for a lock before it fails as locked."""
IDLE_SECONDS: Final = 120
"""How long the server lets a transaction be idle before it ends a writer that hangs with the lock."""
CONNECT_SECONDS: Final = 10


class Dialect(msgspec.Struct, frozen=True):
    """A kind of database with its driver.

    name: SQLAlchemy's name of the database. drivername: of database and driver. extra: what of sipcdr to install for
    it. style: how the driver marks a bind. engine: makes an engine whose connections are set as a sink needs them.
    run: runs a bulk statement for many tuples and returns how many rows it found. error_of: what the driver's
    exception means; None if it is a bug. time_of: microseconds UTC as they are bound. micros_of: and back.
    """

    name: str
    drivername: str
    extra: str
    style: str
    engine: Callable[[sa.URL], sa.Engine]
    run: Callable[[sa.Connection, Bulk, Sequence[tuple[Any, ...]]], int]
    error_of: Callable[[Exception], SinkError | None]
    time_of: Callable[[int], str]
    micros_of: Callable[[Any], int]

    def compiler(self) -> Compiler:
        """What SQLAlchemy compiles statements with."""
        made: Compiler = sa.make_url(f"{self.drivername}://").get_dialect()(paramstyle=self.style)  # type: ignore[call-arg]
        return made

    def meaning(self, error: Exception) -> SinkError | None:
        """What an exception out of SQLAlchemy or the driver means, as one of this package's; None if it is a bug."""
        if isinstance(error, OverflowError | UnicodeEncodeError):
            # The drivers' own checks: an integer beyond 64 bits, a time out of range, a lone surrogate.
            return SinkRefused(str(error))
        cause = error.orig if isinstance(error, DBAPIError) else error
        return self.error_of(cause) if isinstance(cause, Exception) else None


@contextmanager
def cursor_of(connection: sa.Connection) -> Iterator[Any]:
    """The driver's own cursor, for what SQLAlchemy has no words for. A connection that is lost meanwhile is dropped."""
    raw = connection.connection
    cursor = raw.cursor()
    try:
        yield cursor
    except Exception as error:
        if connection.dialect.is_disconnect(error, raw, cursor):  # type: ignore[arg-type]
            connection.invalidate(error)
        raise
    finally:
        cursor.close()
