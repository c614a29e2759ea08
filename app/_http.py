"""What the daemon answers by HTTP: /metrics for Prometheus, /healthz and /readyz."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from prometheus_client.exposition import choose_encoder

from ._config import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

    from ._daemon import State

_SECONDS: Final = 10.0
"""How long a client may take for its request."""


class HttpServer:
    """Answers until `close`. Raises OSError where the address can't be had.

    /healthz is 200 while the process does its work; /readyz while each source has begun and the database takes rows.
    """

    def __init__(self, listen: str, registry: CollectorRegistry, state: Callable[[], State]) -> None:
        parts = urlsplit(f"//{listen}")

        class Handler(_Handler):
            pass

        Handler.registry = registry
        Handler.state = staticmethod(state)
        self._server = ThreadingHTTPServer((parts.hostname or "127.0.0.1", parts.port or 9464), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


def served(listen: str, registry: CollectorRegistry, state: Callable[[], State]) -> HttpServer | None:
    """The server at `metrics.listen`, none where that is empty. Raises ConfigError where the address can't be had."""
    if not listen:
        return None
    try:
        return HttpServer(listen, registry, state)
    except OSError as error:
        raise ConfigError([f"metrics.listen: {listen}: {error.strerror}"]) from error


class _Handler(BaseHTTPRequestHandler):
    registry: CollectorRegistry
    state: Callable[[], State]
    timeout = _SECONDS
    server_version = "sipcdr"
    sys_version = ""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/metrics":
            encode, kind = choose_encoder(self.headers.get("Accept") or "")
            self._answer(200, encode(self.registry), kind)
        elif path in ("/healthz", "/readyz"):
            state = self.state()
            wrong = state.dead if path == "/healthz" else state.dead + state.unready
            self._answer(503 if wrong else 200, ("\n".join(wrong or ["ok"]) + "\n").encode(), "text/plain")
        else:
            self._answer(404, b"/metrics, /healthz, /readyz\n", "text/plain")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: whoever asks every few seconds isn't news."""
