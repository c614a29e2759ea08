"""The command `publish`: from options to an exit status."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from sipcdr.ingest import Inputs, SourceRefused, SourceUnavailable, Tally

from ._figures import Figures
from ._producer import TooLarge, open_producer
from ._progress import progress_bar
from ._publish import publish
from ._status import ALL_READ, INTERRUPTED, NOT_ALL_READ, REFUSED, USAGE, say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sipcdr.ingest import LogOptions

    from ._publish import Form


def run_publish(
    paths: Sequence[str],
    *,
    topic: str,
    bootstrap: Sequence[str],
    form: Form,
    client: str,
    options: Mapping[str, Any],
    logs: LogOptions,
    quiet: bool,
) -> int:
    """Publish captures and logs; returns the exit status."""
    figures = Figures(Tally())
    inputs = Inputs(paths, tally=figures.tally, logs=logs)
    try:
        with (
            closing(open_producer(client, bootstrap, options)) as producer,
            progress_bar(inputs, figures, wanted=not quiet) as tick,
        ):
            sent = publish(inputs, producer, topic, form, figures.tally, tick=tick)
    except KeyboardInterrupt:
        say("interrupted; publishing again doubles no row, as readers join what they know")
        return INTERRUPTED
    except (SourceUnavailable, TooLarge) as error:
        say(f"{', '.join(bootstrap)}: {error}")
        return REFUSED
    except SourceRefused as error:
        say(str(error))
        return USAGE
    for line in figures.problems():
        say(line)
    if not quiet:
        click.echo(f"published {sent:,} messages to {topic}", err=True)
    return NOT_ALL_READ if figures.tally.problem_count else ALL_READ
