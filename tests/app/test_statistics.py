"""Figures of calls, by their definitions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.calls import Call as Calling
from fixtures.calls import sdp
from sipcdr.app._statistics import Delay, Group, Histogram, class_of, diagnostic_of, outcome_of, post_dial_delays
from sipcdr.builder import Call, Position
from sipcdr.ingest import Limits, Tally, scan
from tests.app.capture import ANN, BEN, MORNING, SECOND


def group(*codes: int | None) -> Group:
    """The figures of calls with these response codes."""
    made = Group()
    for code in codes:
        made.add(code, None, im_only=False)
    return made


@pytest.mark.parametrize(
    ("codes", "asr", "ner", "ser", "seer"),
    [
        ([], None, None, None, None),
        ([200], 100, 100, 100, 100),
        ([200, 486], 50, 100, 50, 100),
        ([200, 480, 486, 487, 600, 603, 404, 503, None, 408], 10, 60, 10, 50),
        ([200, 302], 50, 50, 100, 100),
        ([200, 407, 401, 402], 25, 25, 25, 100),
        ([302], 0, 0, None, None),
        ([202, 299, 500], 66.67, 66.67, 66.67, 66.67),
    ],
)
def test_ratios(
    codes: list[int | None], asr: float | None, ner: float | None, ser: float | None, seer: float | None
) -> None:
    """ASR counts answers; NER also what is the callee's choice; SER leaves redirections out, SEER challenges too."""
    figures = group(*codes)
    assert (figures.asr, figures.ner, figures.ser, figures.seer) == (asr, ner, ser, seer)


def test_messages_are_no_calls() -> None:
    """A session of instant messages only is counted apart."""
    figures = group(200)
    figures.add(404, None, im_only=True)
    assert (figures.calls, figures.messages, figures.asr) == (1, 1, 100)
    assert list(figures.worst()) == []


def test_failures_by_frequency() -> None:
    """What wasn't answered is listed by code and diagnostic, the most frequent first."""
    figures = group(486, 486, 404, None, 200)
    figures.add(404, 1003, im_only=False, count=5)
    assert list(figures.worst()) == [(404, 1003, 5), (486, None, 2), (None, None, 1), (404, None, 1)]


def test_average_duration() -> None:
    """ACD is the mean of calls whose end was seen."""
    figures = group(200, 200, 200)
    assert figures.acd is None
    figures.add_talk(10 * SECOND)
    figures.add_talk(30 * SECOND)
    assert figures.acd == 20 * SECOND


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=200))
def test_percentiles_are_near(micros: list[int]) -> None:
    """A percentile is the duration that so many don't exceed, to the millisecond or one percent."""
    histogram = Histogram()
    for one in micros:
        histogram.add(one)
    for percent, shown in histogram.percentiles().items():
        exact = sorted(micros)[-(-len(micros) * percent // 100) - 1]
        assert shown is not None
        assert 0 <= exact - shown <= max(1000, exact // 100)


@pytest.mark.parametrize(
    ("millis", "shown"), [(0, 0), (999, 999), (1004, 1000), (1009, 1000), (12_345, 12_300), (1_234_567, 1_230_000)]
)
def test_classes(millis: int, shown: int) -> None:
    """Three digits count, so a million durations take a few thousand numbers."""
    assert class_of(millis) == shown


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (None, "no response"),
        (200, "answered"),
        (302, "redirected"),
        (487, "cancelled"),
        (404, "failed"),
        (603, "failed"),
    ],
)
def test_outcomes(code: int | None, outcome: str) -> None:
    """A response code says what became of a call."""
    assert outcome_of(code) == outcome


@pytest.mark.parametrize(
    ("number", "raised"),
    [(1003, "SIP stack of the server"), (15030, "Exchange UM routing"), (52116, "client"), (99999999, "")],
)
def test_diagnostics(number: int, raised: str) -> None:
    """Of a diagnostic id the component that raised it is known, by Microsoft's ranges."""
    assert diagnostic_of(number) == raised


@pytest.mark.parametrize(
    ("statuses", "delay"),
    [
        ([(100, 0.1), (180, 0.4), (200, 5)], 0.5),
        ([(100, 0.1), (183, 0.2), (180, 0.4)], 0.3),
        ([(486, 0.25)], 0.25),
        ([(100, 0.1)], None),
        ([], None),
    ],
)
def test_post_dial_delay(statuses: list[tuple[int, float]], delay: float | None) -> None:
    """It ends with the first response that isn't a 100."""
    call = Calling("c@x", ANN, BEN, MORNING)
    call.request("INVITE", body=sdp("audio"))
    for status, after in statuses:
        call.respond(status, after=after)
    expected = {} if delay is None else {b"a1": Delay(MORNING, round(delay * SECOND))}
    assert post_dial_delays(known(call)) == expected


def test_post_dial_delay_of_an_authenticated_call() -> None:
    """A challenge is no sign of the far end: the time until the second attempt counts."""
    call = Calling("c@x", ANN, BEN, MORNING)
    call.request("INVITE", body=sdp("audio"))
    call.respond(407, after=0.1)
    call.request("ACK", after=0.1)
    call.request("INVITE", after=0.1, body=sdp("audio"))
    call.respond(180, after=0.5)
    assert post_dial_delays(known(call)) == {b"a1": Delay(MORNING, round(0.8 * SECOND))}


def test_post_dial_delay_of_its_own_session() -> None:
    """A later session of the same Call-ID and tag hasn't the delay of the first; SQL Server's times are near enough."""
    delay = Delay(MORNING, 5)
    assert [delay.of(MORNING + later) for later in (0, 3_333, -1_666, SECOND)] == [5, 5, 5, None]
    assert delay.of(None) is None


def known(calling: Calling) -> Call:
    """The facts of these messages."""
    call = Call(calling.call_id.encode())
    for sent in calling.sent:
        message = scan(sent.payload, sent.time, Position("a", 1), Tally(), Limits())
        assert not isinstance(message, str)
        call.add(message)
    return call
