"""Text for people: as wide as the terminal, in its colors, through the user's pager where it is longer than a page."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click
from rich.cells import cell_len, set_cell_size

from ._status import ALL_READ, NOT_ALL_READ, say

if TYPE_CHECKING:
    from collections.abc import Iterable

# Select Graphic Rendition (ECMA-48): the only escapes that are written.
_CODES: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "magenta": "35",
                 "cyan": "36"}  # fmt: skip


class Paper:
    """What is written on. width: in cells, None without limit. colors: whether to paint. lines: or only ASCII."""

    def __init__(self, width: int | None = None, *, colors: bool = False, lines: bool = True) -> None:
        self.width = width
        self.colors = colors
        self.lines = lines

    @classmethod
    def of_stdout(cls) -> Paper:
        """Standard output as it is: a terminal with its width, or a pipe without limit, unless COLUMNS says one."""
        terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if terminal or "COLUMNS" in os.environ else None
        encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
        colors = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return cls(width, colors=colors, lines=encoding.startswith("utf"))

    def paint(self, text: str, style: str) -> str:
        """A text in a style, if there are colors; `style` holds names, separated by blanks."""
        if not self.colors or not style or not text:
            return text
        return f"\x1b[{';'.join(_CODES[name] for name in style.split())}m{text}\x1b[0m"


def cut(text: str, size: int) -> str:
    """A text cut to a number of cells, which a sign at its end says."""
    return text if cell_len(text) <= size else set_cell_size(text, max(size - 1, 0)) + "…"


def filled(text: str, size: int) -> str:
    """A text cut or filled with blanks to a number of cells."""
    return cut(text, size) + " " * (size - cell_len(text))


def show(lines: Iterable[str]) -> int:
    """Write lines to standard output, by the pager if they are more than a screenful; returns the exit status."""
    if sys.stdout.isatty():
        height = shutil.get_terminal_size().lines
        head: list[str] = []
        rest = iter(lines)
        for line in rest:
            head.append(line)
            if len(head) >= height:
                click.echo_via_pager((line + "\n" for some in (head, rest) for line in some), color=None)
                return ALL_READ
        lines = head
    return write((line + "\n" for line in lines), sys.stdout.encoding)


def write(texts: Iterable[str], encoding: str = "utf-8") -> int:
    """Write texts to standard output; a reader who goes before the end is no error."""
    out = sys.stdout.buffer
    try:
        for text in texts:
            out.write(text.encode(encoding, "backslashreplace"))
        out.flush()
    except OSError as error:
        with suppress(OSError):  # nothing may be written any more, not even at the interpreter's end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # Windows says EINVAL where others say EPIPE.
        if error.errno == errno.EPIPE or (os.name == "nt" and error.errno == errno.EINVAL):
            return ALL_READ
        say(f"can't print: {error.strerror}")
        return NOT_ALL_READ
    return ALL_READ
