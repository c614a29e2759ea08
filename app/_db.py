"""The commands `db …`: what an administrator does to a database. Each returns the exit status."""

from __future__ import annotations

import os
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from sipcdr.builder import Call, Rules
from sipcdr.sinks import Sink, SinkAddress, SinkError, check, current, ddl, upgrade, without_secrets

from ._config import ConfigError, database_url, load, rules_of
from ._load import refused_calls
from ._progress import counting_bar
from ._reading import BATCH_BYTES, BATCH_CALLS
from ._records import visible
from ._rederive import Changes, patiently, rederive
from ._replay import REFUSED_CALLS
from ._status import ALL_READ, INTERRUPTED, NOT_ALL_READ, REFUSED, USAGE, say
from ._write import Damaged, Outcome, Refusals, write_calls

if TYPE_CHECKING:
    from collections.abc import Callable

_SAMPLE: Final = 20
"""Damaged calls, or bad lines, that are named one by one."""


class Target(msgspec.Struct, frozen=True):
    """A database's URL, and the rules of all who write into it."""

    url: str
    rules: Rules = Rules()

    @classmethod
    def of(cls, url: str | None, config: str | None) -> Target:
        """What the options say: a URL, or a daemon's configuration, whose rules count in both cases.

        Raises ConfigError.
        """
        if config is None:
            return cls(url or "sqlite:///sipcdr.db")
        settings = load(Path(config), os.environ)
        return cls(url or database_url(settings), rules_of(settings))


def run(url: str | None, config: str | None, action: Callable[[Target], int]) -> int:
    """Do something to a database, and say in one line what is wrong, without passwords."""
    try:
        target = Target.of(url, config)
    except ConfigError as error:
        for problem in error.problems:
            say(problem)
        return USAGE
    try:
        return action(target)
    except SinkAddress as error:
        say(f"{without_secrets(target.url)}: {error}")
        return USAGE
    except SinkError as error:
        say(f"{without_secrets(target.url)}: {error}")
        return REFUSED
    except OSError as error:
        # A file that is to be loaded, or one for calls that are refused; not a reader who has gone.
        if error.filename is None:
            raise
        say(f"{error.filename}: {error.strerror}")
        return USAGE
    except KeyboardInterrupt:
        say("interrupted; what is committed stays, and the same command again does the rest")
        return INTERRUPTED


def run_upgrade(target: Target) -> int:
    """Make what the schema lacks."""
    for what in upgrade(target.url):
        click.echo(f"made {what}")
    click.echo(f"schema version {current(target.url)}")
    return ALL_READ


def run_current(target: Target) -> int:
    """Print the schema's version."""
    found = current(target.url)
    click.echo("no schema version: sipcdr db upgrade makes what is missing" if found is None else found)
    return ALL_READ


def run_check(target: Target) -> int:
    """Print what differs."""
    status = ALL_READ
    for line in check(target.url):
        click.echo(visible(line))
        status = REFUSED
    if status == ALL_READ:
        click.echo("nothing differs")
    return status


def print_ddl(dialect: str) -> int:
    """Print the statements that make the schema."""
    click.echo(ddl(dialect), nl=False)
    return ALL_READ


def run_load(target: Target, path: str) -> int:
    """Join the calls of a file of refused calls again."""
    again = Refusals(Path(path + ".again"))
    outcome = Outcome()
    batch: list[Call] = []
    bad = size = 0

    def write() -> None:
        nonlocal size
        write_calls(sink, batch, target.rules, outcome=outcome, refusals=again)
        batch.clear()
        size = 0

    with Path(path).open("rb") as file, closing(Sink.open(target.url, ddl=False)) as sink:
        # Only what is there now: somebody may still append.
        for call in refused_calls(file, path, os.fstat(file.fileno()).st_size):
            if isinstance(call, Call):
                batch.append(call)
                size += len(bytes(call))
                if len(batch) >= BATCH_CALLS or size >= BATCH_BYTES:
                    write()
            else:
                bad += 1
                if bad <= _SAMPLE:
                    say(f"{path}, line {call.frame}: {visible(call.reason)}")
        write()
    if bad > _SAMPLE:
        say(f"and {bad - _SAMPLE:,} more bad lines")
    click.echo(_written(outcome))
    status = _left(outcome, again.path)
    return status if status != ALL_READ else NOT_ALL_READ if bad else ALL_READ


def run_rederive(target: Target, *, since: int | None, dry_run: bool, quiet: bool) -> int:
    """Derive the rows of stored calls again, and print what changed by column."""
    changes, outcome = Changes(), Outcome()
    refusals = Refusals(Path(REFUSED_CALLS))
    with closing(Sink.open(target.url, ddl=False)) as sink, counting_bar(wanted=not quiet) as show:
        rederive(
            sink,
            target.rules,
            since=since,
            dry_run=dry_run,
            changes=changes,
            outcome=outcome,
            refusals=refusals,
            tick=lambda done, upto: show(done, upto, f"{changes.calls:,} calls, {changes.changed:,} sessions changed"),
        )
    would = "would be " if dry_run else ""
    click.echo(
        f"{changes.calls:,} calls derived again; sessions {changes.unchanged:,} the same, {would}changed"
        f" {changes.changed:,}, new {changes.new:,}, deleted {changes.gone:,}"
    )
    for name, count in sorted(changes.columns.items(), key=lambda item: (-item[1], item[0])):
        click.echo(f"  {name:20} {count:,}")
    outcome.frozen += changes.frozen
    outcome.damaged |= {bytes.fromhex(damaged.call_key): damaged for damaged in changes.damaged}
    return _left(outcome, refusals.path)


def run_purge(target: Target, *, before: int, facts: bool, with_lookups: bool, quiet: bool) -> int:
    """Delete old calls with all that is theirs, or only empty their facts."""
    outcome = Outcome()
    calls = sessions = last = 0
    with closing(Sink.open(target.url, ddl=False)) as sink, counting_bar(wanted=not quiet) as show:
        upkeep = sink.upkeep()
        if with_lookups:
            # While a writer is at work nothing is purged, rather than half of what was asked for.
            upkeep.raise_if_busy()
        step = upkeep.freeze if facts else upkeep.purge
        upto = patiently(upkeep.last_number)
        while done := patiently(partial(step, before, last)):
            calls += done.calls
            sessions += done.sessions
            last = done.last
            for key in done.damaged:
                outcome.damaged[key] = Damaged(key.hex(), "the stored keys of its sessions don't decode")
            show(last, upto, f"{calls:,} calls")
        lookups = upkeep.purge_lookups() if with_lookups else {}
    if facts:
        click.echo(f"{calls:,} calls emptied of their stored facts; their rows stay")
    else:
        click.echo(f"{calls:,} calls deleted with {sessions:,} sessions")
    if with_lookups:
        click.echo("look-up rows deleted: " + ", ".join(f"{name} {count:,}" for name, count in lookups.items()))
    return _left(outcome, None)


def _written(outcome: Outcome) -> str:
    return (
        f"{outcome.calls:,} calls joined, {outcome.unchanged:,} more had nothing new; sessions {outcome.inserted:,}"
        f" new, {outcome.updated:,} updated, {outcome.deleted:,} deleted"
    )


def _left(outcome: Outcome, refused: Path | None) -> int:
    """Name the calls that were left alone; returns the exit status."""
    if outcome.frozen:
        say(f"{outcome.frozen:,} calls were left as they are: their stored facts were purged")
    if outcome.refused:
        say(f"the database refused {outcome.refused:,} calls: they are in {refused}, with the reasons")
    for damaged in list(outcome.damaged.values())[:_SAMPLE]:
        say(f"stored call {damaged.call_key}: {visible(damaged.reason)}; its rows were left alone")
    if len(outcome.damaged) > _SAMPLE:
        say(f"and {len(outcome.damaged) - _SAMPLE:,} more")
    return REFUSED if outcome.refused or outcome.damaged else ALL_READ
