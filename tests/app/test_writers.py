"""Several writers at once, writers that are killed, and databases that go away: the rows are those of one quiet run."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.app.writer import all_messages, main, meaning
from tests.places import NAMES, Place, fresh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.places import Servers

ROOT = Path(__file__).parent.parent.parent
# `make soak` asks for more.
KILLS = {"sqlite": 100, "postgresql": 100, "mariadb": 20} if os.environ.get("SIPCDR_SOAK") else dict.fromkeys(NAMES, 10)
MESSAGES = all_messages()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What one undisturbed run leaves."""
    folder = tmp_path_factory.mktemp("quiet")
    quiet = Place("sqlite", f"sqlite:///{folder}/quiet.db")
    main(quiet.url, str(folder), "0", "1", "1", "0")
    with quiet.open() as sink:
        return meaning(sink, MESSAGES)


@pytest.fixture(params=NAMES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty database."""
    if request.param == "sqlite":
        made = Place("sqlite", f"sqlite:///{tmp_path}/cdr.db")
        made.open().close()
    else:
        servers: Servers = request.getfixturevalue("servers")
        made = servers.place(request.param)
    yield made
    made.close()


def start(place: Place, folder: Path, *numbers: int) -> subprocess.Popen[str]:
    """A writer, with what the module `writer` says of its numbers."""
    words = [sys.executable, "-m", "tests.app.writer", place.url, str(folder), *map(str, numbers)]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def begun(writer: subprocess.Popen[str]) -> None:
    """Return when a writer begins to write."""
    assert writer.stdout is not None
    line = writer.stdout.readline()
    assert line == "writing\n", writer.communicate()[1]


def ended(writer: subprocess.Popen[str]) -> None:
    """Wait for a writer's good end."""
    out, err = writer.communicate(timeout=300)
    assert (writer.returncode, err) == (0, ""), err
    assert out.endswith("written\n")


def assert_expected(place: Place, expected: list[dict[str, Any]]) -> None:
    """The rows are exactly those expected."""
    place.assert_whole()
    with place.open() as sink:
        assert meaning(sink, MESSAGES) == expected


def test_writers_at_once(place: Place, tmp_path: Path, expected: list[dict[str, Any]]) -> None:
    """Four processes that write parts of the same calls, many on one tick, leave the rows of the whole."""
    writers = [start(place, tmp_path, part, 4, 10, part) for part in range(4)]
    for writer in writers:
        ended(writer)
    assert_expected(place, expected)
    ticks = place.query("SELECT SessionIdTime, COUNT(*) FROM Dialogs GROUP BY SessionIdTime")
    assert max(count for _, count in ticks) > 50


def test_first_writers_at_once(
    place: Place, request: pytest.FixtureRequest, tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    """Two processes with halves of the same calls, which make the tables too, leave the rows of the whole."""
    if place.name == "sqlite":
        empty = Place("sqlite", f"sqlite:///{tmp_path}/halves.db")
    else:
        empty = fresh(request.getfixturevalue("servers").get(place.name), "halves")
    for writer in [start(empty, tmp_path, part, 2, 1, part) for part in range(2)]:
        ended(writer)
    assert_expected(empty, expected)
    empty.close()


def test_writers_that_are_killed(place: Place, tmp_path: Path, expected: list[dict[str, Any]]) -> None:
    """kill -9 at any moment leaves whole transactions only, and the same command again adds the rest."""
    chance = random.Random(place.name)
    kills = 0
    while kills < KILLS[place.name]:
        place.clear()
        killed = True
        while killed:
            writer = start(place, tmp_path, 0, 1, 60, kills)
            begun(writer)
            time.sleep(chance.uniform(0, 0.4))
            writer.kill()
            _, err = writer.communicate()
            assert err == ""
            killed = writer.returncode != 0 and kills < KILLS[place.name]
            kills += killed
            place.assert_whole()
        ended(start(place, tmp_path, 0, 1, 1, 0))
        assert_expected(place, expected)


@pytest.mark.parametrize("place", ["postgresql", "mariadb"], indirect=True)
def test_a_database_that_goes_away(
    place: Place, servers: Servers, tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    """A server that is killed, and one that is stopped, in mid-write is waited for, and nothing is lost or doubled."""
    server = servers.get(place.name)
    place.close()
    writer = start(place, tmp_path, 0, 1, 200, 0)
    begun(writer)
    for end in (server.kill, server.stop):
        time.sleep(0.3)
        end()
        assert writer.poll() is None, "it ended before the server did"
        time.sleep(0.5)
        server.start()
    ended(writer)
    assert_expected(place, expected)
