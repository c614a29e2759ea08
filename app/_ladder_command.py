"""The command `ladder`: from options to an exit status."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sipcdr.ingest import Inputs, Tally

from ._figures import Figures
from ._flow import Flow, Related
from ._ladder import ladder_lines
from ._records import text
from ._status import ALL_READ, NOT_ALL_READ, say
from ._terminal import Paper, show

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def ladder_of_captures(paths: Sequence[str], call_id: str, aliases: dict[str, str], header: str) -> int:
    """Draw a call and those that belong to it; returns the exit status.

    Captures are read twice: what belongs to the call is known only at their end.
    """
    tally = Tally()
    with files_of(paths) as files:
        related = Related(header)
        wanted = None
        for batch in Inputs(files, tally=tally):
            related.add(batch)
            if wanted is None:
                wanted = next((m.call_id for m in batch if text(m.call_id) == call_id), None)
        if wanted is None:
            say("no such call")
            for line in Figures(tally).problems():
                say(line)
            return NOT_ALL_READ
        calls = set(related.of(wanted))
        flow = Flow()
        for batch in Inputs(files, tally=Tally()):
            flow.add(message for message in batch if message.call_id in calls)
    status = draw(flow, aliases)
    for line in Figures(tally).problems():
        say(line)
    return NOT_ALL_READ if status == ALL_READ and tally.problem_count else status


def draw(flow: Flow, aliases: dict[str, str]) -> int:
    """Show a flow."""
    status = show(ladder_lines(flow, aliases, Paper.of_stdout()))
    if flow.left_out:
        say(f"{flow.left_out:,} later messages aren't shown")
    return status


@contextmanager
def files_of(paths: Sequence[str]) -> Iterator[list[str]]:
    """Paths that can be read twice: what comes by standard input is kept in a temporary file."""
    if "-" not in paths:
        yield list(paths)
        return
    with tempfile.NamedTemporaryFile(prefix="sipcdr-") as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept, 1 << 20)
        kept.flush()
        yield [kept.name if path == "-" else path for path in paths]


def aliases_of(path: str) -> dict[str, str]:
    """The names of a hosts file: as /etc/hosts has them, or with a port: `10.0.0.1:5060 pbx`. Raises OSError."""
    aliases: dict[str, str] = {}
    for line in Path(path).read_text(encoding="utf-8", errors="backslashreplace").splitlines():
        words = line.partition("#")[0].split()
        if len(words) > 1:
            aliases[words[0]] = words[1]
    return aliases
