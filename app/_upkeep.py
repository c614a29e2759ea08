"""What daemons do beside their sources: wait for the database and the dead letters' topic, and look after old facts."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sipcdr.ingest import SourceUnavailable
from sipcdr.sinks import Sink, SinkError, SinkUnavailable

from ._config import ConfigError, database_url
from ._dead_letters import LetterFile, LetterTopic
from ._producer import open_producer
from ._settings import KafkaSource

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from ._dead_letters import DeadLetters
    from ._metrics import Metrics
    from ._settings import Settings

_UPKEEP_SECONDS: Final = 60.0
_IDLE_SECONDS: Final = 3600.0
"""A source that has given nothing for so long is taken for one that has nothing old."""
_AGAIN: Final = 5.0

_log = logging.getLogger(__name__)


def patiently_opened(settings: Settings, metrics: Metrics, stop: threading.Event) -> Sink | None:
    """The database, waited for; None when `stop` was set before. Raises what waiting doesn't mend, and ConfigError."""
    wait = 0.5
    while not stop.is_set():
        try:
            sink = Sink.open(database_url(settings), ddl=settings.database.ddl)
        except SinkUnavailable as error:
            metrics.database_up.set(0)
            _log.warning("the database is waited for: %s", error)
            stop.wait(wait)
            wait = min(2 * wait, 10.0)
        else:
            metrics.database_up.set(1)
            return sink
    return None


def patient_letters(settings: Settings, name: str, stop: threading.Event) -> DeadLetters | None:
    """Where a source's dead letters go, the brokers waited for; None when `stop` was set before."""
    where = settings.dead_letters
    if not where.topic:
        return LetterFile(Path(where.file))
    source = next(each for each in settings.source if isinstance(each, KafkaSource))
    while not stop.is_set():
        try:
            return LetterTopic(open_producer(source.client, source.bootstrap, source.options), where.topic)
        except SourceUnavailable as error:
            _log.error("%s: dead letters have to wait for their topic: %s", name, error)
            stop.wait(_AGAIN)
    return None


def keep_up(settings: Settings, metrics: Metrics, stop: threading.Event, marks: Callable[[], list[int | None]]) -> None:
    """Until `stop`: empty the facts of calls that are older than `retention.facts`, by the time of what is read now.

    marks: the watermark of each source, None of one that has given nothing yet.
    """
    sink = None
    began = time.monotonic()
    while not stop.wait(_UPKEEP_SECONDS):
        try:
            sink = sink or Sink.open(database_url(settings), ddl=False)
            upkeep = sink.upkeep()
            metrics.stored.set(upkeep.last_number())
            told = marks()
            known = [mark for mark in told if mark is not None]
            if len(known) < len(told) and time.monotonic() - began < _IDLE_SECONDS:
                continue  # an old backlog may be next, and its calls are to be joined yet
            before = min([*known, time.time_ns() // 1000]) - settings.retention.facts
            after = 0
            while not stop.is_set() and (done := upkeep.freeze(before, after)) is not None:
                after = done.last
        except (SinkError, ConfigError) as error:
            _log.warning("facts are not looked after now: %s", error)
    if sink is not None:
        sink.close()
