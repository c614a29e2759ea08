"""The daemon's figures for Prometheus. README lists them; a test holds the list to this module."""

from __future__ import annotations

import time
from collections import Counter as Count
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily

from ._reading import METHODS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client import Metric

    from sipcdr.builder import SipMessage

    from ._write import Outcome

_REASONS: Final = 100
"""Reasons that are told by name."""


class Metrics:
    """All figures of a process. What is counted elsewhere is fetched when Prometheus asks."""

    def __init__(self) -> None:
        # Else each figure has a second one, which says when it was first counted.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        self.messages = Counter(
            "sipcdr_messages", "SIP messages read, by method.", ["source", "kind", "method"], registry=registry
        )
        self.records = Counter("sipcdr_records", "Records, packets or frames read.", ["source"], registry=registry)
        self.dead_letters = Counter(
            "sipcdr_dead_letters", "Records that held nothing of use.", ["source"], registry=registry
        )
        self.lost = Counter(
            "sipcdr_lost_offsets", "Offsets that were gone before they were read.", ["source"], registry=registry
        )
        self.lost_files = Counter(
            "sipcdr_lost_files", "Files that were gone, or begun anew, before all of them was read.", ["source"],
            registry=registry,
        )  # fmt: skip
        self.stalls = Counter(
            "sipcdr_stalls", "Times a source was opened anew, as there was lag without progress.", ["source"],
            registry=registry,
        )  # fmt: skip
        self.fenced = Counter(
            "sipcdr_fenced_positions", "Positions not written, as another worker had taken the partition.",
            registry=registry,
        )  # fmt: skip
        self.split = Counter(
            "sipcdr_split_calls", "Call-IDs met on two partitions at a time.", ["source"], registry=registry
        )
        self.late = Counter(
            "sipcdr_late_messages", "Messages that came more than `hold` after later ones.", ["source"],
            registry=registry,
        )  # fmt: skip
        self.ahead = Counter(
            "sipcdr_absurd_times", "Time stamps more than a day ahead of the clock.", ["source"], registry=registry
        )
        self.early = Counter(
            "sipcdr_early_calls", "Calls written early, as memory was full.", ["source"], registry=registry
        )
        self.rows = Counter("sipcdr_rows", "Rows of SessionDetails written.", ["change"], registry=registry)
        self.calls = Counter(
            "sipcdr_calls", "Calls that went to the database, by what came of it.", ["outcome"], registry=registry
        )
        self.batch_seconds = Histogram(
            "sipcdr_batch_seconds", "How long a batch took to write.", registry=registry,
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
        )  # fmt: skip
        self.open_calls = Gauge(
            "sipcdr_calls_in_memory", "Calls in memory, open or ended.", ["source", "state"], registry=registry
        )
        self.memory = Gauge("sipcdr_memory_bytes", "Bytes of calls in memory.", ["source"], registry=registry)
        self.stored = Gauge(
            "sipcdr_calls_stored", "Number of the last call in the database, counted from its beginning.",
            registry=registry,
        )  # fmt: skip
        self.lag = Gauge(
            "sipcdr_lag", "Records of a partition that are still to be read.", ["topic", "partition"],
            registry=registry,
        )  # fmt: skip
        self.checkpoint = Gauge(
            "sipcdr_checkpoint_time_seconds", "When all that was due of a source was last in the database.", ["source"],
            registry=registry,
        )  # fmt: skip
        self.source_up = Gauge("sipcdr_source_up", "Whether a source is open.", ["source"], registry=registry)
        self.paused = Gauge("sipcdr_paused", "Whether reading waits for the database.", ["source"], registry=registry)
        self.database_up = Gauge(
            "sipcdr_database_up", "Whether the last attempt to write succeeded.", registry=registry
        )
        self._noted: dict[str, Count[str]] = {}
        registry.register(self)

    def note(self, source: str, counts: Count[str]) -> None:
        """Tell these counts, by reason, from now on."""
        self._noted[source] = counts

    def collect(self) -> Iterator[Metric]:
        """What Prometheus asks for: what was skipped, refused or odd in messages."""
        family = CounterMetricFamily("sipcdr_noted", "What was skipped, refused or odd.", labels=["source", "reason"])
        for source, counts in self._noted.items():
            for reason, count in sorted(dict(counts).items(), key=lambda item: -item[1])[:_REASONS]:
                family.add_metric([source, reason], count)
        yield family

    def received(self, source: str, messages: Iterable[SipMessage]) -> None:
        """Count messages by method."""
        for (method, response), count in Count((message.method, message.status > 0) for message in messages).items():
            self.counted(source, "response" if response else "request", method, count)

    def counted(self, source: str, kind: str, method: str, count: int) -> None:
        """Count messages that were told apart elsewhere. kind: `request` or `response`."""
        self.messages.labels(source, kind, method if method in METHODS else "other").inc(count)

    def written(self, outcome: Outcome, seconds: float) -> None:
        """Count what came of a batch."""
        self.batch_seconds.observe(seconds)
        for change, count in (
            ("inserted", outcome.inserted),
            ("updated", outcome.updated),
            ("deleted", outcome.deleted),
        ):
            self.rows.labels(change).inc(count)
        for kind, count in (
            ("written", outcome.calls),
            ("unchanged", outcome.unchanged),
            ("frozen", outcome.frozen),
            ("refused", outcome.refused),
            ("damaged", len(outcome.damaged)),
        ):
            self.calls.labels(kind).inc(count)
        self.fenced.inc(len(outcome.fenced))
        self._noted.setdefault("rows", Count()).update(outcome.counts)

    def checkpointed(self, source: str) -> None:
        """All that was due of a source is in the database now."""
        self.checkpoint.labels(source).set(time.time())
