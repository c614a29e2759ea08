"""`Rules`: what the operator sets for the derivation, shared by all writers of a database."""

from __future__ import annotations

import msgspec


class Ignore(msgspec.Struct, frozen=True, kw_only=True):
    """Whose sessions make no rows.

    user_agents: the caller's User-Agent, in any case; `*` stands for anything. addresses: networks in CIDR notation
    from which the caller's first message came. users: caller, callee or who was dialled, as address or its user part.
    """

    user_agents: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    users: tuple[str, ...] = ()


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's part of the derivation (derivations.md sections 2 and 3).

    t1: RFC 3261's T1 in microseconds; 64·T1 follows it.
    maximum_age: after how many microseconds without a message an established dialog counts as over.
    hosts: host or address of a plain SIP server, lower case, to (server, pool) for `server.configured`.
    networks: internal networks in CIDR notation for `internal.networks`; empty: the rule does not apply.
    correlation_header: the header that `corr.configured` reads, or empty.
    ignore: whose sessions make no rows; their facts are stored all the same.
    """

    t1: int = 500_000
    maximum_age: int = 86_400_000_000
    hosts: dict[str, tuple[str, str | None]] = {}
    networks: tuple[str, ...] = ()
    correlation_header: str = ""
    ignore: Ignore = Ignore()
