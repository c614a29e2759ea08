"""Measures what reading captures costs, up to the messages: by kind of capture, by size, and by reader.

    python -m benchmarks.reading [--megabytes 100] [--python]

Prints the table that stands in benchmarks/README.md. Each capture is read by a process of its own; seconds are of its
CPU while it reads, memory is the peak of what was resident, the interpreter's own 20 MiB included.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from benchmarks.generate import generate
from benchmarks.hostile import peak
from sipcdr.ingest import Inputs, Tally

if TYPE_CHECKING:
    from collections.abc import Callable

ALONE: Final = 1_000_000
"""RTP packets to a SIP message where hardly any of these comes."""


class Outcome(msgspec.Struct):
    """How reading a capture went. memory: MiB."""

    seconds: float
    memory: float
    packets: int
    messages: int


KINDS: Final[list[tuple[str, str, float, Callable[[Path, int], object]]]] = [
    ("RTP alone", "rtp.pcap", 1, lambda path, size: generate(path, size, rtp=ALONE)),
    ("RTP alone", "rtp-4.pcap", 4, lambda path, size: generate(path, size, rtp=ALONE)),
    ("RTP alone", "rtp-16.pcap", 16, lambda path, size: generate(path, size, rtp=ALONE)),
    ("40 RTP packets to a message", "media.pcap", 1, lambda path, size: generate(path, size, rtp=40)),
    ("SIP, a third over TCP", "calls.pcap", 1, generate),
    ("SIP, a third over TCP", "calls-4.pcap", 4, generate),
    ("SIP, a third over TCP", "calls-16.pcap", 16, generate),
    ("SIP over UDP", "udp.pcap", 1, lambda path, size: generate(path, size, tcp=0)),
    ("SIP over TCP", "tcp.pcap", 1, lambda path, size: generate(path, size, tcp=1)),
    ("the same in pcapng", "calls.pcapng", 1, generate),
    ("the same in gzip", "calls.pcap.gz", 1, generate),
]
"""What is measured, the file, its size in units, and what makes it of that size."""


def _outcome(path: str, reader: str) -> Outcome:
    """Read a capture in another process."""
    command = [sys.executable, "-m", "benchmarks.reading", "--read", path, "--reader", reader]
    done = subprocess.run(command, capture_output=True, check=True, cwd=Path(__file__).parent.parent)
    return msgspec.json.decode(done.stdout, type=Outcome)


def _read(path: str, reader: str) -> Outcome:
    tally = Tally()
    inputs = Inputs([path], tally=tally, reader="native" if reader == "native" else "python")
    began = time.process_time()
    for _ in inputs:
        pass
    return Outcome(time.process_time() - began, peak(), tally.packets, tally.messages)


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure what reading captures costs.")
    parser.add_argument("--megabytes", type=int, default=100, help="of the captures of size 1")
    parser.add_argument("--python", action="store_true", help="those of size 1 by the Python reader too")
    parser.add_argument("--read", metavar="CAPTURE", help="read a capture and print what came of it, as JSON")
    parser.add_argument("--reader", default="native")
    given = parser.parse_args()
    if given.read:
        sys.stdout.buffer.write(msgspec.json.encode(_read(given.read, given.reader)))
        return 0
    print("| capture | MB | reader | packets | messages | CPU s | packets/s | messages/s | peak MiB |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for what, name, times, make in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            make(path, int(given.megabytes * 1_000_000 * times))
            for reader in ("native", "python") if given.python and times == 1 else ("native",):
                read = min((_outcome(str(path), reader) for _ in range(3)), key=lambda one: one.seconds)
                print(
                    f"| {what} | {path.stat().st_size / 1e6:.0f} | {reader} | {read.packets:,} | {read.messages:,} "
                    f"| {read.seconds:.2f} | {read.packets / read.seconds:,.0f} | {read.messages / read.seconds:,.0f} "
                    f"| {read.memory:.0f} |",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
