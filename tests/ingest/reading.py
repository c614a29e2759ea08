"""What the tests of captures share: a call's messages, and reading a capture from memory."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import pytest

from fixtures.writer import sip
from sipcdr.builder import native
from sipcdr.ingest import Limits, NotACapture, Tally
from sipcdr.ingest._dissect import Dissector
from sipcdr.ingest._formats import records
from sipcdr.ingest._native import NativePeers
from sipcdr.ingest._source import Source, Window

if TYPE_CHECKING:
    from sipcdr.builder import SipMessage

START = 1_795_000_000_000_000
A, B = "192.0.2.1:5060", "192.0.2.2:5061"
A6, B6 = "[2001:db8::1]:5060", "[2001:db8::2]:5061"


def message(number: int = 1, method: str = "INVITE", body: bytes = b"", call_id: str = "c1@ingest.example") -> bytes:
    """A request with that CSeq number."""
    return sip(
        f"{method} sip:bob@ingest.example SIP/2.0",
        [
            ("Via", f"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{number}"),
            ("From", '"Ann <a>" <sip:ann@ingest.example>;tag=a1'),
            ("To", "<sip:bob@ingest.example>"),
            ("Call-ID", call_id),
            ("CSeq", f"{number} {method}"),
            ("Content-Type", "text/plain"),
        ],
        body,
    )


def window(data: bytes, name: str = "x.pcap", piece: int = 0) -> Window:
    """A capture in memory, which gives at most `piece` bytes at a time (0: what is asked for)."""
    return Window(Source(name, io.BufferedReader(_Trickle(data, piece or 1 << 30), 1)))


class _Trickle(io.RawIOBase):
    def __init__(self, data: bytes, piece: int) -> None:
        self._inner = io.BytesIO(data)
        self._piece = piece

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        data = self._inner.read(min(self._piece, len(buffer)))
        buffer[: len(data)] = data
        return len(data)


def read(
    data: bytes, limits: Limits | None = None, piece: int = 0, *, fast: bool = True
) -> tuple[list[SipMessage], Tally]:
    """The messages of a capture, by the fast road or by the general one, and what was counted.

    Where the native kernel is loaded, it must have read the same by its fast road.
    """
    limits = limits or Limits()
    try:
        found, tally = _read(data, limits, piece, fast=fast)
    except NotACapture as error:
        if native is not None and fast:
            with pytest.raises(NotACapture, match=f"^{re.escape(str(error))}$"):
                _read_natively(data, limits, piece)
        raise
    if native is not None and fast:
        alike(_read_natively(data, limits, piece), (found, tally))
    return found, tally


def _read(data: bytes, limits: Limits, piece: int, *, fast: bool) -> tuple[list[SipMessage], Tally]:
    tally = Tally()
    dissector = Dissector("x.pcap", tally, limits)
    found: list[SipMessage] = []
    frames = records(window(data, piece=piece), tally, limits)
    if fast:
        for batch in dissector.feed(frames):
            found += batch
    else:
        for number, time, link, frame in frames:
            dissector.walk(number, time, link, frame)
    return found + dissector.finish(), tally


def _read_natively(data: bytes, limits: Limits, piece: int) -> tuple[list[SipMessage], Tally]:
    tally = Tally()
    dissector = NativePeers(limits).dissector("x.pcap", tally)
    found = [one for batch in dissector.read(window(data, piece=piece)) for one in batch]
    return found + dissector.finish(), tally


def alike(ours: tuple[list[SipMessage], Tally], theirs: tuple[list[SipMessage], Tally]) -> None:
    """What two readers gave is the same: messages in their order, counts, and problems word for word."""
    assert ours[0] == theirs[0]
    for name in Tally.__slots__:
        assert getattr(ours[1], name) == getattr(theirs[1], name), name


def raws(data: bytes, limits: Limits | None = None) -> list[bytes]:
    """The messages of a capture as bytes."""
    return [found.raw for found in read(data, limits)[0]]


def reasons(tally: Tally) -> list[str]:
    """The reasons of the problems."""
    return [problem.reason for problem in tally.problems]
