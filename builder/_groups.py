"""Steps 1 to 7 of derivations.md 2.1: facts into messages, messages into lineages and generations.

A lineage is what one caller (Call-ID and From tag of an initial request) began; an orphan group is a dialog whose
beginning wasn't seen. A generation is one session of a lineage whose Call-ID and tag were used again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._facts import ACK, BYE, CANCEL, INFO, INVITE, KEYS, MESSAGE, METHODS, Details, Fact, details_of, fields_of
from ._users import stored_uri_of

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator

    from ._call import Call, Slim
    from ._rules import Rules

OPENING = frozenset({INVITE, BYE, CANCEL, MESSAGE, INFO})
"""Methods whose request or response opens a row."""

Identity = tuple[int, int, int, bytes, bytes, str]


class Message:
    """All sightings of one message within a generation: retransmissions, hops and taps collapsed.

    time, vias: t(X) and the fewest Vias. last: time of the last sighting. by_caller: sent by the caller's side.
    other: the tag of the message that isn't the caller's. fields: what its facts keep, by packed name: of each field
    that of the earliest fact that has it.
    """

    __slots__ = (
        "_details",
        "by_caller",
        "cseq",
        "facts",
        "fields",
        "from_caller",
        "from_tag",
        "last",
        "method",
        "other",
        "status",
        "time",
        "to_tag",
        "vias",
    )

    def __init__(self, fact: Fact, from_caller: bool, other: bytes) -> None:
        self.facts = [fact]
        self.time = self.last = fact.time
        self.vias = fact.vias
        self.method = fact.method
        self.status = fact.status
        self.cseq = fact.cseq
        self.from_tag = fact.from_tag
        self.to_tag = fact.to_tag
        self.from_caller = from_caller
        self.by_caller = from_caller if fact.status == 0 else not from_caller
        self.other = other
        self._details: list[Details] | None = None
        self.fields: dict[str, Any] = fields_of(fact)

    def sighted(self, fact: Fact) -> None:
        """Take a further sighting in; facts come in their order."""
        self.facts.append(fact)
        self.fields = fields_of(fact) | self.fields
        self.last = fact.time
        self.vias = min(self.vias, fact.vias)

    @property
    def details(self) -> list[Details]:
        """What each of its facts keeps, in their order."""
        if self._details is None:
            self._details = [details_of(fact) for fact in self.facts]
        return self._details

    def header(self, name: str) -> str:
        """A kept header: that of the earliest fact that has it, or empty."""
        value: str = self.fields.get(KEYS[name], "")
        return value

    def __repr__(self) -> str:
        what = METHODS[self.method] if not self.status else f"{self.status} ({METHODS[self.method]})"
        return f"<{what} {self.cseq} {self.from_tag!r}>{self.to_tag!r} at {self.time}>"


class Generation:
    """The messages of one session of a group, and the slim facts that belong to it."""

    __slots__ = (
        "by_identity",
        "caller",
        "caller_uri",
        "first_time",
        "has_bye",
        "initial",
        "messages",
        "others",
        "slims",
    )

    def __init__(self, caller: bytes, caller_uri: str, first_time: int) -> None:
        self.caller = caller
        self.caller_uri = caller_uri
        self.first_time = first_time
        self.messages: list[Message] = []
        self.by_identity: dict[Identity, Message] = {}
        # (method, CSeq number) of INVITE and MESSAGE requests without To tag.
        self.initial: set[tuple[int, int]] = set()
        self.others: set[bytes] = set()
        self.has_bye = False
        self.slims: list[Slim] = []

    def is_caller(self, from_tag: bytes, to_tag: bytes, from_uri: str) -> bool:
        """Whether a message with these tags names the caller in From; the URI decides where both tags are equal."""
        return from_tag == self.caller and (from_tag != to_tag or from_uri == self.caller_uri)

    def put(self, fact: Fact, identity: Identity, from_caller: bool, other: bytes) -> None:
        """Take a fact in."""
        message = self.by_identity.get(identity)
        if message is not None:
            message.sighted(fact)
            return
        message = Message(fact, from_caller, other)
        self.by_identity[identity] = message
        self.messages.append(message)
        self.others.add(other)
        if fact.method == BYE:
            self.has_bye = True
        elif not fact.status and not fact.to_tag and fact.method in (INVITE, MESSAGE):
            self.initial.add((fact.method, fact.cseq))


def generations(
    call: Call, rules: Rules, over: Callable[[Generation, int], bool], counts: Counter[str] | None
) -> Iterator[Generation]:
    """The generations of a call, group by group.

    `over` says whether the last session of a generation was over before a time (step 7).
    """
    facts = call.facts
    lineages, orphans = _grouped(facts)
    slims = _slims_by_group(call.slims, lineages, orphans) if call.slims else {}
    for key, members in lineages.items():
        yield from _split(members, key, slims.get(key, []), rules, over)
    for pair, members in orphans.items():
        caller = _orphan_caller(members)
        if caller is None:
            if counts is not None:
                counts["group without an opening message"] += 1
            continue
        yield from _split(members, caller, slims.get(pair, []), rules, over)


_Lineages = dict[bytes, list[Fact]]
_Orphans = dict[tuple[bytes, bytes], list[Fact]]


def _grouped(facts: list[Fact]) -> tuple[_Lineages, _Orphans]:
    """Steps 2 to 4: facts of each caller tag, and of each pair of tags whose caller isn't known."""
    inviting: set[bytes] = set()
    messaging: set[bytes] = set()
    for fact in facts:
        if not fact.to_tag:
            if fact.method in (INVITE, CANCEL):
                inviting.add(fact.from_tag)
            elif fact.method == MESSAGE:
                messaging.add(fact.from_tag)
    lineages: _Lineages = {}
    orphans: _Orphans = {}
    home = _Home(facts, inviting, messaging)
    for fact in facts:
        key = home.of(fact.method, fact.from_tag, fact.to_tag)
        if isinstance(key, bytes):
            lineages.setdefault(key, []).append(fact)
        else:
            orphans.setdefault(key, []).append(fact)
    return lineages, orphans


class _Home:
    """Step 4: the lineage (a caller tag) or orphan group (a pair of tags) that a fact belongs to."""

    def __init__(self, facts: list[Fact], inviting: set[bytes], messaging: set[bytes]) -> None:
        self._facts = facts
        self._inviting = inviting
        self._messaging = messaging
        self._answered: set[tuple[bytes, bytes]] | None = None

    def of(self, method: int, from_tag: bytes, to_tag: bytes) -> bytes | tuple[bytes, bytes]:
        if not to_tag and method in (INVITE, CANCEL, MESSAGE):
            return from_tag
        for callers in (self._inviting, self._messaging):
            if from_tag in callers:
                if to_tag in callers and from_tag != to_tag and self._reversed(from_tag, to_tag):
                    return to_tag
                return from_tag
            if to_tag in callers:
                return to_tag
        return (from_tag, to_tag) if from_tag <= to_tag else (to_tag, from_tag)

    def _reversed(self, from_tag: bytes, to_tag: bytes) -> bool:
        """Both tags began something: the dialog is that of the side whose INVITE was answered."""
        if self._answered is None:
            self._answered = {
                (fact.from_tag, fact.to_tag) for fact in self._facts if fact.method == INVITE and fact.status > 100
            }
        return (to_tag, from_tag) in self._answered and (from_tag, to_tag) not in self._answered


def _orphan_caller(facts: list[Fact]) -> bytes | None:
    """Step 5: From tag of the earliest INVITE fact, else of the earliest request that opens a row, else response."""
    opening = [fact for fact in facts if fact.method in OPENING]
    for chosen in (
        (fact for fact in opening if fact.method == INVITE),
        (fact for fact in opening if not fact.status),
        iter(opening),
    ):
        for fact in chosen:
            return fact.from_tag
    return None


def _split(
    facts: list[Fact],
    caller: bytes,
    slims: list[Slim],
    rules: Rules,
    over: Callable[[Generation, int], bool],
) -> Iterator[Generation]:
    """Step 6: the generations of a group."""
    # Only sides with equal tags need it (S137).
    caller_uri = _caller_uri(facts, caller) if any(fact.from_tag == fact.to_tag for fact in facts) else ""
    found: list[Generation] = []
    waiting = iter(slims)
    slim = next(waiting, None)
    for fact in facts:
        while slim is not None and slim.time < fact.time and found:
            _put_slim(slim, found, caller, caller_uri, rules)
            slim = next(waiting, None)
        same = fact.from_tag == fact.to_tag
        uri = stored_uri_of(details_of(fact).from_) if same else ""
        from_caller = fact.from_tag == caller and (not same or uri == caller_uri)
        other = fact.to_tag if fact.from_tag == caller else fact.from_tag
        identity = (fact.method, fact.status, fact.cseq, fact.from_tag, fact.to_tag, uri)
        chosen = _generation_for(fact, identity, from_caller, other, found, rules, over)
        if chosen is None:
            chosen = Generation(caller, caller_uri, fact.time)
            found.append(chosen)
        chosen.put(fact, identity, from_caller, other)
    while slim is not None:
        _put_slim(slim, found, caller, caller_uri, rules)
        slim = next(waiting, None)
    yield from found


def _caller_uri(facts: list[Fact], caller: bytes) -> str:
    """The caller's address, which alone tells the sides apart where both have one tag ."""
    for fact in facts:
        if fact.from_tag == caller:
            uri = stored_uri_of(details_of(fact).from_)
            if uri:
                return uri
    return ""


def _generation_for(
    fact: Fact,
    identity: Identity,
    from_caller: bool,
    other: bytes,
    found: list[Generation],
    rules: Rules,
    over: Callable[[Generation, int], bool],
) -> Generation | None:
    """The generation that takes a fact; None: a new one. The letters are those of step 6."""
    if not found:
        return None
    if len(found) == 1 and (fact.to_tag or fact.status or fact.method not in (INVITE, MESSAGE)):
        return found[0]
    current = found[-1]
    for generation in reversed(found):  # a: a copy
        message = generation.by_identity.get(identity)
        if message is not None:
            if fact.time - message.time <= rules.t1:
                return generation
            break
    if not fact.status and not fact.to_tag and fact.method in (INVITE, MESSAGE):  # b: an initial request
        message = current.by_identity.get(identity)
        if message is not None and fact.time - message.last > 64 * rules.t1:
            return None
        # No session is over within 64·T1 of its beginning without a BYE (scenarios.md section M).
        if (current.has_bye or fact.time - current.first_time > 64 * rules.t1) and over(current, fact.time):
            return None
        return current
    if from_caller and fact.method in (INVITE, ACK, CANCEL, MESSAGE):  # c: of an initial request's number
        initial = (MESSAGE if fact.method == MESSAGE else INVITE, fact.cseq)
        for generation in reversed(found):
            if initial in generation.initial:
                return generation
    if other:  # d: of the other side
        for generation in reversed(found):
            if other in generation.others:
                return generation
    return current  # e


def _slims_by_group(
    slims: list[Slim], lineages: _Lineages, orphans: _Orphans
) -> dict[bytes | tuple[bytes, bytes], list[Slim]]:
    """Slim facts of each group that full facts have made; others count nowhere."""
    home = _Home(
        [fact for members in lineages.values() for fact in members],
        {key for key, members in lineages.items() if any(_invites(fact) for fact in members)},
        {key for key, members in lineages.items() if any(_messages(fact) for fact in members)},
    )
    found: dict[bytes | tuple[bytes, bytes], list[Slim]] = {}
    for slim in slims:
        key = home.of(MESSAGE, slim.from_tag, slim.to_tag)
        if key in lineages or key in orphans:
            found.setdefault(key, []).append(slim)
    return found


def _invites(fact: Fact) -> bool:
    return fact.method in (INVITE, CANCEL) and not fact.to_tag


def _messages(fact: Fact) -> bool:
    return fact.method == MESSAGE and not fact.to_tag


def _put_slim(slim: Slim, found: list[Generation], caller: bytes, caller_uri: str, rules: Rules) -> None:
    """Step 6 for a slim fact, which opens nothing: rules a, c, d and e."""
    identity = (MESSAGE, slim.status, slim.cseq, slim.from_tag, slim.to_tag, slim.from_uri)
    from_caller = slim.from_tag == caller and (slim.from_tag != slim.to_tag or slim.from_uri == caller_uri)
    other = slim.to_tag if slim.from_tag == caller else slim.from_tag
    for generation in reversed(found):
        message = generation.by_identity.get(identity)
        if message is not None:
            if slim.time - message.time <= rules.t1:
                generation.slims.append(slim)
                return
            break
    if from_caller:
        for generation in reversed(found):
            if (MESSAGE, slim.cseq) in generation.initial:
                generation.slims.append(slim)
                return
    if other:
        for generation in reversed(found):
            if other in generation.others:
                generation.slims.append(slim)
                return
    found[-1].slims.append(slim)
