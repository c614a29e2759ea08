"""The same call gives the same row, whatever it was captured through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.built import ANN, BEN
from fixtures.calls import Call, at, sdp
from fixtures.writer import datagram, fragments, link, pcap
from sipcdr.builder import native
from sipcdr.ingest import Inputs, Limits, Tally
from tests import ways
from tests.ingest.reading import alike
from tests.road import replayed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fixtures.calls import Sent
    from fixtures.rows import Row
    from sipcdr.builder import SipMessage
    from sipcdr.ingest._inputs import Reader


def a_call() -> Sequence[Sent]:
    """Ann calls Ben, who answers; she adds video, he hangs up."""
    call = Call("ways@corp.example", ANN, BEN, at("2026-11-23T09:00:00"))
    call.request("INVITE", body=sdp("audio"))
    call.respond(180, after=0.1)
    call.respond(200, after=2, body=sdp("audio"))
    call.request("ACK")
    call.request("INVITE", after=9, body=sdp("audio", "video"))
    call.respond(200, body=sdp("audio", "video"))
    call.request("ACK")
    call.request("BYE", by=BEN, after=30)
    call.respond(200)
    return call.sent


CALL = a_call()
BARE = pcap([(one.time, link(datagram(one.source, one.destination, one.payload))) for one in CALL])


def read(capture: bytes, folder: Path, limits: Limits | None = None) -> tuple[list[SipMessage], Tally]:
    """The messages of a capture, and what was counted: by the native kernel the same, where it is loaded."""
    (folder / "x.pcap").write_bytes(capture)
    ours = _read(folder, limits, "python")
    if native is not None:
        alike(_read(folder, limits, "native"), ours)
    return ours


def _read(folder: Path, limits: Limits | None, reader: Reader) -> tuple[list[SipMessage], Tally]:
    tally = Tally()
    inputs = Inputs([str(folder / "x.pcap")], tally=tally, limits=limits or Limits(), reader=reader, esp_null=True)
    return [message for batch in inputs for message in batch], tally


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """The row of the bare call."""
    folder = tmp_path_factory.mktemp("bare")
    rows = replayed(folder / "cdr.db", read(BARE, folder)[0])
    assert len(rows) == 1
    return rows


@pytest.mark.parametrize("name", ways.WAYS)
def test_every_way(name: str, bare: list[Row], tmp_path: Path) -> None:
    """Through each layer, link type and transport the call's messages come with their addresses and give its row."""
    transport, capture = ways.WAYS[name]
    found, tally = read(capture(CALL), tmp_path)
    assert tally.problems == []
    # Where a stream was joined in its middle, its first messages are held back a little.
    assert sorted((m.time, m.source, m.destination, m.raw) for m in found) == [
        (one.time, one.source, one.destination, one.payload) for one in CALL
    ]
    assert {m.transport for m in found} == {transport}
    assert bare == replayed(tmp_path / "cdr.db", found)


@given(st.lists(st.sampled_from(sorted(ways.LAYERS)), max_size=5), st.booleans())
def test_nested_in_any_order(tmp_path_factory: pytest.TempPathFactory, layers: list[str], in_fragments: bool) -> None:
    """Layers nest in any order, and the outermost packets may be fragmented."""
    one = CALL[0]
    packets = [datagram(one.source, one.destination, one.payload)]
    if in_fragments:
        packets = fragments(packets[0], 400)
    frames = [(one.time, ways.nested(packet, layers)) for packet in packets]
    found, tally = read(pcap(frames), tmp_path_factory.getbasetemp(), Limits(layers=64))
    assert tally.problems == []
    assert [(m.source, m.destination, m.raw) for m in found] == [(one.source, one.destination, one.payload)]


def test_depth_is_bounded(tmp_path: Path) -> None:
    """Tunnels in tunnels end at a limit that is named; up to it they are read."""
    one = CALL[0]
    packet = datagram(one.source, one.destination, one.payload)
    # GRE counts as two, IP and itself; Ethernet, IP and UDP around the message make three.
    for depth, reasons in ((14, []), (15, ["more than 32 layers"])):
        capture = pcap([(one.time, ways.nested(packet, ["GRE"] * depth))])
        found, tally = read(capture, tmp_path)
        assert [problem.reason for problem in tally.problems] == reasons
        assert len(found) == (not reasons)
