"""The progress bar of a replay: bytes, messages, sessions, rate and time left, on a terminal's standard error."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from sipcdr.ingest import Inputs

    from ._figures import Figures
    from ._jobs import Jobs

_SECONDS: Final = 0.1


@contextmanager
def progress_bar(inputs: Inputs | Jobs, figures: Figures, *, wanted: bool) -> Iterator[Callable[[], None]]:
    """Show a bar while the context lasts; what is given is to be called now and then."""
    console = _terminal() if wanted else None
    if console is None:
        yield lambda: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        BarColumn(None),
        DownloadColumn(binary_units=True),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        auto_refresh=False,
    )
    task = bar.add_task("", total=inputs.total_bytes, figures="")
    due = 0.0

    def tick() -> None:
        nonlocal due
        now = time.monotonic()
        if now < due:
            return
        due = now + _SECONDS
        messages = figures.tally.messages
        rate = messages / max(figures.seconds, 0.001)
        shown = f"{messages:,} messages ({rate:,.0f}/s), {figures.sessions:,} sessions"
        bar.update(task, completed=inputs.bytes_done, figures=shown, refresh=True)

    with bar:
        yield tick


@contextmanager
def counting_bar(*, wanted: bool) -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar while the context lasts; what is given takes how much is done, of how much, and a text beside it."""
    console = _terminal() if wanted else None
    if console is None:
        yield lambda _done, _total, _text: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    bar = Progress(
        BarColumn(None),
        TaskProgressColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
    )
    task = bar.add_task("", total=None)
    with bar:
        yield lambda done, total, text: bar.update(task, completed=done, total=total, description=text)


def _terminal() -> Console | None:
    """Standard error, if it is a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    return console if console.is_terminal else None
