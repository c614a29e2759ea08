"""All sessions of a database, one by one, with what keys stand for in their place: what two databases compare by."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from ._session import Session, values_of
from ._statements import resolved

if TYPE_CHECKING:
    from ._dialect import Dialect
    from ._statements import Statements

PAGE: Final = 1000
"""Sessions of one query."""


class Walked(msgspec.Struct, frozen=True):
    """A session. external_id: Dialogs.ExternalId, and replaced: that of the dialog whose place it took, or None.

    values: the columns of SessionDetails, look-ups as text, times in microseconds UTC. media: its Media rows, as
    MediaId, StartTime and EndTime.
    """

    external_id: bytes
    replaced: bytes | None
    values: Session
    media: tuple[tuple[int, int, int | None], ...]


class Walk:
    """The queries: pages by key, so that no transaction and no cursor lasts."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self._dialect: Dialect = statements.dialect
        tables = statements.tables
        self._details, dialogs, self._media = tables["SessionDetails"], tables["Dialogs"], tables["Media"]
        c = self._details.c
        own, replaced = dialogs.alias("own"), dialogs.alias("replaced")
        wanted = resolved(tables)
        source = (
            wanted.get_final_froms()[0]
            .outerjoin(own, (own.c.SessionIdTime == c.SessionIdTime) & (own.c.SessionIdSeq == c.SessionIdSeq))
            .outerjoin(
                replaced,
                (replaced.c.SessionIdTime == c.ReplaceDialogIdTime) & (replaced.c.SessionIdSeq == c.ReplaceDialogIdSeq),
            )
        )
        self._select = (
            sa.select(own.c.ExternalId.label("own"), replaced.c.ExternalId.label("replaced"), *wanted.selected_columns)
            .select_from(source)
            .order_by(c.SessionIdTime, c.SessionIdSeq)
            .limit(PAGE)
        )

    def page(self, connection: sa.Connection, after: tuple[int, int] | None) -> list[Walked]:
        """The next sessions behind a key, in the order of keys."""
        c = self._details.c
        chosen = self._select
        if after is not None:
            time, seq = self._time(after[0]), after[1]
            chosen = chosen.where((c.SessionIdTime > time) | ((c.SessionIdTime == time) & (c.SessionIdSeq > seq)))
        rows = [tuple(row) for row in connection.execute(chosen)]
        if not rows:
            return []
        found = [(own, replaced, values_of(values, self._dialect)) for own, replaced, *values in rows]
        media = self._media_of(connection, found[0][2], found[-1][2])
        return [
            Walked(
                bytes(own or b""),
                None if replaced is None else bytes(replaced),
                values,
                tuple(sorted(media[values["SessionIdTime"], values["SessionIdSeq"]], key=lambda one: one[:2])),
            )
            for own, replaced, values in found
        ]

    def _media_of(self, connection: sa.Connection, first: Session, last: Session) -> dict[Any, list[Any]]:
        c = self._media.c
        chosen = sa.select(c.SessionIdTime, c.SessionIdSeq, c.MediaId, c.StartTime, c.EndTime).where(
            c.SessionIdTime >= self._time(first["SessionIdTime"]), c.SessionIdTime <= self._time(last["SessionIdTime"])
        )
        micros_of = self._dialect.micros_of
        media: dict[Any, list[Any]] = defaultdict(list)
        for time, seq, number, start, end in connection.execute(chosen):
            one = (number, micros_of(start), None if end is None else micros_of(end))
            media[micros_of(time), seq].append(one)
        return media

    def _time(self, micros: object) -> sa.BindParameter[Any]:
        # Of the column's type, or a driver would send text.
        value = self._dialect.time_of(micros) if isinstance(micros, int) else None
        return sa.bindparam(None, value, type_=self._details.c.SessionIdTime.type)
