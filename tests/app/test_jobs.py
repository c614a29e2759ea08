"""`sipcdr replay --jobs N`: several processes read, and nothing else is different."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fixtures.calls import udp
from fixtures.writer import pcap
from tests.app.capture import ANN, BEN, CLEO, MORNING, SECOND, answered, busy, sipcdr, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.app.capture import Done

FIXTURES = Path("fixtures").resolve()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _sorted(done: Done) -> list[str]:
    return sorted(done.out.splitlines())


def _summary(done: Done) -> list[str]:
    """What is said but for the time it took; names with equal counts may stand in another order."""
    said = re.sub(r" in [0-9.]+ s .*", "", done.err)
    return [", ".join(sorted(re.split(r", (?=[A-Za-z])", line))) for line in said.splitlines()]


def _alike(*words: str, jobs: int = 2) -> Done:
    """The same words with several processes and with one: all that comes out is the same."""
    one = sipcdr("replay", *words)
    several = sipcdr("replay", *words, "--jobs", str(jobs))
    assert _sorted(several) == _sorted(one)
    assert _summary(several) == _summary(one)
    assert several.status == one.status
    return several


@pytest.mark.parametrize("folder", ["", "logs"])
def test_fixtures(folder: str) -> None:
    """All fixtures have the same rows, counts and problems, however many processes read them."""
    done = _alike(str(FIXTURES / folder), "--to", "none", "--format", "json", jobs=3)
    assert done.rows


def test_into_a_database() -> None:
    """What is written is the same, and a second replay finds nothing new."""
    rows = []
    for jobs in ("1", "3"):
        to = f"sqlite:///{jobs}.db"
        first = sipcdr("replay", str(FIXTURES / "demo.pcap"), "--to", to, "--format", "json", "--jobs", jobs)
        again = sipcdr("replay", str(FIXTURES / "demo.pcap"), "--to", to, "--format", "json", "--jobs", "2")
        assert again.rows == first.rows
        assert "written   0 calls" in again.err
        rows.append([{**row, "SessionIdSeq": 0, "ReplaceDialogIdSeq": 0} for row in first.rows])
    assert rows[0] == rows[1]


def _calls(tmp_path: Path) -> Path:
    sent = [*answered("c1"), *answered("c2", CLEO, BEN), *busy("c3", BEN, ANN, start=MORNING + 300 * SECOND)]
    return write(tmp_path / "calls.pcap", sent)


@pytest.mark.parametrize(
    "chosen",
    [
        ("--caller", "ann"),
        ("--callee", "ann", "--to", "sqlite://"),
        ("--call-id", "c2", "--reader", "python"),
        ("--since", "2026-11-23T08:02", "--esp-null"),
        ("--until", "2026-11-23T08:02", "--to", "sqlite://"),
    ],
    ids=" ".join,
)
def test_choosing(tmp_path: Path, chosen: tuple[str, ...]) -> None:
    """What is chosen is the same."""
    done = _alike(str(_calls(tmp_path)), "--to", "none", "--format", "json", *chosen)
    assert done.rows


def test_anonymized(tmp_path: Path) -> None:
    """All processes give the same user the same other name."""
    done = sipcdr("replay", str(_calls(tmp_path)), "--anonymize", "--format", "json", "--jobs", "3")
    names = {row["User2"] for row in done.rows if row["ResponseCode"] == 200}
    assert len(done.rows) == 3
    assert len(names) == 1
    assert "ben@example.com" not in done.out


def test_damage(tmp_path: Path) -> None:
    """Each problem is said and counted once, and the status is 1."""
    (tmp_path / "bad").write_bytes(pcap(udp(answered("c9")))[:-20])
    (tmp_path / "text").write_bytes(b"Hello, this is a text file.\n")
    done = _alike("bad", "text", "missing", str(_calls(tmp_path)), "--to", "none", "--format", "json", jobs=3)
    assert done.status == 1
    assert len([line for line in done.err.splitlines() if line.startswith("sipcdr: ")]) == 3


def test_what_one_process_must_do(tmp_path: Path) -> None:
    """What can't be shared out is refused in a line."""
    name = str(_calls(tmp_path))
    for words, said in (
        (("-",), "--jobs is for files: what - gives can't be read twice"),
        ((name, "--follow"), "--follow is for a single process, without --jobs (see sipcdr replay --help)"),
        ((name, "--report", "x.html"), "--report is for a single process, without --jobs (see sipcdr replay --help)"),
    ):
        done = sipcdr("replay", *words, "--jobs", "2")
        assert (done.status, done.err) == (2, f"sipcdr: {said}\n")
    assert sipcdr("replay", name, "--jobs", "0").status == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system")
def test_a_pipe(tmp_path: Path) -> None:
    """A pipe has a name, and can be read by one process only."""
    os.mkfifo(tmp_path / "pipe")
    done = sipcdr("replay", "pipe", "--jobs", "2")
    assert (done.status, done.err) == (2, "sipcdr: --jobs is for files: what pipe gives can't be read twice\n")


# How it ends before its end.


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A replay with two reading processes, and their process ids."""
    sent = [one for number in range(2000) for one in busy(f"c{number}", start=MORNING + number * SECOND)]
    write(tmp_path / "long.pcap", sent)
    with subprocess.Popen(
        [sys.executable, "-m", "sipcdr.app", "replay", "long.pcap", "--jobs", "3"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    ) as process:  # fmt: skip
        until = time.monotonic() + 60
        children: list[int] = []
        while len(children) < 2 and time.monotonic() < until:
            listed = subprocess.run(
                ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=False
            )
            children = [int(line) for line in listed.stdout.split()]
        yield process, children
        process.kill()


def _gone(children: list[int]) -> bool:
    """Whether they end. One that has just been started when its parent ends finds that out when it has started."""
    until = time.monotonic() + 30
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(Path(f"/proc/{child}").exists() for child in children)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked up in /proc")
def test_a_reading_process_is_killed(at_work: tuple[subprocess.Popen[str], list[int]]) -> None:
    """It is named, with what ended it; the others end too; what is committed is said, and the status is 1."""
    process, children = at_work
    os.kill(children[1], signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert re.match(r"sipcdr: reading process [12] of 2 was ended by signal 9 \(Killed", err), err
    assert "Traceback" not in err
    assert _gone(children)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked up in /proc")
def test_interrupted(at_work: tuple[subprocess.Popen[str], list[int]]) -> None:
    """Ctrl-C ends all processes, with status 130 and no tracebacks."""
    process, children = at_work
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.startswith("sipcdr: interrupted")
    assert "Traceback" not in err
    assert _gone(children)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked up in /proc")
def test_killed(at_work: tuple[subprocess.Popen[str], list[int]]) -> None:
    """Where the writer is killed the others end by themselves, and a replay adds what is missing."""
    process, children = at_work
    process.kill()
    process.wait()
    until = time.monotonic() + 60
    while not _gone(children) and time.monotonic() < until:
        time.sleep(0.05)
    assert _gone(children)
    done = sipcdr("replay", "long.pcap", "--format", "json", "--jobs", "2")
    assert done.status == 0
    assert len({json.loads(line)["CallId"] for line in done.out.splitlines()}) == 2000


@pytest.mark.parametrize("said", [b"", b"\x80\x05\x95\x10"])
def test_nothing_to_do(said: bytes) -> None:
    """A reading process whose parent ends before it has said all that there is to do ends without a word."""
    program = "from sipcdr.app._jobs import serve; serve()"
    done = subprocess.run([sys.executable, "-c", program], input=said, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
