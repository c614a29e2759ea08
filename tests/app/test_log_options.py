"""Commands read logs: found by content, or as options say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures import logs as writers
from fixtures import rows
from sipcdr.ingest import Inputs, Tally
from tests.app.capture import sipcdr

if TYPE_CHECKING:
    from pathlib import Path

LOGS = writers.logs()
CALL_ID = "logged@corp.example"


def words(name: str) -> list[str]:
    """The log's path, and the options that it takes."""
    log = LOGS[name]
    given = ["--log-format", log.form, "--timezone", log.timezone]
    return [str(writers.FOLDER / name), *given, *(("--log-date", log.begins) if log.begins else ())]


@pytest.mark.parametrize("name", LOGS)
def test_replay(name: str, tmp_path: Path) -> None:
    """`replay` prints the row beside the log."""
    done = sipcdr("replay", *words(name), "--to", f"sqlite:///{tmp_path}/cdr.db", "--format", "json")
    assert done.status == 0, done.err
    [expected] = rows.read((writers.FOLDER / name).with_suffix(".json"))
    [row] = done.rows
    assert {name: row[name] for name in expected if name in row} == {
        name: value for name, value in expected.items() if name in row
    }


def test_an_expression_in_a_file(tmp_path: Path) -> None:
    """`--log-format @FILE` takes the expression from there."""
    (tmp_path / "own.pattern").write_text(writers.OWN_PATTERN + "\n")
    path = str(writers.FOLDER / "own.log")
    given = ["--log-format", f"@{tmp_path / 'own.pattern'}", "--to", "none", "--format", "json"]
    assert sipcdr("replay", path, *given).calls == [CALL_ID]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--log-format", "cisco"], "cisco is no log format"),
        (["--log-format", "/(a*)*/"], "the log's pattern"),
        (["--log-format", "@no.such.file"], "No such file"),
        (["--timezone", "Mars"], "Mars is no time zone"),
        (["--log-date", "yesterday"], "'yesterday' is no day"),
    ],
)
def test_options_that_make_no_sense(given: list[str], said: str) -> None:
    """They are usage errors of one line."""
    done = sipcdr("replay", str(writers.FOLDER / "pjsip.log"), "--to", "none", *given)
    assert done.status == 2
    assert said in done.err
    assert done.err.count("\n") == 1


def test_damage_is_named_by_line(tmp_path: Path) -> None:
    """A record that is cut is a problem, by file and line, and counted."""
    data = LOGS["sipstack.txt"].data
    log = tmp_path / "trace.txt"
    log.write_bytes(data[: data.rindex(b"CSeq")])
    done = sipcdr("replay", str(log), "--to", "none")
    assert done.status == 1
    line = data[: data.rindex(b"TL_INFO")].count(b"\n") + 1
    assert f"trace.txt, line {line}, byte" in done.err
    assert "damaged log: a record without its end: 1" in done.err


def test_a_log_of_another_format(tmp_path: Path) -> None:
    """Text in which nothing is found is named as that."""
    log = tmp_path / "notes.txt"
    log.write_text("nothing\nof\ninterest\n")
    done = sipcdr("replay", str(log), "--to", "none")
    assert done.status == 1
    assert "text, not a capture (pcap or pcapng), nor a log of a format that is known" in done.err


def test_a_folder_of_sipdump(tmp_path: Path) -> None:
    """What Kamailio writes about itself beside its dump is no log, and no mistake."""
    (tmp_path / "kamailio-2026-11-23--09-14-07.data").write_bytes(LOGS["kamailio-sipdump.data"].data)
    (tmp_path / "kamailio-2026-11-23--09-14-07.meta").write_text("v: 1.0\nversion: kamailio 5.6.3\nnrprocs: 8\n")
    done = sipcdr("replay", str(tmp_path), "--to", "none", "--format", "json")
    assert done.status == 0, done.err
    assert done.calls == [CALL_ID]


def test_explain_and_ladder() -> None:
    """They read logs as `replay` does, and know the server by its name."""
    done = sipcdr("explain", *words("sipstack.txt"))
    assert done.status == 0
    assert "server.trace" in done.out
    assert "(#: the line)" in done.out
    mixed = sipcdr("explain", *words("sipstack.txt"), "fixtures/demo.pcap", "--call-id", CALL_ID)
    assert "(#: the line)" in mixed.out
    done = sipcdr("ladder", *words("pjsip.log"), "--call-id", CALL_ID)
    assert done.status == 0
    assert "192.0.2.11" in done.out
    assert "180 Ringing" in done.out


@pytest.mark.parametrize("name", LOGS)
def test_extract(name: str, tmp_path: Path) -> None:
    """What is extracted of a log is a capture with the same messages, at the same times."""
    out = tmp_path / "call.pcapng"
    done = sipcdr("extract", *words(name), "--call-id", CALL_ID, "-o", str(out))
    assert done.status == 0, done.err
    assert "7 packets with 7 messages, made up where they come from logs" in done.err
    tally = Tally()
    found = [message for batch in Inputs([str(out)], tally=tally) for message in batch]
    assert [m.start_line for m in found] == [one.payload.partition(b"\r\n")[0] for one in writers.the_call()]
    assert tally.problems == []
    again = sipcdr("replay", str(out), "--to", "none", "--format", "json")
    [expected] = rows.read((writers.FOLDER / name).with_suffix(".json"))
    assert again.rows[0]["InviteTime"] == expected["InviteTime"]
    assert again.rows[0]["SessionEndTime"] == expected["SessionEndTime"]


def test_a_log_that_grows(tmp_path: Path) -> None:
    """A log is followed as captures are."""
    data = LOGS["sipstack.txt"].data
    log = tmp_path / "trace.txt"
    log.write_bytes(data[:3000])
    inputs = Inputs([str(log)], tally=Tally(), follow=True)
    found = []
    written = False
    for batch in inputs:
        found += batch
        if not batch and not written:
            with log.open("ab") as file:
                file.write(data[3000:])
            written = True
        if len(found) == len(writers.the_call()):
            inputs.stop()
    assert len(found) == len(writers.the_call())
