"""The report's file: what stands in it, what doesn't, and when it is written."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fixtures.calls import Call, sdp
from sipcdr.app._report_details import MESSAGES
from tests.app.capture import ANN, BEN, MORNING, SECOND, answered, busy, sipcdr, write
from tests.app.hostile import ATTACKS, hostile

DEMO = Path(__file__).parents[2] / "fixtures" / "demo.pcap"


class Page(NamedTuple):
    """A report, and the JSON in it."""

    text: str
    meta: dict[str, Any]
    rows: list[list[Any]]
    details: dict[str, Any]

    def column(self, name: str) -> list[Any]:
        """The values of a column in all rows."""
        at = self.meta["columns"].index(name)
        return [row[at] for row in self.rows]


def made(capture: Path, report: Path, *options: str, url: str = "none") -> Page:
    """The report of a capture."""
    done = sipcdr("replay", str(capture), "--to", url, "--quiet", "--report", str(report), *options)
    assert done.status == 0, done.err
    assert not report.with_name(report.name + ".part").exists()
    return read(report)


def read(report: Path) -> Page:
    """A report that was written."""
    text = report.read_text(encoding="utf-8")
    blocks = re.findall(r'<script type="application/json" (?:id|class)="(\w+)">(.*?)</script>', text, re.DOTALL)
    rows = [row for name, data in blocks if name == "rows" for row in json.loads(data)]
    named = {name: json.loads(data) for name, data in blocks if name != "rows"}
    details = {name: data for name, data in named.items() if re.fullmatch(r"d\d+", name)}
    return Page(text, named["meta"], rows, details)


def test_a_page_of_its_own(tmp_path: Path) -> None:
    """It names nothing to load; its policy allows its script and its style by their hashes, and nothing else."""
    text = made(DEMO, tmp_path / "r.html").text
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    [style] = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (script, style)]
    assert policy[1].split("; ") == [
        "default-src 'none'", f"script-src 'sha256-{hashes[0]}'", f"style-src 'sha256-{hashes[1]}'", "base-uri 'none'",
        "form-action 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
    ]  # fmt: skip
    page = re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.DOTALL)
    assert re.findall(r'\b(?:src|href|action)="|url\(|@import|\bstyle="|\bon\w+="', page) == []
    assert set(re.findall(r"https?://[\w./]+", page)) == {"http://www.w3.org/2000/svg"}
    assert re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function", script) == []


def test_rows_and_details(tmp_path: Path) -> None:
    """Each session is a row; those with details name the block of their call, where it is explained."""
    page = made(DEMO, tmp_path / "r.html")
    assert page.column("ResponseCode") == [200, 486, 200, 200, 200, 200, 200, 200, 487, 480, 404, 202, 200]
    assert page.meta["cards"][0][:2] == ["Calls", "11"]
    number = page.column("CallId").index("6b40f2c877e14d90")
    call = page.details[f"d{page.column('Detail')[number]}"]
    session = call["sessions"][str(number)]
    assert session["sentence"].startswith("Not answered: 480 Temporarily Unavailable after 1:00 min")
    assert not session["differs"]
    code = next(column for column in session["columns"] if column[0] == "ResponseCode")
    assert code[:4] == ["ResponseCode", "480", "response.final", 3]
    assert call["messages"][3][7].startswith("SIP/2.0 480 Temporarily Unavailable\n")


@pytest.mark.parametrize(("count", "codes"), [(0, []), (2, [486, 404]), (3, [486, 404, 487]), (99, None)])
def test_failed_sessions_first(tmp_path: Path, count: int, codes: list[int] | None) -> None:
    """Details are for at most so many sessions: failed ones, then those given up, then the others."""
    call = Call("three@x", ANN, BEN, MORNING + 30 * SECOND)
    call.request("INVITE", body=sdp("audio"))
    call.respond(180, after=1)
    call.request("CANCEL", after=3)
    call.respond(200)
    call.respond(487, to="INVITE")
    refused = Call("four@x", ANN, BEN, MORNING + 60 * SECOND)
    refused.request("INVITE", body=sdp("audio"))
    refused.respond(404)
    sent = [*answered("one@x"), *call.sent, *refused.sent, *busy("two@x", start=MORNING + 10 * SECOND)]
    page = made(write(tmp_path / "a.pcap", sent), tmp_path / "r.html", "--report-details", str(count))
    chosen = zip(page.column("ResponseCode"), page.column("Detail"), strict=True)
    found = [code for code, detail in chosen if detail >= 0]
    assert sorted(found) == sorted([200, 486, 404, 487] if codes is None else codes)
    assert len(page.details) == len(found)
    assert ("all sessions" in page.meta["note"]) == (codes is None)


def test_hostile_values_are_json_and_nothing_else(tmp_path: Path) -> None:
    """No value ends the element that it stands in; every one can be read back as text."""
    page = made(write(tmp_path / "a.pcap", hostile()), tmp_path / "r.html")
    for data in re.findall(r'<script type="application/json" [^>]*>(.*?)</script>', page.text, re.DOTALL):
        assert not set(data) & set("<>&\u2028\u2029")
    assert page.text.count("<script") == page.text.count("</script>")
    texts = [message[7] for call in page.details.values() for message in call["messages"]]
    assert any(ATTACKS[0] in text for text in texts)
    assert not set("".join(texts)) & set("\x1b\x00\x7f\u202e\u2066")


def test_secrets_are_masked(tmp_path: Path) -> None:
    """Passwords and what was made with them are in no part of the page."""
    call = Call("one@x", ANN._replace(address="ann:hunter2@example.com"), BEN, MORNING)
    secret = ("Proxy-Authorization", 'Digest username="ann", realm="example.com", response="0123456789abcdef"')
    call.request("INVITE", body=sdp("audio").replace(b"s=-", b"s=-\r\nk=clear:geheim"), headers=(secret,))
    call.respond(403)
    page = made(write(tmp_path / "a.pcap", call.sent), tmp_path / "r.html")
    for word in ("hunter2", "0123456789abcdef", "geheim"):
        assert word not in page.text
    assert 'username=\\"ann\\"' in page.text


def test_with_a_database(tmp_path: Path) -> None:
    """Rows are the database's, also where it knows more than these captures: the page says so."""
    sent = answered("one@x")
    url = f"sqlite:///{tmp_path / 'cdr.db'}"
    first, second = write(tmp_path / "a.pcap", sent[:4]), write(tmp_path / "b.pcap", sent[4:])
    page = made(first, tmp_path / "r.html", url=url)
    assert [page.column("SessionEndTime"), page.details["d0"]["sessions"]["0"]["differs"]] == [[None], False]
    page = made(second, tmp_path / "r.html", url=url)
    assert page.column("ResponseCode") == [200]
    assert page.column("SessionEndTime") != [None]
    # What these messages alone would make is another session; it isn't shown as this one.
    assert page.details["d0"]["sessions"] == {}
    page = made(tmp_path / "a.pcap", tmp_path / "r.html", url=url)
    assert page.details["d0"]["sessions"]["0"]["differs"]


def test_only_what_was_chosen(tmp_path: Path) -> None:
    """A selection holds for the report, too."""
    capture = write(tmp_path / "a.pcap", answered("one@x", ANN, BEN) + busy("two@x", BEN, ANN))
    for url in ("none", f"sqlite:///{tmp_path / 'cdr.db'}"):
        page = made(capture, tmp_path / "r.html", "--caller", "ben", url=url)
        assert page.column("CallId") == ["two@x"]
        assert "one@x" not in page.text


def test_a_call_of_very_many_messages(tmp_path: Path) -> None:
    """Of one call only the first messages are embedded, and it says how many there are more."""
    call = Call("one@x", ANN, BEN, MORNING)
    for _ in range(MESSAGES):
        call.request("MESSAGE", body=b"hello", kind="text/plain", after=1)
        call.respond(200)
    page = made(write(tmp_path / "a.pcap", call.sent), tmp_path / "r.html")
    assert len(page.details["d0"]["messages"]) == MESSAGES
    assert page.details["d0"]["more"] == MESSAGES


def test_an_empty_report(tmp_path: Path) -> None:
    """A capture without calls makes a page without sessions."""
    call = Call("one@x", ANN, BEN, MORNING)
    call.request("OPTIONS")
    page = made(write(tmp_path / "a.pcap", call.sent), tmp_path / "r.html")
    assert page.rows == []


def test_a_damaged_capture_is_named(tmp_path: Path) -> None:
    """The report is written with what could be read, and says what couldn't; the status is 1."""
    capture = write(tmp_path / "a.pcap", answered("one@x"))
    capture.write_bytes(capture.read_bytes()[:-10])
    done = sipcdr("replay", str(capture), "--to", "none", "--quiet", "--report", str(tmp_path / "r.html"))
    assert done.status == 1
    assert any("a.pcap, frame" in note for note in read(tmp_path / "r.html").meta["notes"])


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    """That is said before anything is read."""
    done = sipcdr(
        "replay", str(DEMO), "--to", f"sqlite:///{tmp_path / 'a.db'}", "--report", str(tmp_path / "no" / "r.html")
    )
    assert done.status == 2
    assert "No such file or directory" in done.err
    assert not (tmp_path / "a.db").exists()


def test_a_database_that_refuses_leaves_no_report(tmp_path: Path) -> None:
    """An older report stays as it was, and no half one is left."""
    report = tmp_path / "r.html"
    report.write_text("older")
    (tmp_path / "a.db").write_text("no database at all, but text of some length" * 100)
    done = sipcdr("replay", str(DEMO), "--to", f"sqlite:///{tmp_path / 'a.db'}", "--quiet", "--report", str(report))
    assert done.status == 3
    assert report.read_text() == "older"
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []
