"""README and help say what the program does: commands, options, columns, limits, and the examples run."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from sipcdr.app import _status
from sipcdr.app._cli import main
from sipcdr.app._replay import REFUSED_CALLS
from sipcdr.sinks import SESSION_COLUMNS
from sipcdr.sinks._lcscdr import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The part of the README below a heading."""
    match = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert match is not None, f"no section {title}"
    return match[1]


def anchors(level: str) -> set[str]:
    """What links to headings of that level and below, as GitHub names them."""
    titles = re.findall(rf"^{level}#* (.*)$", README, re.MULTILINE)
    return {"-".join(re.findall(r"[\w-]+", title.lower())) for title in titles}


def test_links() -> None:
    """What README links to within itself is a heading; its beginning links to each part."""
    link = re.compile(r"\]\(#([\w-]+)\)")
    assert set(link.findall(README)) <= anchors("##")
    assert set(link.findall(README.partition("\n## ")[0])) == anchors("##") - anchors("###")


def blocks(text: str, language: str = "") -> list[str]:
    """The fenced blocks of a language in a text."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for name, block in fenced if name == language]


def commands() -> Iterator[tuple[str, click.Command]]:
    """Each command by its name, those of a group behind the group's: `config show`."""
    for name, command in sorted(main.commands.items()):
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", each) for inner, each in sorted(command.commands.items()))
        else:
            yield name, command


def options() -> Iterator[tuple[str, click.Option]]:
    """Each option of each command."""
    for name, command in commands():
        for option in command.params:
            if isinstance(option, click.Option):
                yield name.partition(" ")[0], option


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=lambda value: getattr(value, "name", value))
def test_each_command_is_documented(name: str, command: click.Command) -> None:
    """README has a section for each command or group, and each has help; where it takes much, with examples."""
    usage = f"sipcdr {name}" + (" PATH" if any(param.name == "paths" for param in command.params) else "")
    assert usage in section(f"sipcdr {name.partition(' ')[0]}")
    assert command.help
    assert "Examples:" in (command.epilog or "") or len(command.params) <= 3


@pytest.mark.parametrize(("command", "option"), list(options()), ids=lambda value: getattr(value, "name", value))
def test_each_option_is_documented(command: str, option: click.Option) -> None:
    """Each option has help, and README's section of its command names it."""
    assert option.help
    for spelling in option.opts:
        assert f"`{spelling}" in section(f"sipcdr {command}")


def test_readme_names_no_option_that_is_not_there() -> None:
    """README's table of options has those of the command and no other."""
    rows = re.findall(r"^\| (`-.*?) \|", section("sipcdr replay"), re.MULTILINE)
    named = {word for row in rows for word in re.findall(r"--[a-z-]+", row)}
    there = {spelling for name, option in options() if name == "replay" for spelling in option.opts}
    assert named == {spelling for spelling in there if spelling.startswith("--")} | {"--help"}


def test_the_columns_are_listed() -> None:
    """README lists SessionDetails' columns as the schema has them, with their names in the output and their meaning."""
    rows = re.findall(r"^\| `(\w+)` \| (?:`(\w+)`)? ?\| (.+) \|$", section("The database"), re.MULTILINE)
    wanted = [
        (column.name, shown if shown != column.name else "", column.meaning)
        for column, shown in zip(TABLES["SessionDetails"], SESSION_COLUMNS, strict=False)
    ]
    assert rows == wanted
    for name in SESSION_COLUMNS[len(wanted) :]:
        assert f"`{name}`" in section("The database")


def test_exit_statuses_are_listed() -> None:
    """README lists the statuses that there are."""
    listed = {int(number) for number in re.findall(r"^\| (\d+) \|", section("sipcdr replay"), re.MULTILINE)}
    assert listed == {value for name, value in vars(_status).items() if name.isupper() and isinstance(value, int)}


def test_the_demo_prints_what_readme_shows(tmp_path: Path) -> None:
    """The output in README is that of `make demo`; only the time that it took differs."""
    table, summary = blocks(section("Two commands"))[2:]
    done = subprocess.run(
        [sys.executable, "-m", "sipcdr.app", "replay", str(ROOT / "fixtures" / "demo.pcap"), "--to", "sqlite:///demo.db"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "COLUMNS": "80"}, check=True,
    )  # fmt: skip
    timing = re.compile(r"in [\d.]+ s \([\d,]+ messages/s\)")
    assert table == done.stdout
    assert timing.sub("", summary) == timing.sub("", done.stderr)
    # The queries of the section on the database run on it.
    with contextlib.closing(sqlite3.connect(tmp_path / "demo.db")) as database:
        [query] = blocks(section("The database"), "sql")
        assert len(database.execute(query).fetchall()) == 4
        [command] = blocks(section("The database"))
        assert len(database.execute(command.split('"')[1]).fetchall()) > 3


def test_the_library_example_prints_what_readme_says() -> None:
    """The example under "As a library" runs as it stands."""
    [code] = blocks(section("As a library"), "python")
    [printed] = blocks(section("As a library"))
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), {})
    assert printed == out.getvalue()


def test_names_in_readme_are_there() -> None:
    """Files, folders and make targets that README speaks of exist."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:`|^)make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for path in re.findall(r"`((?:ingest|builder|sinks|app|tests|fixtures|benchmarks|\.ci)/[\w/.]*)`", README):
        assert (ROOT / path).exists(), path
    for folder in re.findall(r"^(\w+/) ", section("Development"), re.MULTILINE):
        assert (ROOT / folder).is_dir(), folder
    assert f"`{REFUSED_CALLS}`" in README


def test_the_plain_commands_are_those_of_the_makefile() -> None:
    """What README gives for those without make is what make does."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    by_hand = blocks(section("Two commands"))[1]
    for words in ("pip install -qq -e .", "pip install -qq -e . --group test", "pip install -qq --upgrade pip"):
        assert words in makefile
        assert words.replace("-qq ", "") in by_hand
    for step in ("ruff format --check", "ruff check", "mypy", "python -m pytest", "replay fixtures/demo.pcap"):
        assert f"$(BIN)/{step}" in makefile or f"$(BIN)/sipcdr {step}" in makefile
        assert step in by_hand


def test_the_changelog_has_the_version_or_what_comes() -> None:
    """Changes are under the version of pyproject.toml, or not yet released."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert re.search(rf"^## (Unreleased|\[?{re.escape(version)})", CHANGELOG, re.MULTILINE)
