"""Replays captures, each in a child of its own, for who counts instructions: `instructions.py derive|write CAPTURE...`.

`derive` reads messages and derives rows, `write` replays into SQLite: into copies of the empty database that lies
beside a capture. Prints a line a child: its process id and the messages it read. The first capture is replayed before
any child is made, so what is imported, compiled and cached then drops out of a difference between two children.
"""

from __future__ import annotations

import os
import sys

from sipcdr.builder import Correlator, Rules, sessions
from sipcdr.ingest import Inputs, Tally

HOLD = 24 * 3_600_000_000
MEMORY = 64 << 20


def derive(capture: str) -> int:
    """Derive the rows of all calls, and return how many messages there were."""
    tally = Tally()
    correlator = Correlator(Rules(), hold=HOLD, memory=MEMORY)
    calls = []
    for batch in Inputs([capture], tally=tally):
        correlator.receive(batch)
        calls += correlator.advance(correlator.watermark)
    for call in calls + correlator.finish():
        sessions(call, Rules())
    return tally.messages


def write(capture: str) -> int:
    """Replay into a copy of a database, as the command does."""
    import shutil
    from pathlib import Path

    from sipcdr.app._figures import Figures
    from sipcdr.app._reading import due_calls
    from sipcdr.app._replay import replay_into
    from sipcdr.app._select import Selection
    from sipcdr.app._spool import Spool
    from sipcdr.sinks import Sink

    figures = Figures(Tally())
    inputs = Inputs([capture], tally=figures.tally)
    copy = shutil.copy(Path(capture).with_name("empty.db"), f"{capture}.{os.getpid()}.db")
    with Sink.open(f"sqlite:///{copy}") as sink, Spool() as spool:
        due = due_calls(inputs, Selection(), figures, hold=HOLD, tick=lambda: None)
        replay_into(sink, due, Selection(), figures, spool, tick=lambda: None)
    return figures.tally.messages


def main() -> None:
    """Replay once in this process, then each capture in a child."""
    road, *captures = sys.argv[1:]
    replay = {"derive": derive, "write": write}[road]
    replay(captures[0])
    for capture in captures:
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        else:
            print(os.getpid(), replay(capture), flush=True)
            # What the interpreter does at its end isn't the replay's.
            os._exit(0)


if __name__ == "__main__":
    main()
