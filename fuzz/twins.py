"""Holds the native kernel to the Python that defines it, over many cases made from the seeds of `fuzz.targets`.

    python -m fuzz.twins [TWIN...] [--cases 1000000] [--seed 1]

Each twin gets so many cases. A case that the two see differently is printed with what each made of it, and the exit
status is 1; once mended, it goes into fuzz/found/TWIN-WHAT, which the tests run.
"""

from __future__ import annotations

import argparse
import functools
import random
import sys
import time
from typing import TYPE_CHECKING, Final

from fixtures.writer import pcap
from fuzz.targets import LIMITS, TARGETS
from sipcdr.builder import Position, native
from sipcdr.builder._call import Call
from sipcdr.ingest import Limits, Tally, _log_ends, _sip
from tests.builder import strange
from tests.ingest import wild
from tests.ingest.reading import START, A, B, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

_PLACE: Final = Position("x", 1)
_BOUNDS: Final = (Limits(), LIMITS, Limits(message=700, headers=8, header=40))
_ASKED: Final = (b"via", b"call-id", b"max-forwards", b"allow", b"Via", b"event", b"reason", b"")


def kernel() -> ModuleType:
    """The native kernel. Raises ImportError where there is none."""
    if native is None:
        raise ImportError("no native kernel is loaded")
    return native


def messages(data: bytes) -> None:
    """A message is scanned alike: the same fields, counts and limits, or the same reason."""
    limits = _BOUNDS[len(data) % 3]
    cut = len(data) % 5 == 0
    moment = START if len(data) % 31 else -START * 1000
    ours, theirs = Tally(), Tally()
    found = kernel().scan(data, moment, _PLACE, ours, limits, A, B, "UDP", cut)
    wanted = _sip.scan(data, moment, _PLACE, theirs, limits, A, B, "UDP", cut)
    if isinstance(found, str) or isinstance(wanted, str):
        same("outcome", found, wanted)
    else:
        same("message", found.plain(), wanted)
        same("start line", found.start_line, wanted.start_line)
        same("body", found.body, wanted.body)
        for name in _ASKED:
            same(f"header {name!r}", found.header(name), wanted.header(name))
    same_tally(ours, theirs)


def traffic(data: bytes) -> None:
    """Connections, datagrams and associations, mixed as chance has it, are read alike."""
    chance = random.Random(data)
    read(pcap(wild.frames(chance)), wild.limits(chance))


def calls(data: bytes) -> None:
    """Messages such as none sends are the same call, also in parts; bytes of it that were changed are refused alike."""
    chance = random.Random(data)
    found = [strange.any_message(chance) for _ in range(chance.randrange(1, 6))]
    rules = chance.choice(strange.RULES)
    ours, theirs = strange.both(found, rules), strange.both(found[1:], rules)
    for python, other in (ours, theirs, (ours[0].join(theirs[0]), theirs[1].join(ours[1]))):
        strange.assert_same(python, other)
    packed = strange.damaged(bytes(ours[0]), chance)
    same("call", strange.outcome(kernel().Call, packed), strange.outcome(Call, packed))


def ends(data: bytes) -> None:
    """A message out of a log that dropped its CRs has the same length, and is the same on the wire."""
    native_ = kernel()
    at = len(data) % 7
    for text in (data, data.replace(b"\r", b"")):
        same("wire", native_.on_the_wire(text), _log_ends.on_the_wire(text))
        same("start", native_.is_start_line(text), _sip.is_start_line(text))
        for end in (len(text), len(text) * 2 // 3, len(text) + 9):
            length = native_.content_length(text, at, end)
            same("length", length, _log_ends.content_length(text, at, end))
            for ended in (False, True):
                given = text, at, max(end - at, 0), ended
                same("end", native_.with_bare_ends(*given), _log_ends.with_bare_ends(*given))


def same_tally(ours: Tally, theirs: Tally) -> None:
    """Two tallies hold the same."""
    for name in ("counts", "problems", "problem_count", "refused", "packets", "bytes", "messages"):
        same(name, getattr(ours, name), getattr(theirs, name))


def same(what: str, ours: object, theirs: object) -> None:
    """The kernel's and the Python's are equal. Raises AssertionError, which says how they differ."""
    if ours != theirs:
        raise AssertionError(f"{what}: native {ours!r}, Python {theirs!r}")


# Captures are read, and rows derived, by both where the kernel is loaded.
_BOTH: Final = ("captures", "frames", "segments", "packed")

TWINS: Final[dict[str, Callable[[bytes], None]]] = {
    "messages": messages,
    "ends": ends,
    "calls": calls,
    "traffic": traffic,
    **{name: TARGETS[name] for name in _BOTH},
}
_SEEDS: Final = {"ends": "messages"}
"""What cases are made from, where that has another name."""

_PIECES: Final = (
    b"\r\n", b"\n", b"\r", b"\n\n", b"\r\n\r\n", b"\r\n ", b"\r\n\t", b"\n\n ", b" ", b"\t", b"\x0b", b"\x0c", b"\0",
    b"\xff", b":", b" :", b";", b"; tag = ", b";TAG=", b";tag", b"=", b'"', b'\\"', b"\\\\", b"<", b">", b",", b" , ,",
    b"@", b"sip:", b"SIP/2.0", b"SIP/2.0 ", b" SIP/2.0", b"sip/2.0 ", b"SIP/3.0 ", b"SIP/2.0 200 OK\r\n",
    b"SIP/2.0 99 x\r\n", b"SIP/2.0 700 x\r\n", b"SIP/2.0  200", b"INVITE ", b"invite ", b"BENOTIFY ", b"x" * 65, b"0",
    b"1", b"999999999999999999", b"1234567890123456789", b"CSeq: 1", b"CSeq: 1INVITE\r\n", b"CSeq:2 \t BYE\r\n",
    b"Call-ID: a\r\n", b"i:b\r\n", b"I :c\r\n", b"f: <sip:a>;tag=x\r\n", b't:"a;tag=y" <sip:b;tag=z>;x;tag="w"\r\n',
    b"l: 5\r\n", b"Content-Length: 99999\r\n", b"L:\r\n", b"Content-Length: x\r\n", b"e: gzip\r\n",
    b"Content-Encoding: Identity\r\n", b"v: a,b\r\n", b'Via: "a,b", <c,d>,e\r\n', b"VIA\r\n", b"Priority: x\r\n",
    b"b: <sip:q>\r\n", b"Referred-By: <sip:r>\r\n", b"Supported: a\r\n b\r\n\t c\r\n", b"X: y\r\n" * 40,
    b"Via: " + b"z" * 600 + b"\r\n",
)  # fmt: skip


def damaged(seeds: list[bytes], chance: random.Random) -> bytes:
    """A seed with bytes and lines changed, dropped, put in, or taken from another; one in eight is left whole."""
    data = chance.choice(seeds)
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3, 5, 8))):
        at = chance.randrange(len(data) + 1)
        way = chance.randrange(8)
        if way == 0:
            data = data[:at] + chance.choice(_PIECES) + data[at:]
        elif way == 1:
            piece = chance.choice(_PIECES)
            data = data[:at] + piece + data[at + len(piece) :]
        elif way == 2:
            data = data[:at] + chance.randbytes(chance.randrange(4)) + data[at + chance.choice((0, 1, 2, 4, 60)) :]
        elif way == 3:
            data = data[: at if at % 4 else len(data) - 1]
        elif way == 4:
            other = chance.choice(seeds)
            data = data[:at] + other[chance.randrange(len(other) + 1) :][:200] + data[at:]
        else:  # lines
            lines = data.split(b"\n")
            one, two = chance.randrange(len(lines)), chance.randrange(len(lines))
            if way == 5:
                lines[one], lines[two] = lines[two], lines[one]
            elif way == 6:
                lines[one:one] = [chance.choice((lines[two], b" more\r", chance.choice(_PIECES).rstrip(b"\n")))]
            else:
                del lines[one]
            data = b"\n".join(lines)
    return data


@functools.cache
def _seeds(twin: str) -> list[bytes]:
    from fuzz.seeds import seeds

    return [bytes(64)] if twin in ("traffic", "calls") else seeds(_SEEDS.get(twin, twin))


def compare(twin: str, cases: int, seed: int) -> bytes | None:
    """Compare so many cases; the first that differs, if one does, with what differs on standard output."""
    chance = random.Random(seed)
    for number in range(cases):
        data = damaged(_seeds(twin), chance)
        try:
            TWINS[twin](data)
        except AssertionError as error:
            print(f"{twin}, case {number} of seed {seed}: {data!r}\n{error}")
            return data
    return None


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Compare the native kernel with the Python that defines it.")
    parser.add_argument("twins", nargs="*", metavar="TWIN", help=f"of {', '.join(TWINS)}; all unless given")
    parser.add_argument("--cases", type=int, default=1_000_000, help="of each twin")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    twins = given.twins or list(TWINS)
    if unknown := set(twins) - set(TWINS):
        parser.error(f"no twin {', '.join(sorted(unknown))}")
    kernel()
    different = 0
    for twin in twins:
        began = time.monotonic()
        found = compare(twin, given.cases, given.seed)
        if found is None:
            print(f"{twin}: {given.cases:,} cases alike in {time.monotonic() - began:.0f} s", flush=True)
        different += found is not None
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
