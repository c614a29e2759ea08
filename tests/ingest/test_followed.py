"""Files that grow, read on from the byte at which reading ended."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.writer import TcpStream, datagram, fragments, link, pcap, pcapng
from sipcdr.ingest import Dissector, Followed, Inputs, Limits, NotACapture, Tally, begins, head_of, log_options

from .reading import START, A, B, message
from .test_captures import _interfaces, of_pcapng
from .test_logs import LOGS, options

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipcdr.builder import SipMessage
    from sipcdr.ingest import LogOptions

FIXTURES = Path(__file__).parent.parent.parent / "fixtures"
CAPTURES = [
    "answered-tcp.pcap", "answered-tcp-ipv6.pcap", "busy.pcap", "busy-websocket.pcap", "fragmented.pcap",
    "fragments.pcap", "hep.pcap", "hops.pcap", "interfaces.pcapng", "sctp.pcap",
]  # fmt: skip
Meant = tuple[int, bytes, str, str]


class _Waits(Exception):
    """Nothing more is there."""


class Piece:
    """What is read from a byte on up to the file's present end: messages, each with from where on it can be read again.

    low: from where on reading has to go on, to have all that comes next.
    """

    def __init__(self, path: Path, offset: int = 0, *, ended: bool, logs: LogOptions | None = None) -> None:
        self.tally = Tally()
        self.found: list[tuple[SipMessage, int]] = []
        dissector = Dissector("", self.tally, Limits())
        asked = 0

        def grows(*_: object) -> bool:
            nonlocal asked
            asked += 1
            if asked > 1 and not ended:  # the reader waits inside
                raise _Waits
            return not ended

        followed = Followed(str(path), offset, dissector, self.tally, grows, logs=logs or log_options())
        followed.source.chunk = 700
        held: list[int] = []
        try:
            while (ended or not asked) and (messages := followed.read()) is not None:
                self.found += ((each, min([followed.since, *held])) for each in messages)
                held = [each.number for each in dissector.waits_for]
        except _Waits:
            pass
        if ended:
            assert followed.reached == len(head_of(str(path), 1 << 30).data)
            self.found += ((each, min([followed.since, *held])) for each in dissector.finish())
        self.low = min([followed.reached, *held])
        followed.close()

    @property
    def meant(self) -> list[Meant]:
        """What the messages are."""
        return [meant(each) for each, _ in self.found]


def meant(each: SipMessage) -> Meant:
    return each.time, each.raw, each.source, each.destination


def whole(path: Path) -> list[Meant]:
    """The messages of the file, read as usual."""
    return [meant(each) for batch in Inputs([str(path)], tally=Tally(), reader="python") for each in batch]


def streams(sizes: list[int]) -> bytes:
    """Two TCP connections and a fragmented datagram, side by side, in segments of these sizes."""
    ways = [TcpStream(A, B), TcpStream("192.0.2.3:5070", B)]
    contents = [
        b"".join(message(number, body=b"x" * 900, call_id=f"{way}-{number}@followed.example") for number in range(1, 5))
        for way in range(2)
    ]
    frames = [link(way.syn()) for way in ways]
    parts = [link(each) for each in fragments(datagram(A, B, message(9, body=b"y" * 2500)), 800, identification=7)]
    turn = 0
    while any(contents):
        size = sizes[turn % len(sizes)]
        way = turn % 2
        if contents[way]:
            frames.append(link(ways[way].send(contents[way][:size])))
            contents[way] = contents[way][size:]
        if turn % 2 and parts:
            frames.append(parts.pop(0))
        turn += 1
    frames += parts
    return pcap([(START + 1000 * number, frame) for number, frame in enumerate(frames)])


def check_anywhere(path: Path, data: bytes, at: int, *, logs: LogOptions | None = None) -> None:
    """Read what there is of a file, then, with nothing remembered but a byte, all from there on."""
    path.write_bytes(data[:at])
    before = Piece(path, ended=False, logs=logs)
    path.write_bytes(data)
    after = Piece(path, before.low, ended=True, logs=logs)
    expected = Piece(path, ended=True, logs=logs)
    found, wanted = set(before.meant) | set(after.meant), set(expected.meant)
    assert wanted <= found
    # What was sent again isn't known again: it may be there twice, or a part of it.
    assert all(any(one[1].startswith(each[1]) for one in wanted) for each in found - wanted)
    assert before.tally.problems == after.tally.problems == []


@pytest.mark.parametrize("name", CAPTURES)
def test_the_same_as_a_replay(name: str) -> None:
    """A file read to its end gives what a replay gives."""
    path = FIXTURES / name
    assert sorted(Piece(path, ended=True).meant) == sorted(whole(path))


@pytest.mark.parametrize("name", CAPTURES)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_read_on_anywhere(name: str, tmp_path: Path, data: st.DataObject) -> None:
    """Wherever reading is broken off, it goes on at the byte told then, and misses nothing."""
    content = (FIXTURES / name).read_bytes()
    check_anywhere(tmp_path / name, content, data.draw(st.integers(30, len(content))))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 1400), min_size=1, max_size=6), part=st.floats(0.01, 1))
def test_read_on_inside_streams(tmp_path: Path, sizes: list[int], part: float) -> None:
    """The same where messages begin in one packet and end in another."""
    sizes = [max(size, 60) for size in sizes]
    content = streams(sizes)
    check_anywhere(tmp_path / "streams.pcap", content, max(int(part * len(content)), 30))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(60, 1400), min_size=1, max_size=6))
def test_each_message_again(tmp_path: Path, sizes: list[int]) -> None:
    """From the byte told with a message on, it is read again."""
    path = tmp_path / "streams.pcap"
    path.write_bytes(streams(sizes))
    for each, since in Piece(path, ended=True).found:
        assert meant(each) in Piece(path, since, ended=True).meant


def test_interfaces_are_known_again(tmp_path: Path) -> None:
    """Of a pcapng file the descriptions of interfaces before the byte hold, and those of an earlier section don't."""
    path = tmp_path / "x.pcapng"
    data = of_pcapng(_interfaces)
    path.write_bytes(data)
    numbers = [each.position.number for each, _ in Piece(path, ended=True).found]
    for place, number in enumerate(numbers):
        again = Piece(path, number, ended=True)
        assert [each.position.number for each, _ in again.found] == numbers[place:]
        assert again.tally.problems == []


@pytest.mark.parametrize("name", LOGS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_logs_read_on_anywhere(name: str, tmp_path: Path, data: st.DataObject) -> None:
    """A log is read on as a capture is."""
    content = LOGS[name].data
    check_anywhere(tmp_path / name, content, data.draw(st.integers(30, len(content))), logs=options(LOGS[name]))


@pytest.mark.parametrize("pack", [gzip.compress])
def test_packed(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """What was packed since goes on at the same byte of what it unpacks to, and is known by the same first bytes."""
    plain, packed = tmp_path / "x.pcap", tmp_path / "x.pcap.gz"
    plain.write_bytes(streams([500]))
    packed.write_bytes(pack(plain.read_bytes()))
    low = [since for _, since in Piece(plain, ended=True).found][5]
    assert Piece(packed, low, ended=True).meant == Piece(plain, low, ended=True).meant
    assert head_of(str(plain)).data == head_of(str(packed)).data


def test_heads(tmp_path: Path) -> None:
    """When a capture begins is told by its first bytes; what isn't followed is refused."""
    frame = link(datagram(A, B, message()))
    assert begins(pcap([(START, frame)])) == begins(pcapng([(START, frame)])) == START
    assert begins(pcap([])) is None
    assert begins(b"2026-11-23 text") is None
    with pytest.raises(NotACapture, match="an archive"):
        head_of(str(FIXTURES / "packed" / "several.zip"))
    for content in (b"", b"\0" * 30, b"text without a record\n" * 99):
        path = tmp_path / "nothing"
        path.write_bytes(content)
        piece = Piece(path, ended=True)
        assert piece.found == []
        assert len(piece.tally.problems) == 1
