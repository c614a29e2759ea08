"""The frames of captures with what they carry, for those who want the packets themselves."""

from __future__ import annotations

import heapq
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from sipcdr.builder import Position

from ._containers import captures
from ._dissect import Dissector
from ._errors import NotACapture
from ._formats import Text, records
from ._limits import Limits
from ._logs import LogOptions, log_messages, written
from ._source import Window, open_source
from ._synthesized import RAW_IP, packets_of_log
from ._tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from ._packet import Packet, Step

_LIMITS: Final = Limits()
_LOGS: Final = LogOptions()


class Carried(msgspec.Struct, kw_only=True):
    """A frame and what it carries.

    time: microseconds UTC. link: its link type. data: as captured. missing: bytes that were sent and not captured, as
    far as its IP header says. source, destination: `host:port`, empty where there is none.
    fragment: of an IP fragment what it has in common with the others of its datagram.
    sequence: of a TCP segment that of its first byte, of SCTP 0, else -1; flags: its FIN, SYN and RST (1, 2, 4).
    payload: that of the segment.
    """

    position: Position
    time: int
    link: int
    data: bytes
    missing: int = 0
    source: str = ""
    destination: str = ""
    fragment: tuple[bytes, bytes, int, int] | None = None
    sequence: int = -1
    flags: int = 0
    payload: bytes = b""


class _Tracer(Dissector):
    """Goes through the layers as the reader does, and notes what is there instead of reading it."""

    def __init__(self, source: str) -> None:
        super().__init__(source, Tally(), _LIMITS)
        self._carried: Carried | None = None

    def trace(self, number: int, time: int, link: int, data: bytes) -> Carried:
        """What a frame carries."""
        carried = self._carried = Carried(position=Position(self.source, number), time=time, link=link, data=data)
        self.walk(number, time, link, data)
        return carried

    def joined(self, packet: Packet, protocol: int, identification: int, offset: int, more: bool) -> bool:  # noqa: ARG002
        """Note a fragment, and go no further."""
        if self._carried is not None:
            self._carried.fragment = (packet.source, packet.destination, protocol, identification)
            self._carried.missing = max(packet.whole - packet.end, 0)
        return False

    def datagram(self, packet: Packet, source_port: int, destination_port: int, transport: str = "UDP") -> None:  # noqa: ARG002
        """Note a datagram."""
        self._note(packet, source_port, destination_port)

    def segment(self, packet: Packet, header: int) -> None:
        """Note a TCP segment."""
        data, at = packet.data, packet.at
        self._note(packet, data[at] << 8 | data[at + 1], data[at + 2] << 8 | data[at + 3])
        if self._carried is not None:
            self._carried.flags = data[at + 13] & 7
            self._carried.sequence = int.from_bytes(data[at + 4 : at + 8], "big")
            self._carried.payload = data[at + header : packet.end]

    def chunks(self, packet: Packet) -> Step:
        """Note a packet of SCTP, as one of a connection."""
        data, at = packet.data, packet.at
        if at + 4 <= packet.end:
            self._note(packet, data[at] << 8 | data[at + 1], data[at + 2] << 8 | data[at + 3])
            if self._carried is not None:
                self._carried.sequence = 0
        return None

    def _note(self, packet: Packet, source_port: int, destination_port: int) -> None:
        if self._carried is not None:
            self._carried.source = self.endpoint(packet.source, source_port)
            self._carried.destination = self.endpoint(packet.destination, destination_port)
            self._carried.missing = max(packet.whole - packet.end, 0)


def packets(
    files: Sequence[str],
    until: int | None = None,
    logs: LogOptions = _LOGS,
    asked: Callable[[str, int, bytes], bool] | None = None,
) -> Iterator[Carried]:
    """The frames of capture files, merged by time; of each file up to its end or the time `until`.

    Of logs, packets are made up for their records. What can't be read is left out: `Inputs` says what and why. With
    `asked`, only those frames are looked at and given for whose source, number and bytes it says so.
    """
    heap: list[tuple[int, int, Generator[Carried] | None, Carried | None]] = []
    for order, name in enumerate(files):
        frames = _frames(name, until, logs, None)
        first = next(frames, None)
        frames.close()
        if first is not None:
            heap.append((first.time, order, None, None))
    heapq.heapify(heap)
    while heap:
        _, order, opened, carried = heapq.heappop(heap)
        frames = (
            _frames(files[order], until, logs, asked) if opened is None else opened
        )  # a file is opened when its time has come
        if carried is not None:
            yield carried
        following = next(frames, None)
        if following is not None:
            heapq.heappush(heap, (following.time, order, frames, following))


def _frames(
    name: str, until: int | None, logs: LogOptions, asked: Callable[[str, int, bytes], bool] | None
) -> Generator[Carried]:
    tracer = _Tracer(name)
    try:
        source = open_source(name)
        try:
            for stream in captures(source, _LIMITS):
                tracer.source = stream.name
                with suppress(NotACapture):
                    window = Window(stream)
                    try:
                        frames = records(window, Tally(), _LIMITS)
                    except Text:
                        frames = _of_log(window, name, logs)
                    for number, time, link, data in frames:
                        if until is not None and time > until:
                            break  # another capture in an archive may be earlier
                        if asked is None or asked(stream.name, number, data):
                            yield tracer.trace(number, time, link, data)
        finally:
            source.close()
    except OSError:
        return


def _of_log(window: Window, name: str, logs: LogOptions) -> Iterator[tuple[int, int, int, bytes]]:
    batches = log_messages(window, Tally(), _LIMITS, logs, written(name))
    for position, time, packet in packets_of_log(message for batch in batches for message in batch):
        yield position.number, time, RAW_IP, packet
