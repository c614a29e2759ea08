"""The table of columns: name, type, meaning, and how each is derived. Microsoft's tables stand in `_lcscdr.py`.

It makes the tables in every database, binds the statements that write them, and names the columns of the output.
The types are Microsoft's (schema reference of LcsCDR), with what a database has to know beyond them: which times lie
on the grid of the keys, which integers the database gives out, and which texts are in lower case. `rule` names the
rule, or the section of the derivations, that fills a column.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec


class Kind(enum.Enum):
    """What a column holds. The value is Microsoft's type, or that of our own tables; lengths stand beside it."""

    KEY_TIME = "datetime on the grid"
    TIME = "datetime"
    GUID = "uniqueidentifier"
    BIT = "bit"
    TINYINT = "tinyint"
    SMALLINT = "smallint"
    INT = "int"
    IDENTITY = "int given out"
    FOLDED = "nvarchar in lower case"
    EXACT = "nvarchar"
    EXTERNAL_ID = "varbinary"
    BIGINT = "bigint"
    BIG_IDENTITY = "bigint given out"
    CALL_KEY = "binary"
    BLOB = "varbinary(max)"
    NAME = "varchar compared exactly"


class Column(msgspec.Struct, frozen=True):
    """A column: `field` is the attribute of SessionDetails that it takes, `refers` its foreign key as Table.Column."""

    name: str
    kind: Kind
    meaning: str
    rule: str
    length: int = 0
    null: bool = False
    field: str = ""
    key: bool = False
    refers: str = ""
    unique: bool = False


OWN_TABLES: Final[dict[str, tuple[Column, ...]]] = {
    "sipcdr_calls": (
        Column("CallNumber", Kind.BIG_IDENTITY, "Number of the stored call, ascending.", "given out", key=True),
        Column(
            "CallKey",
            Kind.CALL_KEY,
            "First 16 bytes of the SHA-256 of the Call-ID.",
            "call_key",
            length=16,
            unique=True,
        ),
        Column("Version", Kind.BIGINT, "The write that last changed the call.", "the writers' lock"),
        Column("FirstTime", Kind.TIME, "Time of the call's first fact.", "Call.first_time"),
        Column("LastTime", Kind.TIME, "Time of the call's last fact.", "Call.last_time"),
        Column("Facts", Kind.BLOB, "The call's bytes, compressed; the first byte names the format.", "bytes(Call)"),
        Column("Keys", Kind.BLOB, "For each session its tags, tag pairs, InviteTime and key.", "key.known"),
    ),
    "sipcdr_references": (
        Column(
            "SessionIdTime",
            Kind.KEY_TIME,
            "Key time of the session that replaced another.",
            "the session's key",
            key=True,
        ),
        Column("SessionIdSeq", Kind.INT, "Key sequence number of that session.", "the session's key", key=True),
        Column("InviteTime", Kind.BIGINT, "InviteTime of that session, in microseconds since 1970.", "invite.*"),
        Column("TargetCallKey", Kind.CALL_KEY, "CallKey of the replaced dialog.", "replaces.header", length=16),
        Column("TargetTags", Kind.BLOB, "The replaced dialog's two tags.", "replaces.header"),
    ),
    "sipcdr_positions": (
        Column(
            "Source",
            Kind.NAME,
            "What is read: a topic, a followed folder; empty: the writers' lock.",
            "the source",
            length=255,
            key=True,
        ),
        Column("Partition", Kind.NAME, "Which part of it.", "the source", length=255, key=True),
        Column(
            "Position",
            Kind.BIGINT,
            "Everything before it is in stored calls; in the lock's row: the last Version.",
            "the source",
        ),
        Column(
            "Epoch",
            Kind.BIGINT,
            "How often the part was assigned; in the lock's row: when caches went stale.",
            "the source",
        ),
    ),
}
"""The tables that are ours: what a call is made of, references to replaced dialogs, how far sources are written."""

INDEXES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("SessionDetails", ("InviteTime",)),
    ("SessionDetails", ("User1Id", "InviteTime")),
    ("SessionDetails", ("User2Id", "InviteTime")),
    ("SessionDetails", ("ReplaceDialogIdTime", "ReplaceDialogIdSeq")),
    ("SessionDetails", ("CorrelationId",)),
    ("Dialogs", ("ExternalChecksum",)),
    ("sipcdr_references", ("TargetCallKey",)),
)
"""Indexes beside those of keys and unique texts: what the reports ask by."""

DIALOG_KEYS: Final[tuple[tuple[str, tuple[str, str]], ...]] = (
    ("SessionDetails", ("SessionIdTime", "SessionIdSeq")),
    ("SessionDetails", ("ReplaceDialogIdTime", "ReplaceDialogIdSeq")),
    ("Media", ("SessionIdTime", "SessionIdSeq")),
)
"""The foreign keys to Dialogs, which are pairs."""
