"""Captures that are read twice: what belongs to a call is known only at their end."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextmanager
def files_of(paths: Sequence[str]) -> Iterator[list[str]]:
    """Paths that can be read twice: what comes by standard input is kept in a temporary file meanwhile."""
    if "-" not in paths:
        yield list(paths)
        return
    with tempfile.NamedTemporaryFile(prefix="sipcdr-") as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept, 1 << 20)
        kept.flush()
        yield [kept.name if path == "-" else path for path in paths]
