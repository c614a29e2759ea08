"""MySQL and MariaDB through PyMySQL: LOAD DATA LOCAL where the server allows it, else INSERT of many rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from ._dialect import CONNECT_SECONDS, IDLE_SECONDS, LOCK_SECONDS, Dialect, cursor_of
from ._errors import (
    SinkConflict,
    SinkError,
    SinkFull,
    SinkLocked,
    SinkReadOnly,
    SinkRefused,
    SinkUnavailable,
    SinkUnusable,
)
from ._states import made
from ._times import micros_of, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

    from ._bulk import Bulk

_CODES: Final[dict[type[SinkError], tuple[int, ...]]] = {
    # Network and client; too many connections; shutdown; deadlock; killed; time-outs of the server.
    SinkUnavailable: (
        *(2002, 2003, 2005, 2006, 2013, 2055, 1040, 1042, 1043, 1053, 1077, 1079, 1080, 1152, 1158, 1159, 1160, 1161),
        *(1184, 1203, 1213, 1226, 1317, 1020, 1927, 1969, 3024, 3168, 3169, 4031, 1180, 1181, 1037, 1038, 1041),
    ),
    SinkLocked: (1205, 3572),
    # Unique; foreign key.
    SinkConflict: (1022, 1062, 1169, 1586, 1216, 1217, 1451, 1452),
    # NULL, ranges, lengths, encodings, CHECK, a row or packet too large.
    SinkRefused: (
        *(1048, 1153, 1162, 1263, 1264, 1265, 1292, 1300, 1301, 1364, 1366, 1367, 1406, 1411, 1690, 3140, 3819, 3988),
        *(4025, 1118),
    ),
    SinkFull: (3, 1021, 1114, 1026),
    SinkReadOnly: (1290, 1792, 1836, 1036),
}
KINDS: Final = {code: kind for kind, codes in _CODES.items() for code in codes}
"""What an error number of the server or the client library means."""

_SET: Final = (
    # Every cut or refused value is an error; an id of 0 is none to number.
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION'",
    f"SET SESSION innodb_lock_wait_timeout = {LOCK_SECONDS}",
    # MariaDB ends a writer that hangs with the writers' lock; MySQL takes this for a comment.
    f"/*M!100300 SET SESSION idle_transaction_timeout = {IDLE_SECONDS} */",
)
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n"})


def _engine(url: sa.URL) -> sa.Engine:
    from ._mysql_load import Connection

    arguments: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "read_timeout": 600, "write_timeout": 600}
    defaults = {name: value for name, value in arguments.items() if name not in url.query}
    if "charset" not in url.query:
        defaults["charset"] = "utf8mb4"
    engine = sa.create_engine(url, isolation_level="READ COMMITTED", connect_args=defaults | {"local_infile": True})

    def connect(_: object, __: object, arguments: list[Any], options: dict[str, Any]) -> Any:
        return Connection(*arguments, **options)

    sa.event.listen(engine, "do_connect", connect)
    sa.event.listen(engine, "connect", connected)
    return engine


def connected(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """Let values that don't fit be errors, and nothing be waited for without end."""
    cursor = connection.cursor()
    for text in _SET:
        cursor.execute(text)
    cursor.close()


def _run(connection: sa.Connection, bulk: Bulk, rows: Sequence[tuple[Any, ...]]) -> int:
    if len(rows) == 1:
        return connection.exec_driver_sql(bulk.text, rows[0]).rowcount
    loads = connection.connection.dbapi_connection.loads  # type: ignore[union-attr]
    if bulk.insert:
        if loads:
            return load(connection, bulk.target, rows)
        # PyMySQL makes statements of many rows of it.
        return connection.exec_driver_sql(bulk.text, list(rows)).rowcount
    connection.exec_driver_sql(bulk.create)
    if loads:
        load(connection, bulk.stage, rows)
    else:
        connection.exec_driver_sql(f"INSERT INTO {bulk.stage} VALUES {bulk.marks}", list(rows))
    found = connection.exec_driver_sql(bulk.merge).rowcount
    connection.exec_driver_sql(bulk.drop)
    return found


def load(connection: sa.Connection, target: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Load rows into a table; what the server only warns of, as it cuts a value or leaves out a row, is an error."""
    table, _, columns = target.partition(" ")
    text = f"LOAD DATA LOCAL INFILE 'sipcdr' INTO TABLE {table} CHARACTER SET binary {columns}"
    with cursor_of(connection) as cursor:
        cursor.connection.upload = b"".join(map(_line, rows))
        cursor.execute(text)
        if cursor.rowcount != len(rows) or cursor.warning_count:
            cursor.execute("SHOW WARNINGS")
            _, code, words = next(iter(cursor.fetchall()), ("", 0, "rows were left out"))
            raise made(KINDS.get(code, SinkRefused), words)
    return len(rows)


def _line(row: tuple[Any, ...]) -> bytes:
    cells: list[bytes] = []
    for value in row:
        if value is None:
            cells.append(b"\\N")
        elif isinstance(value, int):
            cells.append(b"%d" % value)
        elif isinstance(value, str):
            cells.append(value.translate(_ESCAPES).encode())
        else:
            cells.append(value.replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n"))
    return b"\t".join(cells) + b"\n"


def _error_of(cause: Exception) -> SinkError | None:
    import pymysql

    if not isinstance(cause, pymysql.MySQLError):
        return None
    code = cause.args[0] if cause.args else None
    if isinstance(cause, pymysql.err.InterfaceError) and code == 0:
        return SinkUnavailable("the connection is lost")
    text = str(cause.args[1]) if len(cause.args) > 1 else str(cause)
    if code == 1030 and "28" in text:
        return made(SinkFull, text)
    return made(KINDS.get(code, SinkUnusable) if isinstance(code, int) else SinkUnusable, text)


MYSQL: Final = Dialect(
    name="mysql",
    drivername="mysql+pymysql",
    extra="mysql",
    style="format",
    engine=_engine,
    run=_run,
    error_of=_error_of,
    time_of=text_of,
    micros_of=micros_of,
)
