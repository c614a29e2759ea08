"""Measures sipcdr beside its peers on the same generated captures: CPU seconds, peak memory, ratios.

    python -m benchmarks.run [--megabytes 400] [--folder DIR] [--only sipcdr,tcpdump] [--parts captures] [--limit 120]

Prints tables, and puts each part of them into benchmarks/README.md unless only some programs were asked for. Peers that
aren't installed are named and left out, and one that takes longer than the limit is stopped. Machines are noisy:
compare the ratios of one run, not the seconds of two.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

# Of this project nothing is imported: the kernel counts the memory of who starts a process to that process's peak.

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parent.parent
README: Final = Path(__file__).with_name("README.md")
MARK: Final = "<!-- benchmarks.run {} {} -->"

CAPTURES: Final = {
    "calls.pcap": ("SIP, a third of the calls over TCP", []),
    "media.pcap": ("40 RTP packets to a SIP message", ["--rtp", "40"]),
    "rtp.pcap": ("RTP alone", ["--rtp", "1000000"]),
    "tcp.pcap": ("SIP over TCP", ["--tcp", "1"]),
    "calls.pcapng": ("the first in pcapng", []),
    "calls.pcap.gz": ("the first in gzip", []),
}
"""Files, what is in them, and how they are made; 10,000 calls at a time."""
PARTS: Final = ("captures", "sizes", "open")


class Program(NamedTuple):
    """What is measured: the words of its command, and what it has in its environment. `{}` is the capture."""

    command: tuple[str, ...]
    environment: dict[str, str]


class Measured(NamedTuple):
    """What a process took: CPU seconds (user and system, its children too) and peak memory in MiB."""

    seconds: float
    memory: float
    status: int


class Counted(NamedTuple):
    """What is in a capture."""

    size: int
    packets: int
    messages: int


def _programs() -> dict[str, Program]:
    sipcdr = (str(Path(sys.executable).with_name("sipcdr")), "replay", "{}", "--quiet", "--to")
    reference = {"SIPCDR_KERNEL": "python"}
    return {
        "sipcdr --to none": Program((*sipcdr, "none"), {}),
        "sipcdr to SQLite": Program((*sipcdr, "sqlite:///rows.db"), {}),
        "sipcdr --to none, in Python": Program((*sipcdr, "none"), reference),
        "tcpdump -w (copies it)": Program(("tcpdump", "-r", "{}", "-Z", "root", "-w", "copy.pcap"), {}),
        "sipgrep": Program(("sipgrep", "-C", "-I", "{}"), {}),
        "sngrep -N -q": Program(("sngrep", "-N", "-q", "-l", "1000000", "-I", "{}"), {}),
        "tshark -q -z sip,stat": Program(("tshark", "-r", "{}", "-q", "-z", "sip,stat"), {}),
    }


def measure(program: Program, capture: Path, *, limit: int) -> Measured:
    """Run a program in a folder of its own to its end, or for `limit` CPU seconds, with its output thrown away."""
    command = [word.replace("{}", str(capture)) for word in program.command]
    with tempfile.TemporaryDirectory(dir=capture.parent) as folder, Path(os.devnull).open("r+b") as nowhere:
        process = subprocess.Popen(
            command,
            stdin=nowhere,
            stdout=nowhere,
            stderr=nowhere,
            cwd=folder,
            env=os.environ | program.environment,
        )
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (limit, limit))
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return Measured(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, process.returncode)


def _made(path: Path, *options: str) -> Counted:
    """Make a capture, unless it is there, and count what is in it."""
    if not path.exists():
        _python("benchmarks.generate", str(path), *options)
    read = json.loads(_python("benchmarks.reading", "--read", str(path)))
    return Counted(path.stat().st_size, read["packets"], read["messages"])


def _python(module: str, *words: str) -> bytes:
    done = subprocess.run([sys.executable, "-m", module, *words], stdout=subprocess.PIPE, check=True, cwd=ROOT)
    return done.stdout


class Run(NamedTuple):
    """What was asked for."""

    folder: Path
    megabytes: int
    only: list[str]
    limit: int

    def captures(self) -> Iterator[str]:
        """A table a capture: each program in turn."""
        for name, (what, options) in CAPTURES.items():
            path = self.folder / f"{self.megabytes}-{name}"
            counted = _made(path, "--megabytes", str(self.megabytes), *options)
            yield (
                f"{what} (`{name}`): {counted.size / 1e6:,.0f} MB, {counted.packets:,} packets, "
                f"{counted.messages:,} SIP messages"
            )
            yield ""
            yield "| program | CPU seconds | messages/s | packets/s | peak MiB | times sipcdr's to SQLite |"
            yield "| --- | ---: | ---: | ---: | ---: | ---: |"
            yield from self._programs(path, counted)
            yield ""

    def _programs(self, path: Path, counted: Counted) -> Iterator[str]:
        took: dict[str, Measured] = {}
        for title, program in _programs().items():
            if self.only and not any(word in title for word in self.only):
                continue
            if shutil.which(program.command[0]) is not None:
                took[title] = measure(program, path, limit=self.limit)
                print(f"{path.name}: {title}: {took[title]}", file=sys.stderr, flush=True)
            else:
                yield f"| {title} | not installed | | | | |"
        ours = took.get("sipcdr to SQLite")
        for title, (seconds, memory, status) in took.items():
            if status in (-signal.SIGKILL, -signal.SIGXCPU):
                yield f"| {title} | not done after {seconds:.0f} | | | {memory:.0f} | |"
            elif status:
                yield f"| {title} | can't read it (exit {status}) | | | | |"
            else:
                ratio = f"{seconds / ours.seconds:.2f}" if ours else ""
                yield (
                    f"| {title} | {seconds:.2f} | {counted.messages / seconds:,.0f} "
                    f"| {counted.packets / seconds:,.0f} | {memory:.0f} | {ratio} |"
                )

    def sizes(self) -> Iterator[str]:
        """How cost grows with the size of a file."""
        sizes = (self.megabytes // 4, self.megabytes, self.megabytes * 4)
        return self._growth("MB", [(f"{size:,}", f"{size}-calls.pcap", ["--megabytes", str(size)]) for size in sizes])

    def open(self) -> Iterator[str]:
        """How cost grows with the calls that are open at a time."""
        return self._growth(
            "open calls",
            [(f"{count:,}", f"open-{count}.pcap", ["--open", str(count)]) for count in (10_000, 100_000, 1_000_000)],
        )

    def _growth(self, what: str, captures: list[tuple[str, str, list[str]]]) -> Iterator[str]:
        ours = {title: _programs()[title] for title in ("sipcdr --to none", "sipcdr to SQLite")}
        empty = self.folder / "empty.pcap"
        _made(empty, "--megabytes", "0")
        starts = [measure(program, empty, limit=self.limit).seconds for program in ours.values()]
        yield (
            f"| {what} | messages | "
            + " | ".join(f"{title}: CPU seconds | microseconds a message | peak MiB" for title in ours)
            + " |"
        )
        yield "| ---: | ---: |" + " ---: | ---: | ---: |" * len(ours)
        for title, name, options in captures:
            path = self.folder / name
            counted = _made(path, *options)
            cells = [title, f"{counted.messages:,}"]
            for program, start in zip(ours.values(), starts, strict=True):
                seconds, memory, status = measure(program, path, limit=10 * self.limit)
                each = f"{(seconds - start) / counted.messages * 1e6:.1f}"
                cells += [f"{seconds:.2f}" + (f" (exit {status})" if status else ""), each, f"{memory:.0f}"]
            yield "| " + " | ".join(cells) + " |"
            print(f"{path.name}: {cells}", file=sys.stderr, flush=True)
        yield ""


def _put(part: str, text: str) -> None:
    """Put a part's tables into the README, between its marks."""
    begin, end = MARK.format(part, "begins"), MARK.format(part, "ends")
    before, rest = README.read_text(encoding="utf-8").split(begin)
    after = rest.split(end)[1]
    README.write_text(f"{before}{begin}\n\n{text}\n{end}{after}", encoding="utf-8")


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure sipcdr and its peers.")
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--folder", type=Path, help="where the captures are made and kept")
    parser.add_argument("--only", default="", help="words of the programs to run, separated by commas")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"tables to make, of {', '.join(PARTS)}")
    parser.add_argument("--limit", type=int, default=120, help="CPU seconds after which a program is stopped")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        run = Run(folder, given.megabytes, [word for word in given.only.split(",") if word], given.limit)
        for part in given.parts.split(","):
            lines: list[str] = []
            for line in getattr(run, part)():
                lines.append(line)
                print(line, flush=True)
            lines.append(
                f"Python {platform.python_version()}, {os.cpu_count()} processors with other work on them "
                f"(a load of {os.getloadavg()[1]:.0f} at the end).\n"
            )
            if not run.only:
                _put(part, "\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
