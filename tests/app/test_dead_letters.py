"""Dead letters in a file: written, listed, tried again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sipcdr.app._dead_letters import Letter, LetterFile, letters_in_file, letters_of
from sipcdr.ingest import Poison, Record
from tests.app.capture import answered, sipcdr

if TYPE_CHECKING:
    from pathlib import Path

POISON = [
    Poison(Record(5, 1_795_421_600_000_000, b"key", b"\xff\0junk", [("src", b"192.0.2.1:5060")]), "not SIP"),
    Poison(Record(6, 1_795_421_601_000_000, None, b""), "empty value"),
]


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    (tmp_path / "c.toml").write_text(
        f'[database]\nurl = "sqlite:///{tmp_path}/x.db"\n[[source]]\ntype = "hep"\n'
        f'[dead_letters]\nfile = "{tmp_path}/letters.jsonl"\n'
    )
    return ["--config", str(tmp_path / "c.toml")]


def put(path: Path, letters: list[Letter]) -> None:
    file = LetterFile(path)
    file.write(letters)
    file.close()


def test_letters_come_back_as_they_were(tmp_path: Path) -> None:
    """Whatever the value holds; a second writer appends; nothing is made before the first letter."""
    path = tmp_path / "letters.jsonl"
    put(path, [])
    assert not path.exists()
    letters = letters_of(POISON, "sip", "3")
    put(path, letters)
    put(path, letters)
    assert list(letters_in_file(path, lambda line, why: pytest.fail(f"{line}: {why}"))) == letters * 2
    assert json.loads(path.read_text().splitlines()[0]) == {
        "source": "sip", "partition": "3", "offset": 5, "time": 1_795_421_600_000_000, "reason": "not SIP",
        "key": "a2V5", "value": "/wBqdW5r", "cut": 0, "headers": [["src", "MTkyLjAuMi4xOjUwNjA="]],
    }  # fmt: skip
    assert letters[0].record == POISON[0].record


def test_a_file_that_is_moved_away_is_made_anew(tmp_path: Path) -> None:
    """As logrotate does it, without a signal."""
    path = tmp_path / "letters.jsonl"
    file = LetterFile(path)
    for name in ("old", "new"):
        file.write(letters_of(POISON, name, ""))
        file.flush()
        path.rename(tmp_path / name)
    assert [len((tmp_path / name).read_text().splitlines()) for name in ("old", "new")] == [2, 2]


def test_letters_are_listed_and_damaged_lines_named(tmp_path: Path, options: list[str]) -> None:
    """A line each, control characters escaped; a line that is no letter costs only itself."""
    path = tmp_path / "letters.jsonl"
    put(path, letters_of(POISON, "sip", "3"))
    path.write_bytes(path.read_bytes() + b'{"x": 1}\n\xff\n')
    put(path, letters_of(POISON[:1], "hep", ""))
    done = sipcdr("dead-letters", "list", *options)
    assert done.status == 1
    assert done.out.splitlines() == [
        "2026-11-23T08:13:20Z  sip/3:5  not SIP  6 bytes: \\xff\\x00junk",
        "2026-11-23T08:13:21Z  sip/3:6  empty value  0 bytes: ",
        "2026-11-23T08:13:20Z  hep:5  not SIP  6 bytes: \\xff\\x00junk",
    ]
    assert [line.partition(":")[0] + line.partition(":")[2][:7] for line in done.err.splitlines()] == [
        "sipcdr line 3",
        "sipcdr line 4",
    ]


def test_letters_that_are_understood_now_get_their_rows(tmp_path: Path, options: list[str]) -> None:
    """Once, however often they are tried; the others are counted by reason, and stay in the file."""
    path = tmp_path / "letters.jsonl"
    records = [
        Record(number, sent.time, b"1@192.0.2.11", sent.payload) for number, sent in enumerate(answered("1@192.0.2.11"))
    ]
    put(path, letters_of([*(Poison(record, "an older version's") for record in records), *POISON], "sip", "0"))
    before = path.read_bytes()
    for new in (1, 0):
        done = sipcdr("dead-letters", "replay", *options)
        assert done.status == 0
        assert done.err.splitlines() == [
            f"8 letters, 6 messages of 1 calls, of which {new} brought something new",
            "still nothing of use: empty value: 1",
            "still nothing of use: not SIP: 1",
        ]
    assert path.read_bytes() == before


def test_what_is_not_there_is_named(tmp_path: Path, options: list[str]) -> None:
    """No file of letters, no configuration."""
    done = sipcdr("dead-letters", "list", *options)
    assert (done.status, done.err) == (1, f"sipcdr: {tmp_path}/letters.jsonl: No such file or directory\n")
    done = sipcdr("dead-letters", "list", "--config", str(tmp_path / "none.toml"))
    assert done.status == 2


def test_configurations_are_checked_shown_and_begun(tmp_path: Path, options: list[str]) -> None:
    """`config check` says what is wrong, one line each; `show` and `example` print what reads back."""
    assert sipcdr("config", "check", *options).err == f"{options[1]}: fine, with 1 source\n"
    shown = sipcdr("config", "show", *options).out
    (tmp_path / "shown.toml").write_text(shown)
    assert sipcdr("config", "show", "--config", str(tmp_path / "shown.toml")).out == shown
    (tmp_path / "example.toml").write_text(sipcdr("config", "example").out)
    assert sipcdr("config", "check", "--config", str(tmp_path / "example.toml")).status == 0
    (tmp_path / "wrong.toml").write_text(shown.replace("[correlator]", "[correlator]\nhold_ = 5"))
    done = sipcdr("config", "check", "--config", str(tmp_path / "wrong.toml"))
    assert done.status == 2
    assert done.err.splitlines()[0].endswith("correlator.hold_: unknown key; did you mean hold?")
