"""The type of a column's kind in each database, and what stands beside it.

Every type is spelled out: what SQLAlchemy makes of its general ones (bit as boolean, GUIDs without hyphens, bytes as
IMAGE) isn't what queries for LcsCDR expect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from ._columns import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

Types = dict[Kind, "Callable[[int], sa.types.TypeEngine[Any]]"]
"""For each kind a type, by its length."""


class Blob(sa.types.UserDefinedType[bytes]):
    """Bytes under the name that SQLite's documentation gives them."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the type's name."""
        return "BLOB"


class TextTime(sa.types.UserDefinedType[str]):
    """Text of 26 characters, `2026-11-23 08:05:10.120000`, so that the order of texts is the order of times."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the type's name; SQLite's affinity is by parts of it that DATETIME doesn't hold."""
        return "DATETIME"


class ServerTime(sa.types.UserDefinedType[str]):
    """SQL Server's `datetime`, whose binds are cast to it: a datetime2 or text of .003 isn't equal to its .003."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the type's name."""
        return "DATETIME"

    def bind_expression(self, bindvalue: sa.BindParameter[str]) -> sa.ColumnElement[Any]:
        """Return the bind as `datetime`."""
        return sa.cast(bindvalue, sa.DATETIME())


def _sqlite() -> Types:
    return {
        Kind.KEY_TIME: lambda _: TextTime(),
        Kind.TIME: lambda _: TextTime(),
        Kind.GUID: lambda _: sa.CHAR(36, collation="NOCASE"),
        Kind.BIT: lambda _: sa.SMALLINT(),
        Kind.TINYINT: lambda _: sa.INTEGER(),
        Kind.SMALLINT: lambda _: sa.SMALLINT(),
        Kind.INT: lambda _: sa.INTEGER(),
        Kind.IDENTITY: lambda _: sa.INTEGER(),
        Kind.FOLDED: lambda length: sa.VARCHAR(length, collation="NOCASE"),
        Kind.EXACT: sa.VARCHAR,
        Kind.EXTERNAL_ID: lambda _: Blob(),
        Kind.BIGINT: lambda _: sa.BIGINT(),
        Kind.BIG_IDENTITY: lambda _: sa.INTEGER(),
        Kind.CALL_KEY: lambda _: Blob(),
        Kind.BLOB: lambda _: Blob(),
        Kind.NAME: sa.VARCHAR,
    }


def _postgresql() -> Types:
    from sqlalchemy.dialects import postgresql

    return {
        Kind.KEY_TIME: lambda _: postgresql.TIMESTAMP(precision=3),
        Kind.TIME: lambda _: postgresql.TIMESTAMP(precision=6),
        Kind.GUID: lambda _: postgresql.UUID(as_uuid=False),
        # Not boolean, which `= 1` is an error on.
        Kind.BIT: lambda _: sa.SMALLINT(),
        Kind.TINYINT: lambda _: sa.SMALLINT(),
        Kind.SMALLINT: lambda _: sa.SMALLINT(),
        Kind.INT: lambda _: sa.INTEGER(),
        Kind.IDENTITY: lambda _: sa.INTEGER(),
        Kind.FOLDED: sa.VARCHAR,
        Kind.EXACT: sa.VARCHAR,
        Kind.EXTERNAL_ID: lambda _: postgresql.BYTEA(),
        Kind.BIGINT: lambda _: sa.BIGINT(),
        Kind.BIG_IDENTITY: lambda _: sa.BIGINT(),
        Kind.CALL_KEY: lambda _: postgresql.BYTEA(),
        Kind.BLOB: lambda _: postgresql.BYTEA(),
        Kind.NAME: sa.VARCHAR,
    }


def _mysql() -> Types:
    from sqlalchemy.dialects import mysql

    return {
        Kind.KEY_TIME: lambda _: mysql.DATETIME(fsp=3),
        Kind.TIME: lambda _: mysql.DATETIME(fsp=6),
        Kind.GUID: lambda _: mysql.CHAR(36, charset="ascii", collation="ascii_general_ci"),
        Kind.BIT: lambda _: mysql.TINYINT(1),
        Kind.TINYINT: lambda _: mysql.TINYINT(unsigned=True),
        Kind.SMALLINT: lambda _: sa.SMALLINT(),
        Kind.INT: lambda _: sa.INTEGER(),
        Kind.IDENTITY: lambda _: sa.INTEGER(),
        Kind.FOLDED: lambda length: mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"),
        Kind.EXACT: lambda length: mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"),
        Kind.EXTERNAL_ID: mysql.VARBINARY,
        Kind.BIGINT: lambda _: sa.BIGINT(),
        Kind.BIG_IDENTITY: lambda _: sa.BIGINT(),
        Kind.CALL_KEY: mysql.BINARY,
        Kind.BLOB: lambda _: mysql.LONGBLOB(),
        Kind.NAME: lambda length: mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"),
    }


def _mssql() -> Types:
    from sqlalchemy.dialects import mssql

    return {
        Kind.KEY_TIME: lambda _: ServerTime(),
        Kind.TIME: lambda _: ServerTime(),
        Kind.GUID: lambda _: mssql.UNIQUEIDENTIFIER(as_uuid=False),
        Kind.BIT: lambda _: mssql.BIT(),
        Kind.TINYINT: lambda _: mssql.TINYINT(),
        Kind.SMALLINT: lambda _: sa.SMALLINT(),
        Kind.INT: lambda _: sa.INTEGER(),
        Kind.IDENTITY: lambda _: sa.INTEGER(),
        # The database's own collation, as in Microsoft's LcsCDR.
        Kind.FOLDED: sa.NVARCHAR,
        Kind.EXACT: sa.NVARCHAR,
        Kind.EXTERNAL_ID: mssql.VARBINARY,
        Kind.BIGINT: lambda _: sa.BIGINT(),
        Kind.BIG_IDENTITY: lambda _: sa.BIGINT(),
        Kind.CALL_KEY: sa.BINARY,
        Kind.BLOB: lambda _: mssql.VARBINARY("max"),  # type: ignore[no-untyped-call]
        Kind.NAME: lambda length: mssql.VARCHAR(length, collation="Latin1_General_BIN2"),
    }


_OF: Final = {"sqlite": _sqlite, "postgresql": _postgresql, "mysql": _mysql, "mssql": _mssql}


def types_of(dialect: str) -> Types:
    """The types of a database, by SQLAlchemy's name of it; only its own module is imported, as that takes long."""
    return _OF[dialect]()
