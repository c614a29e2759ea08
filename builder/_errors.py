"""Errors of this package.

BuilderError
└── CallDamaged    stored bytes that are no call, or of a newer format

Messages, however malformed or hostile, raise nothing.
"""


class BuilderError(Exception):
    """Base of all errors that this package raises on purpose."""


class CallDamaged(BuilderError):
    """Bytes that `Call.from_bytes` can't read."""
