"""Wireshark's own dissectors as a reader of captures, by pyshark and tshark, for what the own reader doesn't know.

TLS with its secrets, every encapsulation and file format of Wireshark's. It is far slower, and tshark's memory grows
with the capture; ours doesn't. tshark names the layers of each frame with SIP and gives their bytes. The innermost
addresses and the bytes of the SIP layers then go the same way as those that the own reader finds.

Of pyshark (0.6) only the parser of tshark's output is used, and no event loop: its capture classes kill tshark at the
end of the output, so that exit status and error are lost; they take the program's path from a `config.ini` in the
current folder; and they need asyncio's child watchers, which Python 3.14 no longer has.

tshark goes by the preferences of the user who runs it, as Wireshark does. Frames without a time stamp are left out.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

import msgspec

from sipcdr.builder import Position

from ._dissect import BATCH, Dissector
from ._errors import NotACapture, ReaderUnavailable
from ._formats import READERS
from ._framing import Framer
from ._layers import Packet
from ._source import STANDARD_INPUT

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from sipcdr.builder import SipMessage

    from ._limits import Limits
    from ._tally import Tally

LEAST_VERSION: Final = (3, 0)
"""The first tshark that reads secrets inside a pcapng and that puts TCP segments in order."""

# What decides whether messages are found must not hang on the user's preferences.
_PREFERENCES: Final = (
    "ip.defragment:TRUE",
    "ipv6.defragment:TRUE",
    "tcp.desegment_tcp_streams:TRUE",
    "tcp.reassemble_out_of_order:TRUE",
    "tls.desegment_ssl_records:TRUE",
    "tls.desegment_ssl_application_data:TRUE",
    "sip.desegment_headers:TRUE",
    "sip.desegment_body:TRUE",
)
_TRANSPORTS: Final = {"udp": "UDP", "tcp": "TCP", "tls": "TLS", "websocket": "WS", "sctp": "SCTP"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STREAMS: Final = frozenset({"TCP", "TLS"})
_SECRET: Final = re.compile(rb"^(?:CLIENT_RANDOM|RSA|PMS_CLIENT_RANDOM|\w{1,64}_SECRET(?:_0)?) ", re.MULTILINE)
_NO_PACKETS: Final = bytes.fromhex("d4c3b2a1 02000400 00000000 00000000 00000400 01000000")
_LONGEST: Final = 16 * 1024 * 1024
_BEHIND_A_FRAME: Final = f"{os.linesep}  }},{os.linesep}".encode()


class SharkOptions(msgspec.Struct, frozen=True):
    """What tshark is told besides the capture.

    keylog: a file of TLS secrets, as SSLKEYLOGFILE makes it.
    decode_as: rules of `tshark -d`, such as `tcp.port==5070,sip` or `tls.port==5071,sip`.
    display_filter: which frames count, in the language of Wireshark's display filters.
    """

    keylog: str = ""
    decode_as: tuple[str, ...] = ()
    display_filter: str = ""

    def __bool__(self) -> bool:
        return bool(self.keylog or self.decode_as or self.display_filter)


class Shark:
    """Reads captures by tshark. Raises ReaderUnavailable where pyshark, tshark or an option can't be used."""

    def __init__(self, options: SharkOptions) -> None:
        try:
            from packaging.version import Version
            from pyshark.tshark.output_parser.tshark_json import TsharkJsonParser
        except ImportError as error:
            raise ReaderUnavailable(
                f"reading by Wireshark needs pyshark ({error}): pip install 'sipcdr[pyshark]'"
            ) from error
        self._tshark, version = _program()
        self._parser: Any = TsharkJsonParser(Version(version))
        self._options = ["-n"]
        for preference in _PREFERENCES:
            self._options += ["-o", preference]
        if options.keylog:
            self._options += ["-o", f"tls.keylog_file:{_keylog(options.keylog)}"]
        for rule in options.decode_as:
            self._options += ["-d", rule]
        shown = f"({options.display_filter}) and " if options.display_filter else ""
        # Without a time stamp pyshark can't make a packet.
        self._filter = f"{shown}sip and frame.time_epoch"
        self._check()

    def messages(self, name: str, tally: Tally, limits: Limits) -> Iterator[list[SipMessage]]:
        """The messages of a capture in batches. What tshark complains of becomes a problem.

        tshark ends with the iteration. Raises NotACapture, OSError.
        """
        self._look(name)
        dissector = Dissector(name, tally, limits)
        # Only the frame's own fields are wanted; of all other layers the bytes come anyway.
        command = ["-T", "json", "-x", "--no-duplicate-keys", "-j", "frame", "-Y", self._filter]
        with _Tshark([self._tshark, "-r", _path(name), *self._options, *command], name) as tshark:
            for frame in tshark.frames(self._parser, tally):
                tally.packets += 1
                _take(frame, dissector, limits)
                if len(dissector.messages) >= BATCH:
                    yield dissector.take()
            failure = tshark.failure()
        if failure:
            tally.problem(name, 0, -1, failure)
        yield dissector.take()

    def _check(self) -> None:
        """Let tshark look at the options, with a capture that holds nothing."""
        command = [self._tshark, "-r", "-", *self._options, "-Y", self._filter]
        done = subprocess.run(command, input=_NO_PACKETS, capture_output=True, check=False)  # noqa: S603 (no shell)
        if done.returncode:
            raise ReaderUnavailable(_complaint(done.stderr.decode(errors="replace").splitlines()))

    def _look(self, name: str) -> None:
        """See whether it is a capture: tshark also opens texts and pictures, as captures of a frame without a time."""
        if name == STANDARD_INPUT:
            return
        with Path(name).open("rb") as file:
            head = file.read(4)
        if not head:
            raise NotACapture("empty file")
        if head in READERS:
            return
        command = ["-c", "1", "-T", "fields", "-e", "frame.time_epoch", "-Y", "frame.time_epoch"]
        done = subprocess.run(  # noqa: S603 (no shell)
            [self._tshark, "-r", _path(name), "-n", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise NotACapture(_complaint(done.stderr.decode(errors="replace").splitlines()))
        if not done.stdout.strip():
            raise NotACapture("not a capture with packets that tshark knows")


def _program() -> tuple[str, str]:
    """tshark's path and version. Raises ReaderUnavailable."""
    path = shutil.which("tshark")
    if path is None:
        raise ReaderUnavailable("reading by Wireshark needs the program tshark: apt-get install tshark")
    done = subprocess.run([path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603 (no shell)
    found = re.match(rb"TShark[^\d\n]{0,64}(\d{1,4})\.(\d{1,4})[.\d]{0,16}", done.stdout)
    if found is None:
        raise ReaderUnavailable(f"{path} doesn't say which version of tshark it is")
    if (int(found[1]), int(found[2])) < LEAST_VERSION:
        raise ReaderUnavailable(
            f"{path} is tshark {found[1].decode()}.{found[2].decode()}; it takes "
            f"{LEAST_VERSION[0]}.{LEAST_VERSION[1]} or newer: apt-get install tshark"
        )
    return path, f"{found[1].decode()}.{found[2].decode()}.0"


def _keylog(name: str) -> str:
    """The absolute path of a key log; tshark itself says nothing when there is none. Raises ReaderUnavailable."""
    try:
        with Path(name).open("rb") as file:
            head = file.read(1 << 20)
    except OSError as error:
        raise ReaderUnavailable(f"key log {name}: {error.strerror}") from error
    if not _SECRET.search(head):
        raise ReaderUnavailable(f"key log {name}: no TLS secrets in it, as SSLKEYLOGFILE writes them")
    return str(Path(name).absolute())


def _path(name: str) -> str:
    return name if name == STANDARD_INPUT else str(Path(name).absolute())


def _complaint(lines: list[str]) -> str:
    """The line of tshark's stderr that says what is wrong."""
    said = [line for line in lines if line.startswith("tshark: ")]
    return next(iter(said), lines[-1].strip() if lines else "tshark failed and doesn't say why")


class _Tshark:
    """A tshark at work. Leaving the block ends it, whatever has happened."""

    def __init__(self, command: list[str], name: str) -> None:
        self._name = name
        # A session of its own: a Ctrl-C is for us to handle, and then ends it.
        self._process = subprocess.Popen(  # noqa: S603 (no shell)
            command,
            stdin=None if name == STANDARD_INPUT else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._said: list[str] = []
        self._listener = threading.Thread(target=self._listen, args=(self._process.stderr,), daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def frames(self, parser: Any, tally: Tally) -> Iterator[Any]:
        """The frames that tshark shows, as pyshark's packets."""
        stream = _Output(self._process.stdout)
        data = b""
        begun = False
        while True:
            try:
                frame, data = _result(parser.get_packets_from_stream(stream, data, got_first_packet=begun))
            except EOFError:
                return
            if frame is not None:
                begun = True
                yield frame
            elif len(data) > _LONGEST:
                number = re.search(rb'"frame\.number": "(\d{1,10})"', data)
                tally.limit(self._name, int(number[1]) if number else 0, "frame with more than 16 MiB to say")
                data = stream.skip()

    def failure(self) -> str:
        """What went wrong, once the output has ended; empty if nothing did."""
        status = self._process.wait()
        self._listener.join()
        if status < 0:
            return f"tshark was ended by signal {-status}"
        return _complaint(self._said) if status else ""

    def _listen(self, stderr: IO[bytes]) -> None:
        """Read all that tshark says, so that it never waits, and keep its own words and the last line."""
        while line := stderr.readline(4096):
            text = line.decode(errors="replace").rstrip()
            if len(self._said) > 1:
                del self._said[-1]
            if text:
                self._said.append(text)
            if text.startswith("tshark: "):
                self._said[:] = [text]


class _Output:
    """tshark's output, as pyshark's parser awaits it; nothing here waits for an event loop."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        assert pipe is not None
        self._pipe: Any = pipe

    async def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""
        return bytes(self._pipe.read1(size))

    def skip(self) -> bytes:
        """Go on to the next frame, and give what was read of it."""
        tail = b""
        while more := self._pipe.read1(1 << 16):
            _, found, tail = (tail + more).rpartition(_BEHIND_A_FRAME)
            if found:
                return bytes(tail)
            tail = tail[-len(_BEHIND_A_FRAME) :]
        return b""


def _result(coroutine: Coroutine[Any, Any, tuple[Any, bytes]]) -> tuple[Any, bytes]:
    """What a coroutine returns that never has to wait."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        found: tuple[Any, bytes] = done.value
        return found
    raise AssertionError("pyshark's parser waits for something else than its stream")


def _take(frame: Any, dissector: Dissector, limits: Limits) -> None:
    """Hand the SIP of a frame to the dissector, as though that had found it."""
    protocols = str(frame.frame_info.get_field("protocols")).split(":")
    below = protocols[: protocols.index("sip")] if "sip" in protocols else protocols
    if "icmp" in below or "icmpv6" in below:
        dissector.skip("quoted by ICMP")
        return
    time = microseconds(frame.sniff_timestamp)
    position = Position(dissector.source, int(frame.number))
    source, destination = _addresses(frame, below)
    ports, ports_at = _innermost(frame, below, ("udp", "tcp", "sctp"))
    source_port, destination_port = int.from_bytes(ports[:2]), int.from_bytes(ports[2:4])
    transport = next((_TRANSPORTS[name] for name in reversed(below) if name in _TRANSPORTS), "")
    missing = int(frame.length) - int(str(frame.frame_info.get_field("cap_len")))
    if transport in _STREAMS:
        between = dissector.endpoint(source, source_port), dissector.endpoint(destination, destination_port)
        emit = functools.partial(dissector.stream_message, *between, transport=transport)
        for data, _ in _layers(frame, "sip"):
            framer = Framer(limits, emit)
            framer.feed(data, time, position)
            framer.end()
        return
    for data, at in _layers(frame, "sip"):
        if transport == "UDP" and at == ports_at + len(ports):
            # tshark's layer ends with the first message of a datagram.
            whole = _layers(frame, "frame")[0][0][at : ports_at + int.from_bytes(ports[4:6])]
            data = whole if whole.startswith(data) else data
        packet = Packet(position, time, data)
        packet.source, packet.destination = source, destination
        packet.whole += missing
        dissector.datagram(packet, source_port, destination_port, transport)


def _addresses(frame: Any, below: list[str]) -> tuple[bytes, bytes]:
    """Source and destination of the innermost IP header."""
    header, _ = _innermost(frame, below, ("ip", "ipv6"))
    at, size = (8, 16) if header[:1] and header[0] >> 4 == 6 else (12, 4)
    return header[at : at + size], header[at + size : at + 2 * size]


def _innermost(frame: Any, below: list[str], names: tuple[str, ...]) -> tuple[bytes, int]:
    """Bytes and offset of the last layer below SIP that has one of these names; nothing if there is none."""
    name = next((name for name in reversed(below) if name in names), "")
    layers = _layers(frame, name)
    return layers[min(below.count(name), len(layers)) - 1] if layers else (b"", -1)


def _layers(frame: Any, name: str) -> list[tuple[bytes, int]]:
    """The layers of a frame with that name: the bytes of each, and where they begin in what it was cut from.

    tshark writes one as [hex, offset, …] and several as a list of these; of a list, pyshark makes a layer of its first
    element, with layers of the others as its `duplicate_layers`.
    """
    found = []
    for layer in frame.get_multiple_layers(f"{name}_raw"):
        if isinstance(layer.value, str):
            found.append((layer.value, layer.duplicate_layers[0].value))
        else:
            found.append((layer.value[0], layer.value[1]))
            found += [(other.value, other.duplicate_layers[0].value) for other in layer.duplicate_layers]
    return [(bytes.fromhex(text), int(at)) for text, at in found]


def microseconds(stamp: str) -> int:
    """tshark's time stamp as microseconds: seconds since 1970, or from tshark 4.6 on ISO 8601 in UTC; never a float."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    if "T" in whole:
        seconds = (datetime.fromisoformat(whole).replace(tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
    else:
        seconds = int(whole)
    parts = int(f"{fraction:0<6}"[:6])
    return seconds * 1_000_000 + (-parts if stamp.startswith("-") else parts)
