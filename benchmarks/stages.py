"""Where a call's time goes: each stage of a replay into SQLite by itself, over one capture.

    python -m benchmarks.generate calls.pcap --megabytes 60
    python -m benchmarks.stages calls.pcap
    SIPCDR_KERNEL=python python -m benchmarks.stages calls.pcap

Processor time. The last stage, `write_calls`, has the five before it in it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import zstandard

from sipcdr.app._collector import collect_seldom
from sipcdr.app._reading import BATCH_CALLS
from sipcdr.app._write import Outcome, Refusals, write_calls
from sipcdr.builder import Correlator, Rules, call_key, sessions
from sipcdr.ingest import Inputs, Tally
from sipcdr.sinks import Sink

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipcdr.builder import Call

ROUNDS = 3
T = TypeVar("T")


def stages(capture: Path, folder: Path) -> tuple[dict[str, float], int, int]:
    """Seconds of each stage, the calls and the messages; the database is made in a folder that is empty."""
    took: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], T]) -> T:
        begin = time.process_time()
        made = work()
        took[stage] = time.process_time() - begin
        return made

    rules = Rules()
    correlator = Correlator(rules, hold=1 << 60, memory=1 << 60)
    batches = timed("read and scan", lambda: list(Inputs([str(capture)], tally=Tally())))
    timed("collect facts", lambda: correlator.receive(message for batch in batches for message in batch))
    calls = timed("take the calls out", correlator.finish)
    packed = timed("pack facts", lambda: [bytes(call) for call in calls])
    timed("hash Call-IDs", lambda: [call_key(call.call_id) for call in calls])
    counts: Counter[str] = Counter()
    timed("derive rows", lambda: _in_batches(calls, lambda call: sessions(call, rules, counts)))
    compress = zstandard.ZstdCompressor(level=1, write_checksum=True).compress
    timed("compress facts", lambda: _in_batches(packed, compress))
    with closing(Sink.open(f"sqlite:///{folder / 'stages.db'}")) as sink:
        timed("write_calls", lambda: _write(sink, calls, rules, folder))
    return took, len(calls), sum(map(len, batches))


def _in_batches(items: list[T], work: Callable[[T], object]) -> None:
    """Keep what is made until its batch is done, as a replay does."""
    for at in range(0, len(items), BATCH_CALLS):
        [work(item) for item in items[at : at + BATCH_CALLS]]


def _write(sink: Sink, calls: list[Call], rules: Rules, folder: Path) -> None:
    outcome = Outcome()
    for at in range(0, len(calls), BATCH_CALLS):
        batch = calls[at : at + BATCH_CALLS]
        write_calls(sink, batch, rules, outcome=outcome, refusals=Refusals(folder / "refused.jsonl"))


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure each stage of a replay into SQLite.")
    parser.add_argument("capture", type=Path)
    given = parser.parse_args()
    collect_seldom()
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            took, calls, messages = stages(given.capture, Path(folder))
        best = {stage: min(seconds, best.get(stage, seconds)) for stage, seconds in took.items()}
    print(f"{messages:,} messages, {calls:,} calls, the best of {ROUNDS} rounds\n")
    print("| stage | µs a call | µs a message |\n| --- | ---: | ---: |")
    for stage, seconds in best.items():
        print(f"| {stage} | {seconds / calls * 1e6:.1f} | {seconds / messages * 1e6:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
