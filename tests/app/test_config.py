"""The daemon's configuration: what it takes, and how errors are told."""

from __future__ import annotations

import contextlib
import tomllib
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcdr.app._config import ConfigError, database_url, load, parse, rules_of
from sipcdr.app._config_text import EXAMPLE, masked, shown
from sipcdr.app._settings import (
    EARLIEST,
    LATEST,
    CapturesSource,
    HepSource,
    KafkaSource,
    LogsSource,
    Settings,
    Source,
)
from sipcdr.builder import Ignore, Rules

if TYPE_CHECKING:
    from pathlib import Path

SMALL = """\
[database]
url = "sqlite:///x.db"

[[source]]
type = "kafka"
topics = ["sip"]
"""
DURATION = 'expected a duration such as "500ms", "60s" or "7d"'
SIZE = 'expected a size such as "64KiB" or "512MiB"'
START = 'expected "earliest", "latest" or a time such as "2026-11-23T08:00:00Z"'
TYPE = "expected 'kafka' or 'hep' or 'captures' or 'logs'"
NETWORKS = "expected networks such as 10.0.0.0/8"


def problems(text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse(text, "x.toml", environ)
    return raised.value.problems


def test_the_smallest_configuration_is_enough() -> None:
    """A database and a source; all else has defaults."""
    settings = parse(SMALL, "x.toml", {})
    assert database_url(settings) == "sqlite:///x.db"
    (source,) = settings.source
    assert isinstance(source, KafkaSource)
    assert (source.start, source.group, source.client) == (EARLIEST, "sipcdr", "kafka-python")
    assert (settings.correlator.hold, settings.correlator.linger) == (60_000_000, None)
    assert rules_of(settings) == Rules()


def test_the_example_has_every_key_with_its_default() -> None:
    """What `sipcdr config example` prints is the configuration that nobody wrote."""
    settings = parse(EXAMPLE, "example", {})
    document = tomllib.loads(EXAMPLE)
    assert _keys(document) == _fields()
    assert settings.correlator.linger == 64 * settings.rules.t1
    defaults = parse(SMALL, "x.toml", {})
    for name in ("rules", "dead_letters", "metrics", "retention", "log"):
        assert getattr(settings, name) == getattr(defaults, name)
    kafka, hep, captures, logs = settings.source
    assert kafka == defaults.source[0]
    assert hep == HepSource()
    assert captures == CapturesSource(folder="/var/spool/sip")
    assert logs == LogsSource(path="/var/log/sip.log")


def _keys(document: dict[str, Any]) -> set[str]:
    keys: set[str] = set()
    for table, value in document.items():
        for each in value if isinstance(value, list) else [value]:
            kind = f"{table}[{each['type']}]" if table == "source" else table
            keys |= {f"{kind}.{key}" for key in each if key != "type"}
            for key, inner in each.items():
                if isinstance(inner, dict) and key not in ("options", "hosts"):
                    keys |= {f"{kind}.{key}.{name}" for name in inner}
    return keys


def _fields() -> set[str]:
    known: set[str] = set()
    for field in msgspec.structs.fields(Settings):
        if field.name == "source":
            tables = [(f"source[{kind.__struct_config__.tag}]", kind) for kind in get_args(Source)]
        else:
            tables = [(field.name, field.type)]
        for name, kind in tables:
            for each in msgspec.structs.fields(kind):
                known.add(f"{name}.{each.name}")
                if isinstance(each.type, type) and issubclass(each.type, msgspec.Struct):
                    known |= {f"{name}.{each.name}.{inner.name}" for inner in msgspec.structs.fields(each.type)}
    return known


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('[corelator]\nhold = "5s"', "x.toml, line 7: corelator: unknown key; did you mean correlator?"),
        ('[correlator]\nhold = "5s"\nlingers = "5s"',
         "x.toml, line 9: correlator.lingers: unknown key; did you mean linger?"),
        ("[correlator]\nhold = 60", f"x.toml, line 8: correlator.hold: {DURATION}"),
        ('[correlator]\nhold = "60"', f"x.toml, line 8: correlator.hold: {DURATION}"),
        ('[correlator]\nmemory = "5s"', f"x.toml, line 8: correlator.memory: {SIZE}"),
        ('[correlator]\nmemory = "0B"', "x.toml, line 8: correlator.memory: expected more than nothing"),
        ('value = "sip"', "x.toml, line 7: source[0].value: expected 'auto' or 'raw' or 'hep' or 'json', got 'sip'"),
        ('start = "soon"', f"x.toml, line 7: source[0].start: {START}"),
        ("group = 5", "x.toml, line 7: source[0].group: expected `str`, got `int`"),
        ("bootstrap = []", "x.toml, line 7: source[0].bootstrap: there is no broker"),
        ('pattern = "sip-.*"', "x.toml, line 4: source[0]: give either topics or pattern"),
        ("[source.json]\nmesage = 'x'", "x.toml, line 8: source[0].json.mesage: unknown key; did you mean message?"),
        ('[[source]]\ntype = "hep"\nlisten = """\na\n"""',
         "x.toml, line 9: source[1].listen: expected `array`, got `str`"),
        ('[[source]]\ntype = "hop"', f"x.toml, line 8: source[1].type: {TYPE}, got 'hop'"),
        ('[[source]]\nlisten = "x"', "x.toml, line 7: source[1]: type is missing"),
        ('[[source]]\ntype = "captures"', "x.toml, line 7: source[1]: folder is missing"),
        ("[rules]\nnetworks = [\n  '10.0.0.0/8',\n  'inside',\n]",
         f"x.toml, line 8: rules.networks: {NETWORKS}, got 'inside'"),
        ("[rules.ignore]\naddresses = ['x']", f"x.toml, line 8: rules.ignore.addresses: {NETWORKS}, got 'x'"),
        ("[rules.hosts]\n'a.b' = { server = 'x' }\n'c.d' = { server = 5 }",
         "x.toml, line 9: rules.hosts.c.d.server: expected `str`, got `int`"),
        ("[rules]\ncorrelation_header = 'X Y'", "x.toml, line 8: rules.correlation_header: expected a header's name"),
        ("[dead_letters]\nfile = ''", "x.toml, line 7: dead_letters: give either file or topic"),
        ("x = [1 2]", "x.toml: Unclosed array (at line 7, column 8)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(line: str, said: str) -> None:
    """The place, what was expected, and for a misspelt key the one that was meant."""
    assert problems(SMALL + line) == [said]


def test_all_that_is_wrong_is_named() -> None:
    """Not only the first."""
    said = problems(SMALL + 'grup = "a"\n[correlator]\nhold = 5\n[log]\nlevel = "loud"\n')
    assert [problem.partition(": ")[0] for problem in said] == ["x.toml, line 7", "x.toml, line 9", "x.toml, line 11"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "x.toml: database is missing"),
        ('[database]\nurl = "x"\n', "x.toml: source is missing"),
        ('source = []\n[database]\nurl = "x"\n', "x.toml: there is no [[source]]"),
        (SMALL.replace('url = "sqlite:///x.db"', ""), "x.toml, line 1: database: give either url or url_file"),
        (SMALL.replace("url =", 'url_file = "f"\nurl ='), "x.toml, line 1: database: give either url or url_file"),
    ],
)
def test_what_is_missing_is_named(text: str, said: str) -> None:
    """A database and a source are all that has no default."""
    assert problems(text) == [said]


def test_the_environment_overrides_the_file() -> None:
    """Texts, numbers, lists, tables; also sources by their number."""
    environ = {
        "SIPCDR_DATABASE__URL": "postgresql://db/x",
        "SIPCDR_SOURCE__0__TOPICS": '["a", "b"]',
        "SIPCDR_SOURCE__0__START": "latest",
        "SIPCDR_SOURCE__0__OPTIONS": '{ sasl_plain_password = "1" }',
        "SIPCDR_SOURCE__0__OPTIONS__FETCH_MIN_BYTES": "5",
        "SIPCDR_SOURCE__0__JSON__TIME": "at",
        "SIPCDR_CORRELATOR__HOLD": "10s",
        "SIPCDR_DATABASE__DDL": "false",
        "SIPCDR_SCHEMA": "no configuration",
        "HOME": "/",
    }
    settings = parse(SMALL, "x.toml", environ)
    (source,) = settings.source
    assert isinstance(source, KafkaSource)
    assert (settings.database.url, settings.database.ddl) == ("postgresql://db/x", False)
    assert (source.topics, source.start, source.json.time) == (("a", "b"), LATEST, "at")
    assert source.options == {"sasl_plain_password": "1", "fetch_min_bytes": 5}
    assert settings.correlator.hold == 10_000_000


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SIPCDR_CORRELATOR__HOLD", "60", f"SIPCDR_CORRELATOR__HOLD: {DURATION}"),
        ("SIPCDR_CORRELATOR__HOLDS", "60s", "SIPCDR_CORRELATOR__HOLDS: unknown key; did you mean hold?"),
        ("SIPCDR_SOURCE__1__GROUP", "x", "SIPCDR_SOURCE__1__GROUP: there is no source[1].group"),
        ("SIPCDR_SOURCE__0__TOPICS", "[a", "SIPCDR_SOURCE__0__TOPICS: Invalid value (at line 1, column 10)"),
        ("SIPCDR_DATABASE__URL__X", "1", "SIPCDR_DATABASE__URL__X: there is no database.url.x"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_environment_is_named(name: str, value: str, said: str) -> None:
    """By the variable."""
    assert problems(SMALL, **{name: value}) == [said]


def test_rules_go_to_the_builder() -> None:
    """Every key of `[rules]` has its place there."""
    text = """
[rules]
t1 = "1s"
maximum_age = "2h"
correlation_header = "X-Call"
networks = ["10.0.0.0/8"]
ignore = { user_agents = ["x*"], addresses = ["192.0.2.1"], users = ["ping"] }
[rules.hosts]
"Proxy1" = { server = "p1.example.com" }
"192.0.2.1" = { server = "p2.example.com", pool = "pool" }
"""
    assert rules_of(parse(SMALL + text, "x.toml", {})) == Rules(
        t1=1_000_000,
        maximum_age=7_200_000_000,
        correlation_header="x-call",
        networks=("10.0.0.0/8",),
        hosts={"proxy1": ("p1.example.com", None), "192.0.2.1": ("p2.example.com", "pool")},
        ignore=Ignore(user_agents=("x*",), addresses=("192.0.2.1",), users=("ping",)),
    )


def test_secrets_are_read_from_files(tmp_path: Path) -> None:
    """The database's URL may stand in a file, as container platforms have it."""
    (tmp_path / "url").write_text("postgresql://cdr:secret@db/x\n")
    text = SMALL.replace('url = "sqlite:///x.db"', f'url_file = "{tmp_path}/url"')
    assert database_url(parse(text, "x.toml", {})) == "postgresql://cdr:secret@db/x"
    with pytest.raises(ConfigError, match="can't be read"):
        database_url(parse(text.replace("/url", "/none"), "x.toml", {}))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is named, with how to begin; the environment alone will do as well."""
    with pytest.raises(ConfigError, match="no such file; `sipcdr config example` prints one"):
        load(tmp_path / "none.toml", {"SIPCDR_SCHEMA": "x"})
    environ = {"SIPCDR_DATABASE__URL": "sqlite://", "SIPCDR_SOURCE": "x", "SIPCDR_CORRELATOR__HOLD": "5s"}
    with pytest.raises(ConfigError, match="source is missing"):
        load(tmp_path / "none.toml", environ)
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    with pytest.raises(ConfigError, match="can't be read"):
        load(tmp_path / "latin.toml", {})


def test_what_is_in_force_is_shown_without_secrets() -> None:
    """As TOML that reads back as the same, but for the secrets."""
    text = (
        SMALL.replace("sqlite:///x.db", "postgresql://cdr:geheim@db/x?password=geheim2")
        + 'start = 2026-11-23T08:00:00+01:00\noptions = { sasl_plain_password = "geheim3", ssl_keyfile = "k.pem" }\n'
        + '[rules.hosts]\n"192.0.2.1" = { server = "p", pool = "q" }\n'
    )
    settings = parse(text, "x.toml", {})
    found = shown(settings)
    assert "geheim" not in found
    assert 'url = "postgresql://cdr:***@db/x?password=***"' in found
    again = parse(found, "shown", {})
    assert again.rules == settings.rules
    assert again.correlator == settings.correlator
    assert 'start = "2026-11-23T07:00:00Z"' in found
    assert 'ssl_keyfile = "k.pem"' in found
    assert parse(shown(parse(EXAMPLE, "x", {})), "x", {}) == parse(EXAMPLE, "x", {})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql+psycopg://cdr@db/x", "postgresql+psycopg://cdr@db/x"),
        ("mysql://u:p@ss:w/rd@db/x", "mysql://u:***@db/x"),
        ("sqlite:///x.db", "sqlite:///x.db"),
        ("mssql+pyodbc:///?odbc_connect=DSN%3Dx&PWD=y", "mssql+pyodbc:///?odbc_connect=DSN%3Dx&PWD=***"),
    ],
)
def test_a_password_is_masked_wherever_it_stands(url: str, expected: str) -> None:
    """In the user's part, also with signs in it that ought to be escaped, and among the parameters."""
    assert masked(url) == expected


@given(st.text(max_size=60))
def test_no_text_raises_anything_else(text: str) -> None:
    """Whatever a file holds: a configuration, or an error of ours."""
    for whole in (text, SMALL + text, SMALL.replace("sip", text)):
        with contextlib.suppress(ConfigError):
            shown(parse(whole, "x.toml", {}))
