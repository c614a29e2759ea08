"""README's section "Databases": what it tells an operator to run works, and gives rights enough."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from sipcdr.sinks import Sink, SinkUnusable
from tests.places import Place
from tests.sinks.rows import change, details, write
from tests.tsql import checked

if TYPE_CHECKING:
    from tests.places import Servers

README = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(title: str) -> list[list[str]]:
    """The statements of each SQL block below a title."""
    section = README.split(f"### {title}\n", 1)[1].split("\n### ")[0].split("\n## ")[0]
    return [
        [statement.strip() for statement in block.split(";\n") if statement.strip()]
        for block in re.findall(r"```sql\n(.*?)```", section, flags=re.DOTALL)
    ]


def run(url: sa.URL, statements: list[str]) -> None:
    """Run statements as the administrator."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%"))
    engine.dispose()


def shown(url: sa.URL) -> str:
    return url.render_as_string(hide_password=False)


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_database_from_nothing(servers: Servers, kind: str) -> None:
    """The owner makes the tables, and a writer with the lesser rights writes and reads but can't make any."""
    admin = sa.make_url(servers.get(kind).url)
    if kind == "postgresql":
        made, inside, writer = blocks("PostgreSQL")
        database = admin.set(database="lcscdr")
        run(admin, made)
        run(database, inside)
    else:
        made, writer = blocks("MySQL and MariaDB")
        database = admin.set(database="LcsCDR")
        run(admin, made)
    owner = database.set(username="cdr", password="change-me")
    with Sink.open(shown(owner)) as sink:
        write(sink, *(change(details(number)) for number in range(3)))
    run(database, writer)
    lesser = owner.set(username="cdr_writer")
    rows = [details(number) for number in range(3, 9)]
    with Sink.open(shown(lesser), ddl=False) as sink:
        version = write(sink, *map(change, rows))
        stored = sink.read([change(row).call_key for row in rows])
        keys = [stored[change(row).call_key].keys for row in rows]
        write(sink, *(change((row, key[0].key), version=version) for row, key in zip(rows, keys, strict=True) if key))
        assert len(list(sink.sessions(row.call_id for row in rows))) == 6
    place = Place(kind, shown(lesser))
    prefix = "LcsCDR.dbo." if kind == "postgresql" else "LcsCDR."
    assert place.query(f"SELECT COUNT(*) FROM {prefix}SessionDetails") == [(9,)]
    place.close()
    run(database, ["DROP TABLE sipcdr_references"])
    with pytest.raises(SinkUnusable):
        Sink.open(shown(lesser))


def test_sql_server_from_nothing() -> None:
    """What it says for SQL Server is T-SQL."""
    (made,) = blocks("SQL Server")
    for statement in made:
        if not statement.startswith(("CREATE LOGIN", "CREATE USER", "ALTER ROLE")):
            checked(statement)
