"""Rules for the two sides of a session and who else has to do with it.

derivations.md sections 3.5, 3.6, 3.9 to 3.12 and 3.16 to 3.21.
"""

from __future__ import annotations

import functools
import ipaddress
from typing import TYPE_CHECKING

from ._agents import client_of
from ._columns import sided
from ._facts import CANCEL, INVITE, KEYS
from ._row import Client, User
from ._syntax import parameter, split_values
from ._text import NAME_LENGTH, fit
from ._users import host_of, user_of, user_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ._columns import Column, Row
    from ._groups import Message

Found = tuple[User, "Message"]


def _user(row: Row, messages: Iterable[Message], name: str, column: str) -> Found | None:
    for message in messages:
        value = message.header(name)
        if value:
            user = user_of(value, column, row.counts)
            if user is not None:
                return user, message
    return None


def _invites(row: Row) -> Iterator[Message]:
    """The initial INVITE, else the responses to it: they repeat its From and To (RFC 3261 section 8.2.6.2)."""
    yield from row.initial
    if not row.initial:
        yield from row.session.responses


def _asserted(row: Row, value: str, column: str) -> User | None:
    """P-Asserted-Identity (RFC 3325 section 9.1): the first sip or sips value, else the tel value."""
    values = split_values(value)
    for wanted in ("sip", "tel"):
        for element in values:
            if element.rpartition("<")[2].lstrip().lower().startswith(wanted):
                return user_of(element, column, row.counts)
    return None


def _user1_pai(row: Row) -> Found | None:
    found = row.first(row.initial, "from_")
    if found is None:
        return None
    user = user_of(found[0], "Users.UserUri")
    if user is not None and user_part(user.uri) not in ("", "anonymous") and "anonymous.invalid" not in user.uri:
        return None
    asserted = row.first(row.initial, "asserted")
    if asserted is None:
        return None
    known = _asserted(row, asserted[0], "Users.UserUri")
    return None if known is None else (known, asserted[1])


def _user1_invite_from(row: Row) -> Found | None:
    return _user(row, _invites(row), "from_", "Users.UserUri")


def _user1_first_relevant(row: Row) -> Found | None:
    # The caller's address stands in To where the other side sent the request.
    return _user(row, [row.start], "from_" if row.start.from_caller else "to", "Users.UserUri")


USER1: Column[User] = (
    ("user1.pai", "asserted", _user1_pai),
    ("user1.invite_from", "from_", _user1_invite_from),
    ("user1.first_relevant", "", _user1_first_relevant),
)


def _user2_answered_as(row: Row) -> Found | None:
    success = row.session.success
    if success is None:
        return None
    asserted = success.header("asserted")
    user = _asserted(row, asserted, "Users.UserUri") if asserted else None
    if user is None or not user_part(user.uri):
        return None
    # Some copy the request's headers back: then it is the caller.
    for name in ("from_", "to"):
        value = success.header(name)
        known = user_of(value, "Users.UserUri") if value else None
        if known is not None and user_part(known.uri) == user_part(user.uri):
            return None
    return user, success


def _user2_invite_to(row: Row) -> Found | None:
    return _user(row, _invites(row), "to", "Users.UserUri")


def _user2_first_relevant(row: Row) -> Found | None:
    return _user(row, [row.start], "to" if row.start.from_caller else "from_", "Users.UserUri")


USER2: Column[User] = (
    ("user2.answered_as", "asserted", _user2_answered_as),
    ("user2.invite_to", "to", _user2_invite_to),
    ("user2.first_relevant", "", _user2_first_relevant),
)


def _target_to(row: Row) -> Found | None:
    return _user(row, row.initial, "to", "Users.UserUri")


def _target_history(row: Row) -> Found | None:
    return _user(row, row.initial, "history_info", "Users.UserUri")


def _target_first_relevant(row: Row) -> Found | None:
    start = row.start
    if row.session.shape.page_mode or start.method == CANCEL or (start.method == INVITE and start.status):
        return _user(row, [start], "to", "Users.UserUri")
    # The direction of the call is unknown.
    return None


TARGET_USER: Column[User] = (
    ("target.to", "to", _target_to),
    ("target.history", "history_info", _target_history),
    ("target.first_relevant", "to", _target_first_relevant),
)


def _behalf_session(row: Row) -> Found | None:
    return _user(row, row.initial, "session_on_behalf", "Users.UserUri")


def _behalf_agent(row: Row) -> Found | None:
    return _user(row, row.initial, "agent_on_behalf", "Users.UserUri")


ON_BEHALF_OF: Column[User] = (
    ("behalf.session", "session_on_behalf", _behalf_session),
    ("behalf.agent", "agent_on_behalf", _behalf_agent),
)


def _referred_header(row: Row) -> Found | None:
    return _user(row, row.initial, "referred_by", "Users.UserUri")


REFERRED_BY: Column[User] = (("referred.header", "referred_by", _referred_header),)


def _client(row: Row, messages: Iterable[Message], name: str) -> tuple[Client, Message] | None:
    for message in messages:
        value = message.header(name)
        if value:
            client = client_of(value, "ClientVersions.Version", row.counts)
            if client is not None:
                return client, message
    return None


def _requests(row: Row, caller: bool) -> Iterator[Message]:
    return (message for message in row.sent(caller) if not message.status)


def _responses(row: Row, caller: bool) -> Iterator[Message]:
    return (message for message in row.sent(caller) if message.status)


def _client1_user_agent(row: Row) -> tuple[Client, Message] | None:
    return _client(row, [*row.initial, *_requests(row, True)], "user_agent")


def _client1_server(row: Row) -> tuple[Client, Message] | None:
    return _client(row, _responses(row, True), "server")


def _client2_user_agent(row: Row) -> tuple[Client, Message] | None:
    success = row.session.success
    answer = [success] if success is not None else []
    return _client(row, [*answer, *_responses(row, False), *_requests(row, False)], "user_agent")


def _client2_server(row: Row) -> tuple[Client, Message] | None:
    success = row.session.success
    answer = [success] if success is not None else []
    return _client(row, [*answer, *_responses(row, False)], "server")


USER1_CLIENT: Column[Client] = (
    ("client.user_agent", "user_agent", _client1_user_agent),
    ("client.server", "server", _client1_server),
)
USER2_CLIENT: Column[Client] = (
    ("client.user_agent", "user_agent", _client2_user_agent),
    ("client.server", "server", _client2_server),
)


def _edge_trust(row: Row, caller: bool) -> tuple[str, Message] | None:
    """The edge proxy through which a side's messages came in (MS-SIPRE section 2.2.15)."""
    for message in row.sent(caller):
        value = message.header("edge_trust")
        if value:
            name = fit(
                (parameter(";" + value, "ms-ep-fqdn") or "").lower(),
                NAME_LENGTH,
                "EdgeServers.EdgeServer",
                row.counts,
            )
            if name is not None:
                return name, message
    return None


USER1_EDGE_SERVER: Column[str] = (sided("edge.trust", "edge_trust", _edge_trust, True),)
USER2_EDGE_SERVER: Column[str] = (sided("edge.trust", "edge_trust", _edge_trust, False),)


def _internal_edge(row: Row, caller: bool) -> tuple[int, Message] | None:
    found = row.first(row.sent(caller), "edge_trust")
    return None if found is None else (0, found[1])


def _internal_logon(row: Row, caller: bool) -> tuple[int, Message] | None:
    for message in row.sent(not caller):
        if "remoteuser" in message.header("logon_data").lower():
            return 0, message
    return None


def _internal_media_location(row: Row, caller: bool) -> tuple[int, Message] | None:
    for message in row.sent(caller):
        value = message.header("location_data")
        if value:
            place = (parameter(";" + value, "ms-media-location-type") or "").lower()
            if place in ("intranet", "internet"):
                return int(place == "intranet"), message
    return None


def _internal_networks(row: Row, caller: bool) -> tuple[int, Message] | None:
    if not row.rules.networks:
        return None
    found = nearest(row, caller)
    if found is None:
        return None
    known = inside(found[0], row.rules.networks)
    return None if known is None else (int(known), found[1])


def nearest(row: Row, caller: bool) -> tuple[str, Message] | None:
    """The source address of a side's message where it was seen nearest to that side."""
    found: tuple[int, int, str, Message] | None = None
    for message, vias, source in _sightings(row, caller):
        if found is None or (vias, message.time) < found[:2]:
            found = (vias, message.time, source, message)
    return None if found is None else found[2:]


def _sightings(row: Row, caller: bool) -> Iterator[tuple[Message, int, str]]:
    """Sightings of a side's messages, the nearer to that side the lower the number: each with its source address."""
    if caller:
        chosen: list[Message] = row.initial or list(_requests(row, True))
        sign = 1
    else:
        # A response gathers no Vias on its way, it loses them: most of them means nearest to its sender.
        chosen = [m for m in row.session.responses if m.to_tag and m.status > 100]
        sign = -1
        if not chosen:
            chosen, sign = list(_requests(row, False)), 1
    for message in chosen:
        for fact, details in zip(message.facts, message.details, strict=True):
            if details.source:
                yield message, sign * fact.vias, details.source


def inside(source: str, networks: tuple[str, ...]) -> bool | None:
    """Whether `host:port` is in one of the networks; None where the host is no address."""
    try:
        address = ipaddress.ip_address(host_of(source).strip("[]"))
    except ValueError:
        return None
    return any(address in network for network in _networks(networks))


@functools.lru_cache(maxsize=8)
def _networks(networks: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(network, strict=False) for network in networks)


def _internal_sfb_default(row: Row, caller: bool) -> tuple[int, Message] | None:
    sender = next(row.sent(caller), None)
    if sender is None:
        return None
    if row.has("front_end"):
        return 1, sender
    agents = {message.fields.get(key, "") for message in row.session.messages for key in _AGENTS}
    return (1, sender) if any(map(_platform, agents)) else None


_AGENTS = (KEYS["user_agent"], KEYS["server"])


@functools.lru_cache(maxsize=1024)
def _platform(agent: str) -> bool:
    """Whether a client names Microsoft's RTC platform as one of its products."""
    return any(word.partition("/")[0] in ("uccapi", "rtc", "rtcc") for word in agent.lower().split())


_INTERNAL: tuple[tuple[str, str, Callable[[Row, bool], tuple[int, Message] | None]], ...] = (
    ("internal.edge", "edge_trust", _internal_edge),
    ("internal.logon", "logon_data", _internal_logon),
    ("internal.media_location", "location_data", _internal_media_location),
    ("internal.networks", "source", _internal_networks),
    ("internal.sfb_default", "", _internal_sfb_default),
)
IS_USER1_INTERNAL: Column[int] = tuple(sided(*rule, True) for rule in _INTERNAL)
IS_USER2_INTERNAL: Column[int] = tuple(sided(*rule, False) for rule in _INTERNAL)


def _started_user1(row: Row) -> tuple[bool, Message] | None:
    """Only the caller sends an initial INVITE, a CANCEL or a page-mode MESSAGE."""
    shape = row.session.shape
    return (True, row.start) if shape.attempts or shape.page_mode else None


def _started_unknown(row: Row) -> tuple[bool, Message] | None:
    """Either side sends what was seen."""
    return False, row.start


STARTED_BY_CALLER: Column[bool] = (
    ("started.user1", "", _started_user1),
    ("started.unknown", "", _started_unknown),
)
