"""The commands `db …`, which look after a database."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ._params import Time

if TYPE_CHECKING:
    from collections.abc import Callable

DIALECTS = ("sqlite", "postgresql", "mysql", "mssql")


def _target(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name a database."""
    for option in (
        click.option("--config", metavar="FILE", type=click.Path(),
                     help="Take the database (unless --to names it) and the rules from the daemon's configuration."),
        click.option("--to", "url", metavar="URL", envvar="SIPCDR_DATABASE__URL", show_envvar=True,
                     help="The database, as an SQLAlchemy URL.  [default: sqlite:///sipcdr.db]"),
    ):  # fmt: skip
        command = option(command)
    return command


def _quiet(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--quiet", is_flag=True, help="No progress bar.")(command)


@click.group("db")
def db() -> None:
    """Look after a database: its schema, what differs, refused calls, old calls."""


@db.command(
    epilog="""\b
Examples:
  sipcdr db upgrade --to postgresql://cdr@db/lcscdr
  sipcdr db upgrade --config sipcdr.toml"""
)
@_target
@click.pass_context
def upgrade(ctx: click.Context, /, *, url: str | None, config: str | None) -> None:
    """Make the tables, views and constant rows that a database lacks, and bring its schema to this version.

    Tables that are there are never altered: an LcsCDR that Microsoft made only gets what is sipcdr's own.
    """
    from ._db import run, run_upgrade

    ctx.exit(run(url, config, run_upgrade))


@db.command(
    epilog="""\b
Examples:
  sipcdr db current --to sqlite:///sipcdr.db"""
)
@_target
@click.pass_context
def current(ctx: click.Context, /, *, url: str | None, config: str | None) -> None:
    """Print the version of a database's schema."""
    from ._db import run, run_current

    ctx.exit(run(url, config, run_current))


@db.command(
    epilog="""\b
Examples:
  sipcdr db check --to postgresql://cdr@db/lcscdr

Exit status: 0 nothing differs; 3 something does, a line each."""
)
@_target
@click.pass_context
def check(ctx: click.Context, /, *, url: str | None, config: str | None) -> None:
    """Say in what a database differs from what sipcdr expects: its tables, and rows that refer to none."""
    from ._db import run, run_check

    ctx.exit(run(url, config, run_check))


@db.command(
    epilog="""\b
Examples:
  sipcdr db sql --dialect mssql > lcscdr.sql"""
)
@click.option(
    "--dialect", type=click.Choice(DIALECTS), required=True, help="The kind of database; mysql is MariaDB's too."
)
@click.pass_context
def sql(ctx: click.Context, /, *, dialect: str) -> None:
    """Print the statements that make the schema in an empty database, for its administrator to run."""
    from ._db import print_ddl

    ctx.exit(print_ddl(dialect))


@db.command(
    epilog="""\b
Examples:
  sipcdr db load sipcdr-refused.jsonl --to sqlite:///sipcdr.db

Exit status: 0 all was joined; 1 some lines could not be read; 3 the database refused."""
)
@click.argument("file", metavar="FILE")
@_target
@click.pass_context
def load(ctx: click.Context, /, *, file: str, url: str | None, config: str | None) -> None:
    """Join the calls of a file of refused calls again, once the reason is gone.

    What is refused again goes to FILE.again. Loading a file twice changes nothing.
    """
    from ._db import run, run_load

    ctx.exit(run(url, config, partial(run_load, path=file)))


@db.command(
    epilog="""\b
Examples:
  sipcdr db rederive --config sipcdr.toml --dry-run
  sipcdr db rederive --to sqlite:///sipcdr.db --since 2026-11-01"""
)
@_target
@click.option("--since", type=Time(), metavar="DATE", help="Only calls that were heard of at this time or later.")
@click.option("--dry-run", is_flag=True, help="Only count what would change.")
@_quiet
@click.pass_context
def rederive(ctx: click.Context, /, *, url: str | None, config: str | None, **chosen: Any) -> None:
    """Derive the rows of stored calls again, and count what changed by column: after a change of rules.

    A run that was ended goes on where it was. Writers may go on meanwhile. Calls whose facts were purged stay as they
    are.
    """
    from ._db import run, run_rederive

    ctx.exit(run(url, config, partial(run_rederive, **chosen)))


@db.command(
    epilog="""\b
Examples:
  sipcdr db purge --before 2026-09-01 --to postgresql://cdr@db/lcscdr
  sipcdr db purge --before 2026-11-16 --facts    keep the rows, and a tenth of the disk"""
)
@_target
@click.option("--before", type=Time(), metavar="DATE", required=True,
              help="Calls that were last heard of before this time.")  # fmt: skip
@click.option("--facts", is_flag=True, help="Keep the rows: only empty the stored facts, which are most of the disk.")
@click.option("--with-lookups", is_flag=True,
              help="Delete also users, servers and so on that nothing refers to; not beside a writer.")  # fmt: skip
@_quiet
@click.pass_context
def purge(ctx: click.Context, /, *, url: str | None, config: str | None, **chosen: Any) -> None:
    """Delete old calls: SessionDetails, Media, Dialogs and what is stored of them, in small transactions.

    References to their dialogs become NULL. Rows that another program wrote are left alone.
    """
    from ._db import run, run_purge

    ctx.exit(run(url, config, partial(run_purge, **chosen)))
