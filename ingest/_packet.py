"""A frame on its way through the layers, and how a decoder says what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sipcdr.builder import Position

    from ._dissect import Dissector


class Packet:
    """A frame on its way through the layers.

    data, at, end: the bytes, where the next header begins, and where what was captured of this layer ends.
    whole: where it ended when it was sent, behind `end` if it is cut. cut_by: why, then.
    source, destination: the innermost IP addresses, packed. first: where the first was of the frames that it came in.
    """

    __slots__ = ("at", "cut_by", "data", "destination", "end", "first", "position", "source", "time", "whole")

    def __init__(self, position: Position, time: int, data: bytes) -> None:
        self.first = self.position = position
        self.time = time
        self.data = data
        self.at = 0
        self.end = self.whole = len(data)
        self.cut_by = SNAP_LENGTH
        self.source = b""
        self.destination = b""

    def ends_at(self, end: int) -> None:
        """Let it end where a header says: link padding goes, and bytes that the capture lacks are noted."""
        self.whole = end
        self.end = min(self.end, end)

    def part(self, at: int, end: int) -> Packet:
        """What of it stands between two places, as a packet of its own."""
        packet = Packet(self.position, self.time, self.data)
        packet.source, packet.destination = self.source, self.destination
        packet.at = at
        packet.end = min(end, self.end)
        packet.whole = end
        packet.cut_by = self.cut_by
        packet.first = self.first
        return packet


# Tables of `_layers`, by what their numbers mean.
LINK: Final = 0
ETHERTYPE: Final = 1
PROTOCOL: Final = 2
PORT: Final = 3
PPP: Final = 4

ETHERNET: Final = (LINK, 1)
RAW_IP: Final = (LINK, 101)
IPV4: Final = (ETHERTYPE, 0x0800)
IPV6: Final = (ETHERTYPE, 0x86DD)

Step = tuple[int, int] | None
"""Table and number of the decoder that follows; None where a frame ends or was handed over."""
Decoder = Callable[["Dissector", Packet], Step]

SNAP_LENGTH: Final = "cut by the snap length"
TOO_SHORT: Final = "frame too short for its headers"
NOT_IP: Final = "not IP"
NOT_OURS: Final = "neither UDP, TCP nor SCTP"
