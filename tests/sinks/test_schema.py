"""The schema is Microsoft's: tables, columns, types, keys, constant rows and views."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

import pytest

from sipcdr.sinks import Sink, SinkUnusable
from sipcdr.sinks._columns import INDEXES, OWN_TABLES, Column, Kind
from sipcdr.sinks._constants import CONSTANT_ROWS
from sipcdr.sinks._lcscdr import TABLES
from tests.sinks.rows import change, details, execute, query, url, write
from tests.tools import folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Table, then its columns: name, Microsoft's type, and whether it may be NULL, is in the key, refers, is unique.
# A pair that refers to Dialogs is named with both of its columns.
SCHEMA = """
SessionDetails
    SessionIdTime datetime PK -> Dialogs.SessionIdTime
    SessionIdSeq int PK -> Dialogs.SessionIdSeq
    CorrelationId uniqueidentifier null
    ReplaceDialogIdTime datetime null -> Dialogs.SessionIdTime
    ReplaceDialogIdSeq int null -> Dialogs.SessionIdSeq
    User1Id int null -> Users.UserId
    User2Id int null -> Users.UserId
    User1EndpointId uniqueidentifier null
    User2EndpointId uniqueidentifier null
    TargetUserId int null -> Users.UserId
    SessionStartedById int null -> Users.UserId
    OnBehalfOfId int null -> Users.UserId
    ReferredById int null -> Users.UserId
    ServerId int null -> Servers.ServerId
    PoolId int null -> Pools.PoolId
    ContentTypeID int null -> ContentTypes.ContentTypeId
    User1ClientVerId int null -> ClientVersions.VersionId
    User2ClientVerId int null -> ClientVersions.VersionId
    User1EdgeServerid int null -> EdgeServers.EdgeServerId
    User2EdgeServerid int null -> EdgeServers.EdgeServerId
    IsUser1Internal bit null
    IsUser2Internal bit null
    InviteTime datetime
    ResponseTime datetime null
    ResponseCode int null
    DiagnosticId int null
    CallPriority int
    User1MessageCount int
    User2MessageCount int
    SessionEndTime datetime null
    MediaTypes int
    User1Flag smallint
    User2Flag smallint
    CallFlag smallint
    Processed bit
    LastModifiedTime datetime null
Dialogs
    SessionIdTime datetime PK
    SessionIdSeq int PK
    ExternalChecksum int null
    ExternalId varbinary(775) null
Users
    NextUpdateTS datetime null
    UserId int PK
    UserUri nvarchar(450) unique
    TenantId int null -> Tenants.TenantId
    UriTypeId int null
UriTypes
    UriTypeId tinyint PK
    UriType nvarchar(256)
Tenants
    TenantId int PK
    TenantKey nvarchar(256) unique
Servers
    ServerId int PK
    ServerFQDN nvarchar(256) unique
Pools
    PoolId int PK
    PoolFQDN nvarchar(256) unique
ContentTypes
    ContentTypeId int PK
    ContentType nvarchar(256) unique
ClientVersions
    VersionId int PK
    Version nvarchar(256) unique
    ClientType int null
UserAgentDef
    UAType int PK
    UAName nvarchar(64) PK
    UACategory nvarchar(64)
EdgeServers
    EdgeServerId int PK
    EdgeServer nvarchar(256) unique
CallPriorities
    PriorityId tinyint PK
    Priority nvarchar(256)
Media
    SessionIdTime datetime PK -> Dialogs.SessionIdTime
    SessionIdSeq int PK -> Dialogs.SessionIdSeq
    MediaId tinyint PK -> MediaList.MediaId
    StartTime datetime PK
    EndTime datetime null
MediaList
    MediaId tinyint PK
    Media nvarchar(256)
"""

# In the order of the documentation; MediaTypes is ours.
VIEW = """
SessionIdTime SessionIdSeq InviteTime FromUri ToUri FromUriType ToUriType FromTenant ToTenant FromEndpointId
ToEndpointId EndTime FromMessageCount ToMessageCount FromClientVersion FromClientType FromClientCategory
ToClientVersion ToClientType ToClientCategory TargetUri TargetUriType OnBehalfOfUri OnBehalfOfUriType
OnBehalfOfTenant ReferredByUri ReferredByUriType ReferredByTenant DialogId CorrelationId ReplaceDialogIdTime
ReplaceDialogIdSeq ReplacesDialogId ResponseTime ResponseCode DiagnosticId ContentType FrontEnd Pool
FromEdgeServer ToEdgeServer IsFromInternal IsToInternal CallPriority FromUserFlag ToUserFlag CallFlag
Location LastModifiedTime MediaTypes
"""


@pytest.fixture
def sink(path: Path) -> Iterator[Sink]:
    """A file, as what is looked at here is SQLite's catalogue."""
    with Sink.open(url(path)) as opened:
        yield opened


def microsoft(column: Column) -> str:
    """The type as the documentation has it."""
    if column.kind in (Kind.KEY_TIME, Kind.TIME):
        return "datetime"
    if column.kind is Kind.IDENTITY:
        return "int"
    if column.kind in (Kind.FOLDED, Kind.EXACT):
        return f"nvarchar({column.length})"
    if column.kind is Kind.EXTERNAL_ID:
        return f"varbinary({column.length})"
    return str(column.kind.value)


def listing() -> str:
    """The table of columns in the notation of SCHEMA."""
    lines: list[str] = []
    for table in sorted(TABLES, key=list(TABLES).index):
        lines.append(table)
        for column in TABLES[table]:
            refers = column.refers
            if column.name in ("SessionIdTime", "SessionIdSeq") and table != "Dialogs":
                refers = f"Dialogs.{column.name}"
            elif column.name.startswith("ReplaceDialogId"):
                refers = "Dialogs." + column.name.replace("ReplaceDialogId", "SessionId")
            marks = ("null" * column.null, "PK" * column.key, f"-> {refers}" * bool(refers), "unique" * column.unique)
            lines.append("    " + " ".join(filter(None, (column.name, microsoft(column), *marks))))
    return "\n".join(lines)


def tables(text: str) -> dict[str, list[str]]:
    """The lines of a listing by table, so that the order of tables doesn't matter."""
    found: dict[str, list[str]] = {}
    for line in text.strip().splitlines():
        if line.startswith(" "):
            found[list(found)[-1]].append(line.strip())
        else:
            found[line] = []
    return found


def test_columns() -> None:
    """There are 14 tables with 72 columns, in Microsoft's order, with their types and keys."""
    assert tables(listing()) == tables(SCHEMA)
    assert len(TABLES) == 14
    assert sum(map(len, TABLES.values())) == 72


def test_columns_are_those_of_lcscdr_tsv() -> None:
    """The schema is that of lcscdr.tsv, where that lies beside the project."""
    with (folder("SIPCDR_SCHEMA") / "lcscdr.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert [(row["table"], row["column"], row["type"].lower(), row["meaning"]) for row in rows] == [
        (table, column.name, microsoft(column), column.meaning)
        for table in dict.fromkeys(row["table"] for row in rows)
        for column in TABLES[table]
    ]
    for row in rows:
        column = TABLES[row["table"]][int(row["ordinal"]) - 1]
        assert column.null == row["nullable"].startswith("yes"), row
        assert column.key == ("PK" in row["key"]), row
        assert column.unique == ("IX unique" in row["key"]), row
        refers = re.findall(r"FK->(\w+\.\w+)", row["key"])
        assert ([column.refers] if column.refers else []) == [
            target for target in refers if not target.startswith("Dialogs.") and "FK not declared" not in row["notes"]
        ], row
        if "IX" in row["key"] and "unique" not in row["key"]:
            assert any(table == row["table"] and column.name in names for table, names in INDEXES), row


def test_what_the_database_has(sink: Sink, path: Path) -> None:
    """The file has these tables and columns in this order, and declares NOT NULL and keys as the schema says."""
    assert sink
    for table, columns in (TABLES | OWN_TABLES).items():
        found = query(path, f"SELECT name, \"notnull\", pk > 0 FROM pragma_table_info('{table}')")
        assert found == [(column.name, int(not column.null), int(column.key)) for column in columns], table


def test_foreign_keys(sink: Sink, path: Path) -> None:
    """All are declared but the two whose types differ between the sides (CallPriority, UriTypeId)."""
    assert sink
    declared = query(path, 'SELECT "from", "table", "to" FROM pragma_foreign_key_list(\'SessionDetails\')')
    assert len(declared) == 13 + 4
    assert ("ReplaceDialogIdSeq", "Dialogs", "SessionIdSeq") in declared
    assert "CallPriority" not in {column for column, _, _ in declared}
    assert query(path, "SELECT \"from\" FROM pragma_foreign_key_list('Users')") == [("TenantId",)]
    assert query(path, "SELECT COUNT(*) FROM pragma_foreign_key_list('Media')") == [(3,)]


def test_indexes(sink: Sink, path: Path) -> None:
    """The reports' indexes are there, and each look-up's text is unique."""
    assert sink
    found = {
        (table, unique, columns)
        for table, unique, columns in query(
            path,
            "SELECT m.name, i.\"unique\", (SELECT group_concat(name, ' ') FROM pragma_index_info(i.name))"
            " FROM sqlite_master AS m JOIN pragma_index_list(m.name) AS i WHERE m.type = 'table' AND i.origin = 'c'",
        )
    }
    expected = {(table, 0, " ".join(columns)) for table, columns in INDEXES}
    for table, table_columns in (TABLES | OWN_TABLES).items():
        expected |= {(table, 1, column.name) for column in table_columns if column.unique}
    assert found == expected


def test_constant_rows(sink: Sink, path: Path) -> None:
    """The small tables hold what the documentation lists, by its ids."""
    assert sink
    assert query(path, "SELECT * FROM UriTypes") == [(0, "Phone Uri"), (1, "User Uri")]
    assert query(path, "SELECT MediaId, Media FROM MediaList WHERE MediaId IN (1, 5)") == [(1, "IM"), (5, "Audio")]
    assert query(path, "SELECT COUNT(*), COUNT(DISTINCT UAType) FROM UserAgentDef") == [(39, 37)]
    for table, rows in CONSTANT_ROWS.items():
        assert sorted(query(path, f"SELECT * FROM {table}")) == sorted(rows), table


def test_view_columns(sink: Sink, path: Path) -> None:
    """SessionDetailsView has its 50 columns in their order."""
    assert sink
    assert [name for (name,) in query(path, "SELECT name FROM pragma_table_info('SessionDetailsView')")] == VIEW.split()


def test_base_view_columns(sink: Sink, path: Path) -> None:
    """CDRReportsSessionDetailsBaseView is SessionDetails with the two names that public reports write."""
    assert sink
    names = [column.name.replace("ReplaceDialog", "ReplacesDialog") for column in TABLES["SessionDetails"]]
    found = query(path, "SELECT name FROM pragma_table_info('CDRReportsSessionDetailsBaseView')")
    assert [name for (name,) in found] == names


def test_opening_again_changes_nothing(path: Path) -> None:
    """A database that has everything is opened without a write, and rows that someone added stay."""
    Sink.open(url(path)).close()
    with Sink.open(url(path)) as sink:
        write(sink, change(details()))
    before = path.read_bytes()
    Sink.open(url(path)).close()
    Sink.open(url(path), ddl=False).close()
    assert path.read_bytes() == before


def test_a_constant_row_that_is_missing_comes_back(path: Path) -> None:
    """Missing constant rows are added; others, and those beyond, are left alone."""
    Sink.open(url(path)).close()
    execute(path, "DELETE FROM CallPriorities WHERE PriorityId = 3")
    execute(path, "INSERT INTO UriTypes VALUES (4, 'conf:chat')")
    execute(path, "UPDATE UriTypes SET UriType = 'changed' WHERE UriTypeId = 0")
    Sink.open(url(path)).close()
    assert query(path, "SELECT Priority FROM CallPriorities WHERE PriorityId = 3") == [("Urgent",)]
    assert query(path, "SELECT * FROM UriTypes") == [(0, "changed"), (1, "User Uri"), (4, "conf:chat")]


def test_without_ddl_nothing_is_made(path: Path) -> None:
    """With `ddl` False an empty database is refused, and stays empty."""
    with pytest.raises(SinkUnusable, match="lacks tables"):
        Sink.open(url(path), ddl=False)
    assert query(path, "SELECT COUNT(*) FROM sqlite_master") == [(0,)]
