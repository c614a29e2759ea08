"""The report in a browser: sorting, filtering, call flows, keys, links, and captures that try to take it over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.app.browser import Watched, chromium
from tests.app.capture import ANN, BEN, CLEO, MORNING, SECOND, answered, busy, sipcdr, write
from tests.app.hostile import ATTACKS, hostile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

TIME, CALLER, CALLEE, RESPONSE, DURATION = range(5)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    with chromium() as started:
        yield started


def made(folder: Path, capture: Path, *options: str) -> Path:
    """The report of a capture."""
    report = folder / "report.html"
    done = sipcdr("replay", str(capture), "--to", "none", "--quiet", "--report", str(report), *options)
    assert done.status == 0, done.err
    return report


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of four calls."""
    folder = tmp_path_factory.mktemp("few")
    sent = (
        answered("one@x", ANN, BEN, start=MORNING, seconds=60)
        + answered("two@x", BEN, CLEO, start=MORNING + 600 * SECOND, seconds=5)
        + busy("three@x", CLEO, ANN, start=MORNING + 1200 * SECOND)
        + answered("four@x", CLEO, BEN, start=MORNING + 1800 * SECOND, seconds=600)
    )
    return made(folder, write(folder / "few.pcap", sent))


@pytest.fixture
def page(browser: Browser, few: Path) -> Iterator[Watched]:
    """That report, opened; nothing may go wrong in it, and it may ask for nothing."""
    opened = Watched(browser, few)
    yield opened
    assert opened.said == []
    opened.close()


def test_all_sessions_are_listed(page: Watched) -> None:
    """A session is a row: when, who, whom, how it ended, how long."""
    assert page.column(TIME) == ["08:00:00", "08:10:00", "08:20:00", "08:30:00"]
    assert page.shown[0][:5] == ["08:00:00", "ann@example.com", "ben@example.com", "200 OK", "1:00"]
    assert page.page.locator("#count").inner_text() == "4 sessions"
    assert page.page.locator(".card", has_text="ASR").locator("b").inner_text() == "75.0 %"


def test_sorting(page: Watched) -> None:
    """A click on a heading sorts, a second one the other way round; what is empty is last both times."""
    duration = page.page.locator("#head button", has_text="Duration")
    duration.click()
    assert page.column(DURATION) == ["5.01 s", "1:00", "10:00", ""]
    duration.click()
    assert page.column(DURATION) == ["10:00", "1:00", "5.01 s", ""]
    assert page.page.locator("#head th").nth(DURATION).get_attribute("aria-sort") == "descending"


def test_filtering_and_searching(page: Watched) -> None:
    """Outcome, code and words choose sessions; all of the words must be there; the plots follow."""
    page.page.select_option("#outcome", "failed")
    assert page.column(RESPONSE) == ["486 Busy Here"]
    page.page.click("#clear")
    page.page.fill("#search", "CLEO gateway")
    page.wait("document.getElementById('count').textContent.includes(' of ')")
    assert page.column(CALLER) == []
    page.page.fill("#search", "+49301234 200")
    page.wait("document.querySelectorAll('tr.row').length === 2")
    assert page.column(TIME) == ["08:10:00", "08:30:00"]
    page.page.keyboard.press("Escape")
    assert len(page.shown) == 4
    page.page.locator("#codes .hot", has_text="486").click()
    assert page.column(RESPONSE) == ["486 Busy Here"]
    page.page.select_option("#code", "")
    page.page.locator("#time .hot").first.click()
    assert page.column(TIME) == ["08:00:00"]


def test_a_session_opened(page: Watched) -> None:
    """Its cause, call flow and provenance are there; a message's text appears on a click."""
    page.page.locator("tr.row", has_text="486").click()
    detail = page.page.locator("#detail")
    assert "said 486 Busy Here after 0.100 s" in detail.locator(".cause").inner_text()
    arrows = detail.locator(".arrow")
    assert [arrow.get_attribute("aria-label").split("  ")[2] for arrow in arrows.all()] == [  # type: ignore[union-attr]
        "INVITE · audio PCMU", "486 Busy Here", "ACK",
    ]  # fmt: skip
    assert not detail.locator(".message").is_visible()
    arrows.nth(1).click()
    assert "SIP/2.0 486 Busy Here" in detail.locator(".message pre").inner_text()
    assert "few.pcap, frame 14" in detail.locator(".message header").inner_text()
    row = detail.locator(".columns tr", has_text="ResponseCode")
    assert row.locator("td").all_inner_texts() == ["ResponseCode", "486", "response.final", "[2] 486 Busy Here"]
    detail.locator(".columns tr", has_text="TargetUser").locator("button").first.click()
    assert "INVITE sip:" in detail.locator(".message pre").inner_text()


def test_keys(page: Watched) -> None:
    """Without a mouse: search, choose, open, go on to the next, close, help."""
    keyboard = page.page.keyboard
    keyboard.press("/")
    assert page.page.evaluate("document.activeElement.id") == "search"
    keyboard.type("ben")
    page.wait("document.querySelectorAll('tr.row').length === 3")
    keyboard.press("ArrowDown")
    keyboard.press("ArrowDown")
    assert page.page.locator("tr.chosen").inner_text().startswith("08:10:00")
    keyboard.press("Enter")
    title = page.page.locator("#detail .title")
    assert title.inner_text() == "ben@example.com → +49301234@gw.example;user=phone"
    keyboard.press("ArrowDown")
    assert title.inner_text() == "+49301234@gw.example;user=phone → ben@example.com"
    keyboard.press("Tab")
    while page.page.evaluate("!document.activeElement.closest('.arrow')"):
        keyboard.press("Tab")
    keyboard.press("Enter")
    assert page.page.locator(".message pre").is_visible()
    keyboard.press("Escape")
    assert not page.page.locator("#detail").is_visible()
    keyboard.press("Escape")
    assert len(page.shown) == 4
    keyboard.press("?")
    assert page.page.locator("#help").is_visible()


def test_a_link_opens_its_session(browser: Browser, few: Path) -> None:
    """The address of an open session opens it in a page that is loaded anew, and is gone when it is closed."""
    first = Watched(browser, few)
    first.page.locator("tr.row", has_text="486").click()
    fragment = first.page.evaluate("location.hash")
    assert "three%40x" in fragment
    first.page.keyboard.press("Escape")
    assert first.page.evaluate("location.hash") == ""
    first.close()
    second = Watched(browser, few, fragment=fragment)
    assert second.page.locator("#detail .head p").inner_text().endswith("Call-ID three@x")
    assert second.said == []
    second.close()


def test_light_and_dark(browser: Browser, few: Path) -> None:
    """The page follows the system's preference, until the switch says otherwise."""
    back = "getComputedStyle(document.body).backgroundColor"
    light, dark = Watched(browser, few, color_scheme="light"), Watched(browser, few, color_scheme="dark")
    assert light.page.evaluate(back) != dark.page.evaluate(back)
    light.page.click("#theme")
    assert light.page.evaluate(back) == dark.page.evaluate(back)
    light.close()
    dark.close()


def test_on_paper(browser: Browser, few: Path) -> None:
    """Printed, the sessions are there without controls."""
    opened = Watched(browser, few)
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    opened.page.emulate_media(media="print")
    assert opened.page.locator("#printed tr").count() == 5
    assert opened.page.locator("#printed").is_visible()
    assert not opened.page.locator("#search").is_visible()
    opened.close()


def test_a_hostile_capture_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    """Script, markup, quotes, and signs that turn text around are text, wherever they stand."""
    report = made(tmp_path, write(tmp_path / "hostile.pcap", hostile()))
    globals_before = Watched(browser, made(tmp_path / "..", write(tmp_path / "plain.pcap", busy("plain@x"))))
    known = set(globals_before.page.evaluate("Object.getOwnPropertyNames(window)"))
    globals_before.close()
    opened = Watched(browser, report)
    rows = opened.page.locator("tr.row")
    assert rows.count() == len(ATTACKS)
    elements = opened.page.evaluate("document.querySelectorAll('script,img,iframe,object,embed,link,base').length")
    for number in range(len(ATTACKS)):
        rows.nth(number).click()
        arrows = opened.page.locator(".arrow")
        for at in range(arrows.count()):
            arrows.nth(at).dispatch_event("click")
            shown = opened.page.locator(".message pre").inner_text()
            assert shown
            assert not set(shown) & set("\x1b\x07\x00\x7f\u202e\u2066\u200f\u2028\u2029\ufeff")
        opened.page.keyboard.press("Escape")
    opened.page.fill("#search", "<script>")
    opened.page.wait_for_timeout(300)
    assert opened.said == []
    assert (
        opened.page.evaluate("document.querySelectorAll('script,img,iframe,object,embed,link,base').length") == elements
    )
    assert set(opened.page.evaluate("Object.getOwnPropertyNames(window)")) - known == set()
    assert opened.page.evaluate("window.ran") is None
    text = opened.page.evaluate("document.body.innerText")
    assert not set(text) & set("\x1b\x07\x00\u202e\u2066\u200f")
    opened.close()


def test_the_policy_stops_what_gets_in(browser: Browser, few: Path) -> None:
    """Were markup to get into the document, it could neither run nor load nor send anything."""
    opened = Watched(browser, few)
    refused = opened.page.evaluate(
        """() => {
            const refused = [];
            const trial = (act) => { try { act(); } catch (error) { refused.push(error.name); } };
            trial(() => { document.body.innerHTML = "<img src=x onerror='window.ran=1'>"; });
            const script = document.createElement("script");
            trial(() => { script.text = "window.ran=2"; document.head.append(script); });
            const image = document.createElement("img");
            image.src = "http://127.0.0.1:9/x.png";
            document.head.append(image);
            return refused;
        }"""
    )
    opened.page.wait_for_timeout(200)
    assert refused == ["TypeError", "TypeError"]
    assert opened.page.evaluate("window.ran") is None
    assert not any(said.startswith("request:") for said in opened.said)
    assert any("Content Security Policy" in said for said in opened.said)
    opened.close()


def test_details_are_bounded(browser: Browser, tmp_path: Path) -> None:
    """Only so many sessions have details, the failed ones first; the page says how many, and how to get the rest."""
    sent = [one for number in range(5) for one in answered(f"{number}@x", start=MORNING + number * 600 * SECOND)]
    sent += busy("busy'; rm -rf $HOME #@x", start=MORNING + 6000 * SECOND)
    report = made(tmp_path, write(tmp_path / "some.pcap", sent), "--report-details", "1")
    opened = Watched(browser, report)
    note = opened.page.locator("#note").inner_text()
    assert "1 of 6 sessions, the failed ones first" in note
    assert "--report-details 6" in note
    opened.page.locator("tr.row", has_text="486").click()
    assert opened.page.locator("#detail .ladder").count() == 1
    opened.page.keyboard.press("Escape")
    opened.page.locator("tr.row", has_text="200").first.click()
    detail = opened.page.locator("#detail")
    assert detail.locator(".ladder").count() == 0
    assert "sipcdr explain PATH --call-id='0@x'" in detail.inner_text()
    assert detail.locator(".columns tr", has_text="ResponseCode").inner_text().split() == ["ResponseCode", "200"]
    opened.close()


@pytest.mark.parametrize("width", [390, 1400])
def test_it_fits_its_window(browser: Browser, few: Path, width: int) -> None:
    """Neither the page nor an open session is wider than the window."""
    opened = Watched(browser, few, viewport={"width": width, "height": 844})
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    widths = opened.page.evaluate("[...document.querySelector('tr.row').cells].map((cell) => cell.offsetWidth)")
    assert widths[1] > 70
    assert sum(widths) > width - 60
    opened.page.locator("tr.row").first.click()
    assert opened.page.evaluate("document.getElementById('detail').scrollWidth") <= width
    opened.close()
