"""Figures of calls and what they mean: one definition each, for `stats` and for the report.

A *call* is a session that isn't of instant messages only: those have no seizure and no talk.

ASR     answered calls (2xx) of all calls, in percent: answer seizure ratio, ITU-T E.411 and E.425.
NER     calls that reached the far end (answered, busy, rang without an answer, given up, turned down) of all calls:
        network effectiveness ratio, ITU-T E.425.
ACD     average call duration: the mean of the times from the answer to the end, over answered calls whose end was
        seen; RFC 6076 section 4.5 (session duration time) of successful sessions.
SER     answered calls of all that weren't redirected (3xx): RFC 6076 section 4.6.
SEER    calls with 2xx, 480, 486, 600 or 603 of all but those with 3xx, 401, 402 or 407: RFC 6076 section 4.7.
PDD     post-dial delay: from the first INVITE to the first sign of the far end, which is a provisional response other
        than 100 or a final one other than a challenge; RFC 6076 section 4.3 (session request delay), ITU-T E.721.
Answer  the time from the first INVITE to the 2xx.

The ITU speaks of ISUP's causes, not of SIP: which responses say that the far end was reached is read off RFC 3398
section 8.2.6.1. Ratios are None where there is nothing to divide by. Durations are microseconds.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipcdr.builder import Call

IM_ONLY: Final = 1
"""MediaTypes of a session of instant messages and nothing else."""
REACHED: Final = frozenset({480, 486, 487, 600, 603})
"""Final responses, beside 2xx, after which the network has done its part."""
_SEER_REACHED: Final = frozenset({480, 486, 600, 603})
_SEER_APART: Final = frozenset({401, 402, 407})
_CHALLENGES: Final = frozenset({401, 407})
PERCENTILES: Final = (50, 90, 95, 99)
_INVITE: Final = 0


def outcome_of(code: int | None) -> str:
    """What became of an invitation, by ResponseCode."""
    if code is None:
        return "no response"
    if code < 300:
        return "answered"
    if code < 400:
        return "redirected"
    return "cancelled" if code == 487 else "failed"


class Delay(msgspec.Struct, frozen=True):
    """A post-dial delay: when the first INVITE came, and how long after it the first sign; microseconds."""

    began: int
    micros: int

    def of(self, invite_time: int | None) -> int | None:
        """The delay, if it is that of the session of this InviteTime: the same Call-ID and tag may come again.

        SQL Server keeps times to 1/300 s.
        """
        return self.micros if invite_time is not None and abs(invite_time - self.began) < 4000 else None


def post_dial_delays(call: Call) -> dict[bytes, Delay]:
    """The first post-dial delay of each caller's tag, as far as an INVITE and a sign after it were seen."""
    began: dict[bytes, int] = {}
    delays: dict[bytes, Delay] = {}
    for fact in call.facts:
        if fact.method != _INVITE:
            continue
        tag = fact.from_tag
        if not fact.status:
            began.setdefault(tag, fact.time)
        elif tag in began and tag not in delays and fact.status > 100 and fact.status not in _CHALLENGES:
            delays[tag] = Delay(began[tag], fact.time - began[tag])
    return delays


class Histogram:
    """Durations, counted in classes one percent wide or less, so that any number of them takes the same room."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.total = 0

    def add(self, micros: int, count: int = 1) -> None:
        """Take durations in; those before zero, of clocks that differ, count as none at all."""
        self._counts[class_of(max(micros, 0) // 1000)] += count
        self.total += count

    def percentile(self, percent: int) -> int | None:
        """The duration that so many percent don't exceed, in microseconds; None without any."""
        if not self.total:
            return None
        left = -(-self.total * percent // 100)
        for millis in sorted(self._counts):
            left -= self._counts[millis]
            if left <= 0:
                return millis * 1000
        return None

    def percentiles(self) -> dict[int, int | None]:
        """The percentiles that are shown."""
        return {percent: self.percentile(percent) for percent in PERCENTILES}


def class_of(millis: int) -> int:
    """The class of a duration: its milliseconds, of which only the first three digits count."""
    step = 1
    while millis // step >= 1000:
        step *= 10
    return millis // step * step


class Group:
    """The figures of some sessions.

    calls, answered, reached: as defined above. messages: sessions of instant messages, which aren't calls. ended:
    answered calls whose end was seen, talked: their time together. answers: times to the answer; delays: post-dial
    delays. codes: calls by ResponseCode. failures: calls that weren't answered, by ResponseCode and DiagnosticId.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.messages = 0
        self.answered = 0
        self.reached = 0
        self.ended = 0
        self.talked = 0
        self.answers = Histogram()
        self.delays = Histogram()
        self.codes: Counter[int | None] = Counter()
        self.failures: Counter[tuple[int | None, int | None]] = Counter()

    def add(self, code: int | None, diagnostic: int | None, *, im_only: bool, count: int = 1) -> None:
        """Count sessions with this ResponseCode and DiagnosticId."""
        if im_only:
            self.messages += count
            return
        self.calls += count
        self.codes[code] += count
        if code is not None and 200 <= code < 300:
            self.answered += count
            self.reached += count
            return
        self.failures[code, diagnostic] += count
        if code in REACHED:
            self.reached += count

    def add_talk(self, micros: int, count: int = 1) -> None:
        """Count answered calls that ended, and the time that they took together."""
        self.ended += count
        self.talked += micros

    @property
    def asr(self) -> float | None:
        """Answer seizure ratio, in percent."""
        return _percent(self.answered, self.calls)

    @property
    def ner(self) -> float | None:
        """Network effectiveness ratio, in percent."""
        return _percent(self.reached, self.calls)

    @property
    def acd(self) -> int | None:
        """Average call duration, in microseconds."""
        return self.talked // self.ended if self.ended else None

    @property
    def ser(self) -> float | None:
        """Session establishment ratio, in percent."""
        return _percent(self.answered, self.calls - self._redirected())

    @property
    def seer(self) -> float | None:
        """Session establishment effectiveness ratio, in percent."""
        good = self.answered + sum(self.codes[code] for code in _SEER_REACHED)
        apart = sum(self.codes[code] for code in _SEER_APART)
        return _percent(good, self.calls - self._redirected() - apart)

    def _redirected(self) -> int:
        return sum(count for code, count in self.codes.items() if code is not None and 300 <= code < 400)

    def worst(self) -> Iterator[tuple[int | None, int | None, int]]:
        """ResponseCode, DiagnosticId and number of calls that weren't answered, the most frequent first."""
        order = sorted(self.failures.items(), key=lambda item: (-item[1], item[0][0] or 0, item[0][1] or 0))
        for (code, diagnostic), count in order:
            yield code, diagnostic, count


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole > 0 else None


# Microsoft Learn, "Ms-Diagnostics Header" (bb964037): ErrorIds are given out to components by ranges. Clients: MS-OCER.
_COMPONENTS: Final = (
    (0, 999, "common errors"),
    (1000, 1999, "SIP stack of the server"),
    (2000, 2999, "user services: presence"),
    (3000, 3999, "user services: conferencing"),
    (4000, 4999, "user services"),
    (5000, 5999, "API applications"),
    (6000, 6999, "IM conferencing server"),
    (7000, 7999, "A/V conferencing server"),
    (8000, 8999, "telephony conferencing server"),
    (9000, 9999, "media relay authentication"),
    (10000, 10999, "Mediation Server"),
    (11000, 11999, "metrics server"),
    (12000, 12999, "outbound routing"),
    (13000, 13999, "inbound routing"),
    (14000, 14999, "translation service (dial plans)"),
    (15000, 15999, "Exchange UM routing"),
    (16000, 16999, "intelligent IM filter"),
    (17000, 17999, "client version filter"),
    (51000, 52999, "client"),
    (90000, 90999, "public IM connectivity"),
)


def diagnostic_of(number: int) -> str:
    """What raised a DiagnosticId, as far as Microsoft says; else empty."""
    return next((name for first, last, name in _COMPONENTS if first <= number <= last), "")
