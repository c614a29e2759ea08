"""Captures made to hurt, a few of each: memory stays flat, what is wrong is named, and the rest is read."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from benchmarks.hostile import HOSTILE, LAST, Hostile, outcome

if TYPE_CHECKING:
    from pathlib import Path

MEMORY = 256
"""MiB that reading may take at most, whatever is read: what waits, and the interpreter."""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much memory a process took at most")
@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.write.__name__.strip("_"))
def test_memory(hostile: Hostile, tmp_path: Path) -> None:
    """The problem is named with its file and frame, the message behind it found, and memory bounded."""
    hostile.write(tmp_path, hostile.few)
    read = outcome(tmp_path)
    assert LAST in read.call_ids
    assert read.problems > 0
    assert read.first is not None
    source, frame, _, reason = read.first
    assert (tmp_path / source).is_file()
    assert frame > 0
    assert reason.startswith(hostile.says)
    assert read.memory < MEMORY


def test_byte_of_a_block_that_cant_be(tmp_path: Path) -> None:
    """A block of 4 GiB is named by its byte, behind the section's block and an interface's."""
    block = next(hostile for hostile in HOSTILE if "4 GiB" in hostile.what)
    block.write(tmp_path, 1)
    assert outcome(tmp_path).first == ("hostile.pcapng", 1, 48, "a block of 4294967292 bytes")
