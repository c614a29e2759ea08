"""Measures sipcdr beside its peers on the same generated captures: CPU seconds, peak memory, ratios.

    python -m benchmarks.run [--megabytes 400] [--folder DIR] [--only sipcdr,tcpdump] [--limit 120]

Prints the tables that stand in benchmarks/README.md. Peers that aren't installed are named and left out, and one that
takes longer than the limit is stopped. Machines are noisy: compare the ratios of one run, not the seconds of two.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

from benchmarks.generate import generate
from sipcdr.ingest import Inputs, Tally


class Measured(NamedTuple):
    """What a process took: CPU seconds (user and system, its children too) and peak memory in MiB."""

    seconds: float
    memory: float
    status: int


def measure(command: list[str], *, folder: Path, limit: float) -> Measured:
    """Run a command to its end, or for `limit` seconds, with its output thrown away."""
    with Path(os.devnull).open("r+b") as nowhere:
        process = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, cwd=folder)
        stop = threading.Timer(limit, os.kill, (process.pid, signal.SIGKILL))
        stop.start()
        _, status, usage = os.wait4(process.pid, 0)
        stop.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
    return Measured(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, process.returncode)


def commands(capture: Path, folder: Path) -> dict[str, list[str]]:
    """What is measured, by name."""
    sipcdr = [str(Path(sys.executable).with_name("sipcdr")), "replay", str(capture), "--quiet"]
    database = folder / "rows.db"
    return {
        "sipcdr to SQLite": [*sipcdr, "--to", f"sqlite:///{database}"],
        "sipcdr --to none": [*sipcdr, "--to", "none"],
        "tcpdump -w (copies it)": ["tcpdump", "-r", str(capture), "-Z", "root", "-w", str(folder / "copy.pcap")],
        "sngrep -N -q": ["sngrep", "-N", "-q", "-l", "1000000", "-I", str(capture)],
        "tshark -q -z sip,stat": ["tshark", "-r", str(capture), "-q", "-z", "sip,stat"],
    }


def table(capture: Path, packets: int, only: list[str], limit: float) -> str:
    """The table of one capture, in Markdown."""
    tally = Tally()
    messages = sum(len(batch) for batch in Inputs([str(capture)], tally=tally))
    size = capture.stat().st_size
    lines = [
        f"`{capture.name}`: {size / 1e6:.0f} MB, {packets:,} packets, {messages:,} SIP messages",
        "",
        "| program | CPU seconds | messages/s | packets/s | peak MiB | times sipcdr's CPU |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    ours: float | None = None
    with tempfile.TemporaryDirectory(dir=capture.parent) as name:
        folder = Path(name)
        for title, command in commands(capture, folder).items():
            if only and not any(word in title for word in only):
                continue
            if shutil.which(command[0]) is None:
                lines.append(f"| {title} | not installed | | | | |")
                continue
            for old in folder.iterdir():
                old.unlink()
            took = measure(command, folder=folder, limit=limit)
            ours = took.seconds if ours is None else ours
            if took.status == -signal.SIGKILL:
                lines.append(f"| {title} | not done after {took.seconds:.0f} | | | {took.memory:.0f} | |")
                continue
            note = f" (exit {took.status})" if took.status else ""
            lines.append(
                f"| {title}{note} | {took.seconds:.1f} | {messages / took.seconds:,.0f} "
                f"| {packets / took.seconds:,.0f} | {took.memory:.0f} | {took.seconds / ours:.2f} |"
            )
            print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure sipcdr and its peers.")
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--folder", type=Path, help="where the captures are made and kept")
    parser.add_argument("--only", default="", help="words of the programs to run, separated by commas")
    parser.add_argument("--limit", type=float, default=120, help="seconds after which a program is stopped")
    given = parser.parse_args()
    only = [word for word in given.only.split(",") if word]
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name, rtp in (("calls", 0), ("media", 40)):
            capture = folder / f"{name}-{given.megabytes}.pcap"
            packets = generate(capture, given.megabytes * 1_000_000, rtp=rtp)
            print(table(capture, packets, only, given.limit), end="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
