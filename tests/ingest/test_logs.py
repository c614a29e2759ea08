"""Logs of servers and clients give the messages that were sent, however they are cut, mixed and damaged."""

from __future__ import annotations

import gzip
import zipfile
from datetime import date
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures import logs as writers
from fixtures.calls import at
from sipcdr.ingest import IngestError, Inputs, Limits, LogOptions, LogReader, Tally, log_options

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.calls import Sent
    from sipcdr.builder import SipMessage
    from sipcdr.ingest import LogMessage

LOGS = writers.logs()
CALL = writers.the_call()
every = pytest.mark.parametrize("name", LOGS)
DAY = date(2026, 11, 23)


def options(log: writers.Log) -> LogOptions:
    """What `replay` is to be told about a log."""
    return log_options(log.form, log.timezone, date.fromisoformat(log.begins) if log.begins else None)


def read(
    data: bytes, given_options: LogOptions | None = None, cuts: tuple[int, ...] = (), tally: Tally | None = None
) -> list[LogMessage]:
    """The messages of a log that is fed in pieces."""
    reader = LogReader("log", tally or Tally(), Limits(), given_options or LogOptions())
    found = []
    for begin, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        found += reader.feed(data[begin:end])
    return found + reader.finish()


def messages(data: bytes, given_options: LogOptions | None = None, tally: Tally | None = None) -> list[SipMessage]:
    """The messages of a log."""
    return [found.message for found in read(data, given_options, tally=tally)]


def ways(sent: list[Sent]) -> list[tuple[str, str]]:
    """Source and destination of each message."""
    return [(one.source, one.destination) for one in sent]


@every
def test_each_format_is_found_and_read(name: str) -> None:
    """The messages of a log are those that were sent, in their order, to or from who it was; nothing is damaged."""
    log = LOGS[name]
    tally = Tally()
    found = messages(log.data, options(log), tally)
    assert len(found) == len(CALL)
    assert tally.problems == []
    assert tally.refused == []
    for message, one in zip(found, CALL, strict=True):
        assert message.start_line == one.payload.partition(b"\r\n")[0]
        for known, sent in ((message.source, one.source), (message.destination, one.destination)):
            assert known in (sent, "", "fe2")
        assert message.source or message.destination
        assert abs(message.time - one.time) < 1_000_000
    assert [m.time for m in found] == sorted({m.time for m in found})


@pytest.mark.parametrize("name", [n for n in LOGS if not n.startswith(("sipstack", "client", "kamailio-sipdump"))])
def test_the_bytes_are_those_of_the_wire(name: str) -> None:
    """Where a log keeps the message, CRs that it dropped are there again, and nothing else is."""
    assert [m.raw for m in messages(LOGS[name].data, options(LOGS[name]))] == [one.payload for one in CALL]


@every
@settings(max_examples=40)
@given(data=st.data())
def test_cut_anywhere(name: str, data: st.DataObject) -> None:
    """However a log's bytes arrive, messages, their times, lines and offsets are the same."""
    log = LOGS[name]
    cuts = tuple(sorted(data.draw(st.lists(st.integers(0, len(log.data)), max_size=12))))
    assert read(log.data, options(log)) == read(log.data, options(log), cuts)


@every
def test_byte_by_byte(name: str) -> None:
    """The same a byte at a time."""
    log = LOGS[name]
    assert read(log.data, options(log)) == read(log.data, options(log), tuple(range(1, len(log.data))))


@every
def test_read_on_from_a_message(name: str) -> None:
    """Reading that begins at a message's offset gives it and those behind it, at the same times."""
    if name == "kamailio-table.tsv":
        pytest.skip("a table is read from its line of names on")
    log = LOGS[name]
    whole = read(log.data, options(log))
    for number, one in enumerate(whole):
        last = whole[max(number - 1, 0)].message.time  # of the first, what a line before it says
        encoding = "utf-16-le" if "utf16" in name else ""
        reader = LogReader(
            "log", Tally(), Limits(), options(log), offset=one.offset, line=1, encoding=encoding, last=last
        )
        again = [found.message for found in reader.feed(log.data[one.offset :]) + reader.finish()]
        again = again[-len(whole) + number :]
        assert [(m.time, m.raw) for m in again] == [(f.message.time, f.message.raw) for f in whole[number:]]


@every
@settings(max_examples=40)
@given(data=st.data())
def test_damage_raises_nothing(name: str, data: st.DataObject) -> None:
    """A log with bytes changed, taken out or put in is read as far as it goes."""
    log = LOGS[name]
    changed = bytearray(log.data)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(changed)))
        length = data.draw(st.integers(0, 200))
        changed[place : place + length] = data.draw(
            st.sampled_from(
                [b"", b"\n", b"\0\xff", b"$$begin_record", b"<--- ", b"INVITE sip:a SIP/2.0\r\n", log.data[:99]]
            )
        )
    tally = Tally()
    found = messages(bytes(changed), options(log), tally)
    assert len(found) <= len(CALL) + 6
    assert tally.messages == len(found)


@given(st.binary(max_size=3000))
def test_any_bytes(data: bytes) -> None:
    """Whatever a log holds, nothing is raised."""
    read(data)


@every
def test_twice_the_same(name: str) -> None:
    """A log that is there twice gives each message twice, and with the same bytes."""
    if name in ("kamailio-table.tsv", "sipstack-utf16.txt"):
        return
    log = LOGS[name]
    found = messages(log.data + log.data, options(log))
    assert [m.raw for m in found[: len(CALL)]] == [m.raw for m in found[len(CALL) :]]


# Skype for Business.


def test_machine_and_pool_are_the_traces() -> None:
    """A CLS trace names who wrote it; a single server's names the processor, which says nothing."""
    found = messages(writers.sipstack(CALL))
    assert {(m.machine, m.pool) for m in found} == {("fe2", "pool3")}
    assert (found[0].source, found[0].destination) == ("192.0.2.11:5060", "fe2")
    assert {(m.machine, m.pool) for m in messages(writers.sipstack(CALL, prefix="0"))} == {("", "")}


def test_a_record_without_its_end() -> None:
    """It ends at the next record's head, is used, and is named by its line."""
    data = writers.sipstack(CALL)
    first = data.index(b"$$end_record\r\n")
    tally = Tally()
    found = messages(data[:first] + data[first + 14 :], tally=tally)
    assert len(found) == len(CALL)
    assert found[0].cut
    assert [(p.frame, p.reason) for p in tally.problems] == [(2, "a record without its end")]
    assert tally.counts["damaged log: a record without its end"] == 1


def test_a_half_written_record() -> None:
    """The end of a log in the middle of a record is damage; what is whole before it is read."""
    data = writers.sipstack(CALL)
    tally = Tally()
    found = messages(data[: data.rindex(b"CSeq")], tally=tally)
    assert len(found) == len(CALL) - 1
    assert [p.reason for p in tally.problems] == ["a record without its end"]


def test_avayas_day_stands_first() -> None:
    """Of `05/11/2026` the 5th of November is meant, and a body in base64 that is damaged is left out."""
    data = writers.avaya(CALL).replace(b"23/11/2026", b"05/11/2026")
    found = messages(data, LogOptions("avaya"))
    assert [m.time // 86_400_000_000 for m in found] == [(CALL[0].time // 86_400_000_000) - 18] * len(CALL)
    assert found[0].body.startswith(b"v=0\r\n")
    assert messages(data.replace(b"dj0w", b"dj*w"), LogOptions("avaya"))[0].body == b""


def test_an_avaya_record_without_its_end() -> None:
    """It ends at the next record's head."""
    tally = Tally()
    found = messages(writers.avaya(CALL).replace(b"$$end_record\r\n", b"", 1), tally=tally)
    assert [m.raw for m in found] == [m.raw for m in messages(writers.avaya(CALL))]
    assert [p.reason for p in tally.problems] == ["a record without its end"]


def test_lines_of_others_inside_a_record() -> None:
    """Another component's line in the middle of a record is left out."""
    data = writers.sipstack(CALL)
    other = b"TL_INFO(TF_DIAG) [pool3\\fe2]0B6C.1D34::11/23/2026-08:14:07.482.00001a30 (SIPStack,x:1) something\r\n"
    place = data.index(b"CSeq")
    plain = [m.raw for m in messages(data)]
    assert plain == [m.raw for m in messages(data[:place] + other + data[place:])]


def test_other_records_are_skipped() -> None:
    """A TF_DIAG record has headers of a message, but is none."""
    tally = Tally()
    record = writers.sipstack(CALL[:1]).replace(b"TF_PROTOCOL", b"TF_DIAG")
    assert messages(record + writers.sipstack(CALL), tally=tally)[0].position.number > 2
    assert tally.counts["log records without SIP"] == 1


def test_a_windows_code_page() -> None:
    """Text that isn't UTF-8 is taken for Windows-1252."""
    sent = [CALL[0]._replace(payload=CALL[0].payload.replace(b'"Ann"', '"Änne – Ölçer"'.encode()))]
    as_written = messages(writers.sipstack(sent))
    data = writers.sipstack(sent).decode().encode("cp1252")
    assert [m.raw for m in as_written] == [m.raw for m in messages(data)]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16(encoding: str) -> None:
    """UTF-16 of both byte orders is told by its mark."""
    text = "\ufeff" + writers.sipstack(CALL).decode()
    assert messages(writers.sipstack(CALL)) == messages(text.encode(encoding))


def test_lf_for_crlf() -> None:
    """A trace with bare line feeds gives the same messages."""
    data = writers.sipstack(CALL)
    assert [m.raw for m in messages(data)] == [m.raw for m in messages(data.replace(b"\r\n", b"\n"))]


def test_records_between_others_text() -> None:
    """Text around and between records is ignored."""
    data = b"\n\nTraces collected by somebody\n" + writers.sipstack(CALL).replace(b"$$end_record", b"$$end_record\nxx")
    assert len(messages(data)) == len(CALL)


# Others.


def test_a_read_with_half_a_message() -> None:
    """FreeSWITCH logs what it read of a TCP connection: parts are joined by their peer."""
    payload = CALL[0].payload
    halves = [CALL[0]._replace(payload=payload[:200]), CALL[0]._replace(payload=payload[200:], time=CALL[0].time + 40)]
    data = writers.freeswitch(halves).replace(b" udp/", b" tcp/")
    found = read(data, log_options(timezone="Europe/Berlin"))
    assert [payload] == [one.message.raw for one in found]
    assert found[0].message.time == CALL[0].time + 40
    assert found[0].offset < data.index(b" tcp/")


def test_over_midnight() -> None:
    """FreeSWITCH writes no date: a time that jumps back by half a day is the next day's."""
    sent = [one._replace(time=one.time - CALL[0].time + at("2026-11-23T22:59:58")) for one in CALL]
    data = writers.freeswitch_old(sent)
    found = messages(data, log_options(timezone="Europe/Berlin", begins=DAY))
    assert [m.time for m in found] == [one.time for one in sent]


def test_over_new_year() -> None:
    """Asterisk writes no year: January after December is the next year's."""
    sent = [one._replace(time=one.time - CALL[0].time + at("2026-12-31T22:59:50")) for one in CALL]
    data = writers.chan_sip(sent)
    found = messages(data, log_options(timezone="Europe/Berlin", begins=date(2026, 12, 31)))
    assert [m.time // 1_000_000 for m in found] == [one.time // 1_000_000 for one in sent]


def test_the_year_of_the_file() -> None:
    """Without a day given, the year is the last in which the log can have been written by then."""
    sent = [one._replace(time=one.time - CALL[0].time + at("2026-12-31T10:00:00")) for one in CALL]
    reader = LogReader("log", Tally(), written=at("2027-01-04T00:00:00"))
    found = reader.feed(writers.chan_sip(sent)) + reader.finish()
    assert found[0].message.time // 3_600_000_000 == at("2026-12-31T11:00:00") // 3_600_000_000


def test_clocks_set_back() -> None:
    """In the night when an hour comes twice, the second pass is told by the order of the log."""
    start = at("2026-10-25T00:30:00")  # 02:30 in Berlin, for the first time
    sent = [one._replace(time=start + number * 900_000_000) for number, one in enumerate(CALL)]
    data = writers.opensips(sent)
    found = messages(data, log_options(timezone="Europe/Berlin"))
    assert [m.time for m in found] == [one.time for one in sent]


def test_clocks_set_forward() -> None:
    """The hour that is left out makes no gap."""
    start = at("2026-03-29T00:50:00")
    sent = [one._replace(time=start + number * 300_000_000) for number, one in enumerate(CALL)]
    found = messages(writers.opensips(sent), log_options(timezone="Europe/Berlin"))
    assert [m.time for m in found] == [one.time for one in sent]


def test_a_zone_in_the_log_counts() -> None:
    """A time with its zone isn't one of the zone that was given."""
    log = LOGS["own.log"]
    found = messages(log.data, log_options(log.form, "America/New_York"))
    assert [m.time for m in found] == [one.time for one in CALL]


def test_no_times_at_all() -> None:
    """A console without times gives the order; that its times are guessed is counted."""
    tally = Tally()
    reader = LogReader("log", tally, written=5_000_000)
    found = reader.feed(writers.pjsip(CALL)) + reader.finish()
    assert [5_000_000 + n for n in range(len(CALL))] == [one.message.time for one in found]
    assert tally.counts["times guessed, as the log has none"] == len(CALL)


def test_colours() -> None:
    """A console's colours are no part of a message."""
    plain = writers.pjsip(CALL)
    data = plain.replace(b"<--- ", b"\x1b[1;32m<--- ").replace(b" --->", b" --->\x1b[0m")
    assert [m.raw for m in messages(plain)] == [m.raw for m in messages(data)]


def test_a_long_sipdump_record_has_no_bars() -> None:
    """The module cuts at 64 KiB: the message is used as far as it goes, and the next is found."""
    body = b"x" * 70_000
    long = CALL[0]._replace(payload=writers.with_body(CALL[0].payload, body))
    data = writers.sipdump([CALL[1], long, CALL[2]])
    at_body = data.index(body)
    data = data[: at_body + 60_000] + data[at_body + len(body) + 20 :]
    tally = Tally()
    found = messages(data, tally=tally)
    assert [m.status for m in found] == [100, 0, 180]
    assert found[1].cut
    assert tally.counts["damaged log: a record without its end"] == 1


def test_a_rotated_log_in_archives(tmp_path: Path) -> None:
    """A log may be packed, as may the parts of a collection."""
    trace = writers.sipstack(CALL)
    packed = tmp_path / "trace.txt.gz"
    packed.write_bytes(gzip.compress(trace))
    (tmp_path / "trace.txt.zst").write_bytes(zstandard.compress(trace))
    archive = tmp_path / "collected.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("fe1/trace.txt", trace)
        file.writestr("fe2/trace.txt", trace)
    tally = Tally()
    found = [message for batch in Inputs([str(tmp_path)], tally=tally) for message in batch]
    assert len(found) == 4 * len(CALL)
    assert tally.problems == []


def test_logs_and_captures_are_merged_by_time(tmp_path: Path) -> None:
    """Several logs are read as one."""
    (tmp_path / "b.txt").write_bytes(writers.sipstack(CALL[::2]))
    (tmp_path / "a.txt").write_bytes(writers.sipstack(CALL[1::2], prefix=r"pool3\fe1"))
    found = [m for batch in Inputs([str(tmp_path)], tally=Tally()) for m in batch]
    assert [m.time for m in found] == [one.time - one.time % 1000 for one in CALL]


# The pattern of one's own.


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$", "(a|b*)*c", r"(.*)\1", "(?=a)b", ".*a.*b.*c", "(?:x*y*)*", r"\S+\S+\S+\S+x", "(", "(?P<when>x)",
        "a" * 3000, "((a{1,9}){1,20}){1,20}b", "(a{0,8}){0,8}[bB]", "a?" * 40 + "[bB]", "(a|a|a)" * 14 + "[bB]",
        "(?:a*){40}b",
    ],
)  # fmt: skip
def test_patterns_that_are_refused(pattern: str) -> None:
    """What could take for ever on a hostile line, or says nothing, is refused with the reason."""
    with pytest.raises(IngestError, match="the log's pattern"):
        log_options(f"/{pattern}/")


@pytest.mark.parametrize(
    "pattern",
    [
        writers.OWN_PATTERN,
        r".*?(?P<time>\d\d:\d\d:\d\d) .*SIP from (?P<peer>\S+)",
        r"\[(?P<time>[^\]]*)\] x",
        "(?:in|out) x",
    ],
)
def test_patterns_that_are_taken(pattern: str) -> None:
    """Usual expressions are."""
    assert log_options(f"/{pattern}/").pattern is not None


@pytest.mark.parametrize(
    ("form", "zone"), [("nonsense", "UTC"), ("auto", "Mars/Olympus"), ("auto", "../../etc/passwd")]
)
def test_options_that_make_no_sense(form: str, zone: str) -> None:
    """A format or zone that isn't there is named."""
    with pytest.raises(IngestError, match=form if form != "auto" else zone):
        log_options(form, zone)


def test_a_peer_and_a_direction() -> None:
    """A log that has only the other side's address says by its direction which side that is."""
    data = b"".join(
        b"08:14:07.%06d %bX udp 192.0.2.11:5060\n%b\n" % (at, b"R" if writers.is_received(one) else b"T", one.payload)
        for at, one in enumerate(CALL)
    )
    pattern = r"(?P<time>[0-9:.]+) (?P<direction>[RT]X) (?P<transport>[a-z]+) (?P<peer>[^ ]+)$"
    found = messages(data, log_options(f"/{pattern}/", begins=DAY))
    assert [m.raw for m in found] == [one.payload for one in CALL]
    peer = writers.ANN.at
    assert [(m.source, m.destination) for m in found] == [
        (peer, "") if writers.is_received(one) else ("", peer) for one in CALL
    ]


@pytest.mark.parametrize(
    "pattern", [".*a.*[bB]", r"(?P<time>\S+) .*: .*[xX]$", "(?:[^ ]+ ){9}[xX]", "(a|a)?" * 8 + "[bB]"]
)
def test_patterns_on_hostile_lines(pattern: str) -> None:
    """An expression that is taken comes to an end on lines made for it."""
    for line in (b"a" * 9000, b"1 " + b": " * 5000, b"a " * 5000):
        assert messages((line + b"\n") * 20, log_options(f"/{pattern}/")) == []
