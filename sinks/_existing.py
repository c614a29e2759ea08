"""An LcsCDR that somebody else made, such as Microsoft's: what its columns are called, and who numbers its look-ups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa

from ._columns import Kind
from ._lcscdr import TABLES

if TYPE_CHECKING:
    from ._schema import Names

# Every public sample that touches the pair calls it so; the documentation's page has the other name.
_OTHER_NAMES: Final = {
    "ReplaceDialogIdTime": "ReplacesDialogIdTime",
    "ReplaceDialogIdSeq": "ReplacesDialogIdSeq",
}


class Existing(msgspec.Struct, frozen=True):
    """What differs in tables that are there from those that sipcdr would make.

    names: columns that are called otherwise. numbered: look-up tables whose ids the database doesn't give out.
    """

    names: Names = frozenset()
    numbered: frozenset[str] = frozenset()


def existing(connection: sa.Connection) -> Existing:
    """Look at the tables that are there."""
    inspector = sa.inspect(connection)
    there = {name.lower(): name for name in inspector.get_table_names()}
    names: set[tuple[str, str, str]] = set()
    if "sessiondetails" in there:
        columns = {column["name"].lower(): column["name"] for column in inspector.get_columns(there["sessiondetails"])}
        for ours, theirs in _OTHER_NAMES.items():
            if ours.lower() not in columns and theirs.lower() in columns:
                names.add(("SessionDetails", ours, columns[theirs.lower()]))
    numbered = {
        table
        for table, columns in TABLES.items()
        if table.lower() in there
        and any(column.kind is Kind.IDENTITY for column in columns)
        and not _gives_out(connection, there[table.lower()], next(c.name for c in columns if c.kind is Kind.IDENTITY))
    }
    return Existing(frozenset(names), frozenset(numbered))


def _gives_out(connection: sa.Connection, table: str, key: str) -> bool:
    """Whether the database numbers this column."""
    if connection.dialect.name == "sqlite":
        # An INTEGER PRIMARY KEY is the row's own number; INT isn't.
        declared = {row[1].lower(): row[2].upper() for row in connection.exec_driver_sql(f"PRAGMA table_info({table})")}
        return bool(declared[key.lower()] == "INTEGER")
    columns = sa.inspect(connection).get_columns(table)
    column = next(each for each in columns if each["name"].lower() == key.lower())
    return bool(column.get("identity")) or column.get("autoincrement") is True
