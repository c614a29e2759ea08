"""Which rows are left out because the operator wants no sessions of scanners, pings and the like.

A rule on rows, not on messages: else the answer to an ignored INVITE would make a row of its own.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from ._parties import inside, nearest

if TYPE_CHECKING:
    from ._columns import Row
    from ._row import SessionDetails


def ignored(row: Row, details: SessionDetails) -> str:
    """By what of `Rules.ignore` a row is left out: `user agent`, `address`, `user`, or empty."""
    ignore = row.rules.ignore
    client = details.user1_client
    if ignore.user_agents and client is not None and _pattern(ignore.user_agents).fullmatch(client.version.lower()):
        return "user agent"
    if ignore.addresses:
        sender = nearest(row, True)
        if sender is not None and inside(sender[0], ignore.addresses):
            return "address"
    if ignore.users:
        named = _named(ignore.users)
        for user in (details.user1, details.user2, details.target_user):
            if user is not None and (user.uri in named or user.uri.partition("@")[0] in named):
                return "user"
    return ""


@functools.lru_cache(maxsize=8)
def _pattern(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Texts in which `*` stands for anything; a run of them is one, so that matching stays quick."""
    each = (".*".join(re.escape(part) for part in re.split(r"\*+", text.lower())) for text in patterns)
    return re.compile("|".join(f"(?:{text})" for text in each), re.DOTALL)


@functools.lru_cache(maxsize=8)
def _named(users: tuple[str, ...]) -> frozenset[str]:
    return frozenset(user.lower() for user in users)
