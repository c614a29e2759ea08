"""Which capture format a source is in: a table by its first bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from . import _pcap, _pcapng
from ._errors import NotACapture
from ._logs import is_text

if TYPE_CHECKING:
    from ._limits import Limits
    from ._source import Window
    from ._tally import Tally

# Formats that only Wireshark reads. ERF has nothing that it begins with.
_WIRESHARKS: Final = {b"snoop\0": "a snoop", b"GMBU": "a Network Monitor", b"RTSS": "a Network Monitor"}
_WIRESHARKS_SUFFIX: Final = ".erf"

Reader = Callable[["Window", "Tally", "Limits"], Iterator[_pcap.Record]]

READERS: Final[dict[bytes, Reader]] = {
    **dict.fromkeys(_pcap.MAGIC, _pcap.records),
    _pcapng.MAGIC: _pcapng.records,
}

_OTHERS: Final = (
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"%PDF", "a PDF file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x7fELF", "a program"),
)


class Text(NotACapture):
    """What may be a log."""


def is_wiresharks(name: str, head: bytes) -> bool:
    """Whether a file, by its first bytes or its name, is a capture that only Wireshark reads."""
    return head.startswith(tuple(_WIRESHARKS)) or name.lower().endswith(_WIRESHARKS_SUFFIX)


def reader_of(window: Window) -> Reader:
    """Who reads a source, by what it begins with. Raises NotACapture, Text for what may be a log; and OSError."""
    window.fill(0, 16)
    head = window.data[:16]
    name = window.source.name
    if not head or (len(head) < 4 and window.source.damage):
        raise NotACapture(window.source.damage or "empty file")
    reader = READERS.get(head[:4])
    if reader is not None:
        return reader
    for magic, what in _OTHERS:
        if head.startswith(magic):
            raise NotACapture(f"{what}, not a capture (pcap or pcapng)")
    if is_wiresharks(name, head):
        what = next((what for magic, what in _WIRESHARKS.items() if head.startswith(magic)), "an ERF")
        raise NotACapture(f"{what} capture, which is read by --reader pyshark only")
    if is_text(head):
        raise Text("text, not a capture (pcap or pcapng)")
    raise NotACapture(f"not a capture (pcap or pcapng): begins with {head[:4].hex(' ')}")


def records(window: Window, tally: Tally, limits: Limits) -> Iterator[_pcap.Record]:
    """The frames of a source, whatever its format. Raises what `reader_of` does."""
    return reader_of(window)(window, tally, limits)
