"""PostgreSQL and MariaDB through their ODBC drivers, so that the road of pyodbc is exercised on real servers.

The program uses that road for SQL Server, which can't run here. SQLAlchemy has no such dialect of PostgreSQL, so one is
put together here from its parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pyodbc
import sqlalchemy as sa
from sqlalchemy.connectors.pyodbc import PyODBCConnector
from sqlalchemy.dialects.mysql.pyodbc import MySQLDialect_pyodbc
from sqlalchemy.dialects.postgresql.base import PGDialect

from sipcdr.sinks._mysql import KINDS, MYSQL, connected
from sipcdr.sinks._odbc import error_of, run_staged
from sipcdr.sinks._postgresql import POSTGRESQL

from ._process import ServerError

if TYPE_CHECKING:
    from sipcdr.sinks import SinkError
    from sipcdr.sinks._dialect import Dialect

DRIVERS = {"postgresql": "PostgreSQL Unicode", "mysql": "MariaDB Unicode"}
_PACKAGES = {"postgresql": "odbc-postgresql", "mysql": "odbc-mariadb"}
# MariaDB's driver counts changed rows unless told to count those found (2).
# PostgreSQL's leaves the types of binds to the server, which can't tell all of them.
_OPTIONS = {"postgresql": {"UseServerSidePrepare": "0"}, "mysql": {"OPTIONS": "2", "CHARSET": "utf8mb4"}}


class PostgresOdbc(PyODBCConnector, PGDialect):
    """PostgreSQL's dialect on pyodbc's connector."""

    supports_statement_cache = True


class MariadbOdbc(MySQLDialect_pyodbc):
    """MariaDB's dialect on pyodbc's connector, without a guess at the encoding."""

    supports_statement_cache = True

    def _detect_charset(self, connection: Any) -> str:
        return "utf8mb4"

    def on_connect(self) -> Any:
        """Leave the driver's own encoding, which is right."""


sa.dialects.registry.register("postgresql.pyodbc", __name__, "PostgresOdbc")
sa.dialects.registry.register("mysql.mariaodbc", __name__, "MariadbOdbc")


def _mariadb_connected(connection: Any, record: Any) -> None:
    connected(connection, record)
    # The driver loses characters of a text that comes in parts.
    connection.maxwrite = 1 << 28


def through_odbc(address: str) -> tuple[sa.Engine, Dialect]:
    """An engine and a dialect for the database of this URL, as a sink takes them."""
    url = sa.make_url(address)
    name = url.get_backend_name()
    if DRIVERS[name] not in pyodbc.drivers():
        raise ServerError(f"no ODBC driver {DRIVERS[name]!r}: apt-get install unixodbc {_PACKAGES[name]}")
    words = {
        "DRIVER": f"{{{DRIVERS[name]}}}",
        "SERVER": str(url.host),
        "PORT": str(url.port),
        "DATABASE": str(url.database),
        "UID": str(url.username),
        **_OPTIONS[name],
    }
    text = ";".join(f"{key}={value}" for key, value in words.items())
    driver = {"postgresql": "postgresql+pyodbc", "mysql": "mysql+mariaodbc"}[name]

    def engine(_: sa.URL) -> sa.Engine:
        made = sa.create_engine(sa.URL.create(driver, query={"odbc_connect": text}), isolation_level="READ COMMITTED")
        if name == "mysql":
            sa.event.listen(made, "connect", _mariadb_connected)
        return made

    def meaning(cause: Exception) -> SinkError | None:
        return error_of(cause, KINDS if name == "mysql" else {})

    changed = {"drivername": driver, "style": "qmark", "engine": engine, "run": run_staged, "error_of": meaning}
    dialect = msgspec.structs.replace(POSTGRESQL if name == "postgresql" else MYSQL, **changed)
    return engine(url), dialect
