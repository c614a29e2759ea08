"""The two views: SessionDetailsView as Microsoft documents it, and the one that their own reports read.

Every join is a LEFT JOIN, so a session is one row whatever it lacks. From is User1 and To is User2, always.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from ._schema import tables_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.sql.compiler import SQLCompiler

SESSION_DETAILS_VIEW = "SessionDetailsView"
BASE_VIEW = "CDRReportsSessionDetailsBaseView"


class _AsText(FunctionElement[str]):
    """The bytes of a dialog's name as text."""

    inherit_cache = True


# Which is VARCHAR(max) there.
_TEXT = sa.Text().with_variant(sa.VARCHAR(), "mssql")
_AS_TEXT = {
    "sqlite": "CAST(%s AS TEXT)",
    # One character a byte: no byte that a peer may send is an error.
    "postgresql": "convert_from(%s, 'LATIN1')",
    "mysql": "CONVERT(%s USING utf8mb4)",
    "mssql": "CAST(CAST(%s AS varbinary(max)) AS varchar(max))",
}


@compiles(_AsText)
def _as_text(element: _AsText, compiler: SQLCompiler, **options: Any) -> str:
    return _AS_TEXT[compiler.dialect.name] % compiler.process(element.clauses, **options)


def _unquoted(name: str) -> str:
    """A name that PostgreSQL may fold to lower case, as it does where a query writes it."""
    return sa.sql.quoted_name(name, quote=False)


def session_details_view(tables: sa.MetaData) -> sa.Select[Any]:
    """Return the SELECT of SessionDetailsView: 49 documented columns in their order, and MediaTypes."""
    t = tables_of(tables)
    s = t["SessionDetails"].alias("s")
    d = t["Dialogs"].alias("d")
    r = t["Dialogs"].alias("r")
    u1, u2, ut, ub, ur = (t["Users"].alias(name) for name in ("u1", "u2", "ut", "ub", "ur"))
    k1, k2, kt, kb, kr = (t["UriTypes"].alias(name) for name in ("k1", "k2", "kt", "kb", "kr"))
    t1, t2, tb, tr = (t["Tenants"].alias(name) for name in ("t1", "t2", "tb", "tr"))
    c1, c2 = (t["ClientVersions"].alias(name) for name in ("c1", "c2"))
    # UAType isn't unique in UserAgentDef: without DISTINCT, clients of type 64 and 512 would count twice.
    categories = sa.select(t["UserAgentDef"].c.UAType, t["UserAgentDef"].c.UACategory).distinct()
    a1, a2 = (categories.subquery(name) for name in ("a1", "a2"))
    ct = t["ContentTypes"].alias("ct")
    f = t["Servers"].alias("f")
    p = t["Pools"].alias("p")
    e1, e2 = (t["EdgeServers"].alias(name) for name in ("e1", "e2"))
    cp = t["CallPriorities"].alias("cp")

    joined: sa.FromClause = s.outerjoin(d, _same_key(s.c.SessionIdTime, s.c.SessionIdSeq, d)).outerjoin(
        r, _same_key(s.c.ReplaceDialogIdTime, s.c.ReplaceDialogIdSeq, r)
    )
    for user, number, kind, tenant in (
        (u1, s.c.User1Id, k1, t1),
        (u2, s.c.User2Id, k2, t2),
        (ut, s.c.TargetUserId, kt, None),
        (ub, s.c.OnBehalfOfId, kb, tb),
        (ur, s.c.ReferredById, kr, tr),
    ):
        joined = joined.outerjoin(user, number == user.c.UserId)
        joined = joined.outerjoin(kind, user.c.UriTypeId == kind.c.UriTypeId)
        if tenant is not None:
            joined = joined.outerjoin(tenant, user.c.TenantId == tenant.c.TenantId)
    for client, number, category in ((c1, s.c.User1ClientVerId, a1), (c2, s.c.User2ClientVerId, a2)):
        joined = joined.outerjoin(client, number == client.c.VersionId)
        joined = joined.outerjoin(category, client.c.ClientType == category.c.UAType)
    for other, condition in (
        (ct, s.c.ContentTypeID == ct.c.ContentTypeId),
        (f, s.c.ServerId == f.c.ServerId),
        (p, s.c.PoolId == p.c.PoolId),
        (e1, s.c.User1EdgeServerid == e1.c.EdgeServerId),
        (e2, s.c.User2EdgeServerid == e2.c.EdgeServerId),
        (cp, s.c.CallPriority == cp.c.PriorityId),
    ):
        joined = joined.outerjoin(other, condition)

    columns: tuple[tuple[str, sa.ColumnElement[Any]], ...] = (
        ("SessionIdTime", s.c.SessionIdTime),
        ("SessionIdSeq", s.c.SessionIdSeq),
        ("InviteTime", s.c.InviteTime),
        ("FromUri", u1.c.UserUri),
        ("ToUri", u2.c.UserUri),
        ("FromUriType", k1.c.UriType),
        ("ToUriType", k2.c.UriType),
        ("FromTenant", t1.c.TenantKey),
        ("ToTenant", t2.c.TenantKey),
        ("FromEndpointId", s.c.User1EndpointId),
        ("ToEndpointId", s.c.User2EndpointId),
        ("EndTime", s.c.SessionEndTime),
        ("FromMessageCount", s.c.User1MessageCount),
        ("ToMessageCount", s.c.User2MessageCount),
        ("FromClientVersion", c1.c.Version),
        ("FromClientType", c1.c.ClientType),
        ("FromClientCategory", a1.c.UACategory),
        ("ToClientVersion", c2.c.Version),
        ("ToClientType", c2.c.ClientType),
        ("ToClientCategory", a2.c.UACategory),
        ("TargetUri", ut.c.UserUri),
        ("TargetUriType", kt.c.UriType),
        ("OnBehalfOfUri", ub.c.UserUri),
        ("OnBehalfOfUriType", kb.c.UriType),
        ("OnBehalfOfTenant", tb.c.TenantKey),
        ("ReferredByUri", ur.c.UserUri),
        ("ReferredByUriType", kr.c.UriType),
        ("ReferredByTenant", tr.c.TenantKey),
        ("DialogId", _AsText(d.c.ExternalId)),
        ("CorrelationId", s.c.CorrelationId),
        ("ReplaceDialogIdTime", s.c.ReplaceDialogIdTime),
        ("ReplaceDialogIdSeq", s.c.ReplaceDialogIdSeq),
        ("ReplacesDialogId", _AsText(r.c.ExternalId)),
        ("ResponseTime", s.c.ResponseTime),
        ("ResponseCode", s.c.ResponseCode),
        ("DiagnosticId", s.c.DiagnosticId),
        ("ContentType", ct.c.ContentType),
        ("FrontEnd", f.c.ServerFQDN),
        ("Pool", p.c.PoolFQDN),
        ("FromEdgeServer", e1.c.EdgeServer),
        ("ToEdgeServer", e2.c.EdgeServer),
        ("IsFromInternal", s.c.IsUser1Internal),
        ("IsToInternal", s.c.IsUser2Internal),
        ("CallPriority", cp.c.Priority),
        ("FromUserFlag", s.c.User1Flag),
        ("ToUserFlag", s.c.User2Flag),
        ("CallFlag", s.c.CallFlag),
        # The emergency location of table Locations, which SIP signalling doesn't fill.
        ("Location", sa.cast(sa.null(), _TEXT)),
        ("LastModifiedTime", s.c.LastModifiedTime),
        ("MediaTypes", s.c.MediaTypes),
    )
    return sa.select(*(column.label(_unquoted(name)) for name, column in columns)).select_from(joined)


def base_view(tables: sa.MetaData) -> sa.Select[Any]:
    """Return the SELECT of SessionDetails with the names of the replaced pair as public reports spell them."""
    renamed = {"ReplaceDialogIdTime": "ReplacesDialogIdTime", "ReplaceDialogIdSeq": "ReplacesDialogIdSeq"}
    s = tables_of(tables)["SessionDetails"].alias("s")
    return sa.select(*(column.label(_unquoted(renamed.get(column.key, column.key))) for column in s.columns))


VIEWS: dict[str, Callable[[sa.MetaData], sa.Select[Any]]] = {
    SESSION_DETAILS_VIEW: session_details_view,
    BASE_VIEW: base_view,
}
"""The views by name."""


def _same_key(
    time: sa.ColumnElement[Any], seq: sa.ColumnElement[Any], dialogs: sa.FromClause
) -> sa.ColumnElement[bool]:
    return sa.and_(time == dialogs.c.SessionIdTime, seq == dialogs.c.SessionIdSeq)
