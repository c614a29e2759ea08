"""What a message costs, in instructions that valgrind counts: unlike seconds they hardly differ between two runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from benchmarks.generate import generate
from sipcdr.builder import native
from sipcdr.sinks import Sink

from .tools import missing, program

SIZES: Final = (60_000, 500_000)
"""Bytes of two captures; what they differ by is the messages of some 100 calls."""
MEASURED: Final = {
    "derive with the kernel": 33_000,
    "derive without the kernel": 293_500,
    "write with the kernel": 77_500,
}
"""Instructions a message, by CPython 3.11 on x86-64, reading included."""
ROOM: Final = 1.15 if sys.version_info[:2] == (3, 11) else 1.5
"""Two runs differ by less than a thousandth, two versions of Python by more than what would be noticed here."""


@pytest.mark.parametrize("what", MEASURED)
def test_instructions(what: str, tmp_path: Path) -> None:
    """A message costs no more instructions than were measured, and a little room."""
    road, _, kernel = what.partition(" ")
    valgrind = program("valgrind")
    if kernel == "with the kernel" and native is None:
        missing("there is no native kernel")
    captures = [tmp_path / f"{size}.pcap" for size in SIZES]
    for capture, size in zip(captures, SIZES, strict=True):
        generate(capture, size, concurrent=20)
    Sink.open(f"sqlite:///{tmp_path}/empty.db").close()
    script = [sys.executable, str(Path(__file__).with_name("instructions.py")), road]
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "0",
        "PYTHONPYCACHEPREFIX": str(tmp_path / "cache"),
        "PYTHONDONTWRITEBYTECODE": "",
        "SIPCDR_KERNEL": "native" if kernel == "with the kernel" else "python",
    }
    # Once without valgrind, so that all is compiled.
    subprocess.run([*script, captures[0]], env=environment, stdout=subprocess.DEVNULL, check=True)
    done = subprocess.run(
        [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null", *script, *captures],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    counted = dict(re.findall(r"==(\d+)== Collected : (\d+)", done.stderr))
    (few, messages), (more, all_messages) = (
        (int(counted[process]), int(count)) for process, count in map(str.split, done.stdout.splitlines())
    )
    each = (more - few) / (all_messages - messages)
    print(f"{what}: {each:,.0f} instructions a message")
    assert each <= MEASURED[what] * ROOM
