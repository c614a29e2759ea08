"""Real user agents and a real proxy, run afresh: what they send today gives the rows that are expected of it."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from fixtures import agents, rows
from fixtures.wire import Wire
from tests.road import messages, replayed
from tests.tools import missing, program

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    """tcpdump wants root; the others have to be there."""
    for name in ("sipp", "kamailio", "tcpdump", "tshark"):
        program(name)
    if os.geteuid() != 0:
        missing("only root may capture")


@pytest.mark.parametrize("name", ["cancelled", "login", "redirected", "forked", "chat"])
def test_fresh_call(name: str, tmp_path: Path) -> None:
    """A call made now, on addresses of its own, gives its rows."""
    network = f"127.{random.randint(2, 254)}.{random.randint(1, 254)}"
    capture = tmp_path / f"{name}.pcap"
    capture.write_bytes(agents.record(name, network))
    written = rows.written(rows.ROWS[name](Wire(capture)))
    beside = capture.with_suffix(".json")
    beside.write_text(written.replace('"127.0.1.', f'"{network}.'))
    assert rows.read(beside) == replayed(tmp_path / "cdr.db", messages(capture))
