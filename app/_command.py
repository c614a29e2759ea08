"""The command `replay`: from options to an exit status, with what is printed on the way."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import sys
from collections import deque
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import click

from sipcdr.ingest import Inputs, ReaderUnavailable, SharkOptions, Tally
from sipcdr.sinks import SinkAddress, SinkError

from ._collector import collect_seldom
from ._figures import Figures
from ._jobs import JobEnded, Jobs, Work
from ._progress import progress_bar
from ._reading import HOLD, HOLD_ALONE, due_calls
from ._records import csv_lines, json_lines
from ._replay import REFUSED_CALLS, replay_alone, replay_into, replay_unseen, stored
from ._select import Selection, address
from ._spool import Spool
from ._status import ALL_READ, INTERRUPTED, NOT_ALL_READ, REFUSED, USAGE, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sipcdr.builder import SipMessage
    from sipcdr.ingest import LogOptions

    from ._anonymize import Anonymizer
    from ._derived import Due
    from ._records import Record
    from ._report import Report


def run_replay(
    paths: Sequence[str],
    *,
    url: str,
    form: str,
    quiet: bool,
    ddl: bool,
    since: int | None,
    until: int | None,
    caller: str | None,
    callee: str | None,
    call_id: str | None,
    reader: Literal["auto", "native", "python", "pyshark"],
    keylog: str | None,
    decode_as: tuple[str, ...],
    display_filter: str | None,
    esp_null: bool,
    follow: bool,
    report: str | None,
    report_details: int,
    anonymize: bool,
    jobs: int,
    logs: LogOptions,
) -> int:
    """Replay captures and print their sessions as `form` says: table, json, csv, nothing. Returns the exit status."""
    collect_seldom()
    selection = Selection(
        since=since,
        until=until,
        caller=None if caller is None else address(caller),
        callee=None if callee is None else address(callee),
        call_id=call_id,
    )
    key = names = None
    if anonymize:
        from ._anonymize import Anonymizer

        key = os.urandom(32)
        names = Anonymizer(key)
        selection = names.selection(selection)
    figures = Figures(Tally())
    shark = SharkOptions(keylog=keylog or "", decode_as=decode_as, display_filter=display_filter or "")
    try:
        # With several processes each has inputs of its own, which count.
        inputs = Inputs(
            paths, tally=figures.tally if jobs == 1 else Tally(), reader=reader, shark=shark, esp_null=esp_null,
            follow=follow, logs=logs,
        )  # fmt: skip
    except ReaderUnavailable as error:
        say(str(error))
        return USAGE
    with ExitStack() as stack:
        readers = None
        if jobs > 1:
            for name in inputs.files:
                if not Path(name).is_file():
                    say(f"--jobs is for files: what {name} gives can't be read twice")
                    return USAGE
            work = Work(paths, reader, shark, esp_null, logs, selection, key, stored=url != "none")
            # One of them writes, or shows.
            readers = stack.enter_context(Jobs(work, jobs - 1, inputs.total_bytes))
        if follow:
            stack.enter_context(_until_interrupted(inputs))
        page = None
        if report is not None:
            from ._report import Report

            try:
                page = stack.enter_context(Report(report, report_details))
            except OSError as error:
                say(f"--report {report}: {error.strerror}")
                return USAGE
            figures.on_due = page.due
        status = _replay(_Run(inputs, readers, selection, figures, names, page), url, ddl=ddl, form=form, quiet=quiet)
        if page is not None and status in (ALL_READ, NOT_ALL_READ):
            known = f"{len(paths)} captures" if anonymize else ", ".join(paths[:3]) + (", …" if len(paths) > 3 else "")
            try:
                logs_read = figures.tally.logs if names is None else names.sources(figures.tally.logs)
                page.write(known, [*figures.notes(), *(() if anonymize else figures.problems())], logs_read)
            except OSError as error:
                say(f"--report {report}: {error.strerror}")
                status = NOT_ALL_READ
    return concluded(figures, status, quiet=quiet)


def concluded(figures: Figures, status: int, *, quiet: bool) -> int:
    """Say what could not be read or written, and the summary. Returns the exit status, which was `status` so far."""
    for line in figures.problems():
        say(line)
    outcome = figures.outcome
    if outcome.refused:
        say(f"the database refused {outcome.refused:,} calls: they are in {REFUSED_CALLS}, with the reasons")
    for damaged in outcome.damaged.values():
        say(f"stored call {damaged.call_key}: {damaged.reason}; its rows were left alone")
    if not quiet:
        if sys.stdout.isatty():
            click.echo(err=True)
        for line in figures.summary():
            click.echo(line, err=True)
    if status != ALL_READ:
        return status
    if outcome.refused or outcome.damaged:
        return REFUSED
    return NOT_ALL_READ if figures.tally.problem_count else ALL_READ


@contextmanager
def _until_interrupted(inputs: Inputs) -> Iterator[None]:
    """Let the first Ctrl-C end the reading of files that are followed, so that all is written; the next ends all."""

    def stop(number: int, frame: object) -> None:
        del number, frame
        inputs.stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Run(NamedTuple):
    """What one replay works on.

    readers: the processes that read, if there are several. names: gives others where messages are anonymized. page: the
    report, if one is made.
    """

    inputs: Inputs
    readers: Jobs | None
    selection: Selection
    figures: Figures
    names: Anonymizer | None
    page: Report | None

    def due_calls(self, hold: int, tick: Callable[[], None]) -> Iterable[Sequence[Due]]:
        """Read everything, and give the calls that are due in batches."""
        if self.readers is not None:
            return self.readers.due_calls(self.figures, hold=hold, tick=tick)
        return due_calls(self.batches(), self.selection, self.figures, hold=hold, tick=tick)

    def batches(self) -> Iterable[list[SipMessage]]:
        """The messages read, as far as they are chosen, under other names if these are wanted."""
        batches: Iterable[list[SipMessage]] = self.inputs
        if self.names is not None:
            batches = map(self.names.messages, batches)
        if self.page is not None:
            batches = self.page.read(map(self.selection.messages, batches))
        return batches

    def print(self, records: Iterable[Record], form: str) -> int:
        """Print sessions, and put them into the report, also those that nobody wants to see any more."""
        records = self.figures.shown(records)
        if form == "nothing":
            deque(records if self.page is None else self.page.shown(records), maxlen=0)
            return ALL_READ
        if self.page is None:
            return _print(records, form, at_once=self.inputs.follow)
        records = self.page.shown(records)
        status = _print(records, form, at_once=self.inputs.follow)
        deque(records, maxlen=0)
        return status


def _replay(run: _Run, url: str, *, ddl: bool, form: str, quiet: bool) -> int:
    inputs, selection, figures = run.readers or run.inputs, run.selection, run.figures
    try:
        if url == "none":
            # Sessions are printed while the bar would run: on one terminal they would be in each other's way.
            with progress_bar(inputs, figures, wanted=not quiet and not sys.stdout.isatty()) as tick:
                due = run.due_calls(HOLD_ALONE, tick)
                if form == "nothing" and run.page is None and not selection.asks_for_users:
                    replay_unseen(due, figures)
                    return ALL_READ
                return run.print(replay_alone(due, selection, figures), form)
        return _into_database(run, url, ddl, form=form, quiet=quiet)
    except KeyboardInterrupt:
        say("interrupted" + _committed(url, figures))
        return INTERRUPTED
    except JobEnded as error:
        say(str(error) + _committed(url, figures))
        return NOT_ALL_READ
    except sqlite3.Error as error:
        say(f"the temporary file (TMPDIR says where): {error}" + _committed(url, figures))
        return REFUSED


def _into_database(run: _Run, url: str, ddl: bool, *, form: str, quiet: bool) -> int:
    from sipcdr.sinks import Sink, without_secrets

    selection, figures = run.selection, run.figures
    try:
        with closing(Sink.open(url, ddl=ddl)) as sink, Spool() as spool:
            with progress_bar(run.readers or run.inputs, figures, wanted=not quiet) as tick:
                replay_into(sink, run.due_calls(HOLD, tick), selection, figures, spool, tick=tick)
            if form == "nothing" and run.page is None:
                return ALL_READ
            return run.print(stored(sink, selection, spool), form)
    except SinkAddress as error:
        say(f"{without_secrets(url)}: {error}")
        return USAGE
    except SinkError as error:
        say(f"{without_secrets(url)}: {error}" + _committed(url, figures))
        return REFUSED


def _print(records: Iterable[Record], form: str, *, at_once: bool) -> int:
    """Write records to standard output, each at once if the next may be long in coming.

    A reader who goes before the end is no error.
    """
    out = sys.stdout.buffer
    encoding = "utf-8"
    if form == "json":
        lines = json_lines(records)
    elif form == "csv":
        lines = csv_lines(records)
    else:
        lines = _table(records)
        encoding = sys.stdout.encoding
    for line in chain(lines, [None]):
        try:
            if line is not None:
                out.write(line.encode(encoding, "backslashreplace"))
            if at_once or line is None:
                out.flush()
        except OSError as error:
            _close_stdout()
            # Windows says EINVAL where others say EPIPE.
            if error.errno == errno.EPIPE or (os.name == "nt" and error.errno == errno.EINVAL):
                break
            say(f"can't print the sessions: {error.strerror}")
            return NOT_ALL_READ
    return ALL_READ


def _table(records: Iterable[Record]) -> Iterator[str]:
    """The table for the terminal that standard output is, or plain and as wide as it needs where it is none."""
    from rich.console import Console

    from ._table import table_lines

    console = Console()
    width = console.width if console.is_terminal or "COLUMNS" in os.environ else None
    colors = console.color_system is not None and not console.no_color and not console.legacy_windows
    return table_lines(records, width, colors=colors)


def _committed(url: str, figures: Figures) -> str:
    """What an end before the end leaves, and how to go on."""
    calls = figures.outcome.calls + figures.outcome.unchanged
    if url == "none" or not figures.tally.packets:
        return ""
    return f"; {calls:,} calls are committed and stay; the same command again adds the rest and doubles nothing"


def _close_stdout() -> None:
    """Let nothing be written to standard output any more, not even at the interpreter's end."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
