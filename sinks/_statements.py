"""The statements of a sink: built once from the tables, as text, run with tuples in a fixed order.

SQLAlchemy compiles what reads; its per-row work (a dictionary a row, a processor a value) is left out, as it costs more
than the rows themselves. A compiled text's binds stand in the order that its builder states, or making it fails.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

import sqlalchemy as sa

from ._bulk import Writing
from ._columns import Kind
from ._lcscdr import TABLES
from ._schema import tables_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.engine import Dialect as Compiler

    from ._dialect import Dialect

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
    """All statements. Each attribute's comment names the binds in their order."""

    def __init__(self, tables: sa.MetaData, dialect: Dialect, numbered: frozenset[str] = frozenset()) -> None:
        """Build them; `numbered` are look-up tables whose ids the database doesn't give out."""
        t = tables_of(tables)
        calls, references, positions = t["sipcdr_calls"], t["sipcdr_references"], t["sipcdr_positions"]
        details, dialogs, media = t["SessionDetails"], t["Dialogs"], t["Media"]
        fields = tuple(column.name for column in FIELD_COLUMNS)
        lock = (positions.c.Source == "") & (positions.c.Partition == "")
        compiler = dialect.compiler()
        writing = Writing(compiler, dialect.style)
        self.dialect = dialect
        self.tables = t

        def compiled(statement: sa.ClauseElement, *binds: str) -> str:
            text = statement.compile(dialect=compiler, compile_kwargs={"render_postcompile": True})
            if tuple(getattr(text, "positiontup", None) or ()) != tuple(f"b_{name}" for name in binds):
                raise AssertionError(f"binds out of order: {text}")
            return str(text)

        def select(wanted: sa.Select[Any], column: sa.Column[Any]) -> str:
            # With the column's type, as SQL Server's datetime has to be cast to.
            one = compiled(wanted.where(column.in_([sa.bindparam("b_key", type_=column.type)])), "key")
            # The text of one key is repeated: compiling it CHUNK times would be a fifth of a replay's start.
            before, bind, after = re.split(r" IN \(((?:[^()]|\([^()]*\))+)\)", one)
            return f"{before} IN ({', '.join([bind] * CHUNK)}){after}"

        # No binds: the writers' lock is a row that every writer updates first.
        self.lock = _literal(sa.update(positions).values(Position=positions.c.Position + 1).where(lock), compiler)
        self.read_lock = _literal(sa.select(positions.c.Position, positions.c.Epoch).where(lock), compiler)
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
        # One text.
        self.find_lookup = {
            name: compiled(
                sa.select(sa.func.min(*t[name].primary_key)).where(t[name].c[text] == sa.bindparam("b_text")), "text"
            )
            for name, text in LOOKUPS.items()
        }
        # The id where the database doesn't give it out, the text, and the extra column if the table has one.
        self.last_ids = {
            name: str(sa.select(sa.func.max(*t[name].primary_key)).compile(dialect=compiler)) for name in numbered
        }
        self.insert_lookups = {
            name: writing.insert(
                t[name],
                *(column.key for column in t[name].primary_key if name in numbered),
                text,
                *filter(None, (EXTRA.get(name),)),
                absent=text,
            )
            for name, text in LOOKUPS.items()
        }
        # The key, checksum, ExternalId; and with the key last.
        self.insert_dialogs = writing.insert(dialogs, *_KEY, "ExternalChecksum", "ExternalId")
        self.update_dialogs = writing.update(dialogs, ("ExternalChecksum", "ExternalId"), _KEY)
        # The key, FIELD_COLUMNS, Processed; and FIELD_COLUMNS with the key last.
        self.insert_sessions = writing.insert(details, *_KEY, *fields, "Processed")
        self.update_sessions = writing.update(details, fields, _KEY, nulls=_REPLACED)
        # The replaced dialog's key.
        self.unresolve = writing.update(details, (), _REPLACED, nulls=_REPLACED)
        # The replaced dialog's key, then the session's.
        self.resolve = writing.update(details, _REPLACED, _KEY)
        # The key, MediaId, StartTime, EndTime.
        self.insert_media = writing.insert(media, *_KEY, "MediaId", "StartTime", "EndTime")
        # The key, InviteTime in microseconds, TargetCallKey, TargetTags.
        self.insert_references = writing.insert(references, *(column.key for column in references.c))
        # The key.
        self.delete_sessions = writing.delete(details, _KEY)
        self.delete_dialogs = writing.delete(dialogs, _KEY)
        self.delete_media = writing.delete(media, _KEY)
        self.delete_references = writing.delete(references, _KEY)
        # CallKey, Version, FirstTime, LastTime, Facts, Keys.
        written = ("Version", "FirstTime", "LastTime", "Facts", "Keys")
        self.insert_calls = writing.insert(calls, "CallKey", *written)
        # Version, FirstTime, LastTime, Facts, Keys, CallKey, the Version read.
        self.update_calls = writing.update(calls, written, ("CallKey", "Version"))
        # CallKey.
        self.delete_calls = writing.delete(calls, ("CallKey",))
        # The id.
        self.delete_lookups = {
            name: writing.delete(t[name], [column.key for column in t[name].primary_key]) for name in LOOKUPS
        }
        # Position, Epoch, Source, Partition; and Source, Partition, Position, Epoch.
        self.update_positions = writing.update(positions, ("Position", "Epoch"), ("Source", "Partition"))
        self.delete_positions = writing.delete(positions, ("Source", "Partition", "Epoch"))
        self.insert_positions = writing.insert(positions, *(column.key for column in positions.c))
        # CHUNK pairs of SessionIdTime and SessionIdSeq. A row-value IN would scan the table.
        pair = (details.c.SessionIdTime == sa.bindparam("b_time")) & (details.c.SessionIdSeq == sa.bindparam("b_seq"))
        before, where, one = compiled(resolved(t).where(pair), "time", "seq").rpartition("WHERE ")
        self.read_sessions = before + where + " OR ".join([one] * CHUNK)


def _literal(statement: sa.ClauseElement, compiler: Compiler) -> str:
    return str(statement.compile(dialect=compiler, compile_kwargs={"literal_binds": True}))


def resolved(t: Any) -> sa.Select[Any]:
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


def chunks(keys: Iterable[_T]) -> Iterator[tuple[_T, ...]]:
    """Keys by CHUNK; the last chunk is filled up with its last key."""
    iterator = iter(keys)
    while chunk := tuple(islice(iterator, CHUNK)):
        yield chunk + (chunk[-1],) * (CHUNK - len(chunk))


def select_many(connection: sa.Connection, text: str, keys: Iterable[Any]) -> Iterator[Any]:
    """The rows of a SELECT by keys, for any number of keys."""
    for chunk in chunks(keys):
        yield from connection.exec_driver_sql(text, chunk).fetchall()
