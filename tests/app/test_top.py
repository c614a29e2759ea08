"""`sipcdr top`: a screen from what Prometheus would read."""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import msgspec
import pytest
from prometheus_client import generate_latest
from rich.console import Console

from sipcdr.app._daemon import State
from sipcdr.app._http import HttpServer
from sipcdr.app._metrics import Metrics
from sipcdr.app._top import sampled, shown
from sipcdr.app._write import Outcome
from tests.app.capture import sipcdr

if TYPE_CHECKING:
    from collections.abc import Iterator


def filled() -> Metrics:
    """A daemon's metrics in the middle of its work."""
    metrics = Metrics()
    metrics.source_up.labels("kafka-0").set(1)
    metrics.source_up.labels("hep-1").set(0)
    metrics.paused.labels("kafka-0").set(0)
    metrics.database_up.set(1)
    metrics.open_calls.labels("kafka-0", "open").set(1200)
    metrics.open_calls.labels("kafka-0", "ended").set(34)
    metrics.records.labels("kafka-0").inc(1000)
    metrics.lag.labels("sip", 0).set(7)
    metrics.lag.labels("sip\x1b[2J", 1).set(9)
    metrics.split.labels("kafka-0").inc(3)
    metrics.note("kafka-0", Counter({"refused: not SIP": 2}))
    metrics.written(Outcome(calls=10, inserted=9, updated=1), 0.5)
    return metrics


def text(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


def test_the_screen() -> None:
    """Rates between two moments, the state of each source, lag with the worst first, what is odd; nothing acts."""
    metrics = filled()
    before = sampled(text(metrics))
    metrics.records.labels("kafka-0").inc(500)
    now = msgspec.structs.replace(sampled(text(metrics)), time=before.time + 2)
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(shown("http://127.0.0.1:9464", now, before))
    screen = console.export_text()
    console.file.close()
    rows = {line.split()[0]: line.split() for line in screen.splitlines() if line.strip()}
    assert rows["kafka-0"][1:6] == ["open", "250/s", "0/s", "1,200", "34"]
    assert rows["hep-1"][1] == "closed"
    assert "Lag 16 over 2 partitions: sip\\x1b[2J/1 9, sip/0 7" in screen
    assert "Noted: split calls 3" in screen


@pytest.fixture
def served() -> Iterator[int]:
    server = HttpServer("127.0.0.1:0", filled().registry, lambda: State([], []))
    yield server.port
    server.close()


def test_once(served: int) -> None:
    """`--once` prints it and ends."""
    done = sipcdr("top", "--at", f"127.0.0.1:{served}", "--once")
    assert done.status == 0
    assert "kafka-0" in done.out


def test_nobody_there() -> None:
    """One line, and status 1."""
    done = sipcdr("top", "--at", "127.0.0.1:1", "--once")
    assert (done.status, done.err.count("\n")) == (1, 1)


def test_somebody_else_there() -> None:
    """What answers but is no daemon is told so."""

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        done = sipcdr("top", "--at", f"127.0.0.1:{server.server_port}", "--once")
        thread.join()
    assert done.status == 1
    assert "answers 404" in done.err
