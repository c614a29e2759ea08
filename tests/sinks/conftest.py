"""A database for each test of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sipcdr.sinks import Sink
from tests.sinks.rows import assert_whole, url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database lies."""
    return tmp_path / "cdr.db"


@pytest.fixture
def sink(path: Path) -> Iterator[Sink]:
    """An empty database; whatever a test did, it is whole afterwards."""
    opened = Sink.open(url(path))
    yield opened
    opened.close()
    assert_whole(path)
