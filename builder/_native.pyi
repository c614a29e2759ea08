"""The native kernel: `ingest/native-rs`. Each name does exactly what the Python that it is the twin of does."""

from collections import Counter
from typing import Any, Final

from ._call import Slim
from ._facts import Fact
from ._message import Position, SipMessage
from ._row import SessionDetails
from ._rules import Rules

VERSION: Final[str]

class Call:
    """Twin of `_call.Call`. A message of any kind is taken that has the attributes of a `SipMessage`."""

    def __init__(self, call_id: bytes) -> None: ...
    @property
    def call_id(self) -> bytes: ...
    @property
    def ended(self) -> bool: ...
    @property
    def size(self) -> int: ...
    def add(self, message: SipMessage, rules: Rules | None = None) -> int: ...
    def join(self, other: Call) -> Call: ...
    @property
    def facts(self) -> list[Fact]: ...
    @property
    def slims(self) -> list[Slim]: ...
    @property
    def capped(self) -> int: ...
    @property
    def first_time(self) -> int | None: ...
    @property
    def last_time(self) -> int | None: ...
    def __bytes__(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> Call: ...

class Message:
    """A `SipMessage` whose fields are made when they are asked for. It is equal to the `SipMessage` with the same."""

    time: Final[int]
    method: Final[str]
    status: Final[int]
    call_id: Final[bytes]
    from_tag: Final[bytes]
    to_tag: Final[bytes]
    cseq: Final[int]
    vias: Final[int]
    headers: Final[dict[bytes, list[bytes]]]
    raw: Final[bytes]
    body_at: Final[int]
    position: Final[Position]
    source: Final[str]
    destination: Final[str]
    transport: Final[str]
    cut: Final[bool]
    machine: Final[str]
    pool: Final[str]
    start_line: Final[bytes]
    body: Final[bytes]

    def header(self, name: bytes) -> list[bytes]:
        """All values of any header, as `SipMessage.header`."""

    def plain(self) -> SipMessage:
        """The same as a `SipMessage`."""

def kinds(messages: list[SipMessage]) -> dict[tuple[str, int], int]:
    """How many of these messages, of any kind, there are of each method and status."""

def values(
    offsets: list[int],
    times: list[int],
    values: list[bytes | None],
    headers: list[Any],
    source: str,
    partition: str,
    tally: object,
    limits: object,
    names: tuple[str, str, str, str],
    addresses: dict[bytes, str],
    transports: dict[bytes, str],
    others: bytes,
) -> tuple[list[Any], list[tuple[int, str | None]], int]:
    """The usual part of `sipcdr.ingest.Values.messages`, which goes on with the rest."""

def scan(
    data: bytes,
    time: int,
    position: Position,
    tally: object,
    limits: object,
    source: str = "",
    destination: str = "",
    transport: str = "",
    cut: bool = False,
    machine: str = "",
    pool: str = "",
) -> Message | str:
    """`sipcdr.ingest.scan`: tally and limits are those of `sipcdr.ingest`."""

def sessions(call: Call, rules: Rules, counts: Counter[str]) -> list[SessionDetails]:
    """Twin of `_sessions.sessions`."""

class Peers:
    """The dissectors that share the bounds on what waits. limits: a `Limits` of `sipcdr.ingest`."""

    def __init__(self, limits: object) -> None: ...
    def dissector(self, esp_null: bool) -> Dissector:
        """One more of them."""

class Dissector:
    """Twin of `ingest._dissect.Dissector`, with the readers of pcap and pcapng in front of it.

    A capture is begun by its first bytes: 24 of pcap, 28 of pcapng. Then `feed` goes on as far as it can, and `more`
    gives it what it wants. tally: a `Tally` of `sipcdr.ingest`.
    """

    last_time: int
    """Of the last frame, in microseconds UTC."""
    ended: bool
    """Whether the capture has no more frames."""

    def begin(self, source: str, head: bytes, ended: bool, damage: str, grows: bool) -> None:
        """Begin with a capture. Raises ValueError if it isn't one. The rest is what `Window` says of the source."""

    def feed(self, batch: int) -> bool:
        """Go on until there are so many messages; False if the capture ends before or more of it is wanted."""

    def more(self, more: bytes, ended: bool, damage: str) -> None:
        """What the capture goes on with; nothing, if there is none yet or it has ended."""

    def take(self, tally: object) -> list[SipMessage]:
        """The messages found since the last time."""

    def finish(self, tally: object) -> list[SipMessage]:
        """Give up what waits, and no longer be one of the peers."""

def share(batch: list[SipMessage], number: int, of: int) -> list[SipMessage]:
    """Twin of `sipcdr.ingest.Share.messages`."""

def is_start_line(line: bytes) -> bool:
    """`ingest._sip.is_start_line`."""

def content_length(data: bytes, at: int, body_at: int) -> int:
    """`ingest._log_ends.content_length`."""

def on_the_wire(raw: bytes) -> bytes:
    """`ingest._log_ends.on_the_wire`."""

def with_bare_ends(data: bytes, at: int, size: int, ended: bool) -> int | None:
    """`ingest._log_ends.with_bare_ends`."""
