"""`sipcdr top`: the daemon's state in the terminal, from the metrics that Prometheus would read."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final

import msgspec
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ._records import visible
from ._status import ALL_READ, INTERRUPTED, NOT_ALL_READ, say

if TYPE_CHECKING:
    from rich.console import RenderableType

_SECONDS: Final = 5.0
_EVERY: Final = 2.0
_BYTES: Final = 8 * 1024 * 1024
"""Of an answer; more is no daemon's."""
_NOTED: Final = 8

Labels = frozenset[tuple[str, str]]


class Sample(msgspec.Struct, frozen=True):
    """The figures of one moment. time: on the monotonic clock. values: by name and labels."""

    time: float
    values: dict[str, dict[Labels, float]]

    def sum(self, name: str, **labels: str) -> float:
        """A figure, over all labels but these."""
        wanted = labels.items()
        return sum(value for known, value in self.values.get(name, {}).items() if wanted <= known)

    def label(self, name: str, label: str) -> list[str]:
        """The values that a label has."""
        return sorted({dict(known).get(label, "") for known in self.values.get(name, {})})


def sampled(text: str) -> Sample:
    """The figures in an answer. Raises ValueError where it is none."""
    values: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            values.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return Sample(time.monotonic(), values)


def fetch(url: str) -> Sample:
    """Ask a daemon. Raises OSError, and ValueError where something else answers."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=_SECONDS) as answer:  # noqa: S310 (the operator's address)
        return sampled(answer.read(_BYTES).decode("utf-8", "replace"))


def shown(url: str, now: Sample, before: Sample | None) -> RenderableType:
    """The screen."""

    def rate(name: str, **labels: str) -> str:
        if before is None or now.time <= before.time:
            return "-"
        return f"{(now.sum(name, **labels) - before.sum(name, **labels)) / (now.time - before.time):,.0f}/s"

    up = now.sum("sipcdr_database_up") > 0
    head = Text.assemble(
        (url, "bold"), "  database ", ("takes rows", "green") if up else ("is away", "bold red"),
        f"  calls stored {now.sum('sipcdr_calls_stored'):,.0f}",
    )  # fmt: skip
    sources = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("Source", "State", "Records", "Messages", "Open", "Ended", "Memory", "Dead letters", "Written"):
        sources.add_column(title, justify="left" if title in ("Source", "State") else "right")
    for name in now.label("sipcdr_source_up", "source"):
        is_open = now.sum("sipcdr_source_up", source=name) > 0
        paused = now.sum("sipcdr_paused", source=name) > 0
        checkpoint = now.sum("sipcdr_checkpoint_time_seconds", source=name)
        sources.add_row(
            visible(name),
            Text("waits", "yellow") if paused else Text("open", "green") if is_open else Text("closed", "bold red"),
            rate("sipcdr_records_total", source=name),
            rate("sipcdr_messages_total", source=name),
            f"{now.sum('sipcdr_calls_in_memory', source=name, state='open'):,.0f}",
            f"{now.sum('sipcdr_calls_in_memory', source=name, state='ended'):,.0f}",
            f"{now.sum('sipcdr_memory_bytes', source=name) / 2**20:,.1f} MiB",
            f"{now.sum('sipcdr_dead_letters_total', source=name):,.0f}",
            f"{max(time.time() - checkpoint, 0):,.0f} s ago" if checkpoint else "never",
        )
    written = Table(box=None, header_style="bold", pad_edge=False)
    batches = now.sum("sipcdr_batch_seconds_count")
    for title in ("Rows inserted", "updated", "deleted", "Calls written", "with nothing new", "refused", "Batch"):
        written.add_column(title, justify="right")
    written.add_row(
        *(rate("sipcdr_rows_total", change=change) for change in ("inserted", "updated", "deleted")),
        *(rate("sipcdr_calls_total", outcome=outcome) for outcome in ("written", "unchanged")),
        f"{now.sum('sipcdr_calls_total', outcome='refused'):,.0f}",
        f"{now.sum('sipcdr_batch_seconds_sum') / batches:.2f} s" if batches else "-",
    )
    parts: list[RenderableType] = [head, Text(), sources, Text(), written]
    lags = sorted(now.values.get("sipcdr_lag", {}).items(), key=lambda item: -item[1])
    if lags:
        total = sum(lag for _, lag in lags)
        worst = ", ".join(
            f"{visible(known['topic'])}/{known['partition']} {lag:,.0f}"
            for known, lag in ((dict(labels), lag) for labels, lag in lags[:_NOTED])
        )
        parts += [Text(), Text(f"Lag {total:,.0f} over {len(lags)} partitions: {worst}")]
    odd = [
        (name.removeprefix("sipcdr_").removesuffix("_total").replace("_", " "), now.sum(name))
        for name in (
            "sipcdr_lost_offsets_total", "sipcdr_lost_files_total", "sipcdr_stalls_total",
            "sipcdr_fenced_positions_total", "sipcdr_split_calls_total", "sipcdr_late_messages_total",
            "sipcdr_absurd_times_total", "sipcdr_early_calls_total",
        )
    ]  # fmt: skip
    told = ", ".join(f"{name} {count:,.0f}" for name, count in odd if count)
    if told:
        parts += [Text(), Text(f"Noted: {told}", "yellow")]
    return Group(*parts)


def run_top(url: str, *, once: bool) -> int:
    """Show a daemon until Ctrl-C, or once; returns the exit status."""
    console = Console()
    before: Sample | None = None
    try:
        now = fetch(url)
        if once:
            console.print(shown(url, now, None))
            return ALL_READ
        with Live(shown(url, now, before), console=console, screen=console.is_terminal, auto_refresh=False) as live:
            while True:
                time.sleep(_EVERY)
                try:
                    before, now = now, fetch(url)
                except (OSError, ValueError) as error:
                    live.update(Text(f"{url}: {_why(error)}", "bold red"), refresh=True)
                else:
                    live.update(shown(url, now, before), refresh=True)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (OSError, ValueError) as error:
        say(f"{url}: {_why(error)}")
        return NOT_ALL_READ


def _why(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"answers {error.code}, which no daemon does"
    return str(getattr(error, "reason", error))


def address(listen: str) -> str:
    """Where a daemon's metrics are, by its configuration or as somebody types it."""
    return (listen if "://" in listen else f"http://{listen}").rstrip("/")
