"""`Share`: which messages are whose, where several processes read the same."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipcdr.builder import SipMessage


class Share(NamedTuple):
    """The messages whose Call-ID falls to `number`, from 0, of so many: by its CRC-32."""

    number: int
    of: int

    def messages(self, batch: Iterable[SipMessage]) -> list[SipMessage]:
        """The messages of a batch that are in it."""
        return [message for message in batch if zlib.crc32(message.call_id) % self.of == self.number]
