"""Times as logs write them, to microseconds UTC.

A log may leave out the zone, the year or the day. `Clock` fills in what is missing from what it was told and from the
times before: a log goes forward, so of the moments that a text may mean it takes the one nearest to the last.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
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
_TIME: Final = rb"(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?"
_FULL = re.compile(rb"(?<!\d)(\d{4})[-/](\d\d)[-/](\d\d)[T _|]{1,2}" + _TIME + rb" ?(Z|[+-]\d\d:?\d\d)?(?!\d)")
_AMERICAN = re.compile(rb"(?<!\d)(\d\d)/(\d\d)/(\d{4})[-|, ]{1,2}" + _TIME + rb"(?!\d)")
_NAMED = re.compile(
    rb"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}(\d{1,2}),? (?:(\d{4}) )?"
    + _TIME
    + rb"(?: (\d{4}))?(?!\d)"
)
_AUDIOCODES = re.compile(rb"(?<!\d)(\d\d)-(\d\d)@" + _TIME + rb"(?!\d)")
_EPOCHAL = re.compile(rb"(?<![\d.])(\d{10})\.(\d{1,9})(?![\d.])")
_CLOCK = re.compile(rb"(?<![\d:])" + _TIME + rb"(?![\d:])")


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
    slash = b"/" in text
    if slash or b"-" in text:
        found = _FULL.search(text)
        if found is not None:
            return _full(found)
    if slash:
        found = _AMERICAN.search(text)
        if found is not None:
            month, day, year, hour, minute, second, fraction = found.groups()
            return _stamp(int(year), int(month), int(day), hour, minute, second, fraction)
    found = _NAMED.search(text)
    if found is not None:
        name, day, before, hour, minute, second, fraction, behind = found.groups()
        return _stamp(int(before or behind or 0), _MONTHS[name], int(day), hour, minute, second, fraction)
    if b"@" in text:
        found = _AUDIOCODES.search(text)
        if found is not None:
            day, month, hour, minute, second, fraction = found.groups()
            return _stamp(0, int(month), int(day), hour, minute, second, fraction)
    if b"." in text:
        found = _EPOCHAL.search(text)
        if found is not None:
            return _stamp(0, 0, 0, b"0", b"0", b"0", found[2], epoch=int(found[1]))
    return clock_in(text)


def clock_in(text: bytes) -> Stamp | None:
    """The first time of day in a text."""
    found = _CLOCK.search(text)
    return None if found is None else _stamp(0, 0, 0, found[1], found[2], found[3], found[4])


def day_in(text: bytes) -> Stamp | None:
    """The last time with year, month and day in a text."""
    found = None
    for found in _FULL.finditer(text):  # noqa: B007
        pass
    return None if found is None else _full(found)


def _full(found: re.Match[bytes]) -> Stamp:
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    offset = None
    if zone:
        digits = zone[1:].replace(b":", b"")
        offset = 0 if zone == b"Z" else (int(digits[:2]) * 60 + int(digits[2:])) * (-1 if zone[:1] == b"-" else 1)
    return _stamp(int(year), int(month), int(day), hour, minute, second, fraction, offset)


def _stamp(
    year: int,
    month: int,
    day: int,
    hour: bytes,
    minute: bytes,
    second: bytes,
    fraction: bytes | None,
    offset: int | None = None,
    epoch: int | None = None,
) -> Stamp:
    microsecond, tick = 0, _SECOND
    if fraction is not None:
        microsecond = int(fraction[:6].ljust(6, b"0"))
        tick = 10 ** max(6 - len(fraction), 0)
    return Stamp(year, month, day, int(hour), int(minute), int(second), microsecond, tick, offset, epoch)


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
        self._near_known: tuple[int, date] | None = None
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
            return self._local(stamp.year, stamp.month, stamp.day, stamp)
        if stamp.day:
            return self._of_some_year(stamp)
        return self._of_some_day(stamp)

    def _of_some_year(self, stamp: Stamp) -> int:
        year = self._near().year
        found = {}
        # That of the time before first: unless it is far away, it is the one.
        for one in (year, year - 1, year + 1):
            try:
                found[one] = self._local(one, stamp.month, stamp.day, stamp)
            except ValueError:  # the 29th of February
                continue
            if one == year and self.last is not None and abs(found[one] - self.last) < 182 * _DAY:
                return found[one]
        return self._chosen([found[one] for one in sorted(found)], _DAY)

    def _of_some_day(self, stamp: Stamp) -> int:
        near = self._near()
        found = {}
        for ahead in (0, -1, 1):
            day = near + timedelta(days=ahead)
            found[ahead] = self._local(day.year, day.month, day.day, stamp)
            if not ahead and self.last is not None and abs(found[ahead] - self.last) < 11 * _DAY // 24:
                return found[ahead]
        return self._chosen([found[ahead] for ahead in sorted(found)], _DAY // 24)

    def _near(self) -> date:
        """The local day of the time before. It is the same in a quarter of an hour, or another by minutes."""
        at = self._anchor() if self.last is None else self.last
        quarter = at // (_QUARTER * 60 * _SECOND)
        if self._near_known is None or self._near_known[0] != quarter:
            self._near_known = quarter, (_EPOCH + timedelta(microseconds=at)).astimezone(self._zone).date()
        return self._near_known[1]

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

    def _local(self, year: int, month: int, day: int, stamp: Stamp) -> int:
        key = (year, month, day, stamp.hour, stamp.minute // _QUARTER)
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
