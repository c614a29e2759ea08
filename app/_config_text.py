"""The configuration as text: the example, and what is in force with its secrets masked."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ._settings import written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._settings import Settings

EXAMPLE: Final = """\
# Configuration of the daemon, `sipcdr run --config sipcdr.toml`. Every key stands here with its default; a key with an
# empty value is off. Each can be set by the environment too: SIPCDR_DATABASE__URL, SIPCDR_SOURCE__0__GROUP.
# Durations have a unit (us, ms, s, m, h, d), sizes too (B, KiB, MiB, GiB).

[database]
# An SQLAlchemy URL. Instead, url_file may name a file that holds one.
url = "postgresql+psycopg://cdr@db/lcscdr"
url_file = ""
# Whether tables are made and upgraded at start.
ddl = true

# As many sources as wanted, each with its type: kafka, hep, captures or logs.
[[source]]
type = "kafka"
bootstrap = ["127.0.0.1:9092"]
# Topics by name, or by a regular expression that a topic's whole name fits.
topics = ["sip"]
pattern = ""
group = "sipcdr"
# "kafka-python", or "confluent" with the extra of that name.
client = "kafka-python"
# What values are: "raw" SIP, "hep", "json" envelopes, or "auto" to look at each.
value = "auto"
# Where a partition begins that the database doesn't know: "earliest", "latest", or a time.
start = "earliest"
# "partition" where the topic is keyed by Call-ID, "topic" where it isn't: then one process has to read all of it.
correlate = "partition"
# The authentication key that HEP packets must have: a file that holds it.
auth_key_file = ""
# Passed to the client as they are: security_protocol = "SSL" to kafka-python, "security.protocol" to confluent.
options = {}

# Where a JSON envelope has what; a dot leads into an object. Homer's envelopes are known and need none of this.
[source.json]
message = "message"
message_base64 = "message_base64"
time = "time"
source = "source"
source_port = "source_port"
destination = "destination"
destination_port = "destination_port"
transport = "transport"

# The headers of a record that say of raw SIP what it doesn't say itself.
[source.headers]
time = "ts"
source = "src"
destination = "dst"
transport = "proto"

[[source]]
type = "hep"
# udp://, tcp:// or tls://
listen = ["udp://127.0.0.1:9060", "tcp://127.0.0.1:9060"]
auth_key_file = ""
tls_cert = ""
tls_key = ""
# With it, senders need a certificate that this one vouches for.
tls_ca = ""
# Bytes of packets that wait while the database is busy; more are dropped, and counted.
buffer = "16MiB"

[[source]]
type = "captures"
# A folder into which tcpdump or dumpcap write one file after the other.
folder = "/var/spool/sip"
glob = "*.pcap*"

[[source]]
type = "logs"
path = "/var/log/sip.log"
format = "auto"
timezone = "UTC"

[correlator]
# How long a call is quiet after its end before it is written, and how long one may go on before it is. linger is 64
# times rules.t1 unless set.
linger = "32s"
hold = "60s"
# How often what is due is written at least.
checkpoint = "5s"
# Bytes of facts in memory; beyond them the oldest calls are written early.
memory = "512MiB"

# What all writers of a database have to say alike. After a change: sipcdr db rederive.
[rules]
t1 = "500ms"
# After how long without a message an established dialog counts as over.
maximum_age = "1d"
# The header that CorrelationId is taken from.
correlation_header = ""
# The networks that are inside.
networks = []

# Whose sessions are left out: the caller's User-Agent (* stands for anything), its network; users on either side.
[rules.ignore]
user_agents = []
addresses = []
users = []

# Plain SIP servers by name or address: what they are called, and their pool.
[rules.hosts]
# "192.0.2.10" = { server = "proxy1.example.com", pool = "pool1.example.com" }

[dead_letters]
# Records that hold nothing of use: a file of JSON lines, or a topic of the first Kafka source.
file = "dead-letters.jsonl"
topic = ""

[metrics]
# For Prometheus, with /healthz and /readyz; empty: nowhere.
listen = "127.0.0.1:9464"

[retention]
# How long a call's facts are kept, so that later messages may join them. Rows stay.
facts = "7d"

[log]
# "text" or "json", on standard error.
format = "text"
level = "info"

# For `sipcdr spark run` alone.
[spark]
# A folder, or a URL of one that all of Spark's machines reach, where it keeps the offsets that were written.
checkpoint = ""
# The most records of a batch.
records = 100000
# Passed to Spark's Kafka source as they are: "kafka.security.protocol" = "SSL".
options = {}
"""

_MASK: Final = "***"
_SECRET: Final = re.compile("pass|secret|token|sasl.jaas|private|(?<!public_)key(?!_?file)", re.IGNORECASE)
_BARE: Final = re.compile("[A-Za-z0-9_-]+")


def masked(url: str) -> str:
    """A URL without its password, wherever it stands."""
    url = re.sub(r"(://[^:/?#@]*):[^?#]*@", rf"\1:{_MASK}@", url)
    return re.sub(r"([?&][^=&]*(?:pass|pwd|secret|token)[^=&]*=)[^&]*", rf"\1{_MASK}", url, flags=re.IGNORECASE)


def shown(settings: Settings) -> str:
    """All that is in force as TOML, secrets masked."""
    document = _plain(settings)
    document["database"]["url"] = masked(document["database"]["url"])
    for source in document["source"]:
        for name in source.get("options", ()):
            if _SECRET.search(name):
                source["options"][name] = _MASK
    for name in document["spark"]["options"]:
        if _SECRET.search(name):
            document["spark"]["options"][name] = _MASK
    return "\n".join(_table(document, ())).lstrip("\n") + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        tag = value.__struct_config__.tag
        fields = {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
        return {"type": tag, **fields} if tag else fields
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return written(value)


def _table(table: dict[str, Any], at: tuple[str, ...]) -> Iterator[str]:
    """A table's keys, then its tables."""
    inner = {name: value for name, value in table.items() if isinstance(value, dict) and name != "options"}
    many = {name: value for name, value in table.items() if isinstance(value, list) and value and _are_tables(value)}
    for name, value in table.items():
        if name not in inner and name not in many and value is not None:
            yield f"{_key(name)} = {_inline(value)}"
    for name, tables in many.items():
        for each in tables:
            yield f"\n[[{'.'.join(map(_key, (*at, name)))}]]"
            yield from _table(each, (*at, name))
    for name, each in inner.items():
        yield f"\n[{'.'.join(map(_key, (*at, name)))}]"
        yield from _table(each, (*at, name))


def _are_tables(values: list[Any]) -> bool:
    return all(isinstance(value, dict) for value in values)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _inline(name)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{_key(name)} = {_inline(each)}" for name, each in value.items()) + " }"
            if value
            else "{}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, str):
        # TOML's basic strings are JSON's, but for DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value) if isinstance(value, (bool, int, float)) else str(value)
