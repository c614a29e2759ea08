"""The daemon's configuration as types: every key, what it takes, and its default (see `sipcdr config example`)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from sipcdr.ingest import HeaderNames, Names

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DURATIONS: Final = {"us": 1, "ms": 1000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86_400 * 10**6}
_SIZES: Final = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


class Duration(int):
    """Microseconds; written with a unit: `"500ms"`, `"60s"`, `"7d"`."""


class Size(int):
    """Bytes; written with a unit: `"64KiB"`, `"512MiB"`."""


class Start(int):
    """Microseconds UTC since 1970, written as ISO 8601, without a zone UTC; or EARLIEST or LATEST, as their words."""


EARLIEST: Final = Start(-1)
LATEST: Final = Start(-2)
_WORDS: Final = {"earliest": EARLIEST, "latest": LATEST}


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration: keys that it doesn't have are errors."""


class Database(Table, frozen=True):
    """Where rows go: an SQLAlchemy URL, or a file that holds one."""

    url: str = ""
    url_file: str = ""
    ddl: bool = True


class KafkaSource(Table, frozen=True, tag_field="type", tag="kafka"):
    """A topic, several, or those whose names fit a pattern, read as a member of a group."""

    bootstrap: tuple[str, ...] = ("127.0.0.1:9092",)
    topics: tuple[str, ...] = ()
    pattern: str = ""
    group: str = "sipcdr"
    client: Literal["kafka-python", "confluent"] = "kafka-python"
    value: Literal["auto", "raw", "hep", "json"] = "auto"
    start: Start = EARLIEST
    correlate: Literal["partition", "topic"] = "partition"
    options: dict[str, Any] = {}
    json: Names = Names()
    headers: HeaderNames = HeaderNames()
    auth_key_file: str = ""


class HepSource(Table, frozen=True, tag_field="type", tag="hep"):
    """A listener for HEP packets."""

    listen: tuple[str, ...] = ("udp://127.0.0.1:9060", "tcp://127.0.0.1:9060")
    auth_key_file: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    tls_ca: str = ""
    buffer: Size = Size(16 * 1024**2)


class CapturesSource(Table, frozen=True, tag_field="type", tag="captures"):
    """A folder into which captures are written one after the other."""

    folder: str
    glob: str = "*.pcap*"


class LogsSource(Table, frozen=True, tag_field="type", tag="logs"):
    """A log that is being written."""

    path: str
    format: str = "auto"
    timezone: str = "UTC"


Source = KafkaSource | HepSource | CapturesSource | LogsSource


class Correlation(Table, frozen=True):
    """How long calls stay in memory, how often they are written, and how many bytes of them there may be."""

    linger: Duration | None = None
    hold: Duration = Duration(60 * 10**6)
    checkpoint: Duration = Duration(5 * 10**6)
    memory: Size = Size(512 * 1024**2)


class Host(Table, frozen=True):
    """A plain SIP server's name, and its pool's."""

    server: str
    pool: str | None = None


class Ignore(Table, frozen=True):
    """Whose sessions are left out: by User-Agent (`*` stands for anything), caller's network, user."""

    user_agents: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    users: tuple[str, ...] = ()


class RulesTable(Table, frozen=True):
    """What the operator says about the network; all writers of a database are to say the same."""

    t1: Duration = Duration(500_000)
    maximum_age: Duration = Duration(86_400 * 10**6)
    correlation_header: str = ""
    networks: tuple[str, ...] = ()
    hosts: dict[str, Host] = {}
    ignore: Ignore = Ignore()


class DeadLettersTable(Table, frozen=True):
    """Where records go that hold nothing of use: a file of JSON lines, or a topic of the first Kafka source."""

    file: str = "dead-letters.jsonl"
    topic: str = ""


class Metrics(Table, frozen=True):
    """Where Prometheus asks; empty: nowhere."""

    listen: str = "127.0.0.1:9464"


class Retention(Table, frozen=True):
    """How long the facts of calls are kept, so that later messages may join them; rows stay."""

    facts: Duration = Duration(7 * 86_400 * 10**6)


class Spark(Table, frozen=True):
    """What `sipcdr spark run` needs beside the rest: where it keeps offsets, how large a batch is, Spark's options."""

    checkpoint: str = ""
    records: int = 100_000
    options: dict[str, str] = {}


class Log(Table, frozen=True):
    """How the daemon logs, on standard error."""

    format: Literal["text", "json"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(Table, frozen=True):
    """The whole configuration."""

    database: Database
    source: tuple[Source, ...]
    correlator: Correlation = Correlation()
    rules: RulesTable = RulesTable()
    dead_letters: DeadLettersTable = DeadLettersTable()
    metrics: Metrics = Metrics()
    retention: Retention = Retention()
    log: Log = Log()
    spark: Spark = Spark()


def decoded(kind: type, value: Any) -> Any:
    """A value of a kind of ours, for msgspec; raises ValueError that says what is expected."""
    if kind is Duration:
        return Duration(_scaled(value, _DURATIONS, 'a duration such as "500ms", "60s" or "7d"'))
    if kind is Size:
        return Size(_scaled(value, _SIZES, 'a size such as "64KiB" or "512MiB"'))
    if kind is Start:
        return _start(value)
    raise TypeError(kind)


def _scaled(value: Any, units: dict[str, int], expected: str) -> int:
    if isinstance(value, str):
        digits = value.rstrip("BKMGiusmhd")
        unit = value[len(digits) :]
        digits = digits.strip()
        if digits.isascii() and digits.isdigit() and len(digits) <= 15 and unit in units:
            return int(digits) * units[unit]
    raise ValueError(f"Expected {expected}")


def _start(value: Any) -> Start:
    if isinstance(value, str) and value in _WORDS:
        return _WORDS[value]
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        if moment >= _EPOCH:
            return Start((moment - _EPOCH) // timedelta(microseconds=1))
    except (TypeError, ValueError):
        pass
    raise ValueError('Expected "earliest", "latest" or a time such as "2026-11-23T08:00:00Z"')


def written(value: Any) -> Any:
    """A value of a kind of ours as it is written in a configuration; others as they are."""
    if isinstance(value, Start):
        words = {number: word for word, number in _WORDS.items()}
        return words.get(value) or (_EPOCH + timedelta(microseconds=value)).isoformat().replace("+00:00", "Z")
    if isinstance(value, (Duration, Size)):
        units = _DURATIONS if isinstance(value, Duration) else _SIZES
        unit, scale = next((unit, scale) for unit, scale in reversed(units.items()) if value % scale == 0)
        return f"{value // scale}{unit}"
    return value
