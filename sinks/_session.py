"""A session as people and programs read it: SessionDetails with the text of each look-up in the place of its id."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from sipcdr.builder import SessionDetails, grid

from ._columns import Column, Kind
from ._constants import MEDIA_NAMES
from ._lcscdr import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._dialect import Dialect

Value = str | int | bytes | list[str] | None
Session = dict[str, Value]
"""A session by the names of SESSION_COLUMNS: times in microseconds UTC, CallId and tags as bytes, Media as a list."""


def _shown(column: Column) -> str:
    """A column's name in the output: that of the text where the table has an id."""
    if not column.refers:
        return column.name
    return column.name[:-2]


_COLUMNS: Final = TABLES["SessionDetails"]
_NAMES: Final = tuple(_shown(column) for column in _COLUMNS)
SESSION_COLUMNS: Final = (*_NAMES, "CallId", "FromTag", "ToTag", "Media")
"""Names of a session's values, in their order: those of SessionDetails, and four more."""
TIME_COLUMNS: Final = frozenset(_shown(column) for column in _COLUMNS if column.kind in (Kind.TIME, Kind.KEY_TIME))
"""Those that are times."""
NUMBER_COLUMNS: Final = frozenset(
    column.name
    for column in _COLUMNS
    if not column.refers and column.kind in (Kind.BIT, Kind.TINYINT, Kind.SMALLINT, Kind.INT)
)
"""Those that are numbers. Others are texts, but for Media, a list of them."""
_TEXTS: Final = tuple(_shown(column) for column in _COLUMNS if column.kind is Kind.GUID)
_BITS: Final = tuple(_shown(column) for column in _COLUMNS if column.kind is Kind.BIT)


def values_of(row: Iterable[Any], dialect: Dialect) -> Session:
    """SessionDetails as a driver gives it, look-ups resolved, with the same types for every driver."""
    micros_of = dialect.micros_of
    session: Session = dict(zip(_NAMES, row, strict=True))
    for name in TIME_COLUMNS:
        value = session[name]
        if value is not None:
            session[name] = micros_of(value)
    for name in _TEXTS:
        if session[name] is not None:
            # SQL Server's are in upper case, and psycopg's are no text.
            session[name] = str(session[name]).lower()
    for name in _BITS:
        value = session[name]
        if isinstance(value, bool):
            session[name] = int(value)
    return session


_FIELDS: Final = tuple(_shown(column) for column in _COLUMNS if column.field)
_fields_of: Final = attrgetter(*(column.field for column in _COLUMNS if column.field))
_USERS: Final = tuple(_shown(column) for column in _COLUMNS if column.field and column.refers.startswith("Users."))
_CLIENTS: Final = tuple(
    _shown(column) for column in _COLUMNS if column.field and column.refers.startswith("ClientVersions.")
)


def session_of(row: SessionDetails) -> Session:
    """A session that no database holds, as if it had been written into an empty one; a replaced dialog is unknown."""
    values: dict[str, Any] = dict.fromkeys(_NAMES)
    values.update(zip(_FIELDS, _fields_of(row), strict=True))
    for name in _USERS:
        if values[name] is not None:
            values[name] = values[name].uri
    for name in _CLIENTS:
        if values[name] is not None:
            values[name] = values[name].version
    values["SessionIdTime"] = grid(row.invite_time)
    values["SessionIdSeq"] = 1
    values["Processed"] = 0
    return whole(values, row.call_id, row.caller_tag, row.callee_tag)


_MEDIA: Final = tuple(
    tuple(name for bit, name in enumerate(MEDIA_NAMES) if bits >> bit & 1) for bits in range(1 << len(MEDIA_NAMES))
)


def whole(session: Session, call_id: bytes, caller: bytes, callee: bytes) -> Session:
    """Add what SessionDetails has no columns for."""
    bits = session["MediaTypes"]
    session["CallId"] = call_id
    session["FromTag"] = caller
    session["ToTag"] = callee
    session["Media"] = list(_MEDIA[bits % len(_MEDIA)]) if isinstance(bits, int) else []
    return session
