"""`sipcdr run` as a collector of what real programs send in HEPv3."""

from __future__ import annotations

import random
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from fixtures import agents
from fixtures.lab import PORT, lab
from tests.app.daemon import FIXTURES, Daemon, messages_of, replayed, wait_for, written
from tests.servers import free_port, kamailio, may_be_prompt
from tests.tools import as_root, program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMES = ("InviteTime", "ResponseTime", "SessionEndTime", "LastModifiedTime")
NEAR = 50_000 if may_be_prompt() else 1_000_000
"""Microseconds between a packet and its copy."""


class Collector(Daemon):
    """A daemon that listens for HEP."""

    def __init__(self, folder: Path) -> None:
        self.hep = f"127.0.0.1:{free_port()}"
        self.url = f"sqlite:///{folder}/cdr.db"
        listen = f'"udp://{self.hep}", "tcp://{self.hep}"'
        super().__init__(folder / "d", self.url, f'[[source]]\ntype = "hep"\nlisten = [{listen}]\n')


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    daemon = Collector(tmp_path)
    daemon.start()
    try:
        wait_for(lambda: daemon.get("/readyz")[0] == 200, "readiness", [daemon])
        yield daemon
        assert daemon.stop()[0] == 0
    finally:
        daemon.kill()


@pytest.mark.parametrize("name", ["answered", "busy", "forked", "redirected", "login"])
def test_sngrep(collector: Collector, tmp_path: Path, name: str) -> None:
    """Captures that `sngrep -H` sends: the rows of a replay, with their times and addresses."""
    capture = FIXTURES / f"{name}.pcap"
    messages = messages_of([capture])
    command = [program("sngrep"), "-N", "-q", "-I", str(capture), "-H", f"udp:{collector.hep}"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    expected = replayed([capture], tmp_path, messages)
    assert expected
    wait_for(lambda: written(collector.url, messages) == expected, "the rows", [collector])


@pytest.mark.parametrize("name", ["proxied", "login", "forked", "redirected"])
def test_kamailio(collector: Collector, tmp_path: Path, name: str) -> None:
    """What Kamailio's siptrace sends of calls through it: the rows of a capture of the same traffic, within 50 ms."""
    for tool in ("sipp", "kamailio", "tcpdump"):
        program(tool)
    as_root()
    network = f"127.{random.randint(2, 254)}.{random.randint(1, 254)}"
    first, second = (f"{network}.{agent.host}:{PORT}" for agent in (agents.BEN, agents.CLEO))
    with (
        kamailio(f"{network}.10", PORT, first=first, second=second, hep=collector.hep),
        lab(network, tmp_path) as one,
    ):
        agents.PROXIED[name](one)
    messages = messages_of([one.capture])
    expected = replayed([one.capture], tmp_path, messages)
    assert expected

    def same() -> bool:
        found = written(collector.url, messages)
        assert len(found) == len(expected)
        for ours, theirs in zip(expected, found, strict=True):
            same_but_for_times(ours, theirs)
        return True

    wait_for(same, "the rows", [collector])


def same_but_for_times(captured: dict[str, Any], copied: dict[str, Any]) -> None:
    for column, value in captured.items():
        other = copied[column]
        if column in TIMES and None not in (value, other):
            assert abs(value - other) < NEAR, column
        else:
            assert value == other, column
