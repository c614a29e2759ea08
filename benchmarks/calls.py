"""Measures what a message costs on its way into a row, and an open call in memory, with the kernel and without it.

    python -m benchmarks.calls [--megabytes 100]

Prints the tables that stand in benchmarks/README.md. Each column is a process of its own. Machines are noisy: compare
the ratios of one run, not the microseconds of two.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from time import process_time

import zstandard

from benchmarks.generate import generate
from sipcdr.app._collector import collect_seldom
from sipcdr.app._reading import BATCH_CALLS
from sipcdr.app._write import Outcome, Refusals, write_calls
from sipcdr.builder import Correlator, Position, Rules, SessionDetails, sessions
from sipcdr.ingest import Inputs, Limits, Tally, scan
from sipcdr.sinks import Sink

_INVITE = (
    "INVITE sip:u{number}@host.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{number}\r\n"
    "From: <sip:a{number}@host.example>;tag=t{number}\r\nTo: <sip:u{number}@host.example>\r\n"
    "Call-ID: {number:032}@host.example\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
)
_FLOOD = 200_000
_HOUR = 3_600_000_000


def message(capture: str) -> list[float]:
    """Microseconds of CPU a message: to read it, to collect it into its call, to find what is due, to derive rows."""
    rules = Rules()
    correlator = Correlator(rules, hold=24 * _HOUR, memory=64 << 20)
    number = 0
    rows: list[SessionDetails] = []
    collect_seldom()
    read = collected = found = derived = 0.0
    start = process_time()
    for batch in Inputs([capture], tally=Tally()):
        number += len(batch)
        read += (now := process_time()) - start
        correlator.receive(batch)
        collected += (then := process_time()) - now
        due = correlator.advance(correlator.watermark)
        found += (now := process_time()) - then
        for call in due:
            rows += sessions(call, rules)
        rows.clear()
        derived += (start := process_time()) - now
    for call in correlator.finish():
        rows += sessions(call, rules)
    derived += process_time() - start
    return [seconds / number * 1_000_000 for seconds in (read, collected, found, derived)]


def written(capture: str) -> list[float]:
    """Microseconds of CPU a message: to pack facts, to compress them, and for all of `write_calls` into SQLite."""
    rules = Rules()
    correlator = Correlator(rules, hold=24 * _HOUR, memory=1 << 40)
    number = 0
    for batch in Inputs([capture], tally=Tally()):
        number += len(batch)
        correlator.receive(batch)
    calls = correlator.finish()
    collect_seldom()
    compress = zstandard.ZstdCompressor(level=1, write_checksum=True).compress
    outcome = Outcome()
    packed = compressed = took = 0.0
    with tempfile.TemporaryDirectory() as folder, closing(Sink.open(f"sqlite:///{folder}/calls.db")) as sink:
        refusals = Refusals(Path(folder, "refused.jsonl"))
        for at in range(0, len(calls), BATCH_CALLS):
            batch_of_calls = calls[at : at + BATCH_CALLS]
            start = process_time()
            facts = [bytes(call) for call in batch_of_calls]
            packed += (now := process_time()) - start
            for data in facts:
                compress(data)
            compressed += (then := process_time()) - now
            write_calls(sink, batch_of_calls, rules, outcome=outcome, refusals=refusals)
            took += process_time() - then
    return [seconds / number * 1_000_000 for seconds in (packed, compressed, took)]


def invite(capture: str) -> list[float]:
    """Bytes of an open call that is an INVITE and no more, and what the correlator takes it for."""
    del capture
    tally, limits, position = Tally(), Limits(), Position("flood", 1)
    correlator = Correlator(hold=_HOUR, memory=1 << 40)
    before = _resident()
    for number in range(_FLOOD):
        raw = _INVITE.format(number=number).encode()
        found = scan(raw, number, position, tally, limits, "192.0.2.1:5060", "192.0.2.2:5060", "UDP")
        if not isinstance(found, str):
            correlator.receive([found])
    return [(_resident() - before) / _FLOOD, correlator.memory_used / _FLOOD]


def call(capture: str) -> list[float]:
    """The same of a whole call of the capture."""
    correlator = Correlator(hold=_HOUR, memory=1 << 40)
    before = _resident()
    for batch in Inputs([capture], tally=Tally()):
        correlator.receive(batch)
        batch.clear()
    return [(_resident() - before) / len(correlator), correlator.memory_used / len(correlator)]


def _resident() -> int:
    """Bytes of this process in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


MEASURES = {"message": message, "written": written, "invite": invite, "call": call}
LINES = (
    "microseconds of CPU a message: reading and scanning",
    "collecting into calls (`receive`)",
    "finding what is due (`advance`)",
    "deriving rows (`sessions`)",
    "packing facts",
    "compressing them",
    "writing into SQLite (`write_calls`, these three in it)",
    "bytes of an open call that is an INVITE alone",
    "and what the correlator takes it for",
    "bytes of an open call that is whole",
    "and what the correlator takes it for",
)


def main() -> None:
    """Measure with the kernel and without it, each in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        what, capture = options.measure
        print(json.dumps(MEASURES[what](capture)))
        return
    columns: list[list[float]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calls.pcap"
        generate(path, options.megabytes * 1_000_000)
        for kernel in ("python", "native"):
            environment = {**os.environ, "SIPCDR_KERNEL": kernel}
            command = [sys.executable, "-m", "benchmarks.calls", "--measure"]
            done = [
                subprocess.run([*command, what, str(path)], env=environment, check=True, stdout=subprocess.PIPE).stdout
                for what in MEASURES
            ]
            columns.append([number for values in done for number in json.loads(values)])
    print("| | Python | kernel |\n| --- | ---: | ---: |")
    for line, python, native in zip(LINES, *columns, strict=True):
        digits = 0 if python > 100 else 2
        print(f"| {line} | {python:,.{digits}f} | {native:,.{digits}f} |")


if __name__ == "__main__":
    main()
