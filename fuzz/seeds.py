"""What fuzzing begins with: sound inputs of each target, made from the fixtures and the scenarios."""

from __future__ import annotations

import functools
import gzip
import io
import zipfile
from pathlib import Path
from typing import Final

import lz4.frame
import zstandard

from fixtures import logs, make
from fixtures.writer import (
    LINK_NULL,
    LINK_RAW,
    LINK_SLL,
    PcapngWriter,
    TcpStream,
    datagram,
    fragments,
    link,
    pcap,
)
from fuzz.targets import LINKS
from sipcdr.builder import Call
from sipcdr.ingest import IngestError, Limits, Tally
from sipcdr.ingest._formats import records
from tests.ingest.reading import A6, B6, START, A, B, message, window
from tests.scenarios.every import SCENARIOS

_LARGEST: Final = 6000
_FRAMES: Final = 8


@functools.cache
def seeds(target: str) -> list[bytes]:
    """The seeds of a target, small ones, each once."""
    return list(dict.fromkeys(_MADE[target]()))


def _captures() -> list[bytes]:
    packet = link(datagram(A, B, message()))
    made = [pcap([(START, packet)] * 3, order=order, nanoseconds=order == "<") for order in ("<", ">")]
    return made + [path.read_bytes() for path in _fixtures() if path.stat().st_size <= _LARGEST] + [_pcapng()]


def _containers() -> list[bytes]:
    capture = pcap([(START, link(datagram(A, B, message())))] * 2)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.pcap", capture)
        file.writestr("b.pcap.gz", gzip.compress(capture, mtime=0))
    packed = [gzip.compress(capture, mtime=0), zstandard.compress(capture), lz4.frame.compress(capture)]
    return [capture, archive.getvalue(), *packed, *map(zstandard.compress, packed)]


def _pcapng() -> bytes:
    file = io.BytesIO()
    writer = PcapngWriter(file)
    writer.interface(resolution=9, offset=1000)
    writer.interface(LINK_SLL)
    writer.block(0x0BAD, b"unknown to us")
    writer.packet(START, link(datagram(A, B, message())), 0, options=[(1, b"a comment")])
    writer.packet(START, link(datagram(A6, B6, message()), LINK_SLL), 1)
    writer.old_packet(START, link(datagram(A, B, message())))
    writer.simple_packet(link(datagram(A, B, message())))
    writer.section(order=">")
    writer.interface(LINK_RAW)
    writer.packet(START, datagram(A, B, message()))
    return file.getvalue()


def _frames() -> list[bytes]:
    found = []
    for path in _fixtures():
        parts: dict[int, list[bytes]] = {}
        try:
            for _, _, link_type, frame in records(window(path.read_bytes()), Tally(), Limits()):
                if len(frame) <= 255 * 4:
                    parts.setdefault(link_type, []).append(frame)
        except IngestError:
            continue
        found += [_prefixed(link_type, some[:_FRAMES]) for link_type, some in parts.items() if link_type in LINKS]
    tcp = TcpStream(A6, B6)
    made = [*fragments(datagram(A, B, message()), 120), tcp.syn(), *tcp.split(message(2), 100), tcp.fin()]
    return [*found, *(_prefixed(kind, [link(one, kind) for one in made]) for kind in (1, LINK_SLL, LINK_NULL, 101))]


def _prefixed(link_type: int, some: list[bytes]) -> bytes:
    return bytes([LINKS.index(link_type)]) + b"".join(map(_piece, some))


def _schedules() -> list[bytes]:
    cuts = b"".join(at.to_bytes(2) + b"\x63" for at in range(0, 900, 100))
    return [b"\0\0\3\xe8\0" + cuts, b"\xff\xff\xff\0\5" + cuts[::-1], b""]


def _segments() -> list[bytes]:
    first, second = message(1), message(2, body=b"abc")
    return [
        _segment(0, b"", 2) + _segment(0, first, 0x18) + _segment(len(first), second, 0x19),
        _segment(5, first[5:300], 0x18, 8) + _segment(0, first[:5], 0x18) + _segment(300, first[300:], 0x18, 0xF8),
        _segment(0, b"\x16\x03\x01\x02\x00" + bytes(60), 0x18) + _segment(65, first, 0x14),
        _segment(0, b"GET /x HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n", 0x18)
        + _segment(70, b"\x81\x7e" + len(first).to_bytes(2) + first, 0x18),
    ]


def _segment(offset: int, payload: bytes, flags: int, later: int = 0) -> bytes:
    return _piece(offset.to_bytes(2) + bytes([flags, later]) + payload)


def _piece(data: bytes) -> bytes:
    """Bytes as the targets take them apart: behind their length in units of four, of which a byte says 255 at most."""
    data = data[: 255 * 4] + bytes(-len(data[: 255 * 4]) % 4)
    return bytes([len(data) // 4]) + data


def _messages() -> list[bytes]:
    return [one.raw for scenario in SCENARIOS for one in scenario.messages() if len(one.raw) <= _LARGEST]


def _streams() -> list[bytes]:
    some = _messages()
    return [bytes([at * 37 % 256]) + b"".join(some[at : at + 3]) for at in range(0, len(some), 7)]


def _logs() -> list[bytes]:
    return [bytes([at * 37 % 256]) + log.data for at, log in enumerate(logs.logs().values())]


def _rows() -> list[bytes]:
    calls = [[one.raw for one in scenario.messages()] for scenario in SCENARIOS]
    return [b"".join(map(_piece, some)) for some in calls if sum(map(len, some)) <= _LARGEST]


def _packed() -> list[bytes]:
    found = []
    for scenario in SCENARIOS:
        calls: dict[bytes, Call] = {}
        for one in scenario.messages():
            calls.setdefault(one.call_id, Call(one.call_id)).add(one)
        found += [packed for call in calls.values() if len(packed := bytes(call)) <= _LARGEST]
    return found


def _fixtures() -> list[Path]:
    return sorted(path for path in Path(make.__file__).parent.rglob("*") if path.suffix in (".pcap", ".pcapng"))


_MADE: Final = {
    "captures": _captures,
    "containers": _containers,
    "frames": _frames,
    "schedules": _schedules,
    "segments": _segments,
    "messages": _messages,
    "streams": _streams,
    "logs": _logs,
    "rows": _rows,
    "packed": _packed,
}
