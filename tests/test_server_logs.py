"""Every log of fixtures/logs gives the rows beside it; what Kamailio logs of a call gives the row of its capture."""

from __future__ import annotations

import random
import shutil
import socket
import threading
from datetime import date, datetime
from typing import TYPE_CHECKING

import pytest

from fixtures import agents, rows
from fixtures import logs as writers
from fixtures.lab import PORT, lab
from sipcdr.ingest import Inputs, Tally, log_options
from tests.road import messages, replayed
from tests.servers import Logs, kamailio, make_folder, may_be_prompt
from tests.tools import as_root, program

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.rows import Row
    from sipcdr.builder import SipMessage

LOGS = writers.logs()
TIMES = ("InviteTime", "ResponseTime", "SessionEndTime", "LastModifiedTime")


def read(path: Path, log: writers.Log, tally: Tally) -> list[SipMessage]:
    """The messages of a log by the road that commands take."""
    begins = date.fromisoformat(log.begins) if log.begins else None
    inputs = Inputs([str(path)], tally=tally, logs=log_options(log.form, log.timezone, begins))
    return [message for batch in inputs for message in batch]


@pytest.mark.parametrize("name", LOGS)
def test_each_log_gives_its_rows(name: str, tmp_path: Path) -> None:
    """A replay of a log gives the rows beside it, and reads it without a problem."""
    path = writers.FOLDER / name
    tally = Tally()
    found = read(path, LOGS[name], tally)
    assert rows.read(path.with_suffix(".json")) == replayed(tmp_path / "cdr.db", found)
    assert tally.problems == []
    assert tally.refused == []
    assert tally.logs == {str(path)}


@pytest.mark.parametrize("name", LOGS)
def test_the_writer_makes_the_same(name: str) -> None:
    """A log comes out the same to the byte."""
    assert (writers.FOLDER / name).read_bytes() == LOGS[name].data


def test_traces_of_two_servers_count_once(tmp_path: Path) -> None:
    """Two servers of a pool have traced the same messages: the row is that of one."""
    sent = writers.the_call("TLS")
    (tmp_path / "fe2.txt").write_bytes(writers.sipstack(sent))
    there = [one._replace(time=one.time + 1000) for one in sent]
    (tmp_path / "fe3.txt").write_bytes(writers.sipstack(there, prefix=r"pool3\fe3"))
    found = [message for batch in Inputs([str(tmp_path)], tally=Tally()) for message in batch]
    assert len(found) == 2 * len(sent)
    [expected] = rows.read(writers.FOLDER / "sipstack.json")
    [row] = replayed(tmp_path / "cdr.db", found)
    # The last message's last sighting is the other server's.
    assert expected == row | {"LastModifiedTime": expected["LastModifiedTime"]}


class Copies:
    """Takes the datagrams that siptrace sends, and keeps them one behind the other."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.data = b""
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def _receive(self) -> None:
        while True:
            data = self._socket.recv(65_536)
            if data == b"end":
                return
            self.data += data

    def close(self) -> None:
        """Take what came, and no more."""
        self._socket.sendto(b"end", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()


@pytest.mark.parametrize("name", ["proxied", "login", "forked"])
def test_kamailio_logs_what_is_captured(name: str, tmp_path: Path) -> None:
    """A call that is captured and logged by sipdump and siptrace at once has the same row each way, within 50 ms."""
    for tool in ("sipp", "kamailio", "tcpdump"):
        program(tool)
    as_root()
    network = f"127.{random.randint(2, 254)}.{random.randint(1, 254)}"
    first, second = (f"{network}.{agent.host}:{PORT}" for agent in (agents.BEN, agents.CLEO))
    folder = make_folder("dump", "kamailio")
    copies = Copies()
    try:
        with kamailio(f"{network}.10", PORT, first=first, second=second, logs=Logs(folder, copies.port)) as server:
            with lab(network, tmp_path) as one:
                agents.PROXIED[name](one)
            # Of copies there is no dump.
            sent = [message for message in messages(one.capture) if not message.destination.startswith("127.0.0.1:")]
            # sipdump writes by a timer.
            server.wait_ready(lambda: _records(folder) >= len(sent))
        copies.close()
        (tmp_path / "copies.txt").write_bytes(copies.data)
        dumps = [str(shutil.copy(dump, tmp_path)) for dump in sorted(folder.glob("*.data"))]
    finally:
        shutil.rmtree(folder)
    captured = replayed(tmp_path / "captured.db", sent)
    for way, paths in (("sipdump", dumps), ("siptrace", [str(tmp_path / "copies.txt")])):
        tally = Tally()
        found = [message for batch in Inputs(paths, tally=tally) for message in batch]
        logged = replayed(tmp_path / f"{way}.db", [m for m in found if not m.call_id.startswith(b"ready")])
        assert tally.problems == []
        assert len(captured) == len(logged)
        for ours, theirs in zip(captured, logged, strict=True):
            _same_but_for_times(ours, theirs, way)


def _records(folder: Path) -> int:
    """How many messages sipdump has written, but for those by which the proxy is known to be ready."""
    records = b"".join(file.read_bytes() for file in folder.glob("*.data")).split(b"=" * 20)[1:]
    return sum(b"Call-ID: ready@" not in record and record.endswith(b"|\n") for record in records)


def _same_but_for_times(captured: Row, logged: Row, way: str) -> None:
    near = 0.05 if may_be_prompt() else 1
    for column in captured:
        if column not in TIMES:
            assert captured[column] == logged[column], (way, column)
            continue
        times = [datetime.fromisoformat(str(row[column])) for row in (captured, logged)]
        assert abs((times[0] - times[1]).total_seconds()) < near, (way, column)
