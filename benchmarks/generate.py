"""Makes the captures that are measured: a telephone exchange's day, or a media gateway's.

    python -m benchmarks.generate calls.pcap --megabytes 400            # SIP over UDP and TCP, some 10 messages a call
    python -m benchmarks.generate media.pcap --megabytes 400 --rtp 40   # 40 RTP packets to a SIP message

The same arguments give the same bytes. Calls overlap, as many at a time as `--concurrent` says.
"""

from __future__ import annotations

import argparse
import gzip
import heapq
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from fixtures.writer import PcapngWriter, PcapWriter, TcpStream, datagram, ethernet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

START = 1_795_000_000_000_000
"""Time of the first packet, microseconds since 1970."""

_SDP = (
    "v=0\r\no=- {number} 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
)
_AGENTS = ("Yealink SIP-T46S 66.86.0.15", "Asterisk PBX 20.9.1", "PolycomVVX-VVX_410-UA/5.9.5", "Zoiper rv2.10.19")

# (method or status, by the caller, CSeq, seconds after the message before, with SDP)
_Plan = list[tuple[str | int, bool, int, float, bool]]
_CHALLENGE: _Plan = [("INVITE", True, 1, 0.0, True), (407, False, 1, 0.01, False), ("ACK", True, 1, 0.01, False)]


def _answered(cseq: int) -> _Plan:
    return [
        ("INVITE", True, cseq, 0.02, True),
        (100, False, cseq, 0.01, False),
        (180, False, cseq, 0.4, False),
        (200, False, cseq, 5.0, True),
        ("ACK", True, cseq, 0.03, False),
    ]


def _hold(cseq: int) -> _Plan:
    return [("INVITE", True, cseq, 20.0, True), (200, False, cseq, 0.05, True), ("ACK", True, cseq, 0.03, False)]


def _bye(cseq: int) -> _Plan:
    return [("BYE", True, cseq, 40.0, False), (200, False, cseq, 0.02, False)]


_PLANS: tuple[_Plan, ...] = (
    *([[*_CHALLENGE, *_answered(2), *_bye(3)]] * 10),
    *([[*_CHALLENGE, *_answered(2), *_hold(3), *_bye(4)]] * 4),
    *([[*_answered(1), *_bye(2)]] * 3),
    *([[*_CHALLENGE, *_answered(2)[:3], (486, False, 2, 2.0, False), ("ACK", True, 2, 0.02, False)]] * 3),
)


class Exchange:
    """Calls in the order of their packets' times."""

    def __init__(self, *, seed: int, concurrent: int, tcp: float, rtp: int) -> None:
        self._random = random.Random(seed)
        self._tcp = tcp
        self._rtp = rtp
        # A call lasts about a minute.
        self._gap = 60_000_000 // concurrent

    def packets(self) -> Iterator[tuple[int, bytes]]:
        """(time, frame), without end."""
        waiting: list[tuple[int, int, bytes, Iterator[tuple[int, bytes]]]] = []
        number = 0
        while True:
            start = START + number * self._gap
            while waiting and waiting[0][0] <= start:
                time, order, frame, rest = heapq.heappop(waiting)
                yield time, frame
                following = next(rest, None)
                if following is not None:
                    heapq.heappush(waiting, (following[0], order, following[1], rest))
            call = self._call(number, start)
            first = next(call)
            heapq.heappush(waiting, (first[0], number, first[1], call))
            number += 1

    def _call(self, number: int, time: int) -> Iterator[tuple[int, bytes]]:
        rand = self._random
        caller = f"10.1.{number >> 8 & 255}.{number & 255}"
        proxy = "10.0.0.5"
        plan = rand.choice(_PLANS)
        tcp = rand.random() < self._tcp
        streams = None
        if tcp:
            port = 20000 + number % 40000
            streams = (
                TcpStream(f"{caller}:{port}", f"{proxy}:5060", sequence=rand.getrandbits(32)),
                TcpStream(f"{proxy}:5060", f"{caller}:{port}", sequence=rand.getrandbits(32)),
            )
            yield time, ethernet(streams[0].syn())
            yield time + 100, ethernet(streams[1].syn())
        media = _media(caller, proxy, number) if self._rtp else []
        from_tag, to_tag, call_id = (f"{rand.getrandbits(64):016x}" for _ in range(3))
        for step in plan:
            what, by_caller, cseq, after, body = step
            gap = int(after * 1_000_000)
            for packet in range(self._rtp):
                yield time + gap * packet // self._rtp, media[packet & 1]
            time += gap
            message = _message(
                what, by_caller, cseq, body, number, caller, proxy, call_id, from_tag, to_tag, "TCP" if tcp else "UDP"
            )
            if streams is not None:
                yield time, ethernet(streams[0 if by_caller else 1].send(message))
            else:
                ends = (f"{caller}:5060", f"{proxy}:5060")
                yield time, ethernet(datagram(*(ends if by_caller else ends[::-1]), message))


def _media(caller: str, proxy: str, number: int) -> list[bytes]:
    payload = b"\x80\x00" + number.to_bytes(2, "big", signed=False) if number < 65536 else b"\x80\x00\x12\x34"
    payload += bytes(8) + b"\xd5" * 160
    ends = (f"{caller}:16384", f"{proxy}:{20000 + number % 20000}")
    return [ethernet(datagram(*ends, payload)), ethernet(datagram(*ends[::-1], payload))]


def _message(
    what: str | int,
    by_caller: bool,
    cseq: int,
    body: bool,
    number: int,
    caller: str,
    proxy: str,
    call_id: str,
    from_tag: str,
    to_tag: str,
    transport: str,
) -> bytes:
    method = what if isinstance(what, str) else ("BYE" if what == 200 and not body else "INVITE")
    user, other = f"{2000 + number % 5000}", f"+4930{number % 1000000:06d}"
    sdp = _SDP.format(number=number, host=caller if by_caller else proxy, port=16384) if body else ""
    tagged = what != 100 and not (what == "INVITE" and cseq < 3)
    lines = [
        f"{what} sip:{other}@example.com SIP/2.0" if isinstance(what, str) else f"SIP/2.0 {what} Status",
        f"Via: SIP/2.0/{transport} {caller}:5060;branch=z9hG4bK{call_id[:8]}{cseq}{method};rport",
        f'From: "User {user}" <sip:{user}@example.com>;tag={from_tag}',
        f"To: <sip:{other}@example.com>" + (f";tag={to_tag}" if tagged else ""),
        f"Call-ID: {call_id}@{caller}",
        f"CSeq: {cseq} {method}",
        f"Contact: <sip:{user if by_caller else other}@{caller if by_caller else proxy}:5060>",
        *(["Max-Forwards: 70"] if isinstance(what, str) else []),
        f"User-Agent: {_AGENTS[number % 4 if by_caller else 1]}",
        "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REFER, NOTIFY, INFO",
        "Supported: replaces, timer",
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(sdp)}",
        "",
        sdp,
    ]
    return "\r\n".join(lines).encode()


def open_calls(count: int) -> Iterator[tuple[int, bytes]]:
    """So many calls that are open at a time: all have their INVITE before any is answered, and so on to the end."""
    steps: list[tuple[str | int, bool, int]] = [("INVITE", True, 1), (200, False, 1), ("BYE", True, 2)]
    for round_, (what, by_caller, cseq) in enumerate(steps):
        for number in range(count):
            caller, proxy = f"10.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}", "10.0.0.5"
            message = _message(
                what, by_caller, cseq, False, number, caller, proxy, f"{number:016x}", f"a{number}", f"b{number}", "UDP"
            )
            ends = (f"{caller}:5060", f"{proxy}:5060")
            time = START + (round_ * count + number) * 10
            yield time, ethernet(datagram(*(ends if by_caller else ends[::-1]), message))


def generate(path: Path, size: int, *, rtp: int = 0, tcp: float = 0.3, concurrent: int = 10_000, seed: int = 1) -> int:
    """Write a capture of about `size` bytes of packets, and return their number. The suffix chooses the format."""
    packets = Exchange(seed=seed, concurrent=concurrent, tcp=tcp, rtp=rtp).packets()
    return write(path, packets, size)


def write(path: Path, packets: Iterable[tuple[int, bytes]], size: int | None = None) -> int:
    """Write packets up to about `size` bytes, as pcap or pcapng, packed if the name says so; return their number."""
    written = count = 0
    with gzip.open(path, "wb", compresslevel=6) if path.suffix == ".gz" else path.open("wb") as opened:
        file = cast("BinaryIO", opened)
        writer: PcapWriter | PcapngWriter
        if path.suffix == ".pcapng":
            writer = PcapngWriter(file)
            writer.interface()
        else:
            writer = PcapWriter(file)
        for time, frame in packets:
            writer.packet(time, frame)
            count += 1
            written += 16 + len(frame)
            if size is not None and written >= size:
                break
    return count


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Make a capture to measure with.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--rtp", type=int, default=0, help="RTP packets to a SIP message")
    parser.add_argument("--tcp", type=float, default=0.3, help="share of the calls that go over TCP")
    parser.add_argument("--concurrent", type=int, default=10_000, help="calls at a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--open", type=int, help="another capture: so many calls that are open together")
    given = parser.parse_args()
    if given.open:
        packets = write(given.path, open_calls(given.open))
        print(f"{given.path}: {packets} packets", file=sys.stderr)
        return 0
    packets = generate(
        given.path,
        given.megabytes * 1_000_000,
        rtp=given.rtp,
        tcp=given.tcp,
        concurrent=given.concurrent,
        seed=given.seed,
    )
    print(f"{given.path}: {packets} packets", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
