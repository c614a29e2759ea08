"""A log of any program, told by a regular expression for the lines that announce a message.

The expression is matched at the beginning of each line. What its groups find is used by their names: `time`, `source`,
`destination`, `peer` and `direction` (a peer is the sender where the direction begins with `in`, `rec`, `rx` or `<`),
`transport`, `machine`, `pool`, `size` (bytes of the message), and `message`, where a message begins in the same line;
else it begins in the next one. It ends by its Content-Length, or before the next such line.

Lines are hostile and Python's matching has no time limit, so the expression is bounded instead. Of a line it sees the
first 512 bytes; no group may be repeated; there are no back-references and no look-arounds; and the ways in which it
could take the same text (by repetitions that could go on into what follows them, such as `.*`, and by alternatives
that begin alike) are counted before: two such repetitions pass, three don't.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any, Final

from ._errors import ReaderUnavailable
from ._log_format import Block, Finder, Record, Taken, host_port, on_the_wire, unescaped, whole_line
from ._log_time import stamp_in

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from re import _constants as sre  # type: ignore[attr-defined]
    from re import _parser as parser  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._log_time import Clock

_SEEN: Final = 512
_LONGEST: Final = 2000
_STEPS: Final = 2 * (_SEEN + 1) ** 2
"""In how many ways an expression may take a line's beginning."""
_GROUPS: Final = frozenset(
    ("time", "source", "destination", "peer", "direction", "transport", "machine", "pool", "size", "message")
)
_CLOSING = re.compile(rb"[\r\n]|\Z")


def checked(pattern: str) -> re.Pattern[bytes]:
    """The expression, compiled. Raises ReaderUnavailable for one that is wrong or could take too long."""
    if len(pattern) > _LONGEST:
        raise ReaderUnavailable(f"the log's pattern is longer than {_LONGEST} characters")
    try:
        compiled = re.compile(pattern.encode(), re.VERBOSE if "\n" in pattern else 0)
        tree = parser.parse(pattern.encode(), compiled.flags)
    except (re.error, RecursionError, OverflowError) as error:
        raise ReaderUnavailable(f"the log's pattern: {error}") from error
    unknown = compiled.groupindex.keys() - _GROUPS
    if unknown:
        raise ReaderUnavailable(f"the log's pattern: no such group: {', '.join(sorted(unknown))}")
    _cost(list(tree), frozenset())
    return compiled


def _cost(items: list[Any], behind: frozenset[int]) -> int:
    """In how many ways items can take the same text, at most. behind: what may follow them."""
    cost = 1
    for number, (kind, given) in enumerate(items):
        if kind in (sre.ANY, sre.IN, sre.LITERAL, sre.NOT_LITERAL, sre.AT):
            continue
        following = _first(items[number + 1 :], behind)
        if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            least, most, content = given
            cost *= _cost_of_repetition(int(least), int(most), list(content), following)
        elif kind is sre.SUBPATTERN:
            cost *= _cost(list(given[3]), following)
        elif kind is sre.ATOMIC_GROUP:
            cost *= _cost(list(given), following)
        elif kind is sre.BRANCH:
            branches = [list(branch) for branch in given[1]]
            firsts = [_first(branch, following) for branch in branches]
            apart = sum(map(len, firsts)) == len(frozenset().union(*firsts))
            cost *= (1 if apart else len(branches)) * max(_cost(branch, following) for branch in branches)
        else:
            raise ReaderUnavailable("the log's pattern: back-references and look-arounds can't be used")
        if cost > _STEPS:
            raise ReaderUnavailable(
                "the log's pattern: too many repetitions that could go on into what follows them"
                " (write [^ ]+ rather than .*)"
            )
    return cost


def _cost_of_repetition(least: int, most: int, items: list[Any], following: frozenset[int]) -> int:
    if len(items) == 1 and items[0][0] in (sre.ANY, sre.IN, sre.LITERAL, sre.NOT_LITERAL):
        if not _signs(items[0]) & following:
            return 1
        return min(most, _SEEN) - min(least, _SEEN) + 1
    if most == least:
        once = _cost(items, following | _first(items, following))
        return min(once ** min(least, 64), _STEPS + 1) if once > 1 else 1
    if most > 1:
        raise ReaderUnavailable("the log's pattern: a group that is repeated")
    return (2 if _first(items, following) & following else 1) * _cost(items, following)


_ALL: Final = frozenset(range(256))


def _first(items: Iterable[Any], behind: frozenset[int]) -> frozenset[int]:
    """The bytes that may come next."""
    found: frozenset[int] = frozenset()
    for kind, given in items:
        if kind is sre.AT:
            continue
        if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            found |= _first(list(given[2]), frozenset())
            if given[0] == 0:
                continue
            return found
        if kind is sre.SUBPATTERN:
            inner = _first(list(given[3]), frozenset({-1}))
        elif kind is sre.ATOMIC_GROUP:
            inner = _first(list(given), frozenset({-1}))
        elif kind is sre.BRANCH:
            inner = frozenset().union(*(_first(list(branch), frozenset({-1})) for branch in given[1]))
        else:
            return found | _signs((kind, given))
        found |= inner - {-1}
        if -1 not in inner:  # it can't be empty
            return found
    return found | behind


def _signs(item: tuple[Any, Any]) -> frozenset[int]:
    """The bytes that an item of one sign takes, seen widely."""
    kind, given = item
    if kind is sre.LITERAL:
        return frozenset({given})
    if kind is sre.NOT_LITERAL:
        return _ALL - {given}
    if kind is not sre.IN:
        return _ALL
    found: set[int] = set()
    negated = False
    for part, value in given:
        if part is sre.NEGATE:
            negated = True
        elif part is sre.LITERAL:
            found.add(value)
        elif part is sre.RANGE:
            found.update(range(value[0], value[1] + 1))
        elif part is sre.CATEGORY:
            taken = re.compile(_CATEGORIES[str(value)])
            found.update(sign for sign in range(256) if taken.match(bytes([sign])))
    return _ALL - found if negated else frozenset(found)


_CATEGORIES: Final = {
    "CATEGORY_DIGIT": rb"\d",
    "CATEGORY_NOT_DIGIT": rb"\D",
    "CATEGORY_SPACE": rb"\s",
    "CATEGORY_NOT_SPACE": rb"\S",
    "CATEGORY_WORD": rb"\w",
    "CATEGORY_NOT_WORD": rb"\W",
}


def _literal(pattern: re.Pattern[bytes]) -> bytes:
    """The longest text that each match has to have, by which lines are found quickly."""
    best = run = b""
    for kind, given in parser.parse(pattern.pattern, pattern.flags):
        run = run + bytes([given]) if kind is sre.LITERAL else b""
        best = max(best, run, key=len)
    return best if not pattern.flags & re.IGNORECASE else b""


class ByPattern:
    """Reads a log by a pattern that `checked` has passed."""

    name = "pattern"
    windows = False
    joins = False

    def __init__(self, clock: Clock, pattern: re.Pattern[bytes]) -> None:
        self._clock = clock
        self._pattern = pattern
        literal = _literal(pattern)
        # Without a text to look for, every line is looked at: by the line end before it.
        self._marks = Finder(literal or b"\n")
        self._by_line = not literal
        self._begun = False
        self._block = Block(_CLOSING, boundary=pattern)

    def search(self, data: bytes, at: int) -> int:
        """Where the next line may be that announces a message."""
        return self._marks.search(data, at)

    def take(self, data: bytes, low: int, at: int, ended: bool) -> Taken | None:
        """The message that the line at `at` announces."""
        line = whole_line(data, low, at, ended)
        if line is None:
            return None
        begin, end, following = line
        text = data[begin:end]
        found = self._pattern.match(text[:_SEEN])
        if found is None:
            return Taken(following, opened=False)
        groups = {name: value for name, value in found.groupdict().items() if value is not None}
        size = int(groups["size"]) if groups.get("size", b"").isdigit() and len(groups["size"]) < 8 else -1
        message_at = found.start("message") if "message" in groups else -1
        start = begin + message_at if message_at >= 0 else following
        if message_at >= 0 and b"#012" in text:
            raw, stop, whole = unescaped(text[message_at:]), following, True
        elif message_at >= 0 and rb"\r\n" in text:
            raw, stop, whole = text[message_at:].replace(rb"\r\n", b"\r\n"), following, True
        else:
            if following + 600 > len(data) and not ended:
                return None
            taken = self._block.message(data, start, ended, size=size)
            if taken is None:
                return None
            raw, stop, whole = taken
        stamp = stamp_in(groups.get("time", text[:message_at] if message_at >= 0 else text))
        time = self._clock.moment(stamp) if stamp is not None else None
        tick = stamp.tick if stamp is not None else 1_000_000
        odd = ""
        if time is None:
            time, odd = self._clock.guess(), "times guessed, as the log has none"
        source, destination = host_port(groups.get("source", b"")), host_port(groups.get("destination", b""))
        if "peer" in groups:
            peer = host_port(groups["peer"])
            if groups.get("direction", b"in").lower().startswith((b"in", b"rec", b"rx", b"<")):
                source = source or peer
            else:
                destination = destination or peer
        record = Record(
            on_the_wire(raw),
            begin,
            time,
            tick,
            source,
            destination,
            groups.get("transport", b"").decode("ascii", "replace").upper(),
            groups.get("machine", b"").decode("utf-8", "replace"),
            groups.get("pool", b"").decode("utf-8", "replace"),
            not whole,
        )
        return Taken(max(stop, following if message_at < 0 else stop), (record,), odd=odd)
