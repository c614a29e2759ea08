"""The native reader: the kernel's twin of `_dissect` with `_pcap` and `_pcapng`, fed from the same windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sipcdr.builder import native

from ._dissect import BATCH
from ._errors import NotACapture, ReaderUnavailable
from ._formats import reader_of
from ._pcapng import MAGIC
from ._source import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipcdr.builder import SipMessage

    from ._limits import Limits
    from ._source import Window
    from ._tally import Tally

_HEAD: Final = 24
_HEAD_PCAPNG: Final = 28


class NativePeers:
    """Makes dissectors in the kernel, which share the bounds on what waits. Raises ReaderUnavailable without it."""

    def __init__(self, limits: Limits) -> None:
        if native is None:
            raise ReaderUnavailable("the native reader isn't there: no native kernel is in use")
        self._peers = native.Peers(limits)

    def dissector(self, source: str, tally: Tally, *, esp_null: bool = False) -> NativeDissector:
        """One more of them."""
        return NativeDissector(source, tally, self._peers.dissector(esp_null))


class NativeDissector:
    """What `Dissector` is, in the kernel."""

    def __init__(self, source: str, tally: Tally, kernel: Any) -> None:
        self.source = source
        self.batch = BATCH
        self._tally = tally
        self._kernel = kernel

    @property
    def last_time(self) -> int:
        """The time of the last frame."""
        time: int = self._kernel.last_time
        return time

    def read(self, window: Window) -> Iterator[list[SipMessage]]:
        """The messages of the capture that stands at the beginning of `window`, in batches.

        Raises NotACapture, Text for what may be a log; and OSError.
        """
        reader_of(window)
        return self._batches(window)

    def _batches(self, window: Window) -> Iterator[list[SipMessage]]:
        kernel, source = self._kernel, window.source
        window.fill(0, _HEAD_PCAPNG if window.data.startswith(MAGIC) else _HEAD)
        try:
            kernel.begin(source.name, window.data, window.ended, source.damage, source.grows)
        except ValueError as error:
            raise NotACapture(source.damage or str(error)) from None
        window.data = b""  # the kernel has it
        while True:
            if kernel.feed(self.batch):
                yield self.take()
                continue
            if kernel.ended:
                return
            more = source.read(CHUNK)
            waits = not more and source.waits
            kernel.more(more, not more and not waits, source.damage)
            if waits:
                yield self.take()

    def finish(self) -> list[SipMessage]:
        """The messages that still waited for fragments or segments."""
        messages: list[SipMessage] = self._kernel.finish(self._tally)
        return messages

    def take(self) -> list[SipMessage]:
        """The messages found since the last time, which are then no longer held."""
        messages: list[SipMessage] = self._kernel.take(self._tally)
        return messages
