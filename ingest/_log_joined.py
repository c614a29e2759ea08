"""Logs that show what was read from a connection and written to it: messages are cut out of the joined bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipcdr.builder import Position

from ._framing import Framer
from ._limits import LOG_CONNECTIONS, Limits
from ._log_format import Record

if TYPE_CHECKING:
    from collections.abc import Callable

_NOWHERE: Final = Position("", 0)
_LIMITS: Final = Limits()
_STREAMS: Final = frozenset({"TCP", "TLS", "WS", "WSS"})


class Joined:
    """The directions of connections, by their addresses; those quiet for longest are given up beyond a bound."""

    def __init__(self) -> None:
        self._framers: dict[tuple[str, str, str], Framer] = {}
        self._holding: set[tuple[str, str, str]] = set()
        self._found: list[tuple[bytes, int, bool]] = []

    def feed(self, piece: Record) -> tuple[Record, ...]:
        """The messages that end in a piece of a connection; what came otherwise is one."""
        if piece.transport not in _STREAMS:
            return (piece,)
        key = (piece.source, piece.destination, piece.transport)
        framer = self._framers.pop(key, None)
        if framer is None:
            framer = Framer(_LIMITS, self._take)
        self._framers[key] = framer
        if len(self._framers) > LOG_CONNECTIONS:
            oldest = next(iter(self._framers))
            del self._framers[oldest]
            self._holding.discard(oldest)
        if not piece.cut and framer.passes(piece.raw):
            return (piece,)
        framer.feed(piece.raw, piece.time, _NOWHERE)
        if piece.cut:
            framer.gap()
        if len(framer):
            self._holding.add(key)
        else:
            self._holding.discard(key)
        return self._records(piece)

    @property
    def waiting(self) -> bool:
        """Whether a part of a message is held back."""
        return bool(self._holding)

    def _take(self, raw: bytes, time: int, _position: Position, cut: bool) -> None:
        self._found.append((raw, time, cut))

    def _records(self, piece: Record) -> tuple[Record, ...]:
        found, self._found = self._found, []
        return tuple(
            Record(raw, piece.at, piece.time, piece.tick, piece.source, piece.destination, piece.transport, cut=cut)
            for raw, _, cut in found
        )


def as_long(text: bytes, size: int, restored: Callable[[bytes], bytes]) -> bytes:
    """A piece as long as the log says it was: as it stands, or with the CRs that the log has dropped."""
    if len(text) >= size and (len(text) - size < 3 or b"\r\n" in text):
        return text[:size]
    return restored(text)[:size]
