"""SessionDetails in, rows in a database. Knows nothing of SIP.

>>> from sipcdr.sinks import Sink
"""

from ._address import without_secrets
from ._administration import check, current, ddl, upgrade
from ._errors import (
    SinkAddress,
    SinkConflict,
    SinkError,
    SinkFull,
    SinkLocked,
    SinkReadOnly,
    SinkRefused,
    SinkUnavailable,
    SinkUnusable,
)
from ._output import NUMBER_COLUMNS, SESSION_COLUMNS, TIME_COLUMNS, Session, Value, session_of
from ._records import Change, SessionKey, StoredCall, StoredKey, StoredPosition, replaced
from ._retention import Numbered, Purged, Upkeep
from ._sink import Sink
from ._totals import Total, Waits
from ._transaction import Effect, Transaction
from ._walk import Walked

__all__ = [
    "NUMBER_COLUMNS",
    "SESSION_COLUMNS",
    "TIME_COLUMNS",
    "Change",
    "Effect",
    "Numbered",
    "Purged",
    "Session",
    "SessionKey",
    "Sink",
    "SinkAddress",
    "SinkConflict",
    "SinkError",
    "SinkFull",
    "SinkLocked",
    "SinkReadOnly",
    "SinkRefused",
    "SinkUnavailable",
    "SinkUnusable",
    "StoredCall",
    "StoredKey",
    "StoredPosition",
    "Total",
    "Transaction",
    "Upkeep",
    "Value",
    "Waits",
    "Walked",
    "check",
    "current",
    "ddl",
    "replaced",
    "session_of",
    "upgrade",
    "without_secrets",
]
