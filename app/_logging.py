"""The daemon's log on standard error: lines of text or JSON, bounded in number, and never with what a message said."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TYPE_CHECKING, Final

from ._records import visible

if TYPE_CHECKING:
    from ._settings import Log

BURST: Final = 10
"""Lines of one place in the program that may come in a period."""
PERIOD: Final = 60.0
_FOREIGN: Final = ("alembic", "kafka", "sipcdr.ingest._confluent")
"""Logs of libraries: below a warning they name every request, with what it holds."""


class Bounded(logging.Filter):
    """Lets through so many lines a period of each place in the program; the next says how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, int], list[float]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        began, count = self._seen.get((record.pathname, record.lineno), (now, 0.0))
        left_out = 0
        if now - began >= PERIOD:
            left_out = max(int(count) - BURST, 0)
            began, count = now, 0.0
        self._seen[record.pathname, record.lineno] = [began, count + 1]
        if count >= BURST:
            return False
        if left_out:
            record.msg = f"{record.msg} (and {left_out} more like it)"
        return True


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """A line of text."""
        return f"{self._when(record)} {record.levelname.lower():7} {visible(self._text(record))}"

    def _when(self, record: logging.LogRecord) -> str:
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"

    def _text(self, record: logging.LogRecord) -> str:
        text = " ".join(record.getMessage().split())
        if record.exc_info:
            text += f": {self.formatException(record.exc_info)}"
        return text


class _Json(_Lines):
    def format(self, record: logging.LogRecord) -> str:
        """An object."""
        return json.dumps(
            {
                "time": self._when(record),
                "level": record.levelname.lower(),
                "logger": record.name,
                "message": self._text(record),
            }
        )


def configure(settings: Log) -> None:
    """Log as the configuration says; may be called again."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if settings.format == "json" else _Lines())
    handler.addFilter(Bounded())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)  # it warns of what revoking takes
    for name in _FOREIGN:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
