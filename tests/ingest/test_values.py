"""Kafka values and datagrams: what they hold, in every form that senders use."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcdr.ingest import Form, Limits, Names, Record, Tally, Values
from sipcdr.ingest._hep import decode, encode, packets

if TYPE_CHECKING:
    from sipcdr.builder import SipMessage

TIME = 1_795_421_600_123_456
RECORD_TIME = 1_795_421_700_000_000
SIP = (
    b"INVITE sip:ben@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n"
    b"From: <sip:ann@example.com>;tag=a\r\nTo: <sip:ben@example.com>\r\nCall-ID: 1@192.0.2.1\r\nCSeq: 1 INVITE\r\n"
    b"Content-Length: 0\r\n\r\n"
)
TEXT = SIP.decode()
KNOWN = (TIME, "192.0.2.1:5060", "198.51.100.2:5080", "UDP")
UNKNOWN = (RECORD_TIME, "", "", "")


def read(
    value: bytes | None,
    *,
    form: Form = "auto",
    tally: Tally | None = None,
    headers: dict[str, bytes] | None = None,
    **more: Any,
) -> tuple[list[SipMessage], list[str]]:
    """What a record of this value gives: messages and reasons."""
    record = Record(7, RECORD_TIME, b"1@192.0.2.1", value, list((headers or {}).items()))
    values = Values(tally or Tally(), form=form, **more)
    messages, poison = values.messages([record], "sip", "3")
    return messages, [each.reason for each in poison]


def known(message: SipMessage) -> tuple[int, str, str, str]:
    return message.time, message.source, message.destination, message.transport


def hep(**changed: Any) -> bytes:
    fields = {"time": TIME, "source": "192.0.2.1:5060", "destination": "198.51.100.2:5080", "transport": "UDP"}
    return encode(SIP, **{**fields, **changed})


def chunk(kind: int, value: bytes, vendor: int = 0) -> bytes:
    return struct.pack(">HHH", vendor, kind, 6 + len(value)) + value


def hep3(*chunks: bytes, magic: bytes = b"HEP3") -> bytes:
    body = b"".join(chunks)
    return magic + struct.pack(">H", 6 + len(body)) + body


BASE = (
    chunk(2, b"\x11"),
    chunk(3, bytes([192, 0, 2, 1])),
    chunk(4, bytes([198, 51, 100, 2])),
    chunk(7, struct.pack(">H", 5060)),
    chunk(8, struct.pack(">H", 5080)),
    chunk(9, struct.pack(">I", TIME // 1_000_000)),
    chunk(10, struct.pack(">I", TIME % 1_000_000)),
    chunk(11, b"\x01"),
)


def hep2(order: str, length: int = 28) -> bytes:
    head = bytes([2, length, 2, 17]) + struct.pack(">HH", 5060, 5080) + bytes([192, 0, 2, 1, 198, 51, 100, 2])
    return head + struct.pack(order + "IIHH", TIME // 1_000_000, TIME % 1_000_000, 1, 0) + SIP


RCINFO = {
    "protocolFamily": 2,
    "protocol": 17,
    "srcIp": "192.0.2.1",
    "dstIp": "198.51.100.2",
    "srcPort": 5060,
    "dstPort": 5080,
    "timeSeconds": TIME // 1_000_000,
    "timeUseconds": TIME % 1_000_000,
    "payloadType": 1,
}
CAPTAGENT = {
    "tss": TIME // 1_000_000,
    "tsu": TIME % 1_000_000,
    "src_ip4": "192.0.2.1",
    "dst_ip4": "198.51.100.2",
    "src_port": 5060,
    "dst_port": 5080,
    "ip_proto": 17,
    "proto_type": 1,
    "payload": TEXT,
}
OURS = {
    "time": TIME,
    "source": "192.0.2.1:5060",
    "destination": "198.51.100.2:5080",
    "transport": "udp",
    "message": TEXT,
}


def dumps(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (SIP, UNKNOWN),
        (b"\r\n" + SIP, UNKNOWN),
        (hep(), KNOWN),
        (hep3(*BASE, chunk(15, SIP)), KNOWN),
        (hep3(*BASE, chunk(15, SIP), magic=b"EEP3"), KNOWN),
        # Another vendor's type 15 is no payload, whatever heplify takes it for.
        (hep3(*BASE, chunk(15, b"OPTIONS not this", vendor=5), chunk(15, SIP)), KNOWN),
        (hep3(*BASE, chunk(15, SIP), chunk(15, b"a second payload")), KNOWN),
        (hep3(*BASE, chunk(0x77, b"of an unknown type"), chunk(15, SIP)), KNOWN),
        (hep3(*BASE, chunk(16, gzip.compress(SIP))), KNOWN),
        (hep3(*BASE, chunk(16, zlib.compress(SIP))), KNOWN),
        (hep3(*BASE, chunk(16, zlib.compress(SIP)[2:-4])), KNOWN),
        (hep3(chunk(15, SIP)), UNKNOWN),
        (hep(transport="TCP"), (*KNOWN[:3], "TCP")),
        (hep(source="[2001:db8::1]:5060"), (TIME, "[2001:db8::1]:5060", *KNOWN[2:])),
        (hep2("<"), KNOWN),
        (hep2(">"), KNOWN),
        (hep2("<", 26), KNOWN),
        (bytes([1, 16, 2, 17]) + hep2("<")[4:16] + SIP, (RECORD_TIME, *KNOWN[1:])),
        (dumps({"rcinfo": RCINFO, "payload": TEXT}), KNOWN),
        (dumps({"rcinfo": {key: str(value) for key, value in RCINFO.items()}, "payload": TEXT}), KNOWN),
        (dumps({"protocol_header": RCINFO, "data_header": {"callid": "1"}, "raw": TEXT, "sid": "1"}), KNOWN),
        (dumps({"protocol_header": json.dumps(RCINFO), "raw": TEXT}), KNOWN),
        (dumps(CAPTAGENT), KNOWN),
        (dumps(OURS), KNOWN),
        (b"\xef\xbb\xbf  \n" + dumps(OURS), KNOWN),
        (dumps({**OURS, "source": "192.0.2.1", "source_port": 5060}), KNOWN),
        (dumps({**OURS, "source": "2001:db8::1", "source_port": "5060"}), (TIME, "[2001:db8::1]:5060", *KNOWN[2:])),
        (dumps({**OURS, "message": None, "message_base64": base64.b64encode(SIP).decode()}), KNOWN),
        (dumps({"message": TEXT}), UNKNOWN),
        (dumps({"message": TEXT, "source": "a b", "source_port": 99999, "transport": "\x1b[2J", "time": -5}), UNKNOWN),
        (dumps({"message": TEXT, "x": "\ud800"}), UNKNOWN),
        (dumps({"message": TEXT}).replace(b"ben@", b"b\xffn@"), UNKNOWN),
    ],
)  # fmt: skip
def test_each_form_gives_its_message_with_what_it_knows_of_it(
    value: bytes, expected: tuple[int, str, str, str]
) -> None:
    """Time and addresses come from the envelope; where it has none, the time is the record's."""
    messages, reasons = read(value)
    assert reasons == []
    assert [(message.call_id, message.method) for message in messages] == [(b"1@192.0.2.1", "INVITE")]
    assert expected == known(messages[0])
    assert (
        messages[0].position.source, messages[0].position.number, messages[0].position.partition
    ) == ("sip", 7, "3")  # fmt: skip


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (TIME // 1_000_000, TIME // 1_000_000 * 1_000_000),
        (str(TIME // 1_000_000), TIME // 1_000_000 * 1_000_000),
        (1_795_421_600.5, 1_795_421_600_500_000),
        ("1795421600.123456", TIME),
        (TIME // 1000, TIME // 1000 * 1000),
        (TIME, TIME),
        (TIME * 1000 + 789, TIME),
        ("2026-11-23T08:13:20.123456Z", TIME),
        ("2026-11-23T09:13:20.123456+01:00", TIME),
        ("2026-11-23T08:13:20.123456", TIME),
        ("yesterday", RECORD_TIME),
        (True, RECORD_TIME),
        (10**30, RECORD_TIME),
        (1e300, RECORD_TIME),
        ("9" * 400, RECORD_TIME),
        ([TIME], RECORD_TIME),
    ],
)
def test_a_time_is_read_by_its_size(time: Any, expected: int) -> None:
    """Seconds to nanoseconds and ISO 8601; what is no time leaves the record's."""
    messages, _ = read(dumps({"message": TEXT, "time": time}))
    assert [expected] == [message.time for message in messages]


def test_names_of_an_envelope_can_be_changed() -> None:
    """A dot leads into an object; a name with a dot in it is found as well."""
    value = dumps({"params": {"sip": TEXT, "at": TIME}, "a.b": "192.0.2.1:5060"})
    names = Names(message="params.sip", time="params.at", source="a.b")
    messages, _ = read(value, names=names)
    assert [known(message) for message in messages] == [(TIME, "192.0.2.1:5060", "", "")]


def test_headers_of_a_record_say_more_of_raw_sip() -> None:
    """Time, addresses and transport, where they are; headers that mean nothing to us do no harm."""
    headers = {"ts": b"1795421600123456", "src": b"192.0.2.1:5060", "dst": b"198.51.100.2:5080", "proto": b"udp"}
    messages, _ = read(SIP, headers=headers)
    assert [known(message) for message in messages] == [KNOWN]
    messages, _ = read(SIP, headers={"ts": b"\xff" * 1000, "src": b"", "other": b"x"})
    assert [known(message) for message in messages] == [UNKNOWN]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "empty value"),
        (b"\0" * 100, "not SIP"),
        (b"hello", "not SIP"),
        (SIP.replace(b"Call-ID", b"X"), "no Call-ID"),
        (SIP.replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia"), "SIP version other than 2.0"),
        (hep()[:-1], "HEP packet of another length than it says"),
        (b"HEP3", "HEP packet of another length than it says"),
        (b"HEP3\0\0", "HEP packet of another length than it says"),
        (hep3(*BASE), "HEP without a payload"),
        (hep3(*BASE, chunk(16, b"no deflate")), "HEP without a payload"),
        (hep3(*BASE, struct.pack(">HHH", 0, 15, 5)), "HEP chunk of a length that can't be"),
        (hep3(*BASE, struct.pack(">HHH", 0, 15, 900)), "HEP chunk of a length that can't be"),
        (hep3(chunk(11, b"\x05"), chunk(15, b"{}")), "HEP of protocol type 5, not SIP"),
        (hep3(chunk(15, b"not a message")), "not SIP"),
        (hep2("<")[:28], "HEP without a payload"),
        (b"{", "JSON that can't be read"),
        (b"[" * 200_000, "JSON that can't be read"),
        (b'{"a":' * 300_000, "value longer than 1048576 bytes"),
        (b'{"a":' * 100_000, "JSON that can't be read"),
        (b"[1]", "JSON that is no object"),
        (b"[]", ""),
        (b"{}", "JSON envelope without a message"),
        (dumps({"rcinfo": RCINFO}), "JSON envelope without a message"),
        (dumps({"rcinfo": {**RCINFO, "payloadType": 5}, "raw": ""}), "JSON envelope of another protocol than SIP"),
        (dumps({**CAPTAGENT, "proto_type": "100"}), "JSON envelope of another protocol than SIP"),
        (dumps({"protocol_header": 5, "raw": TEXT}), "JSON envelope without a message"),
        (dumps({"message": 5}), "JSON envelope without a message"),
        (dumps({"message_base64": "=?="}), "base64 that can't be read"),
        (dumps({"message": TEXT + "x" * 2_000_000}), "value longer than 1048576 bytes"),
    ],
)  # fmt: skip
def test_what_holds_no_message_is_refused_with_its_reason(value: bytes, reason: str) -> None:
    """Each record once, counted; nothing is raised."""
    tally = Tally()
    messages, reasons = read(value, tally=tally)
    assert messages == []
    assert [reason] * bool(reason) == reasons
    assert bool(reason) == tally.counts["refused: " + reason]


def test_a_tombstone_is_counted_and_nothing_else() -> None:
    """A null value says that a key is gone; it is no poison."""
    tally = Tally()
    assert read(None, tally=tally) == ([], [])
    assert tally.counts["tombstones"] == 1


def test_a_fixed_form_takes_no_other() -> None:
    """Told what values are, a value of another form is poison."""
    assert read(hep(), form="raw")[1] == ["not SIP"]
    assert read(SIP, form="hep")[1] == ["not HEP"]
    assert read(SIP, form="json")[1] == ["JSON that can't be read"]


def test_packets_behind_each_other_are_all_read() -> None:
    """A value of a TCP dump: a bad packet among good ones costs only itself, and makes the record poison once."""
    messages, reasons = read(hep() + hep3(chunk(15, b"junk")) + hep3(chunk(15, b"junk")) + hep())
    assert [known(message) for message in messages] == [KNOWN, KNOWN]
    assert reasons == ["not SIP"]


def test_the_authentication_key_is_asked_for() -> None:
    """With a key configured, packets without it or with another are refused."""
    assert [known(message) for message in read(hep(key=b"secret"), key=b"secret")[0]] == [KNOWN]
    assert read(hep(key=b"guess"), key=b"secret")[1] == ["HEP with another authentication key"]
    assert read(hep(), key=b"secret")[1] == ["HEP without the authentication key"]
    assert read(hep2("<"), key=b"secret")[1] == ["HEP without the authentication key"]


def test_a_compressed_payload_grows_to_the_limit_only() -> None:
    """A payload that unpacks to megabytes is cut as any long message is, and said to be."""
    tally = Tally()
    bomb = SIP.replace(b"Content-Length: 0", b"Content-Length: 9") + b"x" * 50_000_000
    messages, _ = read(hep3(*BASE, chunk(16, zlib.compress(bomb, 9))), tally=tally)
    assert [message.cut for message in messages] == [True]
    assert [f"message longer than {Limits().message} bytes"] == [problem.reason for problem in tally.problems]


def test_a_value_of_ten_megabytes_is_used_as_far_as_a_message_goes() -> None:
    """Raw SIP far beyond the limit: its head counts, the rest is cut and said to be."""
    messages, reasons = read(SIP.replace(b"Content-Length: 0", b"Content-Length: 10000000") + b"x" * 10_000_000)
    assert reasons == []
    assert [message.cut for message in messages] == [True]


@given(st.binary(max_size=200), st.sampled_from(["auto", "raw", "hep", "json"]))
def test_no_bytes_raise(value: bytes, form: Form) -> None:
    """Whatever a value holds, it is used or refused."""
    read(value, form=form)
    read(hep()[: len(value)] + value, form=form)
    read(b"HEP3" + value, form=form)
    read(b"{" + value, form=form)


@given(
    st.binary(min_size=1, max_size=2000), st.integers(0, 4_294_967_295_999_999), st.sampled_from(["UDP", "TCP", "TLS"])
)
def test_what_is_encoded_is_decoded(payload: bytes, time: int, transport: str) -> None:
    """A HEP3 packet holds what was put into it."""
    packet = encode(payload, time=time, source="[2001:db8::1]:5060", destination="[::]:0", transport=transport)
    found = decode(packet)
    assert not isinstance(found, str)
    assert (time or None, "[2001:db8::1]:5060", "[::]:0", transport, payload) == (
        found.time, found.source, found.destination, found.transport, found.payload
    )  # fmt: skip
    assert [packet, packet] == list(packets(packet + packet))


def test_what_does_not_fit_into_a_packet_is_said() -> None:
    """HEP3's length has 16 bits; names are no addresses."""
    with pytest.raises(ValueError, match="doesn't fit"):
        encode(b"x" * 65_500, time=0)
    with pytest.raises(ValueError, match="no address"):
        encode(b"x", time=0, source="proxy.example.com:5060")
