"""The schema as SQLAlchemy sees it: one MetaData a dialect, made from the table of columns.

What differs between databases (types, checks, collations) is decided by a column's kind, here and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from ._columns import DIALOG_KEYS, INDEXES, OWN_TABLES, Column, Kind
from ._lcscdr import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

_IDENTITIES: Final = (Kind.IDENTITY, Kind.BIG_IDENTITY)


class Blob(sa.types.UserDefinedType[bytes]):
    """Bytes under the name that SQLite's documentation gives them."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the type's name."""
        return "BLOB"


class Datetime(sa.types.UserDefinedType[str]):
    """Text of 26 characters, `2026-11-23 08:05:10.120000`, so that the order of texts is the order of times."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the type's name; SQLite's affinity is by parts of it that DATETIME doesn't hold."""
        return "DATETIME"


_SQLITE: Final[dict[Kind, Callable[[int], sa.types.TypeEngine[Any]]]] = {
    Kind.KEY_TIME: lambda _: Datetime(),
    Kind.TIME: lambda _: Datetime(),
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

_TYPES: Final = {"sqlite": _SQLITE}
"""For each dialect the type of a kind and length."""


def metadata(dialect: str) -> sa.MetaData:
    """Make the tables, indexes and foreign keys for a dialect, by SQLAlchemy's name of it."""
    made = sa.MetaData()
    types = _TYPES[dialect]
    for name, columns in (TABLES | OWN_TABLES).items():
        items: list[sa.schema.SchemaItem] = [_column(column, types[column.kind](column.length)) for column in columns]
        items += [
            sa.CheckConstraint(f"{column.name} IN (0, 1)", name=f"CK_{name}_{column.name}")
            for column in columns
            if column.kind is Kind.BIT
        ]
        items += [
            sa.ForeignKeyConstraint(
                pair, ["Dialogs.SessionIdTime", "Dialogs.SessionIdSeq"], name=f"FK_{name}_{pair[0]}"
            )
            for table, pair in DIALOG_KEYS
            if table == name
        ]
        sa.Table(name, made, *items)
        for column in columns:
            if column.unique:
                sa.Index(f"UX_{name}_{column.name}", made.tables[name].c[column.name], unique=True)
    for name, indexed in INDEXES:
        table = made.tables[name]
        sa.Index(f"IX_{name}_{'_'.join(indexed)}", *(table.c[column] for column in indexed))
    return made


def _column(column: Column, type_: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(
        column.name,
        type_,
        *([sa.ForeignKey(column.refers)] if column.refers else []),
        primary_key=column.key,
        nullable=column.null,
        # An integer key would otherwise become an identity also where its rows are constant.
        autoincrement=column.kind in _IDENTITIES,
        quote=False,
    )
