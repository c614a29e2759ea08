"""What an SQLSTATE means: ISO/IEC 9075, PostgreSQL's appendix A, and those of ODBC."""

from __future__ import annotations

from typing import Final

from ._errors import (
    SinkConflict,
    SinkError,
    SinkFull,
    SinkLocked,
    SinkReadOnly,
    SinkRefused,
    SinkUnavailable,
    SinkUnusable,
)

_STATES: Final[dict[str, type[SinkError]]] = {
    # Classes, by their two characters.
    "08": SinkUnavailable,  # connection
    "22": SinkRefused,  # data
    "23": SinkRefused,  # integrity: NOT NULL, CHECK
    "25": SinkUnavailable,  # transaction state: the server ended it
    "40": SinkUnavailable,  # rollback: deadlock, serialization
    "53": SinkUnavailable,  # resources: too many connections, memory
    "54": SinkRefused,  # limits: a row too large for its index
    "57": SinkUnavailable,  # the operator: shutdown, crash, cancelled
    "58": SinkUnavailable,  # the system: I/O
    # Single states.
    "23503": SinkConflict,  # foreign key: a row that an id or key was read from is no longer there
    "23505": SinkConflict,  # unique
    "25006": SinkReadOnly,
    "53100": SinkFull,
    "55P03": SinkLocked,
    "57P04": SinkUnusable,  # the database was dropped
    "HYT00": SinkUnavailable,  # a time-out
    "HYT01": SinkUnavailable,
}

HINTS: Final[dict[type[SinkError], str]] = {
    SinkFull: "no room is left: ",
    SinkReadOnly: "the database is read-only: ",
    SinkLocked: "another program holds the database: ",
}
"""What stands before a driver's words, where these don't say it plainly."""


def kind_of(state: str) -> type[SinkError]:
    """The error that an SQLSTATE stands for; SinkUnusable where trying again would be no use."""
    return _STATES.get(state) or _STATES.get(state[:2], SinkUnusable)


def made(kind: type[SinkError], text: object) -> SinkError:
    """An error in a driver's words, on one line."""
    return kind(HINTS.get(kind, "") + " ".join(str(text).split()))
