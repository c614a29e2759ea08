"""Errors of this package.

SinkError                 base
├── SinkUnavailable       may pass: a lost connection, a deadlock, a server that is away; begin again
│   └── SinkLocked        another writer holds the database's lock, and the time-out is over
├── SinkConflict          another writer was there first, or a row wasn't where it was expected; begin again
├── SinkRefused           the database refuses data: a value or a row
├── SinkFull              no room is left
├── SinkReadOnly          the database may not be written
└── SinkUnusable          not a database, not ours, or not to be opened; trying again is no use
    └── SinkAddress       no database URL, or one of a database that isn't supported here

Any other exception out of this package is a bug.
"""


class SinkError(Exception):
    """Base of all errors that this package raises on purpose."""


class SinkUnavailable(SinkError):
    """The database can't be reached now; the transaction, if there was one, may or may not be committed."""


class SinkLocked(SinkUnavailable):
    """Another process has held the database's lock for longer than the time-out."""


class SinkConflict(SinkError):
    """A uniqueness conflict, or fewer rows found than expected: what was read is no longer so."""


class SinkRefused(SinkError):
    """The database doesn't take a value or a row of this transaction."""


class SinkFull(SinkError):
    """The disk or the database is full."""


class SinkReadOnly(SinkError):
    """The database is read-only."""


class SinkUnusable(SinkError):
    """The address names no database that sipcdr can use."""


class SinkAddress(SinkUnusable):
    """The address is no database URL, or one of a database that isn't supported, or whose driver isn't installed."""
