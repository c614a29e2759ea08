"""Floods the daemon's road, from records to an SQLite database, with INVITEs that nobody answers.

    python -m benchmarks.flood --calls 1000000

A call that was confirmed before the flood hangs up after it. Prints the process' largest memory, and that call's row.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import threading
import time
from pathlib import Path

from sipcdr.app._batch_writer import BatchWriter
from sipcdr.app._dead_letters import LetterFile
from sipcdr.app._feed import Feed, Running
from sipcdr.app._metrics import Metrics
from sipcdr.app._settings import Correlation
from sipcdr.app._unwritten import Part
from sipcdr.app._write import Refusals
from sipcdr.builder import Rules
from sipcdr.ingest import Record, Tally, Values
from sipcdr.sinks import Sink

_START = 1_795_000_000_000_000
_PART = Part("flood", "0")
_INVITE = (
    "INVITE sip:{number}@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK{number}\r\n"
    "From: <sip:scan{number}@example.com>;tag=f{number}\r\nTo: <sip:{number}@example.com>\r\n"
    "Call-ID: flood{number}@198.51.100.7\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nUser-Agent: friendly\r\n"
    "Contact: <sip:scan@198.51.100.7:5060>\r\nContent-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{sdp}"
)
_SDP = (
    "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
)
_CALL = (
    "{start}\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKc\r\nFrom: <sip:ann@example.com>;tag=a\r\n"
    "To: <sip:ben@example.com>{to}\r\nCall-ID: confirmed@192.0.2.1\r\nCSeq: {cseq}\r\nContent-Length: 0\r\n\r\n"
)


def confirmed(start: str, to: str, cseq: str) -> bytes:
    """A message of the call that survives."""
    return _CALL.format(start=start, to=to, cseq=cseq).encode()


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--calls", type=int, default=1_000_000)
    calls = parser.parse_args().calls
    with tempfile.TemporaryDirectory() as name, Sink.open(f"sqlite:///{name}/cdr.db") as sink:
        folder = Path(name)
        rules, metrics = Rules(), Metrics()
        writer = BatchWriter(
            sink, rules, letters=LetterFile(folder / "dead"), refusals=Refusals(folder / "refused"), metrics=metrics
        )
        correlation = Correlation()
        feed = Feed(
            Running("flood", correlation, rules, writer, metrics, threading.Event()),
            hold=correlation.hold,
            together=False,
        )
        feed.unwritten.open(_PART, 1, 0)
        values = Values(Tally(), form="raw")
        offset = 0

        def take_in(raws: list[bytes], at: int) -> None:
            nonlocal offset
            records = [Record(offset + number, at, None, raw) for number, raw in enumerate(raws)]
            offset += len(records)
            messages, _ = values.messages(records, "flood", "0")
            feed.unwritten.receive(_PART, messages, offset)
            feed.go_round()
            while feed.choked:
                time.sleep(0.01)
                feed.go_round()

        began = time.monotonic()
        to = ";tag=b"
        take_in(
            [
                confirmed("INVITE sip:ben@example.com SIP/2.0", "", "1 INVITE"),
                confirmed("SIP/2.0 200 OK", to, "1 INVITE"),
                confirmed("ACK sip:ben@example.com SIP/2.0", to, "1 ACK"),
            ],
            _START,
        )
        for first in range(0, calls, 1000):
            batch = [
                _INVITE.format(number=number, length=len(_SDP), sdp=_SDP).encode()
                for number in range(first, min(first + 1000, calls))
            ]
            # All within `hold`: nothing is due but by memory.
            take_in(batch, _START + 40_000_000 * first // calls)
        take_in([confirmed("BYE sip:ben@example.com SIP/2.0", to, "2 BYE")], _START + 50_000_000)
        early = feed.unwritten.early
        for rest in feed.unwritten.rest(2000):
            writer.wait(600)
            writer.settled()
            writer.begin(rest)
        writer.wait(600)
        writer.settled()
        seconds = time.monotonic() - began
        [row] = sink.sessions([b"confirmed@192.0.2.1"])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{calls:,} calls in {seconds:.0f} s, {early:,} of them early; largest memory {peak:,.0f} MiB")
        ended = "ended" if row["SessionEndTime"] is not None else "lost its end"
        print(f"the confirmed call {ended}, response {row['ResponseCode']!r}")
        writer.close(5)


if __name__ == "__main__":
    main()
