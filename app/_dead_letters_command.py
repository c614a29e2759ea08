"""The command `dead-letters`: list what is in a file or topic, and try it again."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from sipcdr.ingest import (
    KafkaSettings,
    Partition,
    SourceRefused,
    SourceUnavailable,
    Tally,
    Values,
    open_consumer,
)

from ._config import ConfigError, database_url, rules_of, secret
from ._dead_letters import letters_in_file, letters_in_records, listed, retry
from ._settings import HepSource, KafkaSource
from ._status import ALL_READ, NOT_ALL_READ, REFUSED, USAGE, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipcdr.builder import Call

    from ._dead_letters import Letter
    from ._settings import Settings

_JOIN: Final = 30.0
"""Seconds to wait for the topic's partitions."""


def letters(settings: Settings, file: str | None, damaged: Callable[[int, str], None]) -> Iterator[Letter]:
    """The dead letters of a file, or of where the configuration says.

    Raises OSError, SourceUnavailable, SourceRefused.
    """
    topic = settings.dead_letters.topic
    if file is None and topic:
        return _in_topic(next(source for source in settings.source if isinstance(source, KafkaSource)), topic)
    return letters_in_file(Path(file or settings.dead_letters.file), damaged)


def _in_topic(source: KafkaSource, topic: str) -> Iterator[Letter]:
    settings = KafkaSettings(
        bootstrap=source.bootstrap,
        group=f"{source.group}-dead-letters",
        topics=(topic,),
        client=source.client,
        options=source.options,
    )
    with closing(open_consumer(settings, lambda _: None)) as consumer:
        end = time.monotonic() + _JOIN
        while not consumer.waiting:
            if time.monotonic() > end:
                raise SourceUnavailable(f"no partition of the topic {topic} came; is there one?")
            consumer.poll(0.2, 1)
        bounds = consumer.bounds(consumer.waiting)
        consumer.begin({partition: first for partition, (first, _) in bounds.items()})
        left: dict[Partition, int] = {partition: last for partition, (first, last) in bounds.items() if first < last}
        while left:
            polled = consumer.poll(1.0, 500)
            yield from letters_in_records(polled)
            for partition, records in polled.records.items():
                if partition in left and records[-1].offset + 1 >= left[partition]:
                    del left[partition]


def run_list(settings: Settings, file: str | None, form: str) -> int:
    """Print the letters, one a line; returns the exit status."""
    problems: list[str] = []

    def show() -> None:
        for letter in letters(settings, file, lambda line, why: problems.append(f"line {line}: {why}")):
            click.echo(listed(letter, form))

    return _told(show, problems)


def run_retry(settings: Settings, file: str | None) -> int:
    """Read the letters again and write their calls to the database; returns the exit status."""
    from sipcdr.sinks import Sink, SinkAddress, SinkError

    from ._write import Outcome, Refusals, write_calls

    problems: list[str] = []
    rules = rules_of(settings)
    outcome = Outcome()
    refusals = Refusals(Path("refused-calls.jsonl"))

    def again() -> None:
        with closing(Sink.open(database_url(settings), ddl=settings.database.ddl)) as sink:

            def write(calls: list[Call]) -> None:
                write_calls(sink, calls, rules, outcome=outcome, refusals=refusals)

            done = retry(
                letters(settings, file, lambda line, why: problems.append(f"line {line}: {why}")),
                _values(settings),
                rules,
                write,
                memory=settings.correlator.memory,
            )
        click.echo(
            f"{done.letters:,} letters, {done.messages:,} messages of {done.calls:,} calls, of which"
            f" {outcome.calls:,} brought something new",
            err=True,
        )
        for reason, count in sorted(done.still.items()):
            click.echo(f"still nothing of use: {reason}: {count:,}", err=True)

    try:
        return _told(again, problems)
    except SinkAddress as error:
        say(str(error))
        return USAGE
    except SinkError as error:
        say(str(error))
        return REFUSED


def _values(settings: Settings) -> Values:
    """What makes messages of values, as the first Kafka source says; its form is looked for in each."""
    tally = Tally()
    for source in settings.source:
        if isinstance(source, KafkaSource):
            key = secret(source.auth_key_file).encode() if source.auth_key_file else None
            return Values(tally, names=source.json, headers=source.headers, key=key)
        if isinstance(source, HepSource):
            return Values(tally, key=secret(source.auth_key_file).encode() if source.auth_key_file else None)
    return Values(tally)


def _told(run: Callable[[], None], problems: list[str]) -> int:
    try:
        run()
    except (SourceRefused, ConfigError) as error:
        say(str(error))
        return USAGE
    except SourceUnavailable as error:
        say(str(error))
        return NOT_ALL_READ
    except OSError as error:
        say(f"{error.filename}: {error.strerror}")
        return NOT_ALL_READ
    for problem in problems:
        say(problem)
    return NOT_ALL_READ if problems else ALL_READ
