"""Calls as facts, and beside them where each fact was read: what `explain` needs of captures or of a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from sipcdr.builder import Call, Rules, fact_of

from ._mask import decoded

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from sipcdr.builder import Fact, Position, SipMessage

# RFC 3326 and RFC 3261 20.43: no column has them, but they say why.
_NOTES: Final = ((b"reason", "Reason"), (b"warning", "Warning"))


class Sighting(msgspec.Struct, frozen=True):
    """Where a fact was read. start_line and notes (Reason and Warning headers) may be shown as they are."""

    position: Position
    start_line: str
    cut: bool
    notes: tuple[str, ...]


class Sightings:
    """Calls by Call-ID, in the order of their first message, and the sightings of their facts.

    kept: False where positions are unknown, as a database stores facts only. logs: the sources that are logs, where a
    position's number is a line's; it may fill up later.
    """

    def __init__(self, rules: Rules | None = None, *, kept: bool = True, logs: AbstractSet[str] = frozenset()) -> None:
        self.rules = rules or Rules()
        self.kept = kept
        self.logs = logs
        self.calls: dict[bytes, Call] = {}
        self._of: dict[Fact, list[Sighting]] = {}

    def add(self, messages: Iterable[SipMessage]) -> None:
        """Take messages in."""
        for message in messages:
            fact = fact_of(message, self.rules.correlation_header)
            if fact is None:
                continue
            call = self.calls.get(message.call_id)
            if call is None:
                call = self.calls[message.call_id] = Call(message.call_id)
            call.add(message, self.rules)
            notes = tuple(
                f"{title}: {decoded(value, 200)}" for name, title in _NOTES for value in message.header(name)[:2]
            )
            sighting = Sighting(message.position, decoded(message.start_line, 300), message.cut, notes)
            self._of.setdefault(fact, []).append(sighting)

    def of(self, fact: Fact) -> Sighting | None:
        """Where a fact was read first."""
        found = self._of.get(fact)
        return None if found is None else found[0]

    def all_of(self, fact: Fact) -> list[Sighting]:
        """Everywhere that it was read: the same packet in two files, say."""
        return self._of.get(fact, [])
