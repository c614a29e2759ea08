"""Reading back the file of refused calls."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

import msgspec

from sipcdr.builder import BuilderError, Call
from sipcdr.ingest import Problem
from sipcdr.sinks import StoredCall

from ._write import stored_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

LINE: Final = 64 << 20
"""Bytes of a line that are read: the facts of a call at its bounds have a third of that in base64."""


class _Line(msgspec.Struct):
    """What of a line is read; the rest is for people."""

    facts: str


_decode = msgspec.json.Decoder(_Line).decode


def refused_calls(file: BinaryIO, name: str, size: int) -> Iterator[Call | Problem]:
    """The calls of the first `size` bytes of a file that `Refusals` wrote; a line that is none is a Problem.

    A Problem's frame is the line, its offset where in the file that begins.
    """
    number = at = 0
    while at < size and (line := file.readline(LINE)):
        number += 1
        start, at = at, at + len(line)
        if len(line) == LINE and not line.endswith(b"\n"):
            while (rest := file.readline(LINE)) and not rest.endswith(b"\n"):
                at += len(rest)
            at += len(rest)
            yield Problem(name, number, start, f"a line longer than {LINE >> 20} MiB")
        elif line.strip():
            try:
                yield _call(line)
            except (msgspec.MsgspecError, binascii.Error, BuilderError, ValueError) as error:
                yield Problem(name, number, start, str(error))


def _call(line: bytes) -> Call:
    facts = base64.b64decode(_decode(line).facts, validate=True)
    if not facts:
        raise ValueError("no facts")
    return Call.from_bytes(stored_bytes(StoredCall(b"", 0, facts, ())))
