"""The native reader is the same as the Python one, whatever the capture; other tests hold it so to all that they read.

`reading.read` reads by both where the kernel is loaded, and so do the tests of layers, streams, damage and fuzzing.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.hostile import HOSTILE, Hostile
from fixtures import make
from fixtures.writer import TcpStream, datagram, fragments, link, pcap, pcapng
from fuzz.seeds import seeds
from sipcdr.ingest import Inputs, Limits, NotACapture, ReaderUnavailable, Tally
from sipcdr.ingest import _native as native_module
from sipcdr.ingest._source import CHUNK
from tests.tools import kernel

from .reading import START, A, B, alike, message, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipcdr.builder import SipMessage
    from sipcdr.ingest._inputs import Reader

FIXTURES = [path for path in sorted(Path(make.__file__).parent.iterdir()) if ".pcap" in path.name]
SHARED = [path for path in sorted(Path(os.environ.get("SIPCDR_CAPTURES", "-")).rglob("*")) if ".pcap" in path.name]


@pytest.fixture(autouse=True)
def _kernel() -> None:
    kernel()


def both(paths: Sequence[Path], limits: Limits | None = None) -> tuple[list[SipMessage], Tally]:
    """What `Inputs` gives of captures, by both readers alike."""
    ours, theirs = (_messages(paths, limits or Limits(), reader) for reader in ("native", "python"))
    alike(ours, theirs)
    return ours


def _messages(paths: Sequence[Path], limits: Limits, reader: Reader) -> tuple[list[SipMessage], Tally]:
    tally = Tally()
    inputs = Inputs([*map(str, paths)], tally=tally, limits=limits, reader=reader, esp_null=True)
    return [one for batch in inputs for one in batch], tally


@pytest.mark.parametrize("path", FIXTURES + SHARED, ids=lambda path: path.name)
def test_capture(path: Path) -> None:
    """A whole capture is read alike."""
    both([path])


def test_captures_by_time() -> None:
    """Many captures together, merged by their time, and all that waits in one within the bounds of all, are alike."""
    both(FIXTURES)
    small = Limits(fragments=3000, fragmented=2, stream=2000, streams=4, streams_held=3000, files=7)
    _, tally = both(FIXTURES, small)
    assert any(reason.startswith("limit: ") for reason in tally.counts)


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.write.__name__.strip("_"))
def test_hostile(hostile: Hostile, tmp_path: Path) -> None:
    """Captures made to hurt are read alike."""
    hostile.write(tmp_path, hostile.few)
    both(sorted(tmp_path.iterdir()))


def test_who_holds_most_gives_up(tmp_path: Path) -> None:
    """Of captures open at a time, the one that holds most gives up its oldest, whichever meets the bound."""
    part = fragments(datagram(A, B, message(body=b"x" * 3000)), 800)[0]
    many = [part[:4] + struct.pack(">H", number) + part[6:] for number in range(12)]
    for name, frames in {"many": many, "few": many[:3], "one": many[-1:]}.items():
        (tmp_path / name).write_bytes(pcap([(START + at, link(one)) for at, one in enumerate(frames)]))
    opening = TcpStream(A, B)
    held = [opening.syn(), *(opening.segment(2000 + 900 * at, b"x" * 800) for at in range(8))]
    (tmp_path / "tcp").write_bytes(pcap([(START + at, link(one)) for at, one in enumerate(held)]))
    _, tally = both(sorted(tmp_path.iterdir()), Limits(fragments=7000, streams_held=4000))
    assert tally.counts["limit: fragments that wait for others"] > 0
    assert tally.counts["limit: TCP streams that wait for segments"] > 0


MANY = [(START + at * 999, link(datagram(A, B, message(at + 1, body=b"body" * (at % 9))))) for at in range(40)]
SEEDS = [pcap(MANY), pcap(MANY, order=">"), pcap(MANY, nanoseconds=True), pcapng(MANY), *seeds("captures")]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage(data: st.DataObject) -> None:
    """Bits flipped, bytes left out, put in and doubled, and an early end, in pieces of any size, change nothing."""
    capture = bytearray(SEEDS[data.draw(st.integers(0, len(SEEDS) - 1))])
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, max(len(capture) - 1, 0)))
        size = data.draw(st.sampled_from([0, 1, 1, 2, 4, 16, 300]))
        match data.draw(st.sampled_from(["flip", "drop", "put", "double", "end", "length"])):
            case "flip" if capture:
                capture[at] ^= 1 << data.draw(st.integers(0, 7))
            case "drop":
                del capture[at : at + size]
            case "put":
                capture[at:at] = data.draw(st.binary(max_size=20))
            case "double":
                capture[at:at] = capture[at : at + size]
            case "end":
                del capture[at:]
            case _:
                capture[at : at + 4] = struct.pack("<I", data.draw(st.sampled_from([0, 1, 0xFFFF, 1 << 20, 1 << 31])))
    piece = data.draw(st.sampled_from([0, 0, 1, 7, 61, 1000]))
    with contextlib.suppress(NotACapture):
        read(bytes(capture), piece=piece)


@pytest.mark.parametrize("make_capture", [pcap, pcapng])
@pytest.mark.parametrize("times", [1, 3])
def test_damage_in_a_large_file(make_capture: object, times: int, tmp_path: Path) -> None:
    """What is read to find the next frame goes beyond a piece of the file; and damage comes again and again."""
    assert callable(make_capture)
    noise = b"".join(zlib.compress(struct.pack(">I", at)) for at in range(3 * CHUNK // 14))
    capture = make_capture(MANY)
    frames = capture[len(make_capture([])) :]
    whole = capture + (noise[: CHUNK * 3 // 2] + frames) * times + frames[5:] * 50
    (tmp_path / "x").write_bytes(whole)
    found, tally = both([tmp_path / "x"])
    assert len(found) >= len(MANY) * (1 + times)
    assert tally.problem_count >= times


@pytest.mark.parametrize("fixture", ["answered.pcap", "logs/kamailio-siptrace.txt"])
def test_name_of_any_bytes(fixture: str, tmp_path: Path) -> None:
    """A file whose name isn't UTF-8 is read as well."""
    content = (Path(make.__file__).parent / fixture).read_bytes()
    found = []
    for name in ("plain", os.fsdecode(b"caf\xe9")):
        (tmp_path / name).write_bytes(content)
        found.append(_messages([tmp_path / name], Limits(), "auto"))
    assert [one.raw for one in found[0][0]] == [one.raw for one in found[1][0]] != []
    assert found[1][1].problems == []


def test_fault(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A fault of the kernel, here a buffer larger than any memory, is a problem of its frame, and reading goes on."""
    chunk = struct.pack(">HHH", 0, 0x10, 10) + b"defl"
    packed = b"HEP3" + struct.pack(">H", 6 + len(chunk)) + chunk
    payloads = (message(1), packed, message(2))
    (tmp_path / "x").write_bytes(pcap((START, link(datagram(A, B, payload))) for payload in payloads))
    found, tally = _messages([tmp_path / "x"], Limits(message=1 << 63), "native")
    assert [one.cseq for one in found] == [1, 2]
    assert [(one.frame, one.reason) for one in tally.problems] == [
        (2, "a fault in the native reader; what waited for fragments and segments is lost")
    ]
    assert tally.packets == 3
    assert "panicked" in capfd.readouterr().err


def test_without_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for the native reader where there is none is told so; otherwise Python reads."""
    monkeypatch.setattr(native_module, "native", None)
    with pytest.raises(ReaderUnavailable, match="no native kernel is in use"):
        Inputs([], tally=Tally(), reader="native")
