"""The command `ladder`: from options to an exit status."""

from __future__ import annotations

from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from sipcdr.builder import call_key, explain
from sipcdr.ingest import Inputs, Tally
from sipcdr.sinks import Sink, SinkAddress, SinkError

from ._explain import call_of
from ._figures import Figures
from ._flow import TOGETHER, Flow, Related
from ._inputs_twice import files_of
from ._ladder import ladder_lines
from ._mask import harmless
from ._records import text
from ._select import as_received
from ._status import ALL_READ, NOT_ALL_READ, REFUSED, USAGE, say
from ._terminal import Paper, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipcdr.ingest import LogOptions


def ladder_of_captures(
    paths: Sequence[str], call_id: str, aliases: dict[str, str], header: str, logs: LogOptions
) -> int:
    """Draw a call and those that belong to it; returns the exit status.

    Captures are read twice: what belongs to the call is known only at their end.
    """
    tally = Tally()
    with files_of(paths) as files:
        related = Related(header)
        wanted = None
        for batch in Inputs(files, tally=tally, logs=logs):
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
        for batch in Inputs(files, tally=Tally(), logs=logs):
            flow.add(message for message in batch if message.call_id in calls)
    status = draw(flow, aliases)
    for line in Figures(tally).problems():
        say(line)
    return NOT_ALL_READ if status == ALL_READ and tally.problem_count else status


def ladder_of_stored(url: str, call_id: str, aliases: dict[str, str]) -> int:
    """Draw the stored facts of a call and of the calls that it replaces; returns the exit status."""
    flow = Flow()
    wanted = [as_received(call_id)]
    try:
        with closing(Sink.open(url, ddl=False)) as sink:
            for one in wanted:  # grows by those it replaces
                stored = sink.read([call_key(one)]).get(call_key(one))
                if stored is None:
                    continue
                found = explain(call_of(stored))
                flow.add_explained(one, found)
                replaced = [each.details.reference.call_id for each in found if each.details.reference is not None]
                wanted += [other for other in dict.fromkeys(replaced) if other not in wanted][: TOGETHER - len(wanted)]
    except ValueError as error:
        say(f"call {harmless(call_id)}: {error}")
        return REFUSED
    except SinkError as error:
        say(str(error))
        return USAGE if isinstance(error, SinkAddress) else REFUSED
    if not flow.arrows:
        say("no such call")
        return NOT_ALL_READ
    return draw(flow, aliases, note="from stored facts: no reason phrases, codecs, REFER or NOTIFY")


def draw(flow: Flow, aliases: dict[str, str], *, note: str = "") -> int:
    """Show a flow, and below it what is to be known of it."""
    paper = Paper.of_stdout()
    status = show(chain(ladder_lines(flow, aliases, paper), [paper.paint(note, "dim")] if note else []))
    if flow.left_out:
        say(f"{flow.left_out:,} later messages aren't shown")
    return status


def aliases_of(path: str) -> dict[str, str]:
    """The names of a hosts file: as /etc/hosts has them, or with a port: `10.0.0.1:5060 pbx`. Raises OSError."""
    aliases: dict[str, str] = {}
    for line in Path(path).read_text(encoding="utf-8", errors="backslashreplace").splitlines():
        words = line.partition("#")[0].split()
        if len(words) > 1:
            aliases[words[0]] = words[1]
    return aliases
