"""Which of several processes a message is for."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest

from fixtures.writer import datagram, link, pcap
from sipcdr.ingest import Inputs, Share, Tally, _share

from .reading import START, A, B, message

if TYPE_CHECKING:
    from pathlib import Path

    from sipcdr.ingest import Reader

SENT = [message(number, call_id=f"call-{number % 50}@{number % 7}") for number in range(200)]


@pytest.mark.parametrize("reader", ["auto", "python"])
def test_each_message_is_for_one(reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message is given out to one of them, those of a Call-ID to the same; all of them count all."""
    (tmp_path / "x").write_bytes(pcap((START + at, link(datagram(A, B, one))) for at, one in enumerate(SENT)))
    if reader == "python":
        monkeypatch.setattr(_share, "native", None)
    whose: dict[bytes, int] = {}
    found = []
    for number in range(3):
        tally = Tally()
        for batch in Inputs([str(tmp_path)], tally=tally, reader=reader, share=Share(number, 3)):
            found += [one.raw for one in batch]
            assert all(whose.setdefault(one.call_id, number) == number for one in batch)
        assert (tally.messages, tally.packets) == (200, 200)
    assert sorted(found) == sorted(SENT)
    assert whose == {call_id: zlib.crc32(call_id) % 3 for call_id in whose}
    assert len(set(whose.values())) == 3
