"""Exit statuses, and the one line that an error is."""

from __future__ import annotations

from typing import Final

import click

ALL_READ: Final = 0
NOT_ALL_READ: Final = 1
"""Some input was damaged or could not be read; or the output could not be written."""
USAGE: Final = 2
REFUSED: Final = 3
"""The database, or the disk under it, refused."""
INTERRUPTED: Final = 130


def say(text: str) -> None:
    """One line on standard error."""
    click.echo(f"sipcdr: {text}", err=True)
