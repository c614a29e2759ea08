"""A database for each test of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.places import ALL_NAMES, Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sipcdr.sinks import Sink
    from tests.places import Servers


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where an SQLite database lies."""
    return tmp_path / "cdr.db"


@pytest.fixture(params=ALL_NAMES)
def place(request: pytest.FixtureRequest, path: Path) -> Iterator[Place]:
    """A database of each kind, empty; whatever a test did, it is whole afterwards."""
    in_file = request.param in ("sqlite", "mssql")
    if in_file:
        made = Place(request.param, f"sqlite:///{path}")
    else:
        servers: Servers = request.getfixturevalue("servers")
        made = servers.place(request.param)
    yield made
    made.assert_whole()
    if in_file:
        made.close()


@pytest.fixture
def sink(place: Place) -> Iterator[Sink]:
    """The database, opened."""
    opened = place.open()
    yield opened
    opened.close()
