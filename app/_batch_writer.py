"""`BatchWriter`: writes a daemon's batches on a thread of its own, so that reading goes on, or waits, beside it."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final, TypeVar

from sipcdr.ingest import SourceUnavailable
from sipcdr.sinks import SinkConflict, SinkError, SinkFull, SinkReadOnly, SinkUnavailable

from ._background import Background
from ._write import Outcome, Retry, write_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from sipcdr.builder import Call, Rules
    from sipcdr.sinks import Sink, StoredPosition

    from ._dead_letters import DeadLetters
    from ._metrics import Metrics
    from ._unwritten import Batch
    from ._write import Refusals

_T = TypeVar("_T")

CALLS: Final = 2000
"""Calls of a transaction."""
_RETRY: Final = Retry(patience=None)

_log = logging.getLogger(__name__)


class Abandoned(Exception):
    """The time to end has come while a batch waited for its database: it will be read again."""


class BatchWriter:
    """One batch at a time, in the background; a database, or a disk, that is away or full is waited for.

    Other errors of the database are raised where the outcome is asked for.
    """

    def __init__(self, sink: Sink, rules: Rules, *, letters: DeadLetters, refusals: Refusals, metrics: Metrics) -> None:
        self._sink = sink
        self._rules = rules
        self._letters = letters
        self._refusals = refusals
        self._metrics = metrics
        self._background = Background("database")
        self._abandoned = threading.Event()
        self._under_way: tuple[Batch, Future[list[StoredPosition]]] | None = None
        self._since = 0.0

    @property
    def busy(self) -> bool:
        """Whether a batch is under way, or its outcome wasn't taken yet."""
        return self._under_way is not None

    @property
    def busy_seconds(self) -> float:
        """How long the batch has been under way; 0 without one."""
        return time.monotonic() - self._since if self._under_way is not None else 0.0

    def begin(self, batch: Batch) -> None:
        """Write a batch; the one before has to be settled."""
        if self._under_way is not None:
            raise AssertionError("a batch is under way")
        self._since = time.monotonic()
        self._under_way = (batch, self._background.submit(lambda: self._write(batch)))

    def settled(self) -> tuple[Batch, list[StoredPosition]] | None:
        """The batch that has been written, once, and those of its positions that were left out as fenced."""
        if self._under_way is None or not self._under_way[1].done():
            return None
        batch, future = self._under_way
        self._under_way = None
        return batch, future.result()

    def wait(self, seconds: float) -> bool:
        """Wait for the batch that is under way; False if it takes longer."""
        if self._under_way is None:
            return True
        done = threading.Event()
        self._under_way[1].add_done_callback(lambda _: done.set())
        return done.wait(max(seconds, 0.0))

    def assign(self, source: str, starts: Mapping[str, int], *, anew: bool) -> Future[list[StoredPosition]]:
        """Take the next Epochs of partitions, and read their positions, in one transaction."""

        def assign() -> list[StoredPosition]:
            with self._sink.begin() as transaction:
                return transaction.assign(source, starts, anew=anew)

        return self._background.submit(lambda: self._again(assign))

    def positions(self, source: str) -> Future[list[StoredPosition]]:
        """All positions of a source."""

        def read() -> list[StoredPosition]:
            with self._sink.begin() as transaction:
                return transaction.positions(source)

        return self._background.submit(lambda: self._again(read))

    def forget(self, positions: list[StoredPosition]) -> Future[None]:
        """Delete positions of what is no more."""

        def forget() -> None:
            with self._sink.begin() as transaction:
                transaction.forget_positions(positions)

        return self._background.submit(lambda: self._again(forget))

    def close(self, seconds: float) -> None:
        """Give up what waits for its database, and end."""
        self._abandoned.set()
        self._background.close(seconds)

    def _write(self, batch: Batch) -> list[StoredPosition]:
        """Steps 4 and 5 of `_kafka_feed`."""
        began = time.monotonic()
        if batch.letters:
            self._letters.write(batch.letters)
            self._again(self._letters.flush)
        outcome = Outcome()
        parts = [batch.calls[at : at + CALLS] for at in range(0, len(batch.calls), CALLS)] or [[]]
        for number, calls in enumerate(parts, 1):
            positions = batch.positions if number == len(parts) else []

            def write(calls: list[Call] = calls, positions: list[StoredPosition] = positions) -> None:
                write_calls(
                    self._sink,
                    calls,
                    self._rules,
                    outcome=outcome,
                    refusals=self._refusals,
                    positions=positions,
                    keep_damaged=True,
                    retry=_RETRY,
                    failed=self._failed,
                    sleep=self._pause,
                )

            self._again(write)
        self._metrics.written(outcome, time.monotonic() - began)
        for damaged in outcome.damaged.values():
            _log.error(
                "the stored call %s can't be used and is left alone; what came of it is kept as refused: %s",
                damaged.call_key, damaged.reason,
            )  # fmt: skip
        return outcome.fenced

    def _again(self, job: Callable[[], _T]) -> _T:
        """Do a job until it succeeds, where that is only a matter of time or of an operator's hand."""
        wait = _RETRY.first
        while True:
            try:
                result = job()
            except (SinkUnavailable, SinkConflict, SinkFull, SinkReadOnly, SourceUnavailable, OSError) as error:
                self._failed(error)
            else:
                self._metrics.database_up.set(1)
                return result
            self._pause(wait)
            wait = min(2 * wait, _RETRY.most)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, SinkError) and not isinstance(error, SinkConflict):
            self._metrics.database_up.set(0)
        _log.warning("writing waits and tries again: %s", error)

    def _pause(self, seconds: float) -> None:
        if self._abandoned.wait(seconds):
            raise Abandoned
