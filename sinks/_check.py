"""What differs between a database and what sipcdr expects of it, in words. Nothing is written."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

import sqlalchemy as sa

from ._columns import DIALOG_KEYS
from ._constants import CONSTANT_ROWS
from ._lcscdr import TABLES
from ._migrate import VERSION_TABLE, missing
from ._records import unpacked_keys
from ._schema import tables_of
from ._statements import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy.engine.interfaces import ReflectedColumn

    from ._dialect import Dialect

_FAMILIES: Final = (
    ("time", ("DATETIME", "TIMESTAMP")),
    ("bytes", ("BINARY", "BLOB", "BYTEA", "IMAGE")),
    ("text", ("CHAR", "TEXT", "UNIQUEIDENTIFIER", "UUID")),
    ("number", ("INT", "BIT", "NUMERIC", "DECIMAL")),
)
"""Kinds of types by words in their names."""
_RANKS: Final = (("TINYINT", 1), ("BIT", 1), ("SMALLINT", 2), ("BIGINT", 8))
_PAGE: Final = 1000
"""Stored calls read at once."""

_T = TypeVar("_T")


def check(connection: sa.Connection, tables: sa.MetaData, dialect: Dialect) -> Iterator[str]:
    """Name each thing that is missing, narrower than it should be, or points nowhere. Memory stays flat.

    Raises SinkUnusable for the schema of a newer sipcdr.
    """
    lacking = missing(connection, tables)
    yield from (f"missing: {what}" for what in lacking.described())
    inspector = sa.inspect(connection)
    there = {name.lower(): name for name in inspector.get_table_names()}
    whole: dict[str, sa.Table] = {}
    for name, table in tables_of(tables).items():
        if table.name.lower() in there:
            differences = list(_table(inspector, there[table.name.lower()], table, ours=name not in TABLES))
            yield from differences
            if not any(text.startswith("missing: column") for text in differences):
                whole[name] = table
    yield from _constants(connection, whole)
    # Where others keep tables too, dialogs and sessions may be theirs.
    alone = there.keys() <= {table.name.lower() for table in whole.values()} | {VERSION_TABLE}
    yield from _orphans(connection, whole, alone=alone)
    if {"sipcdr_calls", "SessionDetails"} <= whole.keys():
        yield from _keys(connection, whole, dialect, alone=alone)


def _table(inspector: sa.Inspector, name: str, table: sa.Table, *, ours: bool) -> Iterator[str]:
    """How a table that is there differs."""
    options = _known(inspector.get_table_options, name) or {}
    engine = options.get("mysql_engine") or options.get("mariadb_engine")
    if engine not in (None, "InnoDB"):
        yield f"table {name}: engine {engine} has no transactions: ALTER TABLE {name} ENGINE = InnoDB"
    found = {column["name"].lower(): column for column in inspector.get_columns(name)}
    for column in table.c:
        there = found.pop(_folded(column.name), None)
        if there is None:
            yield f"missing: column {column.name} of {name}"
        else:
            yield from _column(inspector.dialect, f"column {column.name} of {name}", there, column)
    for other in found.values():
        if not other["nullable"] and other["default"] is None and not other.get("identity"):
            yield f"column {other['name']} of {name}: must not be NULL, and sipcdr has no value for it"
    indexed = [[str(each).lower() for each in index["column_names"]] for index in inspector.get_indexes(name)]
    constraints = _known(inspector.get_unique_constraints, name) or []
    indexed += [[each.lower() for each in constraint["column_names"]] for constraint in constraints]
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        columns = [_folded(column.name) for column in index.columns]
        # Any index that begins with them serves as well; and how Microsoft's tables are unique is theirs.
        if not any(each[: len(columns)] == columns for each in indexed):
            yield f"missing: index on {', '.join(column.name for column in index.columns)} of {name}"
    key = [each.lower() for each in inspector.get_pk_constraint(name)["constrained_columns"]]
    if key != [_folded(column.name) for column in table.primary_key] and (ours or not key):
        yield f"table {name}: its primary key is {', '.join(key) or 'missing'}"


def _known(ask: Callable[[str], _T], name: str) -> _T | None:
    """What SQLAlchemy can say of a table; of SQL Server's it knows no options, and unique constraints as indexes."""
    try:
        return ask(name)
    except NotImplementedError:
        return None


def _column(dialect: sa.Dialect, where: str, found: ReflectedColumn, column: sa.Column[Any]) -> Iterator[str]:
    """How a column differs: another kind of type, less room, another collation."""
    expected = column.type
    is_, should = (type_.compile(dialect).upper() for type_ in (found["type"], expected))
    if _family(is_) != _family(should):
        yield f"{where}: type {is_}, expected {should}"
        return
    if _room(found["type"], is_, dialect) < _room(expected, should, dialect):
        yield f"{where}: type {is_} is narrower than {should}"
    collation, wanted = (getattr(type_, "collation", None) for type_ in (found["type"], expected))
    if collation and wanted and collation.lower() != wanted.lower():
        yield f"{where}: collation {collation}, expected {wanted}"


def _folded(name: str) -> str:
    """A name without its case; one that is quoted is a str that keeps it."""
    return str(name).lower()


def _family(text: str) -> str:
    return next((family for family, words in _FAMILIES if any(word in text for word in words)), text)


def _room(type_: Any, text: str, dialect: sa.Dialect) -> int:
    """How much a type holds, comparable within its family."""
    family = _family(text)
    if family == "number":
        return next((size for word, size in _RANKS if word in text), 4)
    if family == "time":
        # MySQL's has no fractions unless told; PostgreSQL's all of them.
        digits = getattr(type_, "fsp" if dialect.name == "mysql" else "precision", None)
        return digits if digits is not None else 0 if dialect.name == "mysql" else 6
    length = getattr(type_, "length", None)
    return length if isinstance(length, int) else 1 << 31


def _constants(connection: sa.Connection, whole: Mapping[str, sa.Table]) -> Iterator[str]:
    """Numbers that stand for something else here."""
    for name in ("UriTypes", "CallPriorities", "MediaList"):
        if name in whole:
            number, text = list(whole[name].c)[:2]
            found = {key: value for key, value in connection.execute(sa.select(number, text))}  # noqa: C416
            for key, value in CONSTANT_ROWS[name]:
                if found.get(key, value) != value:
                    yield f"row {key} of {name}: {found[key]!r}, expected {value!r}"


def _orphans(connection: sa.Connection, whole: Mapping[str, sa.Table], *, alone: bool) -> Iterator[str]:
    """Rows that refer to none, with how many they are."""
    key = ("SessionIdTime", "SessionIdSeq")
    pairs = [(table, columns, "Dialogs") for table, columns in DIALOG_KEYS]
    pairs += [(table, key, "SessionDetails") for table in ("sipcdr_references", *(["Dialogs"] if alone else []))]
    singles = [
        (name, (column.name,), column.refers.partition(".")[0])
        for name, columns in TABLES.items()
        for column in columns
        if column.refers
    ]
    for name, columns, target_name in (*pairs, *singles):
        if name not in whole or target_name not in whole:
            continue
        table, target = whole[name], whole[target_name].alias("target")
        mine = [table.c[column] for column in columns]
        keys = [target.c[column.key] for column in whole[target_name].primary_key][: len(mine)]
        nowhere = sa.select(sa.literal(1)).select_from(target).where(*(a == b for a, b in zip(mine, keys, strict=True)))
        count = connection.scalar(
            sa.select(sa.func.count())
            .select_from(table)
            .where(*(column.is_not(None) for column in mine), ~sa.exists(nowhere.correlate(table)))
        )
        if count:
            yield f"{name}: {count:,} rows whose {', '.join(columns)} is in no row of {target_name}"
    if "SessionDetails" in whole:
        time, seq = (whole["SessionDetails"].c[column] for column in DIALOG_KEYS[1][1])
        half = connection.scalar(
            sa.select(sa.func.count())
            .select_from(whole["SessionDetails"])
            .where(sa.or_(time.is_(None) & seq.is_not(None), time.is_not(None) & seq.is_(None)))
        )
        if half:
            yield f"SessionDetails: {half:,} rows with half of a ReplaceDialogId"


def _keys(connection: sa.Connection, whole: Mapping[str, sa.Table], dialect: Dialect, *, alone: bool) -> Iterator[str]:
    """Stored calls whose sessions aren't there, or that can't be read; and sessions of no stored call."""
    calls, details = whole["sipcdr_calls"], whole["SessionDetails"]
    counts: Counter[str] = Counter()
    example: dict[str, str] = {}
    last = held = 0

    def note(what: str, call_key: bytes) -> None:
        counts[what] += 1
        example.setdefault(what, call_key.hex())

    page = sa.select(calls.c.CallNumber, calls.c.CallKey, calls.c.Keys).order_by(calls.c.CallNumber).limit(_PAGE)
    while rows := connection.execute(page.where(calls.c.CallNumber > last)).all():
        last = rows[-1][0]
        wanted: dict[tuple[int, int], bytes] = {}
        for _, found, packed in rows:
            keys = unpacked_keys(bytes(packed))
            if keys is None:
                note("whose keys don't decode", bytes(found))
            for key in keys or ():
                if (key.key.time, key.key.seq) in wanted:
                    note("that share a session with another", bytes(found))
                wanted[key.key.time, key.key.seq] = bytes(found)
        listed = list(wanted)
        for some in (listed[at : at + CHUNK] for at in range(0, len(listed), CHUNK)):
            condition = sa.or_(
                *(
                    (details.c.SessionIdTime == sa.literal(dialect.time_of(time), details.c.SessionIdTime.type))
                    & (details.c.SessionIdSeq == seq)
                    for time, seq in some
                )
            )
            select = sa.select(details.c.SessionIdTime, details.c.SessionIdSeq).where(condition)
            there = {(dialect.micros_of(time), seq) for time, seq in connection.execute(select)}
            held += len(there)
            for session in some:
                if session not in there:
                    note("with a session that isn't in SessionDetails", wanted[session])
    for what, count in counts.items():
        yield f"sipcdr_calls: {count:,} {what}, such as CallKey {example[what]}"
    sessions = connection.scalar(sa.select(sa.func.count()).select_from(details)) or 0
    if alone and sessions > held:
        yield f"SessionDetails: {sessions - held:,} rows that no stored call has"
