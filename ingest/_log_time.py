"""Times as logs write them, to microseconds UTC.

A log may leave out the zone, the year or the day. `Clock` fills in what is missing from what it was told and from the
times before: a log goes forward, so of the moments that a text may mean it takes the one nearest to the last.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND
_BACK: Final = 600 * _SECOND
"""How far a log's times may go back (lines of other threads) before a repeated hour is taken for its second pass."""
_KNOWN: Final = 4096
_QUARTER: Final = 15
"""Minutes in which a zone's offset is taken to be constant: no zone has changed it inside a quarter of an hour."""

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), 1
    )
}
_TIME: Final = rb"(?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)(?:[.,](?P<f>\d{1,9}))?"
_FORMS: Final = tuple(
    re.compile(form)
    for form in (
        rb"(?<!\d)(?P<Y>\d{4})[-/](?P<m>\d\d)[-/](?P<d>\d\d)[T _|]{1,2}" + _TIME + rb" ?(?P<z>Z|[+-]\d\d:?\d\d)?(?!\d)",
        rb"(?<!\d)(?P<m>\d\d)/(?P<d>\d\d)/(?P<Y>\d{4})[-|, ]{1,2}" + _TIME + rb"(?!\d)",
        rb"(?P<b>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}(?P<d>\d{1,2}),? (?:(?P<Y>\d{4}) )?"
        + _TIME
        + rb"(?: (?P<y>\d{4}))?(?!\d)",
        rb"(?<!\d)(?P<d>\d\d)-(?P<m>\d\d)@" + _TIME + rb"(?!\d)",  # AudioCodes
        rb"(?<![\d.])(?P<e>\d{10})\.(?P<f>\d{1,9})(?![\d.])",
        rb"(?<![\d:])" + _TIME + rb"(?![\d:])",
    )
)
_CLOCK_ONLY: Final = _FORMS[-1]


class Stamp(NamedTuple):
    """A time as it is written. year and day may be 0: not written. offset: of the zone in minutes, if written.

    tick: microseconds of its last digit. epoch: seconds since 1970 instead of all others but microsecond.
    """

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    microsecond: int
    tick: int
    offset: int | None = None
    epoch: int | None = None


def stamp_in(text: bytes) -> Stamp | None:
    """The first time in a text, in the most complete form that is there."""
    for form in _FORMS:
        found = form.search(text)
        if found is not None:
            return _stamp(found)
    return None


def stamps_in(text: bytes) -> Iterator[Stamp]:
    """All times with year, month and day in a text, in order, in the first form that there are any of."""
    for found in _FORMS[0].finditer(text):
        yield _stamp(found)


def _stamp(found: re.Match[bytes]) -> Stamp:
    parts = found.groupdict()
    fraction = parts.get("f") or b""
    microsecond = int(fraction[:6].ljust(6, b"0"))
    tick = 10 ** max(6 - len(fraction), 0)
    if parts.get("e"):
        return Stamp(0, 0, 0, 0, 0, 0, microsecond, tick, epoch=int(parts["e"]))
    month = _MONTHS[parts["b"]] if parts.get("b") else int(parts.get("m") or 0)
    zone = parts.get("z")
    offset = None
    if zone:
        digits = zone[1:].replace(b":", b"")
        offset = 0 if zone == b"Z" else (int(digits[:2]) * 60 + int(digits[2:])) * (-1 if zone[:1] == b"-" else 1)
    return Stamp(
        int(parts.get("Y") or parts.get("y") or 0),
        month,
        int(parts.get("d") or 0),
        int(parts["H"]),
        int(parts["M"]),
        int(parts["S"]),
        microsecond,
        tick,
        offset,
    )


class Clock:
    """Tells the moments of a log's times, given in the order of the log.

    zone: that of times without one. begins: the local day on which the log begins, if that is known. written: when the
    log was last written: without `begins` the first time is the latest that it can be then. last: the moment of the
    time before, which a log that is read on from its middle has had already. All in microseconds UTC.
    """

    def __init__(self, zone: tzinfo, *, begins: date | None = None, written: int = 0, last: int | None = None) -> None:
        self._zone = zone
        self._begins = begins
        self._written = written
        self._known: dict[tuple[int, int, int, int, int], tuple[int, int]] = {}
        self._day: date | None = None
        self.last = last

    def saw_day(self, stamp: Stamp) -> None:
        """A line nearby has this date; the next time of day without one is nearest to it."""
        moment = self.moment(stamp, remember=False)
        if moment is not None and (self.last is None or abs(moment - self.last) > _BACK):
            self.last = moment

    def moment(self, stamp: Stamp, *, remember: bool = True) -> int | None:
        """Microseconds UTC of a time; None for one that no calendar has."""
        try:
            moment = self._moment(stamp)
        except (ValueError, OverflowError):
            return None
        if remember:
            self.last = moment
        return moment

    def guess(self) -> int:
        """A moment for what has no time: that of the last, else that of the log."""
        if self.last is None:
            self.last = self._anchor()
        return self.last

    def _moment(self, stamp: Stamp) -> int:
        if stamp.epoch is not None:
            return stamp.epoch * _SECOND + stamp.microsecond
        if stamp.offset is not None and stamp.year:
            zone = timezone(timedelta(minutes=stamp.offset))
            moment = datetime(stamp.year, stamp.month, stamp.day, stamp.hour, stamp.minute, tzinfo=zone)
            return _microseconds(moment) + min(stamp.second, 59) * _SECOND + stamp.microsecond
        if stamp.year:
            return self._local(stamp.year, stamp)
        if stamp.day:
            return self._of_some_year(stamp)
        return self._of_some_day(stamp)

    def _of_some_year(self, stamp: Stamp) -> int:
        near = self._near()
        year = near.year
        found = []
        for one in (year - 1, year, year + 1):
            try:
                found.append(self._local(one, stamp))
            except ValueError:  # the 29th of February
                continue
        return self._chosen(found, _DAY)

    def _of_some_day(self, stamp: Stamp) -> int:
        near = self._near()
        days = [near + timedelta(days=ahead) for ahead in (-1, 0, 1)]
        return self._chosen(
            [self._local(day.year, stamp._replace(month=day.month, day=day.day)) for day in days], _DAY // 24
        )

    def _near(self) -> datetime:
        at = self._anchor() if self.last is None else self.last
        return (_EPOCH + timedelta(microseconds=at)).astimezone(self._zone)

    def _chosen(self, found: list[int], early: int) -> int:
        """Of several moments the nearest to the last; of the first time, the latest when the log was written."""
        if not found:
            raise ValueError
        last = self.last
        if last is None and self._begins is None:
            possible = [moment for moment in found if moment <= self._written + early]
            return max(possible) if possible else min(found)
        at = self._anchor() if last is None else last
        return min(found, key=lambda moment: abs(moment - at))

    def _anchor(self) -> int:
        if self._begins is None:
            return self._written
        return _microseconds(datetime(self._begins.year, self._begins.month, self._begins.day, 12, tzinfo=self._zone))

    def _local(self, year: int, stamp: Stamp) -> int:
        key = (year, stamp.month, stamp.day, stamp.hour, stamp.minute // _QUARTER)
        bases = self._known.get(key)
        if bases is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            start = datetime(*key[:4], key[4] * _QUARTER, tzinfo=self._zone)
            bases = self._known[key] = (_microseconds(start), _microseconds(start.replace(fold=1)))
        if stamp.minute > 59:
            raise ValueError
        within = (stamp.minute % _QUARTER * 60 + min(stamp.second, 59)) * _SECOND + stamp.microsecond
        first, second = bases[0] + within, bases[1] + within
        # The hour that comes twice when clocks are set back: its first pass, unless the log is in the second already.
        # A moment that clocks skipped has its second reading before the first; it is as good.
        if second > first and self.last is not None and first < self.last - _BACK:
            return second
        return first


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
