"""Measures how fast logs are read: messages a second of each format, and megabytes a second of lines without SIP.

    python -m benchmarks.logs [--calls 4000] [NAME...]

Prints the table that stands in benchmarks/README.md: processor seconds of one process from a log's bytes to messages,
the best of some rounds.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Final

from fixtures import logs
from sipcdr.ingest import LogReader, Tally, log_options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fixtures.calls import Sent

PIECE: Final = 1 << 20
LINES: Final = 32
"""Megabytes of a log without SIP."""
ROUNDS: Final = 5

WRITERS: Final[dict[str, Callable[[Sequence[Sent]], bytes]]] = {
    "sipstack": logs.sipstack,
    "uccapilog": logs.uccapilog,
    "pjsip": lambda sent: logs.pjsip(sent, "[%Y-%m-%d %H:%M:%S.%f3] VERBOSE[4711] res_pjsip_logger.c: "),
    "pjsip, each line": lambda sent: logs.pjsip(sent, "[%b %e %H:%M:%S] ", each_line=True),
    "chan_sip": logs.chan_sip,
    "sipdump": logs.sipdump,
    "siptrace": logs.siptrace,
    "freeswitch": logs.freeswitch,
    "freeswitch, old": logs.freeswitch_old,
    "opensips": logs.opensips,
    "opensips, syslog": logs.opensips_syslog,
    "audiocodes": logs.audiocodes,
    "homer": logs.homer,
    "table": logs.table,
    "own": logs.own,
}


def calls(many: int) -> list[Sent]:
    """Answered calls of seven messages, one after the other."""
    sent: list[Sent] = []
    for number in range(many):
        sent += logs.the_call(start=logs.START + number * 40_000_000, call_id=f"c{number}@corp.example")
    return sent


def lines() -> bytes:
    """A log of a server that has its SIP trace switched off."""
    made: list[str] = []
    size = 0
    while size < LINES << 20:
        number = len(made)
        made.append(
            f"2026-11-23 09:14:{number // 100_000 % 60:02}.{number % 1000:03} [DEBUG] switch_core_session.c:1179"
            f" Send signal sofia/internal/{1000 + number % 900}@192.0.2.{number % 250} [BREAK] from channel {number}\n"
        )
        size += len(made[-1])
    return "".join(made).encode()


def read(data: bytes, form: str) -> tuple[float, int]:
    """Processor seconds and messages."""
    tally = Tally()
    reader = LogReader("x", tally, options=log_options(form), written=logs.START)
    began = time.process_time()
    found = 0
    for at in range(0, len(data), PIECE):
        found += len(reader.feed(data[at : at + PIECE]))
    found += len(reader.finish())
    assert not tally.problems, tally.problems[0]
    return time.process_time() - began, found


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description="Measure how fast logs are read.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(WRITERS)}; all unless given")
    parser.add_argument("--calls", type=int, default=4000)
    given = parser.parse_args()
    sent = calls(given.calls)
    print("| log | messages/s | MB/s |\n|---|---:|---:|")
    for name in given.names or WRITERS:
        data = WRITERS[name](sent)
        form = f"/{logs.OWN_PATTERN}/" if name == "own" else "auto"
        seconds, found = min(read(data, form) for _ in range(ROUNDS))
        assert found == len(sent), f"{name}: {found} of {len(sent)} messages"
        print(f"| {name} | {found / seconds:,.0f} | {len(data) / seconds / 1e6:.0f} |", flush=True)
    data = lines()
    for form in ("auto", "freeswitch", "asterisk"):
        seconds, _ = min(read(data, form) for _ in range(ROUNDS))
        print(f"| lines without SIP, {form} | | {len(data) / seconds / 1e6:.0f} |", flush=True)


if __name__ == "__main__":
    main()
