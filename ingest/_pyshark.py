"""Wireshark's own dissectors as a reader of captures, by pyshark and tshark, for what the own reader doesn't know.

TLS with its secrets, every encapsulation and file format of Wireshark's. It is far slower, and tshark's memory grows
with the capture; ours doesn't. tshark names the layers of each frame with SIP and gives their bytes. The innermost
addresses and the bytes of the SIP layers then go the same way as those that the own reader finds.

tshark goes by the preferences of the user who runs it, as Wireshark does. Frames without a time stamp are left out, and
a connection isn't followed from one file into the next.
"""

from __future__ import annotations

import functools
import re
import struct
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sipcdr.builder import Position

from . import _pcapng
from ._dissect import BATCH, Dissector
from ._errors import NotACapture, ReaderUnavailable
from ._formats import READERS
from ._framing import Framer
from ._packet import Packet
from ._source import STANDARD_INPUT
from ._tshark import Tshark

if TYPE_CHECKING:
    from collections.abc import Generator

    from sipcdr.builder import SipMessage

    from ._limits import Limits
    from ._tally import Tally

_TRANSPORTS: Final = {"udp": "UDP", "tcp": "TCP", "tls": "TLS", "websocket": "WS", "sctp": "SCTP"}
_STREAMS: Final = frozenset({"TCP", "TLS"})
_SECRET: Final = re.compile(rb"^(?:CLIENT_RANDOM|RSA|PMS_CLIENT_RANDOM|\w{1,64}_SECRET(?:_0)?) ", re.MULTILINE)
_SECRETS_BLOCK: Final = 10
_HEAD: Final = 1 << 20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


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
        """Whether anything is said."""
        return bool(self.keylog or self.decode_as or self.display_filter)


_NOTHING: Final = SharkOptions()


class Shark:
    """Reads captures by tshark. Raises ReaderUnavailable where pyshark, tshark or an option can't be used."""

    def __init__(self, options: SharkOptions = _NOTHING) -> None:
        arguments = [word for rule in options.decode_as for word in ("-d", rule)]
        if options.keylog:
            arguments += ["-o", f"tls.keylog_file:{_keylog(options.keylog)}"]
        self._has_keylog = bool(options.keylog)
        self._tshark = Tshark(arguments)
        shown = f"({options.display_filter}) and " if options.display_filter else ""
        # Without a time stamp pyshark can't make a packet.
        self._shown = f"{shown}sip and frame.time_epoch"
        self._tshark.check(self._shown)

    def messages(self, name: str, tally: Tally, limits: Limits) -> Generator[list[SipMessage]]:
        """The messages of a capture in batches. tshark ends with the iteration. Raises NotACapture, OSError."""
        secrets = self._look(name) or self._has_keylog
        dissector = Dissector(name, tally, limits)
        # In order, a stream ends where a segment was lost; else, decryption ends where two segments were swapped.
        order = ["-o", f"tcp.reassemble_out_of_order:{'TRUE' if secrets else 'FALSE'}"]
        with closing(self._tshark.frames(name, self._shown, tally, order)) as frames:
            for frame in frames:
                tally.packets += 1
                _take(frame, dissector, limits)
                if len(dissector.messages) >= BATCH:
                    yield dissector.take()
        yield dissector.take()

    def _look(self, name: str) -> bool:
        """See whether it is a capture, and whether it begins with TLS secrets. Raises NotACapture, OSError."""
        if name == STANDARD_INPUT or not Path(name).is_file():  # what is read of a pipe is gone
            return False
        with Path(name).open("rb") as file:
            head = file.read(_HEAD)
        if not head:
            raise NotACapture("empty file")
        if head[:4] not in READERS:
            self._tshark.knows(name)
        return head[:4] == _pcapng.MAGIC and _has_secrets(head)


def _has_secrets(head: bytes) -> bool:
    """Whether a Decryption Secrets Block is among the first blocks of a pcapng file."""
    order = "<" if head[8:12] == b"\x4d\x3c\x2b\x1a" else ">"
    at = 0
    while at + 12 <= len(head):
        kind, length = struct.unpack_from(order + "II", head, at)
        if kind == _SECRETS_BLOCK:
            return True
        at += max(length, 12)
    return False


def _keylog(name: str) -> str:
    """The absolute path of a key log; tshark itself says nothing when there is none. Raises ReaderUnavailable."""
    try:
        with Path(name).open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise ReaderUnavailable(f"key log {name}: {error.strerror}") from error
    if not _SECRET.search(head):
        raise ReaderUnavailable(f"key log {name}: no TLS secrets in it, as SSLKEYLOGFILE writes them")
    return str(Path(name).absolute())


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
        whole = data
        if transport == "UDP" and at == ports_at + len(ports):
            # tshark's layer ends with the first message of a datagram.
            datagram = _layers(frame, "frame")[0][0][at : ports_at + int.from_bytes(ports[4:6])]
            whole = datagram if datagram.startswith(data) else data
        packet = Packet(position, time, whole)
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
    """A time stamp of tshark: seconds since 1970, or ISO 8601 in UTC (from 4.6 on). Never by way of a float."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    if "T" in whole:
        seconds = (datetime.fromisoformat(whole).replace(tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
    else:
        seconds = int(whole)
    parts = int(f"{fraction:0<6}"[:6])
    return seconds * 1_000_000 + (-parts if stamp.startswith("-") else parts)
