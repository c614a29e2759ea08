"""Draws a call flow as a ladder: a column a host, an arrow a message, as wide as the paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

from ._mask import harmless
from ._records import iso, text
from ._terminal import cut, filled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._flow import Arrow, Flow
    from ._terminal import Paper

_TIME: Final = 12
_DELTA: Final = 9
_GUTTER: Final = _TIME + 1 + _DELTA + 1
_LEAST: Final = 15
"""Cells between two hosts, at the least: `480 Temporarily` must be known by its code."""
_MOST: Final = 44
_COLORS: Final = ("", "cyan", "magenta", "yellow", "blue", "green")
"""Of the calls in a flow of several."""


def ladder_lines(flow: Flow, aliases: dict[str, str], paper: Paper) -> Iterator[str]:
    """The flow: what calls there are, a head of hosts, then a line or two a message."""
    arrows = flow.sorted()
    letters = {call_id: chr(ord("A") + number) for number, call_id in enumerate(flow.calls)}
    colors = {call_id: _COLORS[number % len(_COLORS)] for number, call_id in enumerate(flow.calls)}
    several = len(flow.calls) > 1
    for call_id, who in flow.calls.items():
        sign = f"{letters[call_id]}  " if several else ""
        line = f"{sign}{who}  Call-ID {harmless(text(call_id))}"
        yield paper.paint(line if paper.width is None else cut(line, paper.width), f"bold {colors[call_id]}".strip())
    if arrows:
        yield f"{iso(arrows[0].time)[:10]} UTC"
    yield ""
    names = names_of(arrows, aliases)
    columns = list(dict.fromkeys(name for pair in names for name in pair))
    grid = _grid(len(columns), paper)
    previous = arrows[0].time if arrows else 0
    if grid is None:
        yield from _listed(arrows, names, letters if several else {}, colors, paper)
        return
    drawing = _Drawing(columns, grid, paper)
    yield from drawing.head()
    for arrow, (source, destination) in zip(arrows, names, strict=True):
        sign = f"{letters[arrow.call_id]} " if several else ""
        gutter = f"{iso(arrow.time)[11:23]} {_delta(arrow.time - previous):>{_DELTA}} "
        previous = arrow.time
        yield from drawing.row(gutter, source, destination, sign, arrow, colors[arrow.call_id])
    yield drawing.foot()


def _delta(micros: int) -> str:
    return f"{micros / 1_000_000:+.3f}" if abs(micros) < 10_000_000_000 else f"{micros / 1_000_000:+.0f}"


def names_of(arrows: list[Arrow], aliases: dict[str, str]) -> list[tuple[str, str]]:
    """The column of each arrow's two ends: an alias, the host, or with its port where a host talks to itself."""
    split = {host_of(a.source) for a in arrows if host_of(a.source) == host_of(a.destination)}

    def name(place: str) -> str:
        host = host_of(place)
        alias = aliases.get(place) or aliases.get(host) or aliases.get(host.strip("[]"))
        return alias or (place if host in split else host) or "unknown"

    return [(name(arrow.source), name(arrow.destination)) for arrow in arrows]


def host_of(place: str) -> str:
    """`host:port` without the port; IPv6 keeps its brackets."""
    host, colon, port = place.rpartition(":")
    return host if colon and port.isdigit() else place


def _grid(columns: int, paper: Paper) -> list[int] | None:
    """Where the columns stand; None if they don't fit."""
    if columns < 2:
        return [_GUTTER + 8] if columns else []
    room = (paper.width or 160) - _GUTTER
    # Half a step before the first column and behind the last, for their names.
    step = min(room // columns, _MOST)
    if step < _LEAST:
        return None
    return [_GUTTER + step // 2 + number * step for number in range(columns)]


class _Drawing:
    """Lines with the hosts' lifelines in them."""

    def __init__(self, columns: list[str], grid: list[int], paper: Paper) -> None:
        self._columns = columns
        self._grid = grid
        self._paper = paper
        self._line, self._dash, self._right, self._left = "│─▶◀" if paper.lines else "|-><"
        self._step = grid[1] - grid[0] if len(grid) > 1 else 2 * _LEAST
        self._end = paper.width

    def head(self) -> Iterator[str]:
        """The hosts' names, each above its lifeline."""
        line = ""
        for name, at in zip(self._columns, self._grid, strict=True):
            shown = cut(name, self._step - 1)
            start = max(at - cell_len(shown) // 2, len(line) and cell_len(line) + 1)
            line += " " * (start - cell_len(line)) + shown
        yield self._paper.paint(line if self._end is None else cut(line, self._end), "bold")
        yield self._lifelines()

    def foot(self) -> str:
        """The lifelines once more."""
        return self._lifelines()

    def row(self, gutter: str, source: str, destination: str, sign: str, arrow: Arrow, color: str) -> Iterator[str]:
        """A message: its label in the arrow, its marks there too or on a line below."""
        start, end = self._grid[self._columns.index(source)], self._grid[self._columns.index(destination)]
        style = "dim" if arrow.again else self._style(arrow, color)
        again = " again" if arrow.again else ""
        label = sign + arrow.label + again
        if start == end:
            yield self._itself(gutter, start, label, arrow, style)
            return
        left, right = sorted((start, end))
        room = right - left - 1
        if cell_len(label) + 5 > room:
            label = sign + arrow.short + again
        whole = f"{label} ({arrow.marks})" if arrow.marks else label
        inside = cell_len(whole) + 5 <= room
        shown = cut(whole if inside else label, room - 5)
        yield self._across(gutter, left, right, shown, start < end, style)
        if arrow.marks and not inside:
            yield self._below(left, arrow.marks)

    def _style(self, arrow: Arrow, color: str) -> str:
        return "red" if arrow.status >= 400 else "green" if arrow.status >= 200 else color

    def _across(self, gutter: str, left: int, right: int, shown: str, rightwards: bool, style: str) -> str:
        room = right - left - 1
        dashes = room - cell_len(shown) - 3
        before = dashes // 2
        body = self._dash * before + f" {shown} " + self._dash * (dashes - before)
        body = body + self._right if rightwards else self._left + body
        return (self._until(left, gutter) + self._line + self._paper.paint(body, style) + self._from(right)).rstrip()

    def _below(self, left: int, marks: str) -> str:
        room = (self._end or 1 << 30) - left - 3
        shown = cut(marks, room)
        line = self._until(left, "") + self._line + " " + self._paper.paint(shown, "dim")
        # Lifelines that the text doesn't cover stand behind it.
        at = left + 2 + cell_len(shown)
        for place in self._grid:
            if place > at:
                line += " " * (place - at) + self._line
                at = place + 1
        return line

    def _itself(self, gutter: str, at: int, label: str, arrow: Arrow, style: str) -> str:
        whole = f"{label} ({arrow.marks})" if arrow.marks else label
        room = (self._end or 1 << 30) - at - 4
        shown = cut(whole, room)
        line = self._until(at, gutter) + self._line + " " + self._left + " " + self._paper.paint(shown, style)
        behind = at + 4 + cell_len(shown)
        for place in self._grid:
            if place > behind:
                line += " " * (place - behind) + self._line
                behind = place + 1
        return line

    def _lifelines(self) -> str:
        return self._until(self._grid[-1], "") + self._line if self._grid else ""

    def _until(self, at: int, gutter: str) -> str:
        """The gutter and the lifelines left of a column."""
        line = filled(gutter, _GUTTER)
        for place in self._grid:
            if place >= at:
                break
            line += " " * (place - len(line)) + self._line
        return line + " " * (at - len(line))

    def _from(self, at: int) -> str:
        """A column's lifeline and those right of it."""
        line = self._line
        for place in self._grid:
            if place > at:
                line += " " * (place - at - 1) + self._line
                at = place
        return line


def _listed(
    arrows: list[Arrow],
    names: list[tuple[str, str]],
    letters: dict[bytes, str],
    colors: dict[bytes, str],
    paper: Paper,
) -> Iterator[str]:
    """A line a message, where there are too many hosts for the width."""
    sign = "→" if paper.lines else "->"
    previous = arrows[0].time
    size = max(cell_len(f"{source} {sign} {destination}") for source, destination in names)
    width = paper.width or 160
    narrow = width < 2 * _GUTTER + 2 * _LEAST
    size = min(size, max(width - _TIME - (0 if narrow else _DELTA + 1) - 20, 8))
    for arrow, (source, destination) in zip(arrows, names, strict=True):
        label = f"{letters[arrow.call_id]} {arrow.label}" if letters else arrow.label
        if arrow.again:
            label += " again"
        if arrow.marks:
            label += f" ({arrow.marks})"
        line = f"{iso(arrow.time)[11:23]} "
        if not narrow:
            line += f"{_delta(arrow.time - previous):>{_DELTA}} "
        line += f"{filled(f'{source} {sign} {destination}', size)}  {label}"
        previous = arrow.time
        style = "dim" if arrow.again else colors[arrow.call_id]
        yield paper.paint(line if paper.width is None else cut(line, paper.width), style)
