"""SessionDetails in, rows in a database. Knows nothing of SIP.

>>> from sipcdr.sinks import Sink
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
from ._records import Change, SessionKey, StoredCall, StoredKey, StoredPosition, replaced
from ._session import NUMBER_COLUMNS, SESSION_COLUMNS, TIME_COLUMNS, Session, Value, session_of

if TYPE_CHECKING:
    from ._address import without_secrets
    from ._administration import check, current, ddl, upgrade
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

_MODULES = {
    **dict.fromkeys(("check", "current", "ddl", "upgrade"), "_administration"),
    **dict.fromkeys(("Numbered", "Purged", "Upkeep"), "_retention"),
    **dict.fromkeys(("Total", "Waits"), "_totals"),
    **dict.fromkeys(("Effect", "Transaction"), "_transaction"),
    "Sink": "_sink",
    "Walked": "_walk",
    "without_secrets": "_address",
}
"""The modules of names that take SQLAlchemy, which is imported with the first: a replay without a database has none."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f".{_MODULES[name]}", __name__), name)
        return value
