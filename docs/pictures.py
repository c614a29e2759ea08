"""Makes the pictures of README by running the real commands on fixtures/demo.pcap.

    python -m docs.pictures [FOLDER]        # this folder, unless told otherwise

What a command prints on a terminal becomes an SVG of text; the report is opened in Debian's Chromium (package chromium,
driven by Playwright) and photographed.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path
from typing import Final

from rich.cells import cell_len
from rich.text import Text

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent
CALL: Final = "6b40f2c877e14d90"
TEXTS: Final = {
    "explain": (100, ("explain", "fixtures/demo.pcap", "--call-id", CALL)),
    "ladder": (100, ("ladder", "fixtures/demo.pcap", "--call-id", "2e19c0de@10.20.2.2")),
    "stats": (100, ("stats", "fixtures/demo.pcap")),
}
"""Pictures of text: columns of the terminal, and the command."""
REPORTS: Final = {
    "report-light": ("light", None),
    "report-dark": ("dark", None),
    "report-session": ("light", "dana.weiss"),
}
"""Pictures of the report: the color scheme, and whose session is open."""
_WIDTH, _HEIGHT, _SIZE = 7.8, 18, 13
_FONTS: Final = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
_STYLES: Final = {"color(1)": "#ff7b72", "color(2)": "#56d364", "color(3)": "#e3b341", "color(4)": "#79c0ff",
                  "color(5)": "#d2a8ff", "color(6)": "#76d9e6"}  # fmt: skip


def printed(columns: int, words: tuple[str, ...]) -> str:
    """What a command prints on a terminal of so many columns, colors and all."""
    import fcntl  # of Unix only
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 500, columns, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    command = [sys.executable, "-m", "sipcdr.app", *words]
    with subprocess.Popen(
        command, stdout=theirs, stderr=subprocess.DEVNULL, cwd=ROOT, env=env | {"TERM": "xterm"}
    ) as running:
        os.close(theirs)
        data = b""
        try:
            while part := os.read(ours, 65536):
                data += part
        except OSError:  # the terminal is gone with the command
            pass
    os.close(ours)
    if running.returncode:
        raise SystemExit(f"sipcdr {' '.join(words)}: status {running.returncode}")
    return data.decode().replace("\r\n", "\n")


def drawing(columns: int, words: tuple[str, ...]) -> str:
    """A terminal with a command and what it prints, as SVG."""
    lines = [
        Text(f"$ sipcdr {' '.join(words)}"),
        *map(Text.from_ansi, printed(columns, words).rstrip("\n").split("\n")),
    ]
    width, height = round(columns * _WIDTH + 28), len(lines) * _HEIGHT + 28
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f'<rect width="{width}" height="{height}" rx="8" fill="#0f1419"/>',
        f'<g font-family="{_FONTS}" font-size="{_SIZE}" fill="#d7dde3">',
    ]
    for number, line in enumerate(lines):
        y = 14 + (number + 0.75) * _HEIGHT
        at = 0
        for piece in line.divide(sorted({edge for span in line.spans for edge in (span.start, span.end)})):
            # Each run of words at its place and as wide as its cells, whatever font there is.
            for run in re.finditer(r"\S+(?: \S+)*", piece.plain):
                x = 14 + (at + cell_len(piece.plain[: run.start()])) * _WIDTH
                size = cell_len(run[0]) * _WIDTH
                place = f'x="{x:.1f}" y="{y:.1f}" textLength="{size:.1f}" lengthAdjust="spacingAndGlyphs"'
                parts.append(f"<text {place}{styled(piece)}>{escape(run[0])}</text>")
            at += cell_len(piece.plain)
    return "\n".join([*parts, "</g>", "</svg>", ""])


def styled(piece: Text) -> str:
    """The attributes of a piece of one style."""
    found = ""
    for span in piece.spans:
        for word in str(span.style).split():
            if word in _STYLES:
                found += f' fill="{_STYLES[word]}"'
            elif word == "bold":
                found += ' font-weight="600"'
            elif word == "dim":
                found += ' opacity="0.6"'
    return found


def photographs(folder: Path) -> None:
    """The report, in Chromium."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as made, sync_playwright() as driver:
        report = Path(made) / "report.html"
        command = [sys.executable, "-m", "sipcdr.app", "replay", "fixtures/demo.pcap", "--to", "none", "--quiet"]
        subprocess.run([*command, "--report", str(report)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
        )
        for name, (scheme, user) in REPORTS.items():
            page = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(report.as_uri())
            page.wait_for_selector("tr.row")
            if user is not None:
                page.locator("tr.row", has_text=user).click()
                page.locator(".arrow.bad").first.click()
                page.locator("#detail").evaluate("detail => { detail.scrollTop = 0; }")
            page.screenshot(path=folder / f"{name}.png")
            page.close()
        browser.close()


def main() -> None:
    """Make all pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    for name, (columns, words) in TEXTS.items():
        (folder / f"{name}.svg").write_text(drawing(columns, words), encoding="utf-8")
    photographs(folder)


if __name__ == "__main__":
    main()
