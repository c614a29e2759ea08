"""Traffic by chance: streams, fragments and chunks in any order, doubled, overlapping, cut, with holes and damage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fixtures import transports
from fixtures.transports import data_chunk, i_data_chunk, other_chunk, sctp
from fixtures.writer import TcpStream, datagram, fragments, link
from sipcdr.ingest import Limits, encode_hep

from .reading import A6, B6, START, message

if TYPE_CHECKING:
    from random import Random

SECOND: Final = 1_000_000
_MESSAGES: Final = [
    message(1),
    message(2, body=b"line\r\n\r\nline"),
    message(3, "BYE"),
    message(4, body=b"INVITE sip:x SIP/2.0\r\n" * 9),
    message(5, body=b"v=0\r\n" * 300),
    message(6).replace(b"Content-Length: 0", b"l:\t7"),
    message(7).replace(b"\r\n", b"\n"),
    message(8).replace(b"Content-Length", b"X"),
    message(9, body=b"x" * 40).replace(b"Content-Length: 40", b"Content-Length :\r\n 40"),
    b"SIP/2.0 200 OK\r\n" + message(10).partition(b"\r\n")[2],
    message(11)[:-2] + b"X: y\r\n" * 60,
]
_OTHER: Final = [
    b"\r\n\r\n",
    b"\0\0",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"the end of something",
    b"SIP/2.0 is a protocol\r\n",
    b"\r\nINVITE sip:x",
    b"body" * 40 + b"\r\n",
    b"HEP3",
    b"HTTP/1.1 1",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
]
_TLS: Final = [b"\x16\x03\x01\x01\x00" + bytes(256), b"\x17\x03\x03\x00\x20" + bytes(32), b"\x15\x03\x03\x00\x02\1\0"]


def limits(random: Random) -> Limits:
    """The usual limits, or narrow ones."""
    if random.random() < 0.6:
        return Limits()
    return Limits(
        message=random.choice([300, 1000, 65_536]),
        headers=random.choice([8, 256]),
        fragments=random.choice([2000, 5000, 1 << 24]),
        parts=random.choice([3, 256]),
        fragmented=random.choice([2, 8, 4096]),
        stream=random.choice([300, 5000, 1 << 20]),
        streams=random.choice([1, 2, 50_000]),
        streams_held=random.choice([500, 5000, 1 << 26]),
        line=random.choice([30, 8192]),
        foreign=random.choice([50, 1000, 1 << 16]),
    )


def frames(random: Random) -> list[tuple[int, bytes]]:
    """Ethernet frames with their times: some connections, datagrams and associations, mixed."""
    roads = [random.choice([_connection, _connection, _datagrams, _association])(random) for _ in range(_few(random))]
    packets = []
    while roads:
        road = random.choice(roads)
        packets.append(road.pop(0))
        if not road:
            roads.remove(road)
    if random.random() < 0.1:
        packets = [piece for packet in packets for piece in _fragmented(random, packet)]
    steps = random.choice([[0], [0, 1000], [0, 2 * SECOND], [1, SECOND, 20 * SECOND, 400 * SECOND], [-SECOND, SECOND]])
    time, timed = START, []
    for packet in packets:
        time += random.choice(steps)
        frame = link(packet)
        if random.random() < 0.02:
            frame = frame[: random.randrange(len(frame))]
        elif random.random() < 0.02:
            frame = _damaged(random, frame)
        timed.append((time, frame))
    return timed


def _few(random: Random) -> int:
    return random.choice([1, 1, 2, 3, 5])


def _between(random: Random) -> tuple[str, str]:
    if random.random() < 0.2:
        return A6, B6
    return f"192.0.2.{random.randrange(1, 4)}:5060", f"192.0.2.9:{random.choice([5060, 5061, 80])}"


def _damaged(random: Random, data: bytes) -> bytes:
    damaged = bytearray(data)
    for _ in range(random.choice([1, 1, 3])):
        if damaged:
            damaged[random.randrange(len(damaged))] = random.choice(
                [0, 1, 10, 13, 32, 0x81, 255, random.randrange(256)]
            )
    return bytes(damaged)


def _shuffled(random: Random, given: list[bytes]) -> list[bytes]:
    """In order, or some out of it, doubled or lost."""
    way = random.random()
    if way < 0.4:
        return given
    found = [each for each in given if random.random() > 0.03]
    found += [random.choice(given) for _ in range(random.randrange(4)) if given]
    if way < 0.5:
        random.shuffle(found)
    else:
        for _ in range(random.randrange(6)):
            if len(found) > 1:
                at = random.randrange(len(found) - 1)
                found[at], found[at + 1] = found[at + 1], found[at]
    return found


def _content(random: Random) -> bytes:
    """What one side of a connection sends."""
    kind = random.random()
    texts = [random.choice(_MESSAGES) for _ in range(_few(random))]
    if kind < 0.5:
        pieces = texts
    elif kind < 0.7:
        masked = random.random() < 0.5
        pieces = [random.choice([transports.upgrade("x"), transports.upgraded(), b""])]
        for text in texts:
            if random.random() < 0.3:
                pieces += transports.frames(text, random.choice([2, 5]), masked=masked)
            else:
                opcode = random.choice([1, 1, 1, 2, 9, 8, 3])
                pieces.append(transports.frame(text[:120] if opcode > 7 else text, masked=masked, opcode=opcode))
        if random.random() < 0.2:
            pieces.append(b"\xc1\x05hello")
    elif kind < 0.85:
        pieces = [encode_hep(text, time=START, source="192.0.2.1:5060", destination="192.0.2.2:5060") for text in texts]
    else:
        pieces = [random.choice(_TLS) for _ in range(_few(random))]
    while random.random() < 0.4:
        pieces.insert(random.randrange(len(pieces) + 1), random.choice([*_OTHER, random.randbytes(20)]))
    whole = b"".join(pieces)
    if random.random() < 0.1:
        whole = whole[random.randrange(len(whole) + 1) :]
    return _damaged(random, whole) if random.random() < 0.15 else whole


def _connection(random: Random) -> list[bytes]:
    tcp = TcpStream(*_between(random), sequence=random.choice([1000, 0x7FFFFFF0, 0xFFFFFF00, random.getrandbits(32)]))
    whole = _content(random)
    most = random.choice([1, 20, 200, 1460, 5000])
    overlap = random.choice([0, 0, 7, 100])
    packets: list[bytes] = []
    at = 0
    while at < len(whole) and len(packets) < 400:
        size = random.randint(1, most)
        packets.append(tcp.segment(at, whole[at : at + size + overlap]))
        at += size
    tcp.sent = len(whole)
    if random.random() < 0.3:
        packets.insert(random.randrange(len(packets) + 1), tcp.segment(random.randint(-500, 1 << 25), whole[:90]))
    packets = _shuffled(random, packets)
    if random.random() < 0.7:
        packets.insert(0 if random.random() < 0.8 else random.randrange(len(packets) + 1), tcp.syn())
    for other in (tcp.fin(), tcp.reset(), tcp.keep_alive(), tcp.acknowledge()):
        if random.random() < 0.3:
            packets.insert(random.choice([len(packets), random.randrange(len(packets) + 1)]), other)
    return packets or [tcp.acknowledge()]


def _datagrams(random: Random) -> list[bytes]:
    source, destination = _between(random)
    texts = [random.choice([*_MESSAGES, *_OTHER]) for _ in range(_few(random))]
    if random.random() < 0.2:
        texts.append(encode_hep(random.choice(_MESSAGES), time=START))
    if random.random() < 0.2:
        texts.append(texts[0] + b"\r\n" + texts[-1])
    return [piece for text in texts for piece in _fragmented(random, datagram(source, destination, text))]


def _fragmented(random: Random, packet: bytes) -> list[bytes]:
    """A packet, or what it is cut into."""
    if random.random() < 0.5 or not packet or (packet[0] >> 4 == 4 and packet[6] & 0x3F | packet[7]):
        return [packet]
    number = random.randrange(3)
    pieces = fragments(packet, random.choice([8, 64, 512]) if len(packet) < 900 else 512, identification=number)
    if random.random() < 0.3:
        pieces += fragments(packet, 24 if len(packet) < 900 else 256, identification=number)
    return _shuffled(random, pieces) or [packet]


def _association(random: Random) -> list[bytes]:
    source, destination = _between(random)
    number = random.choice([7, 0xFFFFFFFD])
    chunks = []
    for order in range(_few(random)):
        text = random.choice(_MESSAGES)
        size = random.choice([100, 300, 5000])
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        interleaved = random.random() < 0.4
        ordered = random.random() < 0.7
        for at, piece in enumerate(pieces):
            last = at == len(pieces) - 1
            if interleaved:
                chunks.append(i_data_chunk(piece, number, message=order, fragment=at, ends=last))
            else:
                chunks.append(data_chunk(piece, number, message=order, begins=at == 0, ends=last, ordered=ordered))
            number = (number + 1) & 0xFFFFFFFF
    if random.random() < 0.3:
        chunks.append(random.choice([other_chunk(3, b"x" * 12), b"\0\0\0\3", b"\0\3\0\x0f", random.randbytes(30)]))
    chunks = _shuffled(random, chunks)
    packets = []
    while chunks:
        many = random.choice([1, 1, 2, 4])
        packets.append(sctp(source, destination, chunks[:many], tag=random.choice([1, 1, 1, 2])))
        del chunks[:many]
    return packets or [sctp(source, destination, [])]
