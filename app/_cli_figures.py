"""The commands that look at many calls: `stats` and `diff`."""

from __future__ import annotations

from typing import Any

import click

from ._log_options import logs_of, takes_logs
from ._params import Time


@click.command(
    epilog="""\b
Examples:
  sipcdr stats captures/                         figures, and why calls failed
  sipcdr stats --to sqlite:///sipcdr.db --by hour
  sipcdr stats --to sqlite:///sipcdr.db --by server --since 2026-11-23
  sipcdr stats call.pcap --by code --format csv"""
)
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(allow_dash=True))
@click.option("--to", "url", metavar="URL", help="Look into a database instead, an SQLAlchemy URL.")
@click.option("--by", metavar="WHAT", type=click.Choice(["hour", "day", "agent", "server", "code", "diagnostic"]),
              help="Figures by hour, day, agent (the caller's), server, code or diagnostic.")  # fmt: skip
@click.option("--since", type=Time(), metavar="T", help="Only sessions that began at this time or later.")
@click.option("--until", type=Time(), metavar="T", help="Only sessions that began before this time.")
@click.option("--format", "form", metavar="FORM", type=click.Choice(["table", "json", "csv"]), default="table",
              help="As a table, as json (an object a line), or as csv.")  # fmt: skip
@takes_logs
@click.pass_context
def stats(ctx: click.Context, /, *, paths: tuple[str, ...], url: str | None, form: str, **chosen: Any) -> None:
    """Show the figures of calls: ASR, NER, ACD, post-dial delay, and what failed.

    ASR and NER are those of ITU-T E.425, SER and SEER of RFC 6076. Sessions of instant messages only are no calls.

    In a database the post-dial delay is read from stored facts, of the latest 10,000 calls.
    """
    from ._stats_command import stats_of_captures, stats_of_stored

    if bool(paths) == (url is not None):
        raise click.UsageError("give either PATHs or --to URL", ctx)
    logs = logs_of(ctx, chosen)
    by, since, until = chosen["by"], chosen["since"], chosen["until"]
    if url is None:
        ctx.exit(stats_of_captures(paths, by, form, since, until, logs))
    ctx.exit(stats_of_stored(url, by, form, since, until))


@click.command(
    epilog="""\b
Examples:
  sipcdr diff sqlite:///old.db sqlite:///new.db
  sipcdr diff sqlite:///sipcdr.db captures/      what a replay by this version would change
  sipcdr diff monday.pcap tuesday.pcap --format json

Exit status: 0 no difference; 1 there are some, or something could not be read; 2 usage;
3 a database refused."""
)
@click.argument("one", metavar="A")
@click.argument("others", metavar="B...", nargs=-1, required=True)
@click.option("--format", "form", metavar="FORM", type=click.Choice(["text", "json"]), default="text",
              help="As text, or as json (an object a line).")  # fmt: skip
@takes_logs
@click.pass_context
def diff(ctx: click.Context, /, *, one: str, others: tuple[str, ...], form: str, **given: Any) -> None:
    """Show what differs between two databases, or a database and captures.

    A and B are SQLAlchemy URLs or captures (files, folders, globs); B may be several captures. Sessions are the same
    by Call-ID and tags (Dialogs.ExternalId). Keys aren't compared, but what they stand for is: users, servers, the
    dialog that was replaced.
    """
    from ._diff import diff_of

    if len(others) > 1 and any("://" in other for other in others):
        raise click.UsageError("B is one database, or one or more captures", ctx)
    ctx.exit(diff_of(one, others, form, logs_of(ctx, given)))


COMMANDS: tuple[click.Command, ...] = (stats, diff)
