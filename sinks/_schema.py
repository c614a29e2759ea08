"""The schema as SQLAlchemy sees it: one MetaData a dialect, made from the table of columns.

On PostgreSQL tables and columns are in lower case, as a name without quotes is looked up there; `key` of a column, and
`tables_of`, have Microsoft's names on every database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from ._columns import DIALOG_KEYS, INDEXES, OWN_TABLES, Column, Kind
from ._lcscdr import TABLES
from ._types import types_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_IDENTITIES: Final = (Kind.IDENTITY, Kind.BIG_IDENTITY)
_NAMED: Final = "sipcdr_tables"

Names = frozenset[tuple[str, str, str]]
"""Table, column, and the column's name in a database that has another."""


def metadata(dialect: str, others: Names = frozenset()) -> sa.MetaData:
    """Make the tables, indexes and foreign keys for a dialect, by SQLAlchemy's name of it.

    others: what columns are called in tables that somebody else made.
    """
    made = sa.MetaData()
    tables: dict[str, sa.Table] = {}
    made.info[_NAMED] = tables
    types = types_of(dialect)
    called = {(table, column): name for table, column, name in others}
    for name, columns in (TABLES | OWN_TABLES).items():
        items: list[sa.schema.SchemaItem] = [
            _column(dialect, column, types[column.kind](column.length), called.get((name, column.name)), tables)
            for column in columns
        ]
        items += [
            sa.CheckConstraint(text, name=_name(dialect, f"CK_{name}_{column.name}"))
            for column in columns
            if (text := _check(dialect, column))
        ]
        dialogs = tables.get("Dialogs")
        items += [
            sa.ForeignKeyConstraint(
                pair, [dialogs.c.SessionIdTime, dialogs.c.SessionIdSeq], name=_name(dialect, f"FK_{name}_{pair[0]}")
            )
            for table, pair in DIALOG_KEYS
            if table == name and dialogs is not None
        ]
        table = tables[name] = sa.Table(
            _name(dialect, name),
            made,
            *items,
            implicit_returning=False,
            mysql_engine="InnoDB",
            mysql_charset="utf8mb4",
            mysql_collate="utf8mb4_bin",
            mysql_row_format="DYNAMIC",
        )
        for column in columns:
            if column.unique:
                sa.Index(_name(dialect, f"UX_{name}_{column.name}"), table.c[column.name], unique=True)
    for name, indexed in INDEXES:
        table = tables[name]
        sa.Index(_name(dialect, f"IX_{name}_{'_'.join(indexed)}"), *(table.c[column] for column in indexed))
    if dialect == "postgresql":
        # Compressed already: the database need not try again.
        facts = sa.DDL("ALTER TABLE %(table)s ALTER COLUMN facts SET STORAGE EXTERNAL")  # type: ignore[no-untyped-call]
        sa.event.listen(tables["sipcdr_calls"], "after_create", facts)
    return made


def tables_of(metadata: sa.MetaData) -> Mapping[str, sa.Table]:
    """The tables by Microsoft's names."""
    tables: dict[str, sa.Table] = metadata.info[_NAMED]
    return tables


def _name(dialect: str, name: str) -> str:
    return name.lower() if dialect == "postgresql" else name


def _column(
    dialect: str,
    column: Column,
    type_: sa.types.TypeEngine[Any],
    called: str | None,
    tables: Mapping[str, sa.Table],
) -> sa.Column[Any]:
    items: list[sa.schema.SchemaItem] = []
    # InnoDB makes an index for every foreign key: with all of them writing is a quarter slower.
    if column.refers and (dialect != "mysql" or column.refers.startswith("MediaList.")):
        table, _, key = column.refers.partition(".")
        items.append(sa.ForeignKey(tables[table].c[key]))
    if dialect == "postgresql" and column.kind in _IDENTITIES:
        items.append(sa.Identity(always=False))
    return sa.Column(
        called or _name(dialect, column.name),
        type_,
        *items,
        key=column.name,
        primary_key=column.key,
        nullable=column.null,
        # An integer key would otherwise become an identity also where its rows are constant.
        autoincrement=column.kind in _IDENTITIES,
        # Of ours two are reserved words of MySQL; of Microsoft's none is one anywhere.
        quote=dialect == "mysql" and column.name in ("Keys", "Partition"),
    )


def _check(dialect: str, column: Column) -> str | None:
    """What a type that is wider than Microsoft's has to be held to."""
    if column.kind is Kind.BIT and dialect in ("sqlite", "postgresql"):
        return f"{column.name} IN (0, 1)"
    if column.kind is Kind.EXTERNAL_ID and dialect == "postgresql":
        return f"octet_length({column.name}) <= {column.length}"
    return None
