"""The command `extract`: from options to an exit status."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from sipcdr.ingest import Inputs, Tally

from ._extract import Wanted, packets_of, write_capture
from ._figures import Figures
from ._inputs_twice import files_of
from ._mask import harmless
from ._status import NOT_ALL_READ, USAGE, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipcdr.ingest import LogOptions


def extract_call(paths: Sequence[str], call_id: str, output: str, *, with_rtp: bool, logs: LogOptions) -> int:
    """Write the packets of a call to a capture, `-` for standard output; returns the exit status."""
    tally = Tally()
    with files_of(paths) as given:
        wanted = Wanted(call_id, media=with_rtp)
        inputs = Inputs(given, tally=tally, logs=logs)
        if output != "-" and any(Path(name).exists() and _same(name, output) for name in inputs.files):
            say(f"{output} is one of the captures to read: name another file")
            return USAGE
        for batch in inputs:
            wanted.add(batch)
        found = packets_of(inputs.files, wanted, logs) if wanted.count else []
    for line in Figures(tally).problems():
        say(line)
    if not found:
        say("no such call" if not wanted.count else "the packets of this call can't be taken out of these captures")
        return NOT_ALL_READ
    application = f"sipcdr {version('sipcdr')}"
    try:
        if output == "-":
            write_capture(sys.stdout.buffer, found, application)
            sys.stdout.buffer.flush()
        else:
            with Path(output).open("wb") as file:
                write_capture(file, found, application)
    except OSError as error:
        say(f"can't write {output}: {error.strerror}")
        return NOT_ALL_READ
    how = "made up where they come from logs" if tally.logs else "as they were"
    say(f"{len(found):,} packets with {wanted.count:,} messages, {how}: addresses and credentials aren't masked")
    if wanted.hosts:
        say(f"media to names rather than addresses can't be told: {', '.join(map(harmless, sorted(wanted.hosts)[:5]))}")
    return NOT_ALL_READ if tally.problem_count else 0


def _same(name: str, output: str) -> bool:
    return Path(output).exists() and Path(name).samefile(output)
