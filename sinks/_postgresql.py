"""PostgreSQL through psycopg 3: COPY into the tables, or into a temporary one that a single statement merges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from ._dialect import CONNECT_SECONDS, IDLE_SECONDS, LOCK_SECONDS, Dialect, cursor_of
from ._errors import SinkError, SinkRefused, SinkUnavailable, SinkUnusable
from ._states import kind_of, made
from ._times import micros_of, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

    from ._bulk import Bulk

_CONNECT: Final[dict[str, Any]] = {
    "connect_timeout": CONNECT_SECONDS,
    "client_encoding": "utf8",
    "application_name": "sipcdr",
    # A server whose machine is gone says nothing more: noticed in a minute, not in two hours.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
# libpq gives no SQLSTATE for a connection that isn't made. These won't pass by themselves.
_HOPELESS: Final = (
    "password",
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "invalid connection option",
    "invalid sslmode",
    "certificate",
)


def _engine(url: sa.URL) -> sa.Engine:
    defaults = {name: value for name, value in _CONNECT.items() if name not in url.query}
    engine = sa.create_engine(url, isolation_level="READ COMMITTED", connect_args=defaults)
    sa.event.listen(engine, "connect", _connected)
    return engine


def _connected(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    # A writer that hangs would hold the writers' lock for ever.
    cursor.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
    cursor.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
    cursor.close()
    connection.commit()


def _run(connection: sa.Connection, bulk: Bulk, rows: Sequence[tuple[Any, ...]]) -> int:
    if len(rows) == 1:
        return connection.exec_driver_sql(bulk.text, rows[0]).rowcount
    with cursor_of(connection) as cursor:
        if bulk.insert:
            return copy(cursor, bulk.target, rows)
        cursor.execute(bulk.create)
        copy(cursor, bulk.stage, rows)
        cursor.execute(bulk.merge)
        found: int = cursor.rowcount
        cursor.execute(bulk.drop)
        return found


def copy(cursor: Any, target: str, rows: Sequence[tuple[Any, ...]]) -> int:
    with cursor.copy(f"COPY {target} FROM STDIN") as copying:
        write = copying.write_row
        for row in rows:
            write(row)
    taken: int = cursor.rowcount
    return taken


def _error_of(cause: Exception) -> SinkError | None:
    import psycopg

    if not isinstance(cause, psycopg.Error):
        return None
    if cause.sqlstate is not None:
        return made(kind_of(cause.sqlstate), cause)
    if isinstance(cause, psycopg.DataError):
        # The driver's own check: NUL in a text.
        return made(SinkRefused, cause)
    if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        hopeless = any(words in str(cause) for words in _HOPELESS)
        return made(SinkUnusable if hopeless else SinkUnavailable, cause)
    # What else has no state is a wrong option.
    return made(SinkUnusable, cause)


POSTGRESQL: Final = Dialect(
    name="postgresql",
    drivername="postgresql+psycopg",
    extra="postgresql",
    style="format",
    engine=_engine,
    run=_run,
    error_of=_error_of,
    time_of=text_of,
    micros_of=micros_of,
)
