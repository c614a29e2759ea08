"""`sipcdr spark` as its users meet it: what is missing is a line, and spark-submit runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import sipcdr.app
from tests.app.capture import sipcdr as run
from tests.app.daemon import FIXTURES, messages_of, replayed, written
from tests.app.spark import CONF, configured, environment, needed
from tests.servers import spark_program

KAFKA = '[[source]]\ntype = "kafka"\ntopics = ["sip"]\n'
DATABASE = '[database]\nurl = "sqlite:///cdr.db"\n'
CHECKPOINT = '[spark]\ncheckpoint = "offsets"\n'
REPLAY = ("spark", "replay", str(FIXTURES / "demo.pcap"), "--to")


@pytest.mark.parametrize("home", [None, "/nonexistent"])
def test_without_java(home: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no Java, that is the one thing said."""
    needed()
    monkeypatch.setattr("sipcdr.app._spark_needs.shutil.which", lambda *_, **__: None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    where = "on the PATH"
    if home:
        monkeypatch.setenv("JAVA_HOME", home)
        where = f"in JAVA_HOME, {home}"
    done = run(*REPLAY, "sqlite:///x.db")
    assert (done.status, done.err) == (2, f"sipcdr: Spark needs Java 17 or newer, and there is none {where}\n")


def test_with_a_java_that_is_too_old(tmp_path: Path) -> None:
    """What Java says is followed by what is needed."""
    needed()
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho java.lang.UnsupportedClassVersionError >&2\nexit 1\n")
    java.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "sipcdr.app", *REPLAY, f"parquet:{tmp_path}/x"],
        capture_output=True, text=True, check=False, env=environment(tmp_path) | {"JAVA_HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.endswith("sipcdr: Spark doesn't start, as told above (it needs Java 17 or newer)\n")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('An error occurred while calling o54.x.\n: org.y.NoScheme: No FileSystem for scheme "s3a"\n\tat z',
         'org.y.NoScheme: No FileSystem for scheme "s3a"'),
        ('Job aborted\n  File "x.py"\nOSError: no such file\n\n: later', "OSError: no such file"),
        ("[NO_TABLE] There is none\nat x", "[NO_TABLE] There is none"),
        ("", ""),
    ],
)  # fmt: skip
def test_of_what_spark_says_one_line(text: str, told: str) -> None:
    """That of Python, else that of Java, else the first."""
    needed()
    from sipcdr.app.spark._engine import reason

    assert reason(text) == told


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pyspark isn't installed, the extra is named."""
    monkeypatch.setattr("sipcdr.app._spark_needs.find_spec", lambda name: None if name == "pyspark" else name)
    done = run("spark", "run")
    assert (done.status, done.out) == (2, "")
    assert done.err == "sipcdr: Spark needs the extra: pip install 'sipcdr[spark]' (pyspark not found)\n"


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ((*REPLAY, "sqlite:///x.db", "--conf", "x"), 2, "write --conf NAME=VALUE (see sipcdr spark replay --help)"),
        ((*REPLAY, "nothing"), 2, "nothing: no database URL"),
        ((*REPLAY, "sqlite:///x.db", "--master", "yarn"), 2,
         "sqlite:///x.db: SQLite is a file of one machine; name a database server, or parquet:DIR"),
        ((*REPLAY, "sqlite:////no/such/x.db"), 3, "unable to open database file"),
        ((*REPLAY, "sqlite:///x.db", "--log-format", "?"), 2, "(see sipcdr spark replay --help)"),
        (("spark", "replay", "none.pcap", "--to", "sqlite:///x.db", "--quiet"), 1,
         "none.pcap: no such file or folder"),
        (("spark", "replay", "nosuch://x/none.pcap", "--to", "parquet:x"), 2, "nosuch"),
        (("spark", "run", "--config", "none.toml"), 2, "none.toml: there is no such file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_before_spark_starts(
    words: tuple[str, ...], status: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line and the exit status of `replay`."""
    needed()
    monkeypatch.chdir(tmp_path)
    done = run(*words)
    assert done.status == status
    assert told in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (DATABASE + KAFKA, "spark.checkpoint is missing: the folder where Spark keeps the offsets"),
        (DATABASE + KAFKA + '[[source]]\ntype = "hep"\n' + CHECKPOINT, "`sipcdr spark run` reads Kafka"),
        (DATABASE + KAFKA + "[spark]\nrecords = 0\n", "line 7: spark.records: expected more than nothing"),
        (DATABASE + KAFKA + "[spark]\nfolder = 1\n", "line 7: spark.folder: unknown key"),
    ],
)
def test_what_is_wrong_in_the_configuration(
    text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, and nothing is started."""
    needed()
    monkeypatch.chdir(tmp_path)
    Path("sipcdr.toml").write_text(text)
    done = run("spark", "run")
    assert done.status == 2
    assert told in done.err


def test_spark_submit(tmp_path: Path) -> None:
    """spark-submit runs the command as any program; a file that is damaged is named, and what it holds is written."""
    needed()
    whole, cut = FIXTURES / "demo.pcap", tmp_path / "cut.pcap"
    cut.write_bytes((FIXTURES / "chat.pcap").read_bytes()[:-10])
    program = Path(str(sipcdr.app.__file__)).with_name("__main__.py")
    url = f"sqlite:///{tmp_path}/spark.db"
    loopback = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false"}
    command = [spark_program("spark-submit"), "--master", "local[2]", *configured(CONF | loopback), str(program)]
    done = subprocess.run(
        [*command, "spark", "replay", str(whole), str(cut), "--to", url],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env=environment(tmp_path) | {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"},
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    told = done.stdout + done.stderr  # of Python both are the JVM's standard output
    assert f"{cut}, frame" in told
    assert "SIP messages in" in told
    messages = messages_of([whole, cut])
    assert written(url, messages) == replayed([whole, cut], tmp_path, messages, status=1)
