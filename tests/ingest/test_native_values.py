"""The kernel's road for records gives what the Python one does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.twins import same_tally
from sipcdr.builder import native
from sipcdr.ingest import HeaderNames, Names, Record, Records, Tally, Values, _values

from .test_values import SIP, TIME, hep

pytestmark = pytest.mark.skipif(
    native is None, reason="no native kernel is loaded: tests/test_kernel.py says whether it should be"
)

JSON = b'{"rcinfo": {"timeSeconds": 1795421600, "timeUseconds": 5, "srcIp": "192.0.2.1"}, "raw": "x"}'
VALUES = st.sampled_from(
    [
        SIP,
        SIP,
        SIP,
        SIP[:60],
        b"\xff\0junk",
        b"",
        None,
        hep(),
        JSON,
        b"[]",
        b"HELLO sip:a SIP/2.0\r\n\r\n",
        SIP + b"more",
    ]
)
TEXTS = st.sampled_from(
    [
        b"192.0.2.1:5060", b"192.0.2.1:0", b"192.0.2.1:05060", b"192.0.2.1:65535", b"192.0.2.1:65536", b"192.0.2:5060",
        b"192.0.2.1", b"1..2.3:5060", b"999.999.999.999:1", b"[2001:db8::1]:5060", b"host.example:5060", b" 1.2.3.4:5 ",
        b"UDP", b"tcp", b"17", b"6", b"", None, b"x" * 257, b"\xff", b"1795421600123456", b"1795421600", b"0" * 16,
        b"999999999999999999", b"2026-11-23T08:00:00Z",
    ]
)  # fmt: skip
NAMES = st.sampled_from(["ts", "src", "dst", "proto", "other"])
HEADERS: st.SearchStrategy[object] = st.one_of(
    st.just(()),
    st.just([]),
    st.just([("ts", str(TIME).encode()), ("src", b"192.0.2.1:5060"), ("dst", b"192.0.2.2:5060"), ("proto", b"UDP")]),
    st.lists(st.tuples(NAMES, TEXTS), max_size=6),
    st.lists(st.tuples(NAMES, TEXTS), min_size=63, max_size=70),
)
TIMES = st.sampled_from([TIME, 0, -1, 1 << 62])
RECORDS = st.lists(st.tuples(TIMES, VALUES, HEADERS), max_size=12)


@settings(max_examples=300)
@given(
    records=RECORDS, form=st.sampled_from(["auto", "raw"]), names=st.sampled_from(["ts", "src"]), column=st.booleans()
)
def test_the_same(records: list[tuple[int, bytes | None, object]], form: str, names: str, column: bool) -> None:
    """Messages, poison and counts, of usual records and odd ones in any order."""
    given = [Record(number, at, b"k", value, headers) for number, (at, value, headers) in enumerate(records)]  # type: ignore[arg-type]
    ours, theirs = Tally(), Tally()
    both = []
    for tally, kernel in ((ours, native), (theirs, None)):
        values = Values(tally, form=form, headers=HeaderNames(time=names), names=Names())  # type: ignore[arg-type]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_values, "native", kernel)
            both.append([values.messages(Records.of(given) if column else given, "sip", "3") for _ in range(2)])
    assert both[0] == both[1]
    same_tally(ours, theirs)
