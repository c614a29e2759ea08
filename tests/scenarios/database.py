"""Databases for the tests of this folder: written by the program's own function, read by plain SQL."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from sipcdr.app._write import Outcome, Refusals, write_calls
from sipcdr.sinks import Sink
from tests.scenarios.derivation import RULES, calls_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sipcdr.builder import SipMessage

Rows = dict[bytes, dict[str, Any]]
"""Sessions by ExternalId, each by its columns' names."""

_LOOKUPS = {
    "Users": ("UserId", "UserUri || '|' || UriTypeId"),
    "Servers": ("ServerId", "ServerFQDN"),
    "Pools": ("PoolId", "PoolFQDN"),
    "ContentTypes": ("ContentTypeId", "ContentType"),
    "ClientVersions": ("VersionId", "Version || '|' || COALESCE(ClientType, '')"),
    "EdgeServers": ("EdgeServerId", "EdgeServer"),
}
_REFERS = {
    "User1Id": "Users",
    "User2Id": "Users",
    "TargetUserId": "Users",
    "SessionStartedById": "Users",
    "OnBehalfOfId": "Users",
    "ReferredById": "Users",
    "ServerId": "Servers",
    "PoolId": "Pools",
    "ContentTypeID": "ContentTypes",
    "User1ClientVerId": "ClientVersions",
    "User2ClientVerId": "ClientVersions",
    "User1EdgeServerid": "EdgeServers",
    "User2EdgeServerid": "EdgeServers",
}


def write(path: Path, *runs: Iterable[SipMessage]) -> None:
    """Write the messages of one run after the other into a database, which is made if it isn't there."""
    for run in runs:
        outcome = Outcome()
        sink = Sink.open(f"sqlite:///{path}")
        write_calls(sink, calls_of(run), RULES, outcome=outcome, refusals=Refusals(path.with_suffix(".refused")))
        sink.close()
        assert not outcome.refused
        assert not outcome.damaged


def sessions_in(path: Path) -> Rows:
    """The sessions of a database, with every key read as what it stands for; `Replaced` is an ExternalId."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        texts: dict[str, dict[int, str]] = {
            table: {row[0]: row[1] for row in connection.execute(f"SELECT {key}, {text} FROM {table}")}
            for table, (key, text) in _LOOKUPS.items()
        }
        names: dict[tuple[str, int], bytes] = {
            (row["SessionIdTime"], row["SessionIdSeq"]): row["ExternalId"]
            for row in connection.execute("SELECT * FROM Dialogs")
        }
        found: Rows = {}
        for row in connection.execute("SELECT * FROM SessionDetails"):
            session = dict(row)
            replaced = (session.pop("ReplaceDialogIdTime"), session.pop("ReplaceDialogIdSeq"))
            session["Replaced"] = None if replaced == (None, None) else names[replaced]
            session["Media"] = []
            for column, table in _REFERS.items():
                if session[column] is not None:
                    session[column] = texts[table][session[column]]
            found[names[session.pop("SessionIdTime"), session.pop("SessionIdSeq")]] = session
        assert len(found) == len(names), "dialogs without a session, or two with one name"
        for row in connection.execute("SELECT * FROM Media ORDER BY MediaId, StartTime"):
            medium = dict(row)
            name = names[medium.pop("SessionIdTime"), medium.pop("SessionIdSeq")]
            found[name]["Media"].append(medium)
    return found


def everything_in(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables but that of the writers' lock, as they are."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr)
            for table in tables
            if table != "sipcdr_positions"
        }


def keys_in(path: Path) -> dict[bytes, tuple[str, int]]:
    """The keys of sessions, by ExternalId."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT ExternalId, SessionIdTime, SessionIdSeq FROM Dialogs").fetchall()
    return {external_id: (time, seq) for external_id, time, seq in rows}
