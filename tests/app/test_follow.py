"""`replay --follow` as a user has it: beside a capture that runs."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from fixtures import make

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CAPTURE = (make.FOLDER / "answered.pcap").read_bytes()
SECONDS = 60


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C can't be sent to one process there")
def test_until_interrupted(tmp_path: Path) -> None:
    """A call that ended is in the database while the file is still written; Ctrl-C ends it all as it should."""
    file, database = tmp_path / "x.pcap", tmp_path / "x.db"
    file.write_bytes(CAPTURE[:1000])
    command = [sys.executable, "-m", "sipcdr.app", "replay", str(file), "--follow", "--format", "json"]
    process = subprocess.Popen(
        [*command, "--to", f"sqlite:///{database}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        with file.open("ab") as out:
            out.write(CAPTURE[1000:])
        _until(lambda: _response(database) == 200)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert json.loads(output)["CallId"]
    assert "read      6 packets" in errors


def _response(database: Path) -> int | None:
    """What the one session was answered with, if it is there."""
    if not database.exists():
        return None
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            found = connection.execute("SELECT ResponseCode FROM SessionDetails").fetchone()
    except sqlite3.Error:
        return None
    return None if found is None else found[0]


def _until(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("option", ["--follow", "--esp-null"])
def test_not_with_tshark(option: str, tmp_path: Path) -> None:
    """What the own reader does alone is refused with options of tshark."""
    command = [sys.executable, "-m", "sipcdr.app", "replay", "x.pcap", option, "--keylog", "k"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, timeout=SECONDS)
    assert done.returncode == 2
    assert f"{option} is for our own reader" in done.stderr
