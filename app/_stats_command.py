"""The command `stats`: from options to an exit status."""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from typing import TYPE_CHECKING, Final, cast

from sipcdr.builder import BuilderError, Call, Rules, sessions
from sipcdr.ingest import Inputs, Tally
from sipcdr.sinks import Sink, SinkAddress, SinkError, without_secrets

from ._figures import Figures
from ._reading import HOLD_ALONE, due_calls
from ._records import iso, json_lines
from ._select import Selection
from ._statistics import IM_ONLY, Group, post_dial_delays
from ._stats import Of, csv_of, json_of, table_of
from ._status import ALL_READ, NOT_ALL_READ, REFUSED, USAGE, say
from ._terminal import Paper, show, write
from ._write import stored_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sipcdr.builder import SessionDetails
    from sipcdr.ingest import LogOptions

    from ._records import Record

SAMPLE: Final = 10_000
"""Stored calls whose facts are read for the post-dial delay, which no column has: the latest ones."""
_PAGE: Final = 500


def stats_of_captures(
    paths: Sequence[str], by: str | None, form: str, since: int | None, until: int | None, logs: LogOptions
) -> int:
    """Show the figures of captures; returns the exit status."""
    figures = Figures(Tally())
    groups: dict[Of, Group] = defaultdict(Group)
    rules = Rules()
    inputs = Inputs(paths, tally=figures.tally, logs=logs)
    for calls in due_calls(inputs, Selection(), figures, hold=HOLD_ALONE, tick=lambda: None):
        for call in calls:
            for session, delay in _with_delays(call, rules):
                if _within(session, since, until):
                    _count(groups[_of(session, by)], session, delay)
    status = _print(groups, by, form)
    for line in figures.problems():
        say(line)
    return NOT_ALL_READ if status == ALL_READ and figures.tally.problem_count else status


def stats_of_stored(url: str, by: str | None, form: str, since: int | None, until: int | None) -> int:
    """Show the figures of a database; returns the exit status."""
    groups: dict[Of, Group] = defaultdict(Group)
    try:
        with closing(Sink.open(url, ddl=False)) as sink:
            totals, waits = sink.totals(by=by, since=since, until=until)
            for total in totals:
                group = groups[total.of]
                im_only = total.media_types == IM_ONLY
                group.add(total.code, total.diagnostic, im_only=im_only, count=total.count)
                if not im_only:
                    group.add_talk(total.talked * 1000, total.ended)
            for wait in waits:
                if wait.media_types != IM_ONLY:
                    groups[wait.of].answers.add(wait.millis * 1000, wait.count)
            for session, delay in _sampled(sink, since, until):
                if delay is not None and session.media_types != IM_ONLY:
                    groups[_of(session, by)].delays.add(delay)
    except SinkError as error:
        say(f"{without_secrets(url)}: {error}")
        return USAGE if isinstance(error, SinkAddress) else REFUSED
    return _print(groups, by, form)


def _sampled(sink: Sink, since: int | None, until: int | None) -> Iterator[tuple[SessionDetails, int | None]]:
    """Sessions of the latest stored calls of that time, with their post-dial delays, as far as facts are stored."""
    upkeep = sink.upkeep()
    last = upkeep.last_number()
    after = max(last - SAMPLE, 0) if since is None else 0
    left = SAMPLE
    rules = Rules()
    while left > 0 and (page := upkeep.calls(after, last, since=since, most=_PAGE)):
        after = page[-1].number
        left -= len(page)
        for numbered in page:
            if not numbered.call.facts:
                continue
            try:
                call = Call.from_bytes(stored_bytes(numbered.call))
            except BuilderError:
                continue
            for session, delay in _with_delays(call, rules):
                if _within(session, since, until):
                    yield session, delay


def _with_delays(call: Call, rules: Rules) -> Iterator[tuple[SessionDetails, int | None]]:
    delays = post_dial_delays(call)
    for session in sessions(call, rules):
        delay = delays.get(session.caller_tag)
        yield session, None if delay is None else delay.of(session.invite_time)


def _within(session: SessionDetails, since: int | None, until: int | None) -> bool:
    return (since is None or session.invite_time >= since) and (until is None or session.invite_time < until)


def _of(session: SessionDetails, by: str | None) -> Of:
    """What a session is put together by, as the database has it."""
    match by:
        case "hour":
            return iso(session.invite_time)[:13].replace("T", " ")
        case "day":
            return iso(session.invite_time)[:10]
        case "agent":
            return None if session.user1_client is None else session.user1_client.version
        case "server":
            return session.server
        case "code":
            return session.response_code
        case "diagnostic":
            return session.diagnostic_id
    return None


def _count(group: Group, session: SessionDetails, delay: int | None) -> None:
    im_only = session.media_types == IM_ONLY
    code, response, end = session.response_code, session.response_time, session.session_end_time
    group.add(code, session.diagnostic_id, im_only=im_only)
    if im_only:
        return
    if delay is not None:
        group.delays.add(delay)
    if code is not None and 200 <= code < 300 and response is not None:
        group.answers.add(response - session.invite_time)
        if end is not None:
            group.add_talk(end - response)


def _print(groups: dict[Of, Group], by: str | None, form: str) -> int:
    if by is None:
        groups.setdefault(None, Group())
    order = sorted(groups.items(), key=lambda item: _order(by, *item))
    if form == "json":
        return write(json_lines(cast("Record", json_of(by, of, group)) for of, group in order))
    if form == "csv":
        return write(csv_of(order, by))
    if not order:
        say("no sessions")
        return ALL_READ
    return show(table_of(order, by, Paper.of_stdout()))


def _order(by: str | None, of: Of, group: Group) -> tuple[int, bool, str]:
    """Times by time; all else by the number of calls, the most first."""
    return (0 if by in ("hour", "day") else -group.calls, of is None, str(of))
