"""The schema's life: made, upgraded, printed, checked, and put beside tables that Microsoft made."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import sqlglot
from alembic.config import Config
from alembic.script import ScriptDirectory

import sipcdr.sinks
from sipcdr.sinks import Sink, SinkAddress, SinkUnusable, check, current, ddl, upgrade
from sipcdr.sinks._lcscdr import TABLES as MICROSOFTS
from sipcdr.sinks._migrate import SCHEMA_VERSION
from tests.places import NAMES, Place, fresh
from tests.sinks.rows import change, details, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.places import Servers

SCRIPTS = {"sqlite": "sqlite", "postgresql": "postgresql", "mariadb": "mysql"}


@pytest.fixture(params=NAMES)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A database of each kind without any table."""
    if request.param == "sqlite":
        place = Place("sqlite", f"sqlite:///{tmp_path}/cdr.db")
    else:
        servers: Servers = request.getfixturevalue("servers")
        place = fresh(servers.get(request.param), "schema_life")
    yield place
    place.close()


def statements(script: str) -> list[str]:
    """The statements of a script, without its comments."""
    text = re.sub(r"^--.*$", "", script, flags=re.MULTILINE)
    return [part.strip() for part in text.split(";\n") if part.strip()]


def microsofts(place: Place) -> None:
    """Make Microsoft's tables by themselves, with the names of the replaced pair that a real LcsCDR has."""
    for statement in statements(ddl(SCRIPTS[place.kind])):
        if "sipcdr_" not in statement and "VIEW" not in statement and statement not in ("BEGIN", "COMMIT"):
            place.execute(re.sub("Replace(DialogId)", r"Replaces\1", statement, flags=re.IGNORECASE))


def test_the_version_is_the_last_migrations() -> None:
    """What the program takes for its version is what Alembic would upgrade to."""
    config = Config()
    config.set_main_option("script_location", f"{sipcdr.sinks.__path__[0]}/migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA_VERSION


def test_upgrade_makes_everything_once(empty: Place) -> None:
    """An upgrade says what it made; afterwards nothing differs, and another makes nothing."""
    assert current(empty.url) is None
    made = upgrade(empty.url)
    assert len(made) == 17 + 2 + 1
    assert current(empty.url) == SCHEMA_VERSION
    assert list(check(empty.url)) == []
    assert upgrade(empty.url) == []
    assert empty.query("SELECT * FROM sipcdr_version") == [(SCHEMA_VERSION,)]


def test_the_printed_statements_make_the_same(empty: Place) -> None:
    """A database that its administrator made from the script needs no DDL."""
    for statement in statements(ddl(SCRIPTS[empty.kind])):
        if statement not in ("BEGIN", "COMMIT"):
            empty.execute(statement)
    assert list(check(empty.url)) == []
    with empty.open(ddl=False) as sink:
        write(sink, change(details()))
    assert empty.query("SELECT COUNT(*) FROM SessionDetailsView") == [(1,)]


def test_the_script_for_sql_server_is_t_sql() -> None:
    """Each batch of the script parses; a view is the first of its batch."""
    batches = [batch.strip().rstrip(";") for batch in re.split(r"^GO$", ddl("mssql"), flags=re.MULTILINE)]
    kinds = [statement.key for batch in batches for statement in sqlglot.parse(batch, read="tsql") if statement]
    assert kinds.count("create") == len([batch for batch in batches if "CREATE" in batch])
    assert kinds.count("insert") == 4 + 2 + 5 + 7 + 39 + 2
    assert "command" not in kinds
    for batch in batches:
        assert "CREATE VIEW" not in batch or batch.startswith("CREATE VIEW")


def test_unknown_dialects_have_no_script() -> None:
    """There are four kinds of databases."""
    with pytest.raises(SinkAddress, match="no support for oracle"):
        ddl("oracle")


def test_an_lcscdr_of_microsofts_gets_only_what_is_ours(empty: Place) -> None:
    """Tables that are there stay as they are, by either name of the replaced pair; rows are written into them."""
    microsofts(empty)
    with pytest.raises(SinkUnusable, match="lacks tables sipcdr_calls, sipcdr_positions, sipcdr_references, view"):
        empty.open(ddl=False)
    made = upgrade(empty.url)
    assert made == [
        *(f"table sipcdr_{name}" for name in ("calls", "positions", "references")),
        "view SessionDetailsView",
        "view CDRReportsSessionDetailsBaseView",
        f"schema version (table {'sipcdr_version'})",
    ]
    assert list(check(empty.url)) == []
    target = details(1)
    with empty.open() as sink:
        write(sink, change(target))
    assert empty.query("SELECT ReplacesDialogIdTime, ReplacesDialogIdSeq FROM SessionDetails") == [(None, None)]
    assert empty.query("SELECT ReplacesDialogIdSeq FROM CDRReportsSessionDetailsBaseView") == [(None,)]
    assert empty.query("SELECT ToUri FROM SessionDetailsView") == [("ben@corp.example",)]


def test_a_tenant_under_another_number_is_left(empty: Place) -> None:
    """Constant rows are missing only where neither their number nor their text is there."""
    microsofts(empty)
    empty.execute("DELETE FROM Tenants WHERE TenantId = 1")
    empty.execute("UPDATE Tenants SET TenantId = 77 WHERE TenantId = 2")
    upgrade(empty.url)
    assert empty.query("SELECT TenantId FROM Tenants ORDER BY 1") == [(1,), (3,), (4,), (77,)]


def test_a_database_from_before_there_were_versions(empty: Place) -> None:
    """It gets the version and keeps its rows; with `--no-ddl` it is told."""
    with empty.open() as sink:
        write(sink, change(details()))
    empty.execute("DROP TABLE sipcdr_version")
    with pytest.raises(SinkUnusable, match=r"lacks schema version \(table sipcdr_version\); .*upgrade"):
        empty.open(ddl=False)
    assert upgrade(empty.url) == ["schema version (table sipcdr_version)"]
    assert empty.query("SELECT COUNT(*) FROM SessionDetails") == [(1,)]


@pytest.mark.parametrize("ddl", [True, False])
def test_a_newer_schema_is_not_touched(empty: Place, ddl: bool) -> None:
    """A database that a newer sipcdr upgraded is refused."""
    empty.open().close()
    empty.execute("UPDATE sipcdr_version SET version_num = '0099'")
    with pytest.raises(SinkUnusable, match="version 0099, which is a newer sipcdr's"):
        empty.open(ddl=ddl)
    with pytest.raises(SinkUnusable, match="newer"):
        list(check(empty.url))


def test_views_and_rows_that_somebody_dropped_come_back(empty: Place) -> None:
    """What is missing of this version is made again, without a migration."""
    empty.open().close()
    empty.execute("DROP VIEW SessionDetailsView")
    empty.execute("DELETE FROM sipcdr_positions")
    assert upgrade(empty.url) == ["view SessionDetailsView", "row ('', '', 0, 0) of sipcdr_positions"]
    assert list(check(empty.url)) == []


def test_several_at_once(empty: Place) -> None:
    """Programs that open an empty database at the same moment all find it whole."""
    with ThreadPoolExecutor(4) as pool:
        for sink in [future.result() for future in [pool.submit(Sink.open, empty.url) for _ in range(4)]]:
            sink.close()
    assert list(check(empty.url)) == []
    assert empty.query("SELECT COUNT(*) FROM UserAgentDef") == [(39,)]


# What somebody did, and what `check` says of it; None where that is no difference.
DIFFERENCES = {
    "DROP TABLE sipcdr_references": "missing: table sipcdr_references",
    "DROP VIEW SessionDetailsView": "missing: view SessionDetailsView",
    "DROP INDEX UX_Users_UserUri": "missing: index on UserUri of Users",
    "DELETE FROM UriTypes WHERE UriTypeId = 1": "missing: row (1, 'User Uri') of UriTypes",
    "UPDATE MediaList SET Media = 'Sound' WHERE MediaId = 5": "row 5 of MediaList: 'Sound', expected 'Audio'",
    "UPDATE SessionDetails SET ReplaceDialogIdSeq = 1": "SessionDetails: 1 rows with half of a ReplaceDialogId",
    "UPDATE SessionDetails SET User2Id = 99": "SessionDetails: 1 rows whose User2Id is in no row of Users",
    "DELETE FROM SessionDetails": "Dialogs: 1 rows whose SessionIdTime, SessionIdSeq is in no row of SessionDetails",
    "DELETE FROM Dialogs": "Media: 1 rows whose SessionIdTime, SessionIdSeq is in no row of Dialogs",
    "DELETE FROM sipcdr_calls": "SessionDetails: 1 rows that no stored call has",
    "UPDATE sipcdr_calls SET Keys = x'00'": "sipcdr_calls: 1 whose keys don't decode, such as CallKey {key}",
    "INSERT INTO sipcdr_calls SELECT 9, x'00', 1, FirstTime, LastTime, Facts, Keys FROM sipcdr_calls":
        "sipcdr_calls: 1 that share a session with another, such as CallKey 00",
    "DELETE FROM Media": None,
    "INSERT INTO UriTypes VALUES (4, 'conf:chat')": None,
    "CREATE INDEX Further ON SessionDetails (ResponseCode)": None,
}  # fmt: skip


@pytest.mark.parametrize("text", DIFFERENCES)
def test_what_check_finds(tmp_path: Path, text: str) -> None:
    """Each thing that somebody broke is named, and what an administrator may add isn't."""
    place = Place("sqlite", f"sqlite:///{tmp_path}/cdr.db")
    call = change(details())
    with place.open() as sink:
        write(sink, call)
    place.execute(text)
    place.close()
    expected = DIFFERENCES[text]
    found = list(check(place.url))
    assert found == [] if expected is None else expected.format(key=call.call_key.hex()) in found


# What only servers have: changes of their tables, and what is said of each.
ALTERED = {
    "postgresql": {
        "ALTER TABLE SessionDetails DROP COLUMN Processed CASCADE": "missing: column processed of sessiondetails",
        "DROP INDEX ix_sessiondetails_invitetime": "missing: index on invitetime of sessiondetails",
        "ALTER TABLE sipcdr_references ALTER targettags TYPE text":
            "column targettags of sipcdr_references: type TEXT, expected BYTEA",
        "ALTER TABLE sipcdr_calls ALTER lasttime TYPE timestamp(0)":
            "column lasttime of sipcdr_calls: type TIMESTAMP(0) WITHOUT TIME ZONE is narrower than"
            " TIMESTAMP(6) WITHOUT TIME ZONE",
        "ALTER TABLE sipcdr_calls ALTER version TYPE integer":
            "column version of sipcdr_calls: type INTEGER is narrower than BIGINT",
        "ALTER TABLE Pools ADD Extra int NOT NULL":
            "column extra of pools: must not be NULL, and sipcdr has no value for it",
        "ALTER TABLE Pools ADD Other int NOT NULL DEFAULT 1": "",
    },
    "mariadb": {
        "ALTER TABLE Media MODIFY EndTime datetime":
            "column EndTime of Media: type DATETIME is narrower than DATETIME(6)",
        "ALTER TABLE sipcdr_calls ENGINE = MyISAM":
            "table sipcdr_calls: engine MyISAM has no transactions: ALTER TABLE sipcdr_calls ENGINE = InnoDB",
        "ALTER TABLE Pools MODIFY PoolFQDN varchar(256) COLLATE utf8mb4_general_ci NOT NULL":
            "column PoolFQDN of Pools: collation utf8mb4_general_ci, expected utf8mb4_bin",
        "ALTER TABLE Servers MODIFY ServerFQDN varchar(99) COLLATE utf8mb4_bin NOT NULL":
            "column ServerFQDN of Servers: type VARCHAR(99) is narrower than VARCHAR(256)",
        "ALTER TABLE sipcdr_positions DROP PRIMARY KEY": "table sipcdr_positions: its primary key is missing",
        "ALTER TABLE Dialogs ADD Extra int NOT NULL DEFAULT 1": "",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", ALTERED)
def test_what_check_finds_on_servers(servers: Servers, name: str) -> None:
    """Narrower types, other collations, engines and keys are named, and nothing else is."""
    place = fresh(servers.get(name), "schema_life")
    place.open().close()
    for text in ALTERED[name]:
        place.execute(text)
    found = [re.sub(" (CHARACTER SET|COLLATE).*?(?= is | expected |$)", "", line) for line in check(place.url)]
    place.close()
    views = [line for line in found if "view" in line]
    assert sorted(set(found) - set(views)) == sorted(filter(None, ALTERED[name].values()))


def test_sessions_whose_rows_were_deleted(empty: Place) -> None:
    """A stored call that names a session which isn't there is named with its CallKey."""
    with empty.open() as sink:
        write(sink, change(details()))
    for table in ("Media", "SessionDetails", "Dialogs"):
        empty.execute(f"DELETE FROM {table}")
    (line,) = check(empty.url)
    assert line.startswith("sipcdr_calls: 1 with a session that isn't in SessionDetails, such as CallKey ")


def test_tables_of_others_are_no_difference(empty: Place) -> None:
    """In a database that others use too, dialogs without a session and sessions without a stored call are theirs."""
    with empty.open() as sink:
        write(sink, change(details()))
    empty.execute("CREATE TABLE ConferenceSessionDetails (SessionIdTime int)")
    empty.execute("DELETE FROM sipcdr_calls")
    assert list(check(empty.url)) == []


def test_microsofts_tables_are_fourteen() -> None:
    """The tables that are never altered are those of the documentation."""
    assert len(MICROSOFTS) == 14
