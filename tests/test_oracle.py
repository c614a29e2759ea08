"""tshark as the oracle: it and we see the same messages in every capture at hand, or a reason stands here."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from fixtures import make, wire
from tests.road import messages
from tests.tools import program

if TYPE_CHECKING:
    from sipcdr.builder import SipMessage

CAPTURES = [
    capture
    for folder in (make.FOLDER, Path(os.environ.get("SIPCDR_CAPTURES") or os.devnull))
    for capture in sorted(folder.glob("*.pcap*"))
]


class Only(NamedTuple):
    """Messages of a frame that one of us sees alone. right: the one who is."""

    by: str
    right: str
    why: str


_LAST_BYTE = "a message is of the packet with its last byte for us, of the one that makes it whole for tshark"
_SECOND = "the CRLF of a keep-alive before a message in its segment: RFC 3261 7.5 has it ignored; tshark gives up"
_GAP = "after a lost segment we begin again at the next start line; tshark waits for the lost bytes"
_REASON = "a status line without reason phrase: RFC 3261 25.1 lets it be empty; tshark wants the blank before it too"
_HEP = "Debian's tshark has no dissector for HEP"
_CONTROL_WORD = (
    "whether a pseudowire has a control word is guessed: by what makes sense behind it, or by a vendor's address"
)
_SESSION = "what an L2TPv3 session carries is guessed by what makes sense; tshark wants to be told"

# By capture and frame.
DISAGREEMENTS: dict[str, dict[int, Only]] = {
    "segments.pcap": {
        2: Only("us", "both", _LAST_BYTE),
        3: Only("tshark", "both", _LAST_BYTE),
        11: Only("us", "us", _SECOND),
    },
    "hep.pcap": {number: Only("us", "us", _HEP) for number in (1, 2, 3, 5, 6)},
    "pseudowire.pcap": {number: Only("us", "us", _CONTROL_WORD) for number in range(1, 7)},
    "l2tp3.pcap": {number: Only("us", "us", _SESSION) for number in range(1, 7)},
    "gap.pcap": {5: Only("us", "us", _GAP), 8: Only("us", "us", _GAP)},
    "syntax.pcap": {2: Only("us", "us", _REASON)},
}


def _frame(number: int, some: list[SipMessage]) -> wire.Frame:
    """Our messages of a frame, as tshark would list them."""
    return wire.Frame(
        number,
        some[0].time,
        [one.method for one in some if not one.status],
        [one.status for one in some if one.status],
        [f"{one.cseq} {one.header(b'cseq')[0].split()[-1].decode()}" for one in some],
        [one.call_id.decode() for one in some],
        [one.to_tag.decode() for one in some if one.to_tag],
    )


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)
def test_same_messages(capture: Path) -> None:
    """Frames, times, methods, statuses, CSeqs, Call-IDs and To tags are those that tshark finds."""
    program("tshark")
    frames: defaultdict[int, list[SipMessage]] = defaultdict(list)
    for message in messages(capture):
        frames[message.position.number].append(message)
    ours = {number: _frame(number, some) for number, some in frames.items()}
    theirs = {frame.number: frame for frame in wire.frames(capture)}

    both = ours.keys() & theirs.keys()
    assert {number: theirs[number] for number in both} == {number: ours[number] for number in both}
    alone = dict.fromkeys(ours.keys() - both, "us") | dict.fromkeys(theirs.keys() - both, "tshark")
    assert {number: only.by for number, only in DISAGREEMENTS.get(capture.name, {}).items()} == alone
