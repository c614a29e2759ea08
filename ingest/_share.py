"""`Share`: which messages are whose, where several processes read the same."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

from sipcdr.builder import native

if TYPE_CHECKING:
    from sipcdr.builder import SipMessage


class Share(NamedTuple):
    """The messages whose Call-ID falls to `number`, from 0, of so many: by its CRC-32."""

    number: int
    of: int

    def messages(self, batch: list[SipMessage]) -> list[SipMessage]:
        """The messages of a batch that are in it."""
        if native is not None:
            own: list[SipMessage] = native.share(batch, self.number, self.of)
            return own
        return [message for message in batch if zlib.crc32(message.call_id) % self.of == self.number]
