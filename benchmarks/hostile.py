"""Measures what hostile captures cost: seconds, peak memory, and what is said of them.

    python -m benchmarks.hostile [--only WORD] [--scale 1.0]

Prints the table that stands in benchmarks/README.md. Each capture is read by a process of its own; its memory is the
peak of what was resident, the interpreter's own 20 MiB included.
"""

from __future__ import annotations

import argparse
import gzip
import re
import struct
import subprocess
import sys
import tempfile
import time
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from fixtures.writer import LINK_RAW, UDP, PcapngWriter, PcapWriter, TcpStream, datagram, ipv4, sip
from sipcdr.ingest import Inputs, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

START: Final = 1_795_000_000_000_000
A, B = "192.0.2.1:5060", "192.0.2.2:5060"
LAST: Final = "last@hostile.example"
"""The Call-ID of the sound message at the end of each capture."""


class Hostile(NamedTuple):
    """A capture made to hurt. full: how many it has, few: of them in tests; write: makes so many of it.

    says: the beginning of what its first problem says.
    """

    what: str
    full: int
    few: int
    write: Callable[[Path, int], None]
    says: str


class Outcome(msgspec.Struct):
    """How reading a folder went. memory: MiB. first: of the problems, its file, frame, byte and reason."""

    seconds: float
    memory: float
    packets: int
    call_ids: list[str]
    problems: int
    first: tuple[str, int, int, str] | None
    counts: dict[str, int]


def _message(call_id: str = LAST) -> bytes:
    headers = [("Via", "SIP/2.0/UDP h"), ("From", "<sip:a@x>;tag=a"), ("To", "<sip:b@x>"), ("Call-ID", call_id)]
    return sip("INVITE sip:b@x SIP/2.0", [*headers, ("CSeq", "1 INVITE")])


def _write(folder: Path, packets: Iterator[bytes], name: str = "hostile.pcap") -> None:
    """A pcap file of these IP packets, some microseconds apart, with a sound message behind them."""
    with (folder / name).open("wb") as file:
        writer = PcapWriter(file, LINK_RAW)
        for at, packet in enumerate(chain(packets, [datagram(A, B, _message())])):
            writer.packet(START + at, packet)


def _numbered(packet: bytes, place: int, count: int) -> Iterator[bytes]:
    """Copies of a packet with another number at that place each; checksums are left as they are."""
    head, tail = packet[:place], packet[place + 4 :]
    for number in range(count):
        yield head + number.to_bytes(4) + tail


def _streams(folder: Path, count: int) -> None:
    """Connections, each opened, with a segment behind one that never comes."""
    tcp = TcpStream(A, B)
    tcp.first = 0
    opened, waiting = tcp.syn(), tcp.segment(100, _message()[:200])
    _write(folder, chain.from_iterable(zip(_numbered(opened, 12, count), _numbered(waiting, 12, count), strict=True)))


def _fragments(folder: Path, count: int) -> None:
    """First fragments of datagrams whose others never come."""
    payload = datagram(A, B, _message() + bytes(900))[20:]
    _write(folder, _numbered(ipv4("192.0.2.1", "192.0.2.2", UDP, payload, identification=7, more=True), 12, count))


def _crumbs(folder: Path, count: int) -> None:
    """Fragments of eight bytes, of datagrams that never become whole."""
    parts = [
        ipv4("192.0.2.1", "192.0.2.2", UDP, bytes(8), identification=7, offset=8 + at * 16, more=True)
        for at in range(200)
    ]
    each = [_numbered(part, 12, count // len(parts)) for part in parts]
    _write(folder, chain.from_iterable(zip(*each, strict=True)))


def _chunks(folder: Path, count: int) -> None:
    """First parts of SCTP messages whose others never come."""
    data = _message()
    chunk = struct.pack(">BBHIHHI", 0, 2, 16 + len(data), 7, 0, 0, 0) + data + bytes(-len(data) % 4)
    packet = ipv4("192.0.2.1", "192.0.2.2", 132, struct.pack(">HHII", 5060, 5060, 1, 0) + chunk)
    _write(folder, _numbered(packet, 12, count))


def _tunnels(folder: Path, count: int) -> None:
    """IP in GRE in IP, some 2,700 times."""
    packet = datagram(A, B, _message())
    while len(packet) < 65_000:
        packet = ipv4("192.0.2.1", "192.0.2.2", 47, struct.pack(">HH", 0, 0x0800) + packet)
    _write(folder, repeat(packet, count))


def _endless(folder: Path, count: int) -> None:
    """A message over TCP whose headers never end."""
    tcp = TcpStream(A, B)
    line = b"X-Endless: " + b"y" * 1300 + b"\r\n"
    _write(folder, chain([tcp.syn(), tcp.send(_message("e@x")[:-2])], (tcp.send(line) for _ in range(count))))


def _block(folder: Path, count: int) -> None:
    """A pcapng block that says it has 4 GiB, with that many MiB of zeros behind."""
    with (folder / "hostile.pcapng").open("wb") as file:
        writer = _pcapng(file)
        file.write(struct.pack("<II", 0x0BAD, 0xFFFFFFFC))
        file.seek(count << 20, 1)
        writer.packet(START, datagram(A, B, _message()))


def _interfaces(folder: Path, count: int) -> None:
    """Interfaces without end."""
    with (folder / "hostile.pcapng").open("wb") as file:
        writer = _pcapng(file)
        for _ in range(count):
            writer.interface(LINK_RAW)
        writer.packet(START, datagram(A, B, _message()))


def _pcapng(file: BinaryIO) -> PcapngWriter:
    writer = PcapngWriter(file)
    writer.interface(LINK_RAW)
    return writer


def _bomb(folder: Path, count: int) -> None:
    """So many MiB of frames of zeros in a gzip file, beside a sound capture."""
    _write(folder, iter(()))
    with gzip.open(folder / "bomb.pcap.gz", "wb") as file:
        writer = PcapWriter(file, LINK_RAW)  # type: ignore[arg-type]
        for _ in range(count * 16):
            writer.packet(START, bytes(65_520))


def _at_once(folder: Path, count: int) -> None:
    """A hundred captures of the same time, each with so many connections and fragments that never become whole."""
    tcp = TcpStream(A, B)
    opened, waiting = tcp.syn(), tcp.segment(100, _message() + bytes(900))
    part = ipv4("192.0.2.1", "192.0.2.2", UDP, datagram(A, B, _message() + bytes(900))[20:], more=True)
    for number in range(100):
        each = [_numbered(packet, 12, count) for packet in (opened, waiting, part)]
        _write(folder, chain.from_iterable(zip(*each, strict=True)), f"{number}.pcap")


HOSTILE: Final = [
    Hostile("TCP streams that never complete", 1_000_000, 55_000, _streams, "more than 50000 TCP streams"),
    Hostile(
        "first fragments of datagrams that never become whole", 1_000_000, 12_000, _fragments, "fragments that wait"
    ),
    Hostile("fragments of eight bytes", 2_000_000, 40_000, _crumbs, "fragments that wait for others"),
    Hostile("SCTP messages that never become whole", 1_000_000, 12_000, _chunks, "SCTP chunks that wait for others"),
    Hostile("frames of 2,700 tunnels in each other", 10_000, 50, _tunnels, "more than 32 layers"),
    Hostile("lines of a message that never ends", 500_000, 1_000, _endless, "message longer than 65536 bytes"),
    Hostile("MiB in a block of 4 GiB", 4095, 8, _block, "a block of 4294967292 bytes"),
    Hostile("interfaces of a pcapng file", 5_000_000, 17_000, _interfaces, "more than 16384 interfaces"),
    Hostile("MiB of zeros in a gzip file", 10_000, 120, _bomb, "unpacks to more than 64 MiB"),
    Hostile("streams and fragments in each of 100 captures", 2_000, 150, _at_once, "fragments that wait for others"),
]


def outcome(folder: Path) -> Outcome:
    """Read a folder in another process."""
    command = [sys.executable, "-m", "benchmarks.hostile", "--read", str(folder)]
    done = subprocess.run(command, capture_output=True, check=True, cwd=Path(__file__).parent.parent)
    return msgspec.json.decode(done.stdout, type=Outcome)


def _read(folder: str) -> Outcome:
    tally = Tally()
    began = time.process_time()
    call_ids: dict[str, None] = {}
    for batch in Inputs([folder], tally=tally):
        call_ids.update(dict.fromkeys(message.call_id.decode() for message in batch))
    first = tally.problems[0] if tally.problems else None
    return Outcome(
        time.process_time() - began,
        peak(),
        tally.packets,
        list(call_ids),
        tally.problem_count,
        (Path(first.source).name, first.frame, first.offset, first.reason) if first else None,
        dict(tally.counts),
    )


def peak() -> float:
    """What was resident at most, in MiB: of this process, not of the one that it was forked from (Linux)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure what hostile captures cost.")
    parser.add_argument("--only", default="", help="a word of what is measured")
    parser.add_argument("--scale", type=float, default=1.0, help="how much of the full size")
    parser.add_argument("--read", metavar="FOLDER", help="read a folder and print what came of it, as JSON")
    given = parser.parse_args()
    if given.read:
        sys.stdout.buffer.write(msgspec.json.encode(_read(given.read)))
        return 0
    print("| capture | MB | CPU seconds | peak MiB | problems | of which the first |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for hostile in HOSTILE:
        if given.only not in hostile.what:
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            count = max(int(hostile.full * given.scale), 1)
            hostile.write(folder, count)
            size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
            read = outcome(folder)
        print(
            f"| {count:,} {hostile.what} | {size:,.0f} | {read.seconds:.1f} | {read.memory:.0f} "
            f"| {read.problems:,} | {read.first[3] if read.first else ''} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
