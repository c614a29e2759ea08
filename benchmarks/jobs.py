"""Measures what `sipcdr replay --jobs N` gains over a single process.

    python -m benchmarks.jobs [CAPTURE] [--megabytes 400] [--jobs 1,2,3] [--rounds 1]

Prints the table that stands in benchmarks/README.md: the time that passes, and the CPU seconds of the process that
writes and of those that read. Where other work is on the machine the time says little; then the busiest process says
what would pass on as many idle processors.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.generate import generate

_TICK = 1 / os.sysconf("SC_CLK_TCK")


class Measured(NamedTuple):
    """What a replay took, in seconds: time, CPU of the process that writes, of all that read; and its peak MiB."""

    elapsed: float
    writer: float
    readers: float
    memory: float


def measure(capture: Path, to: str, jobs: int) -> Measured:
    """Replay a capture."""
    command = [sys.executable, "-m", "sipcdr.app", "replay", str(capture), "--to", to, "--quiet", "--jobs", str(jobs)]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    writer = [0.0]
    ended = threading.Event()

    def watch() -> None:
        # The process's own, without that of its children; as late as can be had.
        stat = Path(f"/proc/{process.pid}/stat")
        while not ended.wait(0.02):
            fields = stat.read_text().rpartition(")")[2].split()
            writer[0] = (int(fields[11]) + int(fields[12])) * _TICK

    watcher = threading.Thread(target=watch)
    watcher.start()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    elapsed = time.monotonic() - began
    ended.set()
    watcher.join()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: status {process.returncode}")
    total = usage.ru_utime + usage.ru_stime
    return Measured(
        elapsed, writer[0] if jobs > 1 else total, total - writer[0] if jobs > 1 else 0.0, usage.ru_maxrss / 1024
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure replays by several processes.")
    parser.add_argument("capture", nargs="?", type=Path)
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--jobs", default="1,2,3")
    parser.add_argument("--rounds", type=int, default=1, help="of which the one with the least CPU counts")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        capture = given.capture or Path(folder) / "calls.pcap"
        if given.capture is None:
            generate(capture, given.megabytes * 1_000_000)
        print("| | elapsed | writer | a reader | busiest | times | peak MiB |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
        for name in ("to SQLite", "--to none"):
            alone = 0.0
            for jobs in map(int, given.jobs.split(",")):
                found = []
                for number in range(given.rounds):
                    database = Path(folder) / f"{jobs}-{number}.db"
                    found.append(measure(capture, "none" if name == "--to none" else f"sqlite:///{database}", jobs))
                    for file in Path(folder).glob(f"{database.name}*"):
                        file.unlink()
                best = min(found, key=lambda one: one.writer + one.readers)
                reader = best.readers / max(jobs - 1, 1)
                busiest = max(best.writer, reader)
                alone = alone or busiest
                print(
                    f"| {name}, {jobs} | {best.elapsed:.1f} | {best.writer:.1f} | {reader:.1f} | {busiest:.1f}"
                    f" | {alone / busiest:.2f} | {best.memory:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
