"""Parts of a capture by ranges of bytes: together they give its messages, each part read by itself."""

from __future__ import annotations

import io
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from benchmarks.generate import Exchange
from fixtures.writer import PcapWriter, datagram, link
from sipcdr.ingest import Inputs, Tally
from tests.app.spark import needed

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.writer import ByteOrder
    from sipcdr.builder import SipMessage

PART = 150_000


def content(inner: bytes = b"", *, order: ByteOrder = "<", nanoseconds: bool = False) -> bytes:
    """A capture with TCP streams; `inner` is sent in large datagrams in between."""
    exchange = Exchange(seed=8, concurrent=100, tcp=0.6, rtp=1)
    file = io.BytesIO()
    writer = PcapWriter(file, order=order, nanoseconds=nanoseconds)
    for number, (time, packet) in enumerate(islice(exchange.packets(), 4000)):
        writer.packet(time, packet)
        if inner and number % 100 == 0:
            at = number * 20 % len(inner)
            writer.packet(time, link(datagram("192.0.2.1:4000", "192.0.2.2:4000", inner[at : at + 30_000])))
    return file.getvalue()


def messages_of(path: Path) -> list[SipMessage]:
    return [message for batch in Inputs([str(path)], tally=Tally()) for message in batch]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
@pytest.mark.parametrize("inner", [False, True])
def test_parts_give_the_messages_of_the_whole(
    order: ByteOrder, nanoseconds: bool, inner: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each message once, also one whose segments are in two parts; a capture inside of frames begins no part."""
    needed()
    from sipcdr.app.spark import _ranges

    monkeypatch.setattr(_ranges, "WARM_UP", 60_000)
    data = content(content() if inner else b"", order=order, nanoseconds=nanoseconds)
    whole = tmp_path / "whole.pcap"
    whole.write_bytes(data)
    parts = _ranges.ranges(io.BytesIO(data), len(data), PART)
    assert len(parts) > 5
    found = []
    for part in parts:
        cut = _ranges.cut(io.BytesIO(data), len(data), part)
        piece = tmp_path / "piece.pcap"
        piece.write_bytes(b"".join(_ranges.pieces(io.BytesIO(data), cut)))
        found += [message for message in messages_of(piece) if message.position.number > cut.before]
    expected = messages_of(whole)
    assert len(expected) > 1000
    assert sorted((message.time, message.raw) for message in found) == sorted(
        (message.time, message.raw) for message in expected
    )


@pytest.mark.parametrize(
    ("data", "parts"),
    [(b"", 1), (b"\x0a\x0d\x0d\x0a" + bytes(PART), 1), (b"\x1f\x8b\x08" + bytes(PART), 1), (content()[:PART], 1)],
    ids=["empty", "pcapng", "gzip", "small"],
)
def test_what_is_not_divided(data: bytes, parts: int) -> None:
    """Formats that can't be read from the middle, and what is small."""
    needed()
    from sipcdr.app.spark import _ranges

    assert len(_ranges.ranges(io.BytesIO(data), len(data), PART)) == parts


def test_a_capture_without_a_record_to_go_on_from() -> None:
    """Where no record can be made out behind a part's beginning, its first part takes all the rest."""
    needed()
    from sipcdr.app.spark import _ranges

    data = content()[:PART] + b"\xff" * PART
    first, second = (
        _ranges.cut(io.BytesIO(data), len(data), part) for part in _ranges.ranges(io.BytesIO(data), len(data), PART)
    )
    assert (first.own, first.end) == (24, len(data))
    assert second.own == second.end == len(data)
