"""Statements that run for many rows at once: a text for one row, and the set-based road of each database.

Where the database is no file, rows are loaded into a temporary table, and one statement merges them: few round trips,
and the count of rows found is the database's own. Column lists are fixed; a value is always bound or loaded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ._types import ServerTime

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sqlalchemy as sa
    from sqlalchemy.engine import Dialect

_STAGE: Final = "sipcdr_stage"
_MARKS: Final = {"qmark": "?", "format": "%s"}


class Bulk(msgspec.Struct, frozen=True):
    """A statement with its columns in the order of the binds.

    text: for one tuple. insert: whether it only adds rows. target: the table with those columns, which an INSERT fills.
    stage: the same of the temporary table. create, merge, drop: the temporary table's life. marks: one row's binds.
    kinds: for each column whether it holds "text", "time", "bytes" or "number", and its length, 0 if it has none.
    absent: whether `merge` leaves out rows that are there, which `text` doesn't.
    """

    text: str
    insert: bool
    target: str
    stage: str
    create: str
    merge: str
    drop: str
    marks: str
    kinds: tuple[tuple[str, int], ...]
    absent: bool


class Writing:
    """Makes bulk statements for a database and the style of its driver's binds."""

    def __init__(self, dialect: Dialect, style: str) -> None:
        self._dialect = dialect
        self._mark = _MARKS[style]
        self._stage = f"#{_STAGE}" if dialect.name == "mssql" else _STAGE

    def insert(self, table: sa.Table, *columns: str, absent: str = "") -> Bulk:
        """INSERT these columns; where `absent` is given, SQL Server leaves out rows whose text in it is there.

        There the collation decides what is equal, so of texts that are equal under it one is taken.
        """
        names = ", ".join(self._name(table, name) for name in columns)
        chosen = [table.c[name] for name in columns]
        marks = ", ".join(map(self._bind, chosen))
        values = ", ".join(f"s.v{number}" for number in range(len(columns)))
        guarded = bool(absent) and self._dialect.name == "mssql"
        if guarded:
            key = columns.index(absent)
            values = ", ".join(f"s.v{n}" if n == key else f"MIN(s.v{n})" for n in range(len(columns)))
            where = (
                f" WHERE NOT EXISTS (SELECT 1 FROM {table.name} AS t WITH (UPDLOCK, HOLDLOCK)"
                f" WHERE t.{self._name(table, absent)} = s.v{key}) GROUP BY s.v{key}"
            )
        return self._bulk(
            f"INSERT INTO {table.name} ({names}) VALUES ({marks})",
            f"INSERT INTO {table.name} ({names}) SELECT {values} FROM {self._stage} AS s{where if guarded else ''}",
            chosen,
            [f"v{number}" for number in range(len(columns))],
            target=f"{table.name} ({names})",
            absent=guarded,
        )

    def update(self, table: sa.Table, columns: Sequence[str], where: Sequence[str], nulls: Sequence[str] = ()) -> Bulk:
        """SET these columns, and `nulls` to NULL, of the row that `where` finds; binds in that order."""
        name = table.name
        empty = [f"{self._name(table, column)} = NULL" for column in nulls]
        stage = [f"v{n}" for n in range(len(columns))] + [f"k{n}" for n in range(len(where))]
        one = [f"{self._name(table, column)} = {self._bind(table.c[column])}" for column in columns]
        found = " AND ".join(f"{self._name(table, column)} = {self._bind(table.c[column])}" for column in where)
        prefix = f"{name}." if self._dialect.name == "mysql" else ""
        many = ", ".join(
            [f"{prefix}{self._name(table, column)} = s.v{n}" for n, column in enumerate(columns)]
            + [prefix + each for each in empty]
        )
        joined = self._joined(table, where)
        merge = {
            "mysql": f"UPDATE {self._stage} AS s STRAIGHT_JOIN {name} ON {joined} SET {many}",
            "mssql": f"UPDATE {name} SET {many} FROM {name} INNER JOIN {self._stage} AS s ON {joined}",
        }.get(self._dialect.name, f"UPDATE {name} SET {many} FROM {self._stage} AS s WHERE {joined}")
        text = f"UPDATE {name} SET {', '.join(one + empty)} WHERE {found}"
        return self._bulk(text, merge, [table.c[column] for column in (*columns, *where)], stage)

    def delete(self, table: sa.Table, where: Sequence[str]) -> Bulk:
        """DELETE the row that these columns find."""
        name = table.name
        found = " AND ".join(f"{self._name(table, column)} = {self._bind(table.c[column])}" for column in where)
        joined = self._joined(table, where)
        merge = {
            "mysql": f"DELETE {name} FROM {self._stage} AS s STRAIGHT_JOIN {name} ON {joined}",
            "mssql": f"DELETE {name} FROM {name} INNER JOIN {self._stage} AS s ON {joined}",
        }.get(self._dialect.name, f"DELETE FROM {name} USING {self._stage} AS s WHERE {joined}")
        stage = [f"k{n}" for n in range(len(where))]
        return self._bulk(f"DELETE FROM {name} WHERE {found}", merge, [table.c[column] for column in where], stage)

    def _bulk(
        self,
        text: str,
        merge: str,
        columns: Sequence[sa.Column[Any]],
        stage: Sequence[str],
        *,
        target: str = "",
        absent: bool = False,
    ) -> Bulk:
        types = [self._type(column) for column in columns]
        made = ", ".join(f"{name} {kind} NULL" for name, kind in zip(stage, types, strict=True))
        before, after = {
            "mssql": ("CREATE TABLE", ""),
            "postgresql": ("CREATE TEMPORARY TABLE", " ON COMMIT DROP"),
        }.get(self._dialect.name, ("CREATE TEMPORARY TABLE", ""))
        return Bulk(
            text=text,
            insert=bool(target),
            target=target,
            stage=f"{self._stage} ({', '.join(stage)})",
            create=f"{before} {self._stage} ({made}){after}",
            merge=merge,
            # Without TEMPORARY it would commit what was done so far.
            drop=f"DROP {'TEMPORARY ' * (self._dialect.name == 'mysql')}TABLE {self._stage}",
            marks=f"({', '.join(map(self._bind, columns))})",
            kinds=tuple(_kind(kind) for kind in types),
            absent=absent,
        )

    def _name(self, table: sa.Table, column: str) -> str:
        return self._dialect.identifier_preparer.format_column(table.c[column])

    def _joined(self, table: sa.Table, where: Sequence[str]) -> str:
        return " AND ".join(f"{table.name}.{self._name(table, column)} = s.k{n}" for n, column in enumerate(where))

    def _bind(self, column: sa.Column[Any]) -> str:
        # Drivers send datetime2 or text, of which .003 isn't the datetime .003 from SQL Server 2016 on.
        return f"CAST({self._mark} AS DATETIME)" if isinstance(column.type, ServerTime) else self._mark

    def _type(self, column: sa.Column[Any]) -> str:
        text = column.type.compile(self._dialect)
        if self._dialect.name == "mssql" and "CHAR" in text and "COLLATE" not in text:
            # Else it would have tempdb's, which can't be compared with the database's.
            text += " COLLATE DATABASE_DEFAULT"
        return text


def _kind(type_: str) -> tuple[str, int]:
    """What a column holds and how much, by the name of its type."""
    found = re.search(r"\((\d+)\)", type_)
    length = int(found[1]) if found else 0
    for words, kind in (
        (("DATETIME", "TIMESTAMP"), "time"),
        (("BINARY", "BLOB", "BYTEA"), "bytes"),
        (("CHAR", "UNIQUEIDENTIFIER", "UUID"), "text"),
    ):
        if any(word in type_ for word in words):
            return kind, length
    return "number", length
