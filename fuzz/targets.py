"""What is fuzzed: functions of any bytes. None raises; each holds what its docstring says, whatever the bytes are.

Bounds are small here, so that short inputs meet them.
"""

from __future__ import annotations

import contextlib
import io
import struct
from typing import TYPE_CHECKING, Final

from fixtures.writer import LINK_ETHERNET, LINK_NULL, LINK_RAW, LINK_SLL, LINK_SLL2, TcpStream, link, pcap
from fuzz.mutations import difference
from sipcdr.builder import Call, CallDamaged, Position, Rules, SipMessage, sessions
from sipcdr.builder._call import Call as PythonCall
from sipcdr.ingest import IngestError, Limits, LogMessage, LogOptions, LogReader, Tally, log_options, scan
from sipcdr.ingest._containers import captures as unpacked
from sipcdr.ingest._formats import records
from sipcdr.ingest._framing import Framer
from sipcdr.ingest._source import Source, Window
from tests.ingest.reading import START, A, B, message, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PLACE: Final = Position("x", 1)
_BY_PATTERN: Final = log_options(r"/(?P<time>[^ ]+) .*?(?P<peer>[0-9.:]+)(?:$| (?P<message>SIP.*))/")
LIMITS: Final = Limits(
    message=4096,
    headers=32,
    header=512,
    packet=8192,
    block=16_384,
    layers=8,
    fragments=4096,
    parts=8,
    fragmented=4,
    stream=4096,
    streams=4,
    streams_held=8192,
    line=512,
    foreign=1024,
    unpacked=65_536,
)
LINKS: Final = (LINK_ETHERNET, LINK_RAW, LINK_SLL, LINK_SLL2, LINK_NULL, 9, 50, 51, 105, 127, 228, 229)
"""Of which `frames` are: the first byte of its input says."""
_SENT: Final = [message(1), message(2, body=b"line\r\n\r\nINVITE sip:x SIP/2.0\r\n"), message(3)]
_SAID: Final = b"\r\n\r\n".join(_SENT)


def captures(data: bytes) -> None:
    """A file is read alike whole and in pieces, and damage in it gives no error but that it is no capture."""
    with contextlib.suppress(IngestError):
        found, tally = read(data, LIMITS)
        again, other = read(data, LIMITS, piece=61)
        assert found == again
        assert (tally.counts, tally.problems) == (other.counts, other.problems)
        _sound(found)


def containers(data: bytes) -> None:
    """What is in archives and compressed files, or looks so, is a capture, or isn't: no other error."""
    for stream in unpacked(Source("x", io.BufferedReader(io.BytesIO(data))), LIMITS):
        with contextlib.suppress(IngestError):
            for number, _, _, frame in records(Window(stream), Tally(), LIMITS):
                assert number > 0
                assert len(frame) <= LIMITS.block


def frames(data: bytes) -> None:
    """Frames of a link type give the same messages, counts and problems on the fast road and on the general one."""
    link_type = LINKS[data[0] % len(LINKS)] if data else LINKS[0]
    wire = pcap([(START, frame) for frame in _pieces(data[1:]) if frame], link_type)
    fast, general = read(wire, LIMITS), read(wire, LIMITS, fast=False)
    assert fast[0] == general[0]
    assert fast[1].counts == general[1].counts
    assert fast[1].problems == general[1].problems
    _sound(fast[0])


def schedules(data: bytes) -> None:
    """Three messages in segments cut anywhere, in any order, doubled and overlapping, are those three messages."""
    tcp = TcpStream(A, B, sequence=int.from_bytes(data[:4]))
    packets = []
    for place, length in struct.iter_unpack(">HB", data[5 : 5 + max(len(data) - 5, 0) // 3 * 3]):
        start = place % len(_SAID)
        packets.append(tcp.segment(start, _SAID[start : start + 1 + length]))
    packets.insert(data[4] % (len(packets) + 1) if len(data) > 4 else 0, tcp.syn())
    packets += tcp.split(_SAID, 300)
    found, tally = read(pcap((START, link(packet)) for packet in packets))
    assert [one.raw for one in found] == _SENT
    assert tally.problems == []


def segments(data: bytes) -> None:
    """Segments of any bytes, flags and sequence numbers, at any time, give the same on both roads."""
    packets = []
    time = START
    for piece in _pieces(data):
        if len(piece) < 6:
            continue
        offset, flags, later = struct.unpack_from(">hBB", piece)
        tcp = TcpStream(f"192.0.2.{later & 7}:5060", B)
        time += (later >> 3) ** 4
        packet = bytearray(tcp.segment(offset, piece[4:]))
        packet[33] = flags  # behind 20 bytes of IP, and 13 of TCP
        packets.append((time, link(bytes(packet))))
    wire = pcap(packets)
    fast, general = read(wire, LIMITS), read(wire, LIMITS, fast=False)
    assert fast[0] == general[0]
    assert fast[1].counts == general[1].counts
    _sound(fast[0])


def messages(data: bytes) -> None:
    """A message is refused by a reason, or has its parts, and its fact survives being packed, by either kernel."""
    found = scan(data, START, _PLACE, Tally(), LIMITS, A, B, "UDP", len(data) % 5 == 0)
    if isinstance(found, str):
        assert found
        return
    _sound([found])
    call = Call(found.call_id)
    call.add(found)
    assert Call.from_bytes(bytes(call)).facts == call.facts
    defined = PythonCall(found.call_id)
    defined.add(found)
    assert bytes(call) == bytes(defined)


def rows(data: bytes) -> None:
    """Whatever messages a call has, it has rows, the same once packed; no row says what another of its call says."""
    calls: dict[bytes, Call] = {}
    for number, piece in enumerate(_pieces(data)):
        found = scan(piece, START + number * 1_000_000, _PLACE, Tally(), LIMITS, A, B, "UDP")
        if not isinstance(found, str):
            calls.setdefault(found.call_id, Call(found.call_id)).add(found)
    for call in calls.values():
        derived = sessions(call)
        assert derived == sessions(Call.from_bytes(bytes(call)))
        assert len({row.external_id for row in derived}) == len(derived)


def streams(data: bytes) -> None:
    """What a stream holds doesn't depend on how it comes in pieces."""
    size = data[0] + 1 if data else 1
    data = data[1:]
    assert _framed(data, len(data) or 1) == _framed(data, size)


def logs(data: bytes) -> None:
    """A log is read alike whole and in pieces, by content or by an expression, and damage in it gives no error."""
    size = data[0] + 1 if data else 1
    options = LogOptions() if size % 2 else _BY_PATTERN
    data = data[1:]
    found, tally = _of_log(data, len(data) or 1, options)
    again, other = _of_log(data, size, options)
    assert found == again
    assert (tally.counts, tally.problems, tally.refused) == (other.counts, other.problems, other.refused)
    assert all(0 <= one.offset <= len(data) for one in found)
    _sound([one.message for one in found])
    # Where it rests, what is found may end there.
    found, _ = _of_log(data, size, options, rests=True)
    _sound([one.message for one in found])


def packed(data: bytes) -> None:
    """Stored facts are damaged, or a call: one that packs to bytes that stay, and has rows, of any kernel the same."""
    assert not difference(data, Rules())
    try:
        call = Call.from_bytes(data)
    except CallDamaged:
        return
    derived = sessions(call)
    again = bytes(call)
    assert bytes(Call.from_bytes(again)) == again
    assert sessions(Call.from_bytes(again)) == derived
    assert call.join(call).facts == call.facts


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    target.__name__: target
    for target in (captures, containers, frames, schedules, segments, messages, streams, logs, rows, packed)
}


def _sound(found: list[SipMessage]) -> None:
    for one in found:
        assert one.call_id
        assert one.method
        assert 0 < one.body_at <= len(one.raw) <= LIMITS.message
        assert one.position.number > 0
        assert one.status == 0 or 100 <= one.status <= 699


def _framed(data: bytes, size: int) -> list[tuple[bytes, bool]]:
    found: list[tuple[bytes, bool]] = []
    framer = Framer(Limits(), lambda raw, _time, _position, cut: found.append((raw, cut)))
    framer.feed(_SENT[0], 0, _PLACE)
    for at in range(0, len(data), size):
        framer.feed(data[at : at + size], at, _PLACE)
    framer.end()
    assert len(framer) == 0
    return found


def _of_log(data: bytes, size: int, options: LogOptions, *, rests: bool = False) -> tuple[list[LogMessage], Tally]:
    tally = Tally()
    reader = LogReader("x", tally, LIMITS, options, written=START)
    found = []
    for at in range(0, len(data), size):
        found += reader.feed(data[at : at + size])
        if rests:
            found += reader.settle()
    return found + reader.finish(), tally


def _pieces(data: bytes) -> Iterator[bytes]:
    """Cut where a byte says how long the piece behind it is."""
    at = 0
    while at < len(data):
        length = data[at] * 4
        yield data[at + 1 : at + 1 + length]
        at += 1 + length
