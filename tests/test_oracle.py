"""tshark as oracle and as other reader: all see the same messages in every capture at hand, or a reason stands here."""

from __future__ import annotations

import functools
import os
import random
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from fixtures import agents, make, tls, websocket, wire
from sipcdr.ingest import Inputs, SharkOptions, Tally
from tests.road import messages
from tests.tools import as_root, module, program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sipcdr.builder import SipMessage

CAPTURES = [
    capture
    for folder in (make.FOLDER, Path(os.environ.get("SIPCDR_CAPTURES") or os.devnull))
    for capture in sorted(folder.glob("*.pcap*"))
]


class Only(NamedTuple):
    """Messages of a frame that one of us sees alone, or that each sees otherwise. right: the one who is."""

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

_ORDER = "segments in wrong order: the other reader drops what it can't join, as long as no segment must be decrypted"
_NESTED = "tshark's JSON leaves out the headers inside an aggregated 802.11 frame: a message without addresses"

_BOTH: dict[str, dict[int, Only]] = {
    "hep.pcap": {number: Only("us", "us", _HEP) for number in (1, 2, 3, 5, 6)},
    "pseudowire.pcap": {number: Only("us", "us", _CONTROL_WORD) for number in range(1, 7)},
    "l2tp3.pcap": {number: Only("us", "us", _SESSION) for number in range(1, 7)},
    "syntax.pcap": {2: Only("us", "us", _REASON)},
}
# By capture and frame.
TSHARK: dict[str, dict[int, Only]] = _BOTH | {
    "segments.pcap": {
        2: Only("us", "both", _LAST_BYTE),
        3: Only("tshark", "both", _LAST_BYTE),
        11: Only("us", "us", _SECOND),
    },
    "gap.pcap": {5: Only("us", "us", _GAP), 8: Only("us", "us", _GAP)},
}
PYSHARK: dict[str, dict[int, Only]] = _BOTH | {
    "segments.pcap": {
        2: Only("us", "us", _ORDER),
        7: Only("us", "us", _ORDER),
        11: Only("us", "us", _SECOND),
    },
    "wireless.pcapng": {6: Only("each", "us", _NESTED)},
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
        [_start_line(one) for one in sorted(some, key=lambda one: one.status > 0)],
        some[0].source,
        some[0].destination,
    )


def _start_line(message: SipMessage) -> str:
    return message.raw.partition(b"\n")[0].rstrip(b"\r").decode("utf-8", "backslashreplace")


def _by_frame(some: list[SipMessage]) -> dict[int, list[SipMessage]]:
    frames: defaultdict[int, list[SipMessage]] = defaultdict(list)
    for message in some:
        frames[message.position.number].append(message)
    return frames


def _agree(ours: Mapping[int, object], theirs: Mapping[int, object], stated: Mapping[int, Only], other: str) -> None:
    """See that frames are the same, but for those stated."""
    alone = dict.fromkeys(ours.keys() - theirs.keys(), "us") | dict.fromkeys(theirs.keys() - ours.keys(), other)
    both = {number for number in ours.keys() & theirs.keys() if stated.get(number, None) is None}
    assert {number: theirs[number] for number in both} == {number: ours[number] for number in both}
    unequal = {
        number: "each" for number in stated.keys() & ours.keys() & theirs.keys() if ours[number] != theirs[number]
    }
    assert {number: only.by for number, only in stated.items()} == alone | unequal


def agrees_with_tshark(
    capture: Path, found: list[SipMessage], stated: Mapping[int, Only] | None = None, options: Sequence[str] = ()
) -> None:
    """See that tshark's fields of a capture say what the messages found in it do."""
    program("tshark")
    ours = {number: _frame(number, some) for number, some in _by_frame(found).items()}
    theirs = {frame.number: frame for frame in wire.frames(capture, options)}
    _agree(ours, theirs, stated or {}, "tshark")


def by_pyshark(capture: Path, keylog: str = "") -> list[SipMessage]:
    """The messages that the reader by Wireshark gives."""
    program("tshark")
    module("pyshark")
    inputs = Inputs([str(capture)], tally=Tally(), reader="pyshark", shark=SharkOptions(keylog=keylog))
    return [message for batch in inputs for message in batch]


def agrees_with_pyshark(capture: Path, stated: Mapping[int, Only] | None = None) -> None:
    """See that it gives the own reader's messages: bytes, times, addresses, transports, frames."""
    _agree(_by_frame(messages(capture)), _by_frame(by_pyshark(capture)), stated or {}, "pyshark")


every = pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.name)


@every
def test_tshark(capture: Path) -> None:
    """Frames, times, addresses, start lines, CSeqs, Call-IDs and To tags are those that tshark finds."""
    agrees_with_tshark(capture, messages(capture), TSHARK.get(capture.name))


@every
def test_pyshark(capture: Path) -> None:
    """Both readers give the same messages."""
    agrees_with_pyshark(capture, PYSHARK.get(capture.name))


def test_encrypted() -> None:
    """With its secrets, a call over TLS is the same for tshark and for the reader by it; our own counts records."""
    capture, keylog = (tls.FOLDER / name for name in ("call.pcap", "call.keylog"))
    found = by_pyshark(capture, str(keylog))
    assert len(found) == 6
    agrees_with_tshark(capture, found, options=["-o", f"tls.keylog_file:{keylog}"])


FRESH: dict[str, Callable[[str], bytes]] = {
    **{
        name: functools.partial(agents.record, name)
        for name in ("answered", "answered-tcp", "answered-ipv6", "answered-tcp-ipv6", "proxied")
    },
    "busy-websocket": lambda _: websocket.busy(),
}


@pytest.mark.parametrize("name", FRESH)
def test_fresh(name: str, tmp_path: Path) -> None:
    """All agree on a call made now: of real user agents over UDP, TCP and IPv6, or by WebSocket to a real proxy."""
    for needed in ("sipp", "kamailio", "tcpdump", "tshark"):
        program(needed)
    as_root()
    capture = tmp_path / f"{name}.pcap"
    capture.write_bytes(FRESH[name](f"127.{random.randint(2, 254)}.{random.randint(1, 254)}"))
    found = messages(capture)
    assert len(found) >= 3
    agrees_with_tshark(capture, found)
    agrees_with_pyshark(capture)
