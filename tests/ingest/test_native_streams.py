"""The kernel's streams, fragments and associations are the Python's, whatever order and damage the traffic has.

`reading.read` reads by both; so all tests of `test_tcp` and `test_transports` hold the two alike as well.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.writer import pcap
from sipcdr.ingest import Inputs, Limits, Tally
from tests.tools import kernel

from . import wild
from .reading import alike, read

if TYPE_CHECKING:
    from pathlib import Path

    from sipcdr.builder import SipMessage
    from sipcdr.ingest import Reader


@pytest.fixture(autouse=True)
def _kernel() -> None:
    kernel()


@settings(max_examples=600, deadline=None)
@given(st.integers(0, 1 << 64), st.sampled_from([0, 0, 61, 1000]))
def test_traffic(seed: int, piece: int) -> None:
    """Connections, datagrams and associations, mixed, are read alike; `fuzz.twins traffic` reads a million."""
    random = Random(seed)
    read(pcap(wild.frames(random)), wild.limits(random), piece)


@pytest.mark.parametrize("seed", range(30))
def test_traffic_of_several_captures(seed: int, tmp_path: Path) -> None:
    """Captures of the same minutes share the bounds on what waits: whoever holds most gives up its oldest."""
    random = Random(seed)
    limits = wild.limits(random)
    for number in range(random.choice([2, 3, 6])):
        (tmp_path / f"{number}.pcap").write_bytes(pcap(wild.frames(random)))
    alike(_messages(tmp_path, limits, "native"), _messages(tmp_path, limits, "python"))


def _messages(folder: Path, limits: Limits, reader: Reader) -> tuple[list[SipMessage], Tally]:
    tally = Tally()
    inputs = Inputs([str(folder)], tally=tally, limits=limits, reader=reader)
    return [one for batch in inputs for one in batch], tally


def test_traffic_is_wild() -> None:
    """What is made by chance has messages of all transports, and meets the bounds."""
    found: set[str] = set()
    counts: set[str] = set()
    for seed in range(150):
        random = Random(seed)
        messages, tally = read(pcap(wild.frames(random)), wild.limits(random))
        found.update(message.transport for message in messages)
        counts.update(tally.counts)
    assert found >= {"UDP", "TCP", "WS", "SCTP"}
    assert counts >= {
        "TCP gap",
        "TCP segments sent again",
        "TCP without SIP",
        "TLS records",
        "HEP stream out of step",
        "IP fragments sent again",
        "IP datagram with lost fragments",
        "SCTP chunks sent again",
        "SCTP message with lost chunks",
        "cut by the snap length",
        "cut by a lost fragment",
        "limit: fragments that wait for others",
        "limit: TCP streams that wait for segments",
        "limit: TCP segments that wait for others",
        "limit: SCTP chunks that wait for others",
    }
