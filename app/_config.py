"""Reads the daemon's configuration: one TOML file, overridden by environment variables, with errors that name the line.

`SIPCDR_DATABASE__URL` stands for `database.url`, `SIPCDR_SOURCE__0__GROUP` for the first source's `group`. A variable's
value is a text, a number, `true` or `false`, or TOML where it begins with `[`, `{` or a quote.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from sipcdr.builder import Ignore, Rules

from ._settings import KafkaSource, Settings, Source, decoded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PREFIX: Final = "SIPCDR_"
_MOST: Final = 20
"""Problems named at a time."""

Step = str | int
Path_ = tuple[Step, ...]


class ConfigError(Exception):
    """A configuration that can't be used. problems: one line each, with the place and what was expected there."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class _Problem(NamedTuple):
    at: Path_
    text: str


def load(path: Path, environ: Mapping[str, str]) -> Settings:
    """The configuration of a file and the environment; without the file, of the environment alone.

    Raises ConfigError.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if not any(name.startswith(_PREFIX) and "__" in name for name in environ):
            raise ConfigError([f"{path}: there is no such file; `sipcdr config example` prints one"]) from None
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: can't be read: {error}"]) from error
    return parse(text, str(path), environ)


def parse(text: str, name: str, environ: Mapping[str, str]) -> Settings:
    """The configuration of a file's text. name: what errors call it. Raises ConfigError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{name}: {error}"]) from error
    variables = _override(document, environ)
    problems: list[_Problem] = []
    settings = _convert(document, problems)
    if settings is not None and not problems:
        problems += _contradictions(settings)
    if problems or settings is None:
        lines = text.splitlines()
        raise ConfigError([_placed(problem, name, lines, variables) for problem in problems])
    return settings


def rules_of(settings: Settings) -> Rules:
    """What the derivation is to know."""
    rules = settings.rules
    return Rules(
        t1=rules.t1,
        maximum_age=rules.maximum_age,
        hosts={host.lower(): (known.server, known.pool) for host, known in rules.hosts.items()},
        networks=tuple(rules.networks),
        correlation_header=rules.correlation_header.lower(),
        ignore=Ignore(
            user_agents=tuple(rules.ignore.user_agents),
            addresses=tuple(rules.ignore.addresses),
            users=tuple(rules.ignore.users),
        ),
    )


def database_url(settings: Settings) -> str:
    """The database's URL, out of its file where it has one. Raises ConfigError."""
    return settings.database.url or secret(settings.database.url_file)


def secret(path: str) -> str:
    """The text of a file that holds a secret, without blanks around. Raises ConfigError."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: can't be read: {error}"]) from error


def _override(document: dict[str, Any], environ: Mapping[str, str]) -> dict[Path_, str]:
    """Put the environment's values into the document; gives the variables by the place that they set."""
    variables: dict[Path_, str] = {}
    problems: list[str] = []
    for name in sorted(environ):
        steps = name.removeprefix(_PREFIX).lower().split("__")
        if not name.startswith(_PREFIX) or len(steps) < 2:
            continue
        at: Path_ = tuple(int(step) if step.isdigit() else step for step in steps)
        place: Any = document
        try:
            for step in at[:-1]:
                place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
            place[at[-1]] = _value(environ[name])
        except (TypeError, IndexError, KeyError):
            problems.append(f"{name}: there is no {_dotted(at)}")
        except tomllib.TOMLDecodeError as error:
            problems.append(f"{name}: {error}")
        variables[at] = name
    if problems:
        raise ConfigError(problems)
    return variables


def _value(text: str) -> Any:
    if text[:1] in ("[", "{", '"', "'"):
        return tomllib.loads("value = " + text)["value"]
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch("-?[0-9]{1,18}", text) else text


def _convert(document: dict[str, Any], problems: list[_Problem]) -> Settings | None:
    """The document as settings; what is wrong is noted and taken out, to find what else is wrong."""
    taken: set[Path_] = set()
    while len(problems) < _MOST:
        try:
            return msgspec.convert(document, Settings, dec_hook=decoded, builtin_types=(datetime,))
        except msgspec.ValidationError as error:
            problem, missing = _understood(str(error), document)
            if missing not in taken:
                problems.append(problem)
            if not problem.at or not _take_out(document, problem.at):
                return None
            taken.add(problem.at)
    return None


def _understood(error: str, document: dict[str, Any]) -> tuple[_Problem, Path_]:
    """The text of msgspec: what is wrong, and at which place; and the place of what is missing."""
    what, _, where = error.partition(" - at `$")
    words = re.findall(r"\.([^.\[\]`]+)|\[(\d+|\.\.\.)\]", where)
    steps: Path_ = tuple(int(index) if index.isdigit() else key or "..." for key, index in words)
    at = _resolved(steps, document)
    unknown = re.fullmatch("Object contains unknown field `(.*)`", what)
    if unknown:
        known = sorted(_fields(at, document))
        near = difflib.get_close_matches(unknown[1], known, 1)
        return _Problem((*at, unknown[1]), f"unknown key{f'; did you mean {near[0]}?' if near else ''}"), ()
    missing = re.fullmatch("Object missing required field `(.*)`", what)
    if missing:
        return _Problem(at, f"{missing[1]} is missing"), (*at, missing[1])
    choices = _choices(at, document)
    if choices:
        return _Problem(at, f"expected {' or '.join(choices)}, got {str(_get(document, at))[:60]!r}"), ()
    return _Problem(at, what[:1].lower() + what[1:]), ()


def _resolved(at: Path_, document: dict[str, Any]) -> Path_:
    """The place with the key of a table of ours in place of msgspec's `...`: the first that is wrong."""
    if "..." not in at:
        return at
    cut = at.index("...")
    table = _get(document, at[:cut])
    for key in table:
        alone: dict[str, Any] = {"database": {}, "source": []}
        place = alone
        for step in at[: cut - 1]:
            place = place.setdefault(str(step), {})
        place[str(at[cut - 1])] = {key: table[key]}
        try:
            msgspec.convert(alone, Settings, dec_hook=decoded)
        except msgspec.ValidationError:
            return (*at[:cut], key, *at[cut + 1 :])
    return at[:cut]


def _kind(at: Path_, document: dict[str, Any]) -> Any:
    """The type that a place's value has to have, as far as it is one of ours."""
    kind: Any = Settings
    for depth, step in enumerate(at):
        if isinstance(step, int):
            kind = get_args(kind)[0]
            if kind == Source:
                tag = _get(document, (*at[: depth + 1], "type"))
                kind = next((each for each in get_args(Source) if each.__struct_config__.tag == tag), None)
        elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            kind = get_type_hints(kind).get(step)
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            return None
    return kind


def _fields(at: Path_, document: dict[str, Any]) -> tuple[str, ...]:
    kind = _kind(at, document)
    return kind.__struct_encode_fields__ if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else ()


def _choices(at: Path_, document: dict[str, Any]) -> list[str]:
    if at[-1:] == ("type",) and at[:1] == ("source",):
        return [repr(each.__struct_config__.tag) for each in get_args(Source)]
    kind = _kind(at, document)
    return [repr(each) for each in get_args(kind)] if get_origin(kind) is Literal else []


def _get(document: Any, at: Path_) -> Any:
    for step in at:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return None
    return document


def _take_out(document: dict[str, Any], at: Path_) -> bool:
    """Remove what is wrong, so that the rest can be looked at."""
    table = _get(document, at[:-1])
    if isinstance(table, dict) and at[-1] in table and at[-1] != "type":
        del table[at[-1]]
        return True
    return False


def _contradictions(settings: Settings) -> Iterator[_Problem]:
    """What types can't say."""
    database = settings.database
    if bool(database.url) == bool(database.url_file):
        yield _Problem(("database",), "give either url or url_file")
    if not settings.source:
        yield _Problem((), "there is no [[source]]")
    for number, source in enumerate(settings.source):
        if isinstance(source, KafkaSource):
            at: Path_ = ("source", number)
            if bool(source.topics) == bool(source.pattern):
                yield _Problem(at, "give either topics or pattern")
            if not source.bootstrap:
                yield _Problem((*at, "bootstrap"), "there is no broker")
            try:
                re.compile(source.pattern)
            except re.error as error:
                yield _Problem((*at, "pattern"), f"no regular expression: {error}")
    dead = settings.dead_letters
    if dead.topic and not any(isinstance(source, KafkaSource) for source in settings.source):
        yield _Problem(("dead_letters", "topic"), "there is no Kafka source to take its brokers from")
    if not dead.topic and not dead.file:
        yield _Problem(("dead_letters",), "give either file or topic")
    rules = settings.rules
    for key, networks in (("networks", rules.networks), ("ignore", rules.ignore.addresses)):
        for network in networks:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError:
                place: Path_ = ("rules", "networks") if key == "networks" else ("rules", "ignore", "addresses")
                yield _Problem(place, f"expected networks such as 10.0.0.0/8, got {network!r}")
    if rules.correlation_header and not re.fullmatch(r"[!%'*+\-.0-9A-Z_`a-z~]{1,64}", rules.correlation_header):
        yield _Problem(("rules", "correlation_header"), "expected a header's name")
    for table, keys in (
        ("correlator", ("hold", "checkpoint", "memory")),
        ("rules", ("t1", "maximum_age")),
        ("spark", ("records",)),
    ):
        for name in keys:
            if getattr(getattr(settings, table), name) <= 0:
                yield _Problem((table, name), "expected more than nothing")


def _placed(problem: _Problem, name: str, lines: list[str], variables: Mapping[Path_, str]) -> str:
    """A problem with its place: the environment's variable, or the file's line."""
    for length in range(len(problem.at), 0, -1):
        if problem.at[:length] in variables:
            return f"{variables[problem.at[:length]]}: {problem.text}"
        line = _line(lines, problem.at[:length])
        if line:
            return f"{name}, line {line}: {_dotted(problem.at)}: {problem.text}"
    return f"{name}: {_dotted(problem.at)}{': ' if problem.at else ''}{problem.text}"


def _line(lines: list[str], at: Path_) -> int:
    """The line, from 1, on which a place of the document begins; 0 where it isn't in the file.

    The file's beginning, up to a line, is a document of its own wherever no value goes over that line's end. The first
    such beginning that has the place ends with it.
    """
    whole = 0
    for count in range(1, len(lines) + 1):
        try:
            document = tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue
        if _get(document, at) is not None:
            return next(
                number for number in range(whole + 1, count + 1) if lines[number - 1].strip()[:1] not in ("", "#")
            )
        whole = count
    return 0


def _dotted(at: Path_) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in at).removeprefix(".")
