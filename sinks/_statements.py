"""The statements of a sink: built once from the tables, compiled to text, run with tuples in a fixed order.

SQLAlchemy compiles them for the dialect; its per-row work (a dictionary a row, a processor a value) is left out, as it
costs more than the rows themselves. A compiled text's binds stand in the order that its builder states, or making it
fails.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

import sqlalchemy as sa

from ._columns import Kind
from ._lcscdr import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy.engine import Dialect

CHUNK: Final = 256
"""Keys that one SELECT asks for. A last chunk is filled up with its last key, so that there is one text a SELECT."""

FIELD_COLUMNS: Final = tuple(column for column in TABLES["SessionDetails"] if column.field)
"""Columns of SessionDetails that take a field of the row."""

LOOKUPS: Final = {
    name: next(column.name for column in columns if column.unique)
    for name, columns in TABLES.items()
    if any(column.kind is Kind.IDENTITY for column in columns)
}
"""Look-up tables whose ids the database gives out, and the column of the text that finds a row."""

EXTRA: Final = {"Users": "UriTypeId", "ClientVersions": "ClientType"}
"""The column beside the text that a new look-up row takes."""

_T = TypeVar("_T")

_KEY: Final = ("SessionIdTime", "SessionIdSeq")
_REPLACED: Final = ("ReplaceDialogIdTime", "ReplaceDialogIdSeq")


class Statements:
    """All texts. Each attribute's comment names the binds in their order."""

    def __init__(self, tables: sa.MetaData, dialect: Dialect) -> None:
        t = tables.tables
        calls, references, positions = t["sipcdr_calls"], t["sipcdr_references"], t["sipcdr_positions"]
        details, dialogs, media = t["SessionDetails"], t["Dialogs"], t["Media"]
        fields = tuple(column.name for column in FIELD_COLUMNS)
        lock = (positions.c.Source == "") & (positions.c.Partition == "")

        def compiled(statement: sa.ClauseElement, *binds: str) -> str:
            text = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
            if tuple(getattr(text, "positiontup", None) or ()) != tuple(f"b_{name}" for name in binds):
                raise AssertionError(f"binds out of order: {text}")
            return str(text)

        def insert(table: sa.Table, *columns: str, **literals: Any) -> str:
            ordered = [column.key for column in table.c if column.key in columns]
            values: dict[str, Any] = {name: sa.bindparam(f"b_{name}") for name in ordered}
            return compiled(sa.insert(table).values(values | literals), *ordered)

        def update(table: sa.Table, columns: Sequence[str], where: Sequence[str], **literals: Any) -> str:
            values: dict[str, Any] = {name: sa.bindparam(f"b_{name}") for name in columns}
            conditions = [table.c[name] == sa.bindparam(f"b_{name}") for name in where]
            return compiled(sa.update(table).values(values | literals).where(*conditions), *columns, *where)

        def delete(table: sa.Table) -> str:
            conditions = [table.c[name] == sa.bindparam(f"b_{name}") for name in _KEY]
            return compiled(sa.delete(table).where(*conditions), *_KEY)

        def select(wanted: sa.Select[Any], column: sa.Column[Any]) -> str:
            names = [f"k{number}" for number in range(CHUNK)]
            return compiled(wanted.where(column.in_([sa.bindparam(f"b_{name}") for name in names])), *names)

        # No binds: the writers' lock is a row that every writer updates first.
        self.lock = _literal(sa.update(positions).values(Position=positions.c.Position + 1).where(lock), dialect)
        self.read_lock = _literal(sa.select(positions.c.Position, positions.c.Epoch).where(lock), dialect)
        # CHUNK keys each.
        self.read_calls = select(
            sa.select(calls.c.CallKey, calls.c.Version, calls.c.Facts, calls.c.Keys), calls.c.CallKey
        )
        self.read_versions = select(sa.select(calls.c.CallKey, calls.c.Version), calls.c.CallKey)
        self.read_keys = select(sa.select(calls.c.CallKey, calls.c.Keys), calls.c.CallKey)
        self.read_references = select(
            sa.select(
                references.c.SessionIdTime,
                references.c.SessionIdSeq,
                references.c.InviteTime,
                references.c.TargetCallKey,
                references.c.TargetTags,
            ),
            references.c.TargetCallKey,
        )
        self.read_seqs = select(
            sa.select(dialogs.c.SessionIdTime, sa.func.max(dialogs.c.SessionIdSeq)).group_by(dialogs.c.SessionIdTime),
            dialogs.c.SessionIdTime,
        )
        self.find_lookups = {
            name: select(sa.select(t[name].c[text], *t[name].primary_key), t[name].c[text])
            for name, text in LOOKUPS.items()
        }
        # The text, then the extra column if the table has one.
        self.insert_lookups = {
            name: insert(t[name], text, *filter(None, (EXTRA.get(name),))) for name, text in LOOKUPS.items()
        }
        # The key, checksum, ExternalId; and with the key last.
        self.insert_dialogs = insert(dialogs, *_KEY, "ExternalChecksum", "ExternalId")
        self.update_dialogs = update(dialogs, ("ExternalChecksum", "ExternalId"), _KEY)
        # The key and FIELD_COLUMNS; and with the key last.
        unresolved = dict.fromkeys(_REPLACED, sa.null())
        self.insert_sessions = insert(details, *_KEY, *fields, Processed=sa.literal_column("0"), **unresolved)
        self.update_sessions = update(details, fields, _KEY, **unresolved)
        # The replaced dialog's key, then the session's.
        self.resolve = update(details, _REPLACED, _KEY)
        # The key, MediaId, StartTime, EndTime.
        self.insert_media = insert(media, *_KEY, "MediaId", "StartTime", "EndTime")
        # The key, InviteTime in microseconds, TargetCallKey, TargetTags.
        self.insert_references = insert(references, *(column.key for column in references.c))
        # The key.
        self.delete_sessions = delete(details)
        self.delete_dialogs = delete(dialogs)
        self.delete_media = delete(media)
        self.delete_references = delete(references)
        # CallKey, Version, FirstTime, LastTime, Facts, Keys.
        self.insert_calls = insert(calls, *(column.key for column in calls.c if column.key != "CallNumber"))
        # Version, FirstTime, LastTime, Facts, Keys, CallKey, the Version read.
        written = ("Version", "FirstTime", "LastTime", "Facts", "Keys")
        self.update_calls = compiled(
            sa.update(calls)
            .values({name: sa.bindparam(f"b_{name}") for name in written})
            .where(calls.c.CallKey == sa.bindparam("b_CallKey"), calls.c.Version == sa.bindparam("b_read")),
            *written,
            "CallKey",
            "read",
        )
        # Position, Source, Partition; and Source, Partition, Position, Epoch.
        self.update_positions = update(positions, ("Position",), ("Source", "Partition"))
        self.insert_positions = insert(positions, *(column.key for column in positions.c))
        # CHUNK pairs of SessionIdTime and SessionIdSeq. A row-value IN would scan the table.
        pairs = [
            (details.c.SessionIdTime == sa.bindparam(f"b_t{number}"))
            & (details.c.SessionIdSeq == sa.bindparam(f"b_s{number}"))
            for number in range(CHUNK)
        ]
        self.read_sessions = compiled(
            _resolved(t).where(sa.or_(*pairs)),
            *(name for number in range(CHUNK) for name in (f"t{number}", f"s{number}")),
        )


def _literal(statement: sa.ClauseElement, dialect: Dialect) -> str:
    return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def _resolved(t: Any) -> sa.Select[Any]:
    """SessionDetails with the text of each look-up in the place of its id, and no look-up's own columns."""
    details = t["SessionDetails"]
    joined: sa.FromClause = details
    columns: list[sa.ColumnElement[Any]] = []
    for column in TABLES["SessionDetails"]:
        value: sa.ColumnElement[Any] = details.c[column.name]
        if column.refers:
            name, number = column.refers.split(".")
            lookup = t[name].alias(f"l_{column.name}")
            joined = joined.outerjoin(lookup, value == lookup.c[number])
            value = lookup.c[LOOKUPS[name]]
        columns.append(value.label(column.name))
    return sa.select(*columns).select_from(joined)


def run_many(connection: sa.Connection, text: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Run a statement for each tuple, in bulk, and return how many rows it found."""
    if not rows:
        return 0
    return connection.exec_driver_sql(text, list(rows)).rowcount


def chunks(keys: Iterable[_T]) -> Iterator[tuple[_T, ...]]:
    """Keys by CHUNK; the last chunk is filled up with its last key."""
    iterator = iter(keys)
    while chunk := tuple(islice(iterator, CHUNK)):
        yield chunk + (chunk[-1],) * (CHUNK - len(chunk))


def select_many(connection: sa.Connection, text: str, keys: Iterable[Any]) -> Iterator[Any]:
    """The rows of a SELECT by keys, for any number of keys."""
    for chunk in chunks(keys):
        yield from connection.exec_driver_sql(text, chunk).fetchall()
