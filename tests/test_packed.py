"""Captures in other containers give the rows that stand beside the bare ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures import make, packed, rows
from sipcdr.ingest import Inputs, Tally
from tests.road import messages, replayed
from tests.tools import module, program

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.rows import Row


def expected(*names: str) -> list[Row]:
    """The rows of these captures, in the order of the output."""
    found = [row for name in names for row in rows.read((make.FOLDER / name).with_suffix(".json"))]
    return sorted(found, key=lambda row: str(row["InviteTime"]))


@pytest.mark.parametrize("name", packed.HOLDS)
def test_each(name: str, tmp_path: Path) -> None:
    """Each file gives the rows of the captures in it, without a problem."""
    tally = Tally()
    found = messages(packed.FOLDER / name, tally=tally)
    assert tally.problems == []
    assert expected(*packed.HOLDS[name]) == replayed(tmp_path / "cdr.db", found)


def test_a_folder_of_all(tmp_path: Path) -> None:
    """A folder with captures of all kinds is one input; those that only Wireshark reads are named."""
    tally = Tally()
    inputs = Inputs([str(packed.FOLDER)], tally=tally, reader="python")
    found = [message for batch in inputs for message in batch]
    names = [name for held in packed.HOLDS.values() for name in held]
    assert expected(*names) == replayed(tmp_path / "cdr.db", found)
    assert sorted(problem.reason.split(",")[0] for problem in tally.problems) == ["a snoop capture", "an ERF capture"]


@pytest.mark.parametrize("name", packed.ONLY_WIRESHARK)
def test_by_wireshark(name: str, tmp_path: Path) -> None:
    """Snoop and ERF are read where Wireshark is there."""
    program("tshark")
    module("pyshark")
    found = messages(packed.FOLDER / name)
    times = {"InviteTime", "ResponseTime", "SessionEndTime", "LastModifiedTime"}
    bare = [{key: row[key] for key in row.keys() - times} for row in expected(*packed.ONLY_WIRESHARK[name])]
    assert bare == [
        {key: row[key] for key in row.keys() - times} for row in replayed(tmp_path / "cdr.db", found)
    ]  # ERF's clock counts in 2^-32 s


def test_made_again(tmp_path: Path) -> None:
    """The tools still make files that hold the same."""
    for name in ("gzip", "zstd", "lz4", "zip", "editcap", "mergecap"):
        program(name)
    packed.make(tmp_path)
    for name, held in packed.HOLDS.items():
        assert expected(*held) == replayed(tmp_path / f"{name}.db", messages(tmp_path / name))
