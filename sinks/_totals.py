"""Sums over sessions, by the database: what figures are made of, a row for each combination that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._dialect import Dialect
    from ._statements import Statements

Of = str | int | None
"""What sessions are put together by: an hour, a server, a code."""


class Total(msgspec.Struct, frozen=True):
    """Sessions that are alike.

    of: the group. code, diagnostic: ResponseCode and DiagnosticId. media_types: MediaTypes. count: how many.
    ended: those that were answered and have an end; talked: from the answer to the end, in milliseconds, together.
    """

    of: Of
    code: int | None
    diagnostic: int | None
    media_types: int
    count: int
    ended: int
    talked: int


class Waits(msgspec.Struct, frozen=True):
    """Sessions that were answered after about so many milliseconds; only the first three digits count."""

    of: Of
    media_types: int
    millis: int
    count: int


# From one time to another in milliseconds, and a time cut to so many characters of `2026-11-23 08:05:10`.
_SPANS: Final[dict[str, Callable[[Any, Any], sa.ColumnElement[int]]]] = {
    "sqlite": lambda a, b: sa.cast(
        sa.func.round((sa.func.julianday(b) - sa.func.julianday(a)) * sa.literal_column("86400000")), sa.BigInteger
    ),
    "postgresql": lambda a, b: sa.cast(
        sa.func.round(sa.extract("epoch", b - a) * sa.literal_column("1000")), sa.BigInteger
    ),
    "mysql": lambda a, b: sa.cast(
        sa.func.round(
            sa.func.timestampdiff(sa.literal_column("MICROSECOND"), a, b) / sa.literal_column("1000"),
        ),
        sa.BigInteger,
    ),
    # DATEDIFF counts boundaries; of milliseconds it would overflow after 24 days.
    "mssql": lambda a, b: (
        sa.cast(sa.func.datediff(sa.literal_column("second"), a, b), sa.BigInteger) * sa.literal_column("1000")
        + sa.func.datepart(sa.literal_column("millisecond"), b)
        - sa.func.datepart(sa.literal_column("millisecond"), a)
    ),
}
_CUTS: Final[dict[str, Callable[[Any, int], sa.ColumnElement[str]]]] = {
    "sqlite": lambda time, size: sa.func.substr(time, sa.literal_column("1"), sa.literal_column(str(size))),
    "postgresql": lambda time, size: sa.func.left(
        sa.func.to_char(time, sa.literal_column("'YYYY-MM-DD HH24:MI:SS'")), sa.literal_column(str(size))
    ),
    "mysql": lambda time, size: sa.func.left(
        sa.func.date_format(time, sa.literal_column("'%Y-%m-%d %H:%i:%s'")), sa.literal_column(str(size))
    ),
    "mssql": lambda time, size: sa.func.convert(
        sa.literal_column(f"char({size})"), time, sa.literal_column("120")
    ),
}  # fmt: skip


class Totals:
    """The queries of a database. by: what sessions are put together by; None: all of them."""

    def __init__(self, statements: Statements, by: str | None, since: int | None, until: int | None) -> None:
        self._dialect: Dialect = statements.dialect
        self._tables: Mapping[str, sa.Table] = statements.tables
        details = self._tables["SessionDetails"]
        self._span = _SPANS[self._dialect.name]
        source: sa.FromClause = details
        of: sa.ColumnElement[Any] = sa.literal_column("NULL", sa.Integer)
        if by in ("hour", "day"):
            of = _CUTS[self._dialect.name](details.c.InviteTime, 13 if by == "hour" else 10)
        elif by == "agent":
            clients = self._tables["ClientVersions"]
            source = source.outerjoin(clients, details.c.User1ClientVerId == clients.c.VersionId)
            of = clients.c.Version
        elif by == "server":
            servers = self._tables["Servers"]
            source = source.outerjoin(servers, details.c.ServerId == servers.c.ServerId)
            of = servers.c.ServerFQDN
        elif by == "code":
            of = details.c.ResponseCode
        elif by == "diagnostic":
            of = details.c.DiagnosticId
        self._of = of.label("of_")
        self._source = source
        c = details.c
        self._c = c
        self._answered = (c.ResponseCode >= 200) & (c.ResponseCode < 300) & c.ResponseTime.is_not(None)
        self._chosen: list[sa.ColumnElement[bool]] = []
        if since is not None:
            self._chosen.append(c.InviteTime >= self._time(since))
        if until is not None:
            self._chosen.append(c.InviteTime < self._time(until))

    def _time(self, micros: int) -> sa.BindParameter[Any]:
        # Of the column's type, or a driver would send text.
        return sa.bindparam(None, self._dialect.time_of(micros), type_=self._c.InviteTime.type)

    def read(self, connection: sa.Connection) -> list[Total]:
        """The sums."""
        c = self._c
        ended = self._answered & c.SessionEndTime.is_not(None)
        talked = self._span(c.ResponseTime, c.SessionEndTime)
        # Values are computed in an inner query: SQL Server takes no expression with binds as the same one twice.
        each = (
            sa.select(
                self._of,
                c.ResponseCode.label("code"),
                c.DiagnosticId.label("diagnostic"),
                c.MediaTypes.label("media"),
                sa.case((ended, sa.literal_column("1")), else_=sa.literal_column("0")).label("ended"),
                sa.case((ended, talked), else_=sa.literal_column("0")).label("talked"),
            )
            .select_from(self._source)
            .where(*self._chosen)
            .subquery()
        )
        keys = (each.c.of_, each.c.code, each.c.diagnostic, each.c.media)
        rows = connection.execute(
            sa.select(*keys, sa.func.count(), sa.func.sum(each.c.ended), sa.func.sum(each.c.talked)).group_by(*keys)
        )
        return [
            Total(of, code, diagnostic, media or 0, int(count), int(ended), int(talked))
            for of, code, diagnostic, media, count, ended, talked in rows
        ]

    def waits(self, connection: sa.Connection) -> list[Waits]:
        """How long answered sessions waited for it."""
        c = self._c
        inner = (
            sa.select(self._of, c.MediaTypes.label("media"), self._span(c.InviteTime, c.ResponseTime).label("millis"))
            .select_from(self._source)
            .where(self._answered, *self._chosen)
            .subquery()
        )
        millis = inner.c.millis
        steps = [
            (millis < sa.literal_column(str(10**size)), millis - millis % sa.literal_column(str(10 ** (size - 3))))
            for size in range(4, 9)
        ]
        zero: sa.ColumnElement[int] = sa.literal_column("0")
        classes = sa.case((millis < zero, zero), (millis < sa.literal_column("1000"), millis), *steps, else_=millis)
        each = sa.select(inner.c.of_, inner.c.media, classes.label("class_")).subquery()
        keys = (each.c.of_, each.c.media, each.c.class_)
        rows = connection.execute(sa.select(*keys, sa.func.count()).group_by(*keys))
        return [Waits(of, media or 0, int(millis), int(count)) for of, media, millis, count in rows]
