"""SQL Server through pyodbc, with Microsoft's driver or FreeTDS, in T-SQL of SQL Server 2014."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from sipcdr.builder import grid

from ._dialect import CONNECT_SECONDS, LOCK_SECONDS, Dialect
from ._odbc import error_of, run_staged
from ._times import micros_of, text_of

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry


def _engine(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url, isolation_level="READ COMMITTED", connect_args={"timeout": CONNECT_SECONDS})
    sa.event.listen(engine, "connect", connected)
    return engine


def connected(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """Let no error leave half a transaction, and no lock be waited for without end."""
    cursor = connection.cursor()
    cursor.execute("SET XACT_ABORT ON")
    cursor.execute(f"SET LOCK_TIMEOUT {LOCK_SECONDS * 1000}")
    cursor.close()
    connection.commit()


def time_of(time: int) -> str:
    """Microseconds as text that every language of a login reads alike, on the grid of `datetime`."""
    return text_of(grid(time))[:23].replace(" ", "T")


def _micros_of(value: Any) -> int:
    # Some drivers give 3.333 ms where the server shows 3.
    return grid(micros_of(value))


MSSQL: Final = Dialect(
    name="mssql",
    drivername="mssql+pyodbc",
    extra="mssql",
    style="qmark",
    engine=_engine,
    run=run_staged,
    error_of=error_of,
    time_of=time_of,
    micros_of=_micros_of,
)
