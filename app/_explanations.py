"""Explanations as text for people and as JSON for tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len

from sipcdr.builder import Client, Explained, Reference, User

from ._codes import NAMES
from ._mask import harmless
from ._records import iso, text
from ._sentences import phrase, sentence
from ._terminal import cut, filled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipcdr.builder import Derived, Fact, Part, Seen

    from ._sightings import Sighting, Sightings
    from ._terminal import Paper

MEDIA: Final = {1: "IM", 2: "File Transfer", 4: "Remote Assistance", 8: "Application Sharing", 16: "Audio",
                32: "Video", 64: "App Invite"}  # fmt: skip
"""Bits of MediaTypes."""
FLAGS: Final = {"CallFlag": {1: "retried", 2: "response group"}, "User1Flag": {1: "desk phone"},
                "User2Flag": {1: "desk phone"}}  # fmt: skip
_NAME: Final = 17
_VALUE: Final = 26
_RULE: Final = 23
_WIDE: Final = 100
"""From this width on messages have the time of day, too."""
_LINE: Final = 60
_ONLY_FACTS: Final = (
    "From the database: there are stored facts only, so messages have no file, frame, reason phrase or text,"
    " and REFER, NOTIFY and the like aren't known."
)


def overview(found: list[tuple[Explained, Sightings]], paper: Paper) -> Iterator[str]:
    """A line or two a session: who, when, and how it ended."""
    for explained, sightings in found:
        yield from _title(explained, paper)
        yield from _wrapped(sentence(explained, sightings), paper, "  ")
    yield ""
    yield f"{len(found)} sessions. Choose one for the whole: --call-id ID, --caller USER or --callee USER"


def lines_of(explained: Explained, sightings: Sightings, paper: Paper) -> Iterator[str]:
    """A session whole: the sentence, what is odd, messages and states, and columns."""
    yield from _title(explained, paper)
    yield ""
    for line in _wrapped(sentence(explained, sightings), paper, "  "):
        yield paper.paint(line, "bold")
    if explained.left_out:
        yield f"  It is {explained.left_out}, so it has no row in SessionDetails."
    odd = [*_odd(explained), *_cuts(explained, sightings)]
    if odd:
        yield ""
        yield paper.paint("Odd", "bold")
        for line in odd:
            yield from _wrapped(paper.paint("! ", "yellow") + line, paper, "  ")
    yield ""
    yield from _messages(explained, sightings, paper)
    yield ""
    yield from _columns(explained, sightings, paper)
    if not sightings.kept:
        yield ""
        yield from _wrapped(_ONLY_FACTS, paper, "")


def _title(explained: Explained, paper: Paper) -> list[str]:
    details = explained.details
    one, other = (("unknown" if user is None else harmless(user.uri)) for user in (details.user1, details.user2))
    when = iso(details.invite_time)[:23].replace("T", " ")
    title = f"{when} UTC  {one} {'→' if paper.lines else '->'} {other}"
    return [
        paper.paint(_cut(title, paper), "bold"),
        paper.paint(_cut(f"Call-ID {_text(details.call_id)}", paper), "dim"),
    ]


def _text(value: bytes) -> str:
    return harmless(text(value))


def _cut(line: str, paper: Paper) -> str:
    return line if paper.width is None else cut(line, paper.width)


def _wrapped(line: str, paper: Paper, indent: str, first: str | None = None) -> Iterator[str]:
    """Words in lines of the paper's width, each indented; `first` stands in the place of the first indent."""
    width = min(paper.width or 100, 100)
    current = indent if first is None else first
    begun = False
    for word in line.split():
        if begun and cell_len(current) + 1 + cell_len(word) > width:
            yield current
            current, begun = indent, False
        current += (" " if begun else "") + word
        begun = True
    yield current


def _odd(explained: Explained) -> Iterator[str]:
    for anomaly in explained.anomalies:
        yield f"{anomaly.text}" + "".join(f" [{number + 1}]" for number in anomaly.messages)


def _cuts(explained: Explained, sightings: Sightings) -> Iterator[str]:
    for number, message in enumerate(explained.messages):
        if any(sighting.cut for fact in message.facts for sighting in sightings.all_of(fact)):
            yield f"the capture has cut this message [{number + 1}]"


def _messages(explained: Explained, sightings: Sightings, paper: Paper) -> Iterator[str]:
    """The messages with the dialog's state after each."""
    files = _files(explained, sightings)
    yield paper.paint("Messages and states", "bold") + (f"  (#: {_unit(files, sightings)})" if sightings.kept else "")
    for path, sign in files.items():
        if sign:
            yield f"  {sign} is {harmless(path)}"
    begin = explained.details.invite_time
    state = None
    arrow = ("→", "←") if paper.lines else ("->", "<-")
    narrow = paper.width is not None and paper.width < _WIDE
    places = [_place(message, sightings, files, narrow) for message in explained.messages]
    room = max((len(place) for place in places), default=0)
    states = max((len(m.state.value) for m in explained.messages if m.state is not None), default=0)
    clock = not narrow
    size = _LINE if paper.width is None else max(paper.width - 26 - room - states - 13 * clock, 16)
    for number, (message, place) in enumerate(zip(explained.messages, places, strict=True), 1):
        shown = _start_line(message, sightings)
        if message.repeats:
            shown += f" ({message.repeats + 1} times)"
        line = f"{number:>4} " + (f"{iso(message.time)[11:23]} " if clock else "")
        line += f"{_offset(message.time - begin):>10}  {arrow[not message.by_caller]} {filled(shown, size)}"
        line += f"  {place:>{room}}"
        after = ""
        if message.belongs != "here":
            after = f"  ({message.belongs})"
        elif not message.expected:
            after = "  not expected here"
        elif message.state is not None and message.state is not state:
            after = f"  {message.state.value}"
            state = message.state
        style = _style(message)
        yield paper.paint(line, style) + paper.paint(after.rstrip(), "dim" if message.belongs != "here" else "cyan")
    if explained.state.value in ("Preparative", "Early", "Cancelled", "Moratorium", "Established"):
        yield paper.paint(f"    would count as over at {iso(explained.closes)[:19].replace('T', ' ')}", "dim")


def _unit(files: Iterable[str], sightings: Sightings) -> str:
    """What a position's number is."""
    logs = [path in sightings.logs for path in files]
    if not any(logs):
        return "the frame"
    return "the line" if all(logs) else "the frame, in a log the line"


def _style(message: Seen) -> str:
    if message.belongs != "here":
        return "dim"
    if message.status >= 400:
        return "red"
    return "green" if message.status >= 200 else ""


def _offset(micros: int) -> str:
    return f"{micros / 1_000_000:+.3f}"


def _files(explained: Explained, sightings: Sightings) -> dict[str, str]:
    """A sign for each file, empty where there is only one."""
    paths: dict[str, str] = {}
    for message in explained.messages:
        for fact in message.facts:
            for sighting in sightings.all_of(fact):
                paths.setdefault(sighting.position.source, "")
    if len(paths) > 1:
        return {path: _sign(number) for number, path in enumerate(paths)}
    return paths


def _sign(number: int) -> str:
    return (_sign(number // 26 - 1) if number >= 26 else "") + chr(ord("a") + number % 26)


def _place(message: Seen, sightings: Sightings, files: dict[str, str], narrow: bool) -> str:
    """The frame or line; of facts the addresses, or just the sender's where there is little room."""
    sighting = sightings.of(message.facts[0])
    if sighting is None:
        source = message.source.rpartition(":")[0] if narrow else message.source
        return harmless(source if narrow else f"{source} {message.destination}".strip()) or "-"
    return f"{files.get(sighting.position.source, '')}#{sighting.position.number}"


def _start_line(message: Seen, sightings: Sightings) -> str:
    """The start line without the version; of facts the method or status and the CSeq."""
    sighting = sightings.of(message.facts[0])
    if sighting is None:
        return f"{_named(message, NAMES.get(message.status, ''))}, CSeq {message.cseq}"
    if message.status:
        return _named(message, phrase(message, sightings))
    return sighting.start_line.removesuffix(" SIP/2.0")


def _named(message: Seen, reason: str) -> str:
    if not message.status:
        return message.method
    code = f"{message.status} {reason}".rstrip()
    return code if message.method == "INVITE" else f"{code} ({message.method})"


def _columns(explained: Explained, sightings: Sightings, paper: Paper) -> Iterator[str]:
    """The columns: value, rule, message; under each what lost."""
    yield paper.paint("Columns", "bold")
    empty: list[str] = []
    under = " " * (_NAME + 2)
    for column in explained.columns:
        if not column.rule and not column.lost:
            empty.append(column.column + ("" if column.value is None else f" {column.value}"))
            continue
        value = shown_value(column.column, column.value)
        rest = filled(column.rule.replace(" ", ", ") or "no rule", _RULE) + _reference(
            column, explained, sightings, paper
        )
        line = f" {filled(column.column, _NAME)} {filled(value, _VALUE)} {rest}"
        if cell_len(value) > _VALUE:
            # A long value has lines of its own: it must be there whole.
            yield from _wrapped(value, paper, under, f" {filled(column.column, _NAME)} ")
            line = f"{under}{'':{_VALUE}} {rest}"
        yield _cut(line.rstrip(), paper)
        notes = [harmless(column.detail)] if column.detail else []
        if len(column.parts) > 1 or column.column in FLAGS:
            notes += _parts(column.column, column.parts)
        notes += [
            f"not {shown_value(column.column, lost.value)} [{lost.message + 1}]: {lost.why}" for lost in column.lost
        ]
        for note in notes:
            for row in _wrapped(note, paper, under + "  "):
                yield paper.paint(row, "dim")
    if empty:
        yield from _wrapped("No message sets " + ", ".join(empty) + ".", paper, "  ")


def _parts(column: str, parts: tuple[Part, ...]) -> Iterator[str]:
    names = MEDIA if column == "MediaTypes" else FLAGS.get(column)
    if names is None:
        numbers = [part.message + 1 for part in parts if part.message is not None]
        shown = ", ".join(f"[{number}]" for number in numbers[:20]) + (", …" if len(numbers) > 20 else "")
        yield f"counted: {shown}"
        return
    for part in parts:
        name = names.get(part.value, str(part.value)) if isinstance(part.value, int) else ""
        yield f"{name} by {part.rule}" + ("" if part.message is None else f" [{part.message + 1}]")


def _reference(column: Derived, explained: Explained, sightings: Sightings, paper: Paper) -> str:
    if column.message is None:
        return ""
    message = explained.messages[column.message]
    if paper.width is not None and paper.width < _WIDE:
        return f"{f'[{column.message + 1}]':>4} {message.status or message.method}"
    return f"{f'[{column.message + 1}]':>4} {_start_line(message, sightings)}"


def shown_value(column: str, value: object) -> str:
    """A column's value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, User):
        return harmless(value.uri)
    if isinstance(value, Client):
        return harmless(value.version)
    if isinstance(value, Reference):
        return harmless(f"{text(value.call_id)}, tags {' and '.join(text(tag) or '-' for tag in value.tags)}")
    if isinstance(value, int) and column.endswith("Time"):
        return iso(value)[:26].replace("T", " ")
    if isinstance(value, int) and column == "MediaTypes":
        return f"{value} {MEDIA.get(value, '')}".rstrip()
    return harmless(str(value))


def json_of(explained: Explained, sightings: Sightings) -> dict[str, Any]:
    """A session as one JSON object: times ISO 8601, messages by their number from 1, Message in a column names one."""
    details = explained.details
    ending = explained.ending
    return {
        "CallId": text(details.call_id),
        "FromTag": text(details.caller_tag),
        "ToTag": text(details.callee_tag),
        "LeftOut": explained.left_out,
        "Sentence": sentence(explained, sightings),
        "Ending": {
            "How": ending.how,
            "By": ending.by or None,
            "Message": _number(ending.message),
            "ResponseCode": ending.code,
            "DiagnosticId": ending.diagnostic,
            "Reason": harmless(ending.reason) or None,
            "WaitedSeconds": _seconds(ending.waited),
            "TalkedSeconds": _seconds(ending.talked),
        },
        "State": explained.state.value,
        "Closes": iso(explained.closes),
        "OnlyFacts": not sightings.kept,
        "Messages": [_json_message(message, sightings) for message in explained.messages],
        "Columns": {
            column.column: {
                "Value": _json_value(column.column, column.value),
                "Rule": column.rule or None,
                "Message": _number(column.message),
                **_json_source(column, explained, sightings),
                "Detail": harmless(column.detail) or None,
                "Parts": [
                    {"Value": _json_value("", part.value), "Rule": part.rule, "Message": _number(part.message)}
                    for part in column.parts
                ],
                "Lost": [
                    {
                        "Value": _json_value(column.column, lost.value),
                        "Rule": lost.rule,
                        "Message": _number(lost.message),
                        "Why": lost.why,
                    }
                    for lost in column.lost
                ],
            }
            for column in explained.columns
        },
        "Anomalies": [
            {"Kind": anomaly.kind, "Text": anomaly.text, "Messages": [_number(number) for number in anomaly.messages]}
            for anomaly in explained.anomalies
        ],
    }


def _number(place: int | None) -> int | None:
    return None if place is None else place + 1


def _seconds(micros: int | None) -> float | None:
    return None if micros is None else micros / 1_000_000


def _json_source(column: Derived, explained: Explained, sightings: Sightings) -> dict[str, Any]:
    if column.message is None:
        return {"Time": None, "File": None, "Frame": None, "StartLine": None}
    message = explained.messages[column.message]
    fact = message.facts[column.sighting]
    sighting = sightings.of(fact)
    return {
        "Time": iso(fact.time),
        "File": None if sighting is None else sighting.position.source,
        "Frame": None if sighting is None else sighting.position.number,
        "StartLine": None if sighting is None else sighting.start_line,
    }


def _json_message(message: Seen, sightings: Sightings) -> dict[str, Any]:
    return {
        "Time": iso(message.time),
        "Method": message.method,
        "Status": message.status or None,
        "CSeq": message.cseq,
        "ByCaller": message.by_caller,
        "Source": message.source or None,
        "Destination": message.destination or None,
        "State": None if message.state is None else message.state.value,
        "Expected": message.expected,
        "Belongs": message.belongs,
        "Sightings": [
            _json_sighting(fact, sighting)
            for fact in message.facts
            for sighting in (sightings.all_of(fact) if sightings.kept else (None,))
        ],
    }


def _json_sighting(fact: Fact, sighting: Sighting | None) -> dict[str, Any]:
    read: dict[str, Any] = {"File": None, "Frame": None, "StartLine": None, "Cut": False, "Notes": []}
    if sighting is not None:
        read = {
            "File": sighting.position.source,
            "Frame": sighting.position.number,
            "StartLine": sighting.start_line,
            "Cut": sighting.cut,
            "Notes": list(sighting.notes),
        }
    return {"Time": iso(fact.time), "Vias": fact.vias, **read}


def _json_value(column: str, value: object) -> Any:
    if isinstance(value, User):
        return value.uri
    if isinstance(value, Client):
        return value.version
    if isinstance(value, Reference):
        return {"CallId": text(value.call_id), "Tags": [text(tag) for tag in value.tags]}
    if isinstance(value, int) and column.endswith("Time"):
        return iso(value)
    return value
