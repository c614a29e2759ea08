"""Dead letters: records that hold nothing of use, kept with where they came from and why, to be tried again.

A file has one JSON object a line, key and value in base64. A topic has the records as they were, and in headers of
`sipcdr.` what a line of the file says beside them.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from sipcdr.builder import Correlator
from sipcdr.ingest import Record

from ._producer import TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from sipcdr.builder import Call, Rules
    from sipcdr.ingest import Poison, Polled, Values

    from ._producer import Headers, Producer

_PREFIX: Final = "sipcdr."
_CUT: Final = 256 * 1024
"""Bytes of a value that are kept of a letter which a topic doesn't take whole."""
_LINE: Final = 64 * 1024 * 1024
"""Bytes of a file's line beyond which it is taken for something else."""
_HEADERS: Final = 64
_HEADER: Final = 4096
"""Bytes that are kept of a header."""
_HOUR: Final = 3_600_000_000


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A record that could not be used.

    source: the topic or listener. partition: empty for a listener. time: microseconds UTC, the record's. reason: why.
    cut: the value's length, where only its beginning could be kept; else 0. headers: the record's, as far as `Values`
    would look at them.
    """

    source: str
    partition: str
    offset: int
    time: int
    reason: str
    key: bytes | None = None
    value: bytes = b""
    cut: int = 0
    headers: list[tuple[str, bytes]] = []

    @property
    def record(self) -> Record:
        """The record as it was."""
        return Record(self.offset, self.time, self.key, self.value, self.headers)


def letters_of(poison: Sequence[Poison], source: str, partition: str) -> list[Letter]:
    """What is to be written of records that `Values` could not use."""
    return [
        Letter(
            source=source,
            partition=partition,
            offset=each.record.offset,
            time=each.record.time,
            reason=each.reason,
            key=each.record.key,
            value=each.record.value or b"",
            headers=_kept(each.record.headers),
        )
        for each in poison
    ]


def _kept(headers: Iterable[tuple[str, bytes | None]]) -> list[tuple[str, bytes]]:
    """What is kept of a record's headers: what says something, within bounds; ours are those of a letter."""
    few = list(islice(headers, _HEADERS))
    return [(name, value[:_HEADER]) for name, value in few if value and not name.startswith(_PREFIX)]


class DeadLetters(Protocol):
    """Where dead letters go."""

    def write(self, letters: Iterable[Letter]) -> None:
        """Take letters."""

    def flush(self) -> None:
        """Return when all letters taken would survive a crash."""

    def close(self) -> None:
        """Take no more."""


class LetterFile:
    """Dead letters in a file, which is made with the first and opened for each batch: it may be moved away any time.

    Raises OSError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: list[bytes] = []

    def write(self, letters: Iterable[Letter]) -> None:
        # msgspec writes bytes as base64.
        self._waiting += [msgspec.json.encode(letter) + b"\n" for letter in letters]

    def flush(self) -> None:
        if self._waiting:
            with self._path.open("ab") as file:
                file.write(b"".join(self._waiting))
                file.flush()
                os.fsync(file.fileno())
            self._waiting = []

    def close(self) -> None:
        self.flush()


class LetterTopic:
    """Dead letters in a topic. Raises SourceUnavailable and SourceRefused."""

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._waiting: list[Letter] = []

    def write(self, letters: Iterable[Letter]) -> None:
        self._waiting += letters

    def flush(self) -> None:
        try:
            for letter in self._waiting:
                self._send(letter)
            self._producer.flush()
        except TooLarge:
            # Once more one by one, and what is too large without its end.
            for letter in self._waiting:
                self._send_alone(letter)
        self._waiting = []

    def _send_alone(self, letter: Letter) -> None:
        try:
            self._send(letter)
            self._producer.flush()
        except TooLarge:
            value = letter.value[:_CUT]
            short = msgspec.structs.replace(letter, value=value, key=None, headers=[], cut=len(letter.value))
            self._send(short)
            self._producer.flush()

    def _send(self, letter: Letter) -> None:
        headers: Headers = [
            (_PREFIX + name, str(getattr(letter, name)).encode("utf-8", "replace"))
            for name in ("source", "partition", "offset", "time", "reason", "cut")
        ]
        self._producer.send(self._topic, letter.key, letter.value, headers + letter.headers, None)

    def close(self) -> None:
        self.flush()
        self._producer.close()


def letters_in_file(path: Path, damaged: Callable[[int, str], None]) -> Iterator[Letter]:
    """The letters of a file; `damaged` is told the line, from 1, and why where there is none. Raises OSError."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_LINE):
            number += 1
            try:
                yield msgspec.json.decode(line, type=Letter)
            except (msgspec.DecodeError, ValueError) as error:
                damaged(number, str(error))


def letters_in_records(polled: Polled) -> Iterator[Letter]:
    """The letters of a topic's records; others than ours are letters of their own."""
    for partition, records in polled.records.items():
        for record in records:
            said = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
            yield Letter(
                source=said.get(_PREFIX + "source", partition.topic),
                partition=said.get(_PREFIX + "partition", str(partition.number)),
                offset=_number(said.get(_PREFIX + "offset"), record.offset),
                time=_number(said.get(_PREFIX + "time"), record.time),
                reason=said.get(_PREFIX + "reason", "not written by sipcdr"),
                key=record.key,
                value=record.value or b"",
                cut=_number(said.get(_PREFIX + "cut"), 0),
                headers=_kept(record.headers),
            )


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.lstrip("-").isdigit() and len(text) < 20 else default


class Retried(msgspec.Struct):
    """What came of trying letters again. still: those that still hold nothing of use, by reason."""

    letters: int = 0
    messages: int = 0
    calls: int = 0
    still: Counter[str] = msgspec.field(default_factory=Counter)


def retry(
    letters: Iterable[Letter], values: Values, rules: Rules, write: Callable[[list[Call]], None], *, memory: int
) -> Retried:
    """Read letters again, as a newer version or another configuration may understand them, and write their calls.

    What was written before is joined with, so that nothing is there twice. write: gets calls as they are due.
    """
    retried = Retried()
    correlator = Correlator(rules, hold=_HOUR, memory=memory)
    for letter in letters:
        retried.letters += 1
        messages, poison = values.messages([letter.record], letter.source, letter.partition)
        retried.messages += len(messages)
        retried.still.update(each.reason for each in poison)
        correlator.receive(messages)
        deadline = correlator.next_deadline()
        if deadline is not None and deadline <= correlator.watermark:
            retried.calls += _write(write, correlator.advance(correlator.watermark))
    retried.calls += _write(write, correlator.finish())
    return retried


def _write(write: Callable[[list[Call]], None], calls: list[Call]) -> int:
    if calls:
        write(calls)
    return len(calls)


def listed(letter: Letter, form: str) -> str:
    """A letter as a line: for people, or the JSON that a file of them has."""
    if form == "json":
        return msgspec.json.encode(letter).decode()
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(letter.time // 1_000_000))
    where = f"{letter.source}/{letter.partition}" if letter.partition else letter.source
    begins = ascii(letter.value[:60])[2:-1]
    return f"{at}  {where}:{letter.offset}  {letter.reason}  {len(letter.value):,} bytes: {begins}"
