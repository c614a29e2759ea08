"""The torture tests of RFC 4475 and RFC 5118: what comes out of each, and what tshark makes of it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from fixtures.writer import datagram, link, pcap
from sipcdr.builder import Call, sessions
from tests.tools import program

from .reading import START, A, B, read
from .torture import CASES, Case

if TYPE_CHECKING:
    from pathlib import Path

    from sipcdr.builder import SipMessage

each = pytest.mark.parametrize(
    "case", [case for _, case in CASES], ids=[f"{rfc} {case.section}" for rfc, case in CASES]
)


def capture(data: bytes) -> bytes:
    """A capture of one datagram."""
    return pcap([(START, link(datagram(A, B, data)))])


def _field(message: SipMessage, name: str) -> object:
    if name not in ("users", "media"):
        return getattr(message, name)
    call = Call(message.call_id)
    call.add(message)
    (row,) = sessions(call)
    if name == "media":
        return [medium.media_id for medium in row.media]
    return tuple(user and user.uri for user in (row.user1, row.user2))


@each
def test_what_comes_out(case: Case) -> None:
    """The message has the fields that stand in the table, or is refused for the reason there."""
    found, tally = read(capture(case.data))
    if isinstance(case.expected, str):
        assert found == []
        assert tally.counts == {f"refused: {case.expected}": 1}
        return
    expected = dict(case.expected)
    first, *others = found
    assert [other.call_id for other in others] == expected.pop("behind", [])
    assert {name: _field(first, name) for name in expected} == expected
    assert sorted(tally.counts.elements()) == sorted(case.odd)
    assert tally.problems == []


_FIELDS = (
    "sip.Method",
    "sip.Status-Code",
    "sip.CSeq.seq",
    "sip.CSeq.method",
    "sip.Call-ID",
    "sip.from.tag",
    "sip.to.tag",
)
_NAMES = ("method", "status", "cseq", "cseq_method", "call_id", "from_tag", "to_tag")


def _shown(values: list[str]) -> dict[str, object]:
    """What tshark says of a message, by our names; of several values the first, the second CSeq's method beside it."""
    several = [value.split("\x1f") for value in values]
    method, status, cseq, cseq_method, call_id, from_tag, to_tag = (some[0] for some in several)
    shown: dict[str, object] = {
        "method": method or cseq_method,
        "status": int(status or 0),
        "cseq": int(cseq),
        "cseq_method": cseq_method,
        "call_id": call_id.encode(),
        "from_tag": from_tag.encode(),
        "to_tag": to_tag.encode(),
    }
    return shown | ({"second": several[3][1]} if len(several[3]) > 1 else {})


def test_tshark(tmp_path: Path) -> None:
    """tshark shows the same method, status, CSeq, Call-ID and tags, or the table says what else, and who is right."""
    tshark = program("tshark")
    file = tmp_path / "torture.pcap"
    file.write_bytes(pcap([(START + at, link(datagram(A, B, case.data))) for at, (_, case) in enumerate(CASES)]))
    command = [
        tshark,
        "-n",
        "-r",
        str(file),
        "-Y",
        "sip",
        "-T",
        "fields",
        "-E",
        "separator=\t",
        "-E",
        "aggregator=\x1f",
    ]
    command += ["-e", "frame.number", *(word for name in _FIELDS for word in ("-e", name))]
    lines = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode().splitlines()
    theirs = {int(number): _shown(values) for number, *values in (line.split("\t") for line in lines)}
    for number, (rfc, case) in enumerate(CASES, 1):
        found = read(capture(case.data))[0]
        ours = {name: getattr(found[0], name) for name in _NAMES if name != "cseq_method"} if found else {}
        if found:
            ours["cseq_method"] = found[0].header(b"cseq")[0].split()[-1].decode()
        shown = theirs.get(number)
        if case.tshark is None:
            assert (shown or {}) == ours, f"{rfc} {case.section}: {case.point}"
        elif case.tshark.shows is None or shown is None:
            assert shown is case.tshark.shows, f"{rfc} {case.section}: {case.point}"
        else:
            assert shown == {**(ours or shown), **case.tshark.shows}, f"{rfc} {case.section}: {case.point}"
