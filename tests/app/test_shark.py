"""The options of `sipcdr replay` that have Wireshark read."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import pytest

from fixtures import rows, tls
from fixtures.writer import datagram, link, pcap
from tests.app.capture import sipcdr
from tests.ingest.reading import START, A, message
from tests.tools import module, program

if TYPE_CHECKING:
    from pathlib import Path

CALL = str(tls.FOLDER / "call.pcap")
INSIDE = str(tls.FOLDER / "call.pcapng")
KEYLOG = str(tls.FOLDER / "call.keylog")
WITH_SECRETS = {
    "key log": [CALL, "--keylog", KEYLOG],
    "asked for": [CALL, "--reader", "pyshark", "--keylog", KEYLOG],
    "secrets inside": [INSIDE, "--reader", "pyshark"],
    "rules and a filter": [
        *(CALL, "--keylog", KEYLOG, "--decode-as", "tls.port==5061,sip", "--decode-as", "tcp.port==5061,tls"),
        *("--display-filter", "ip.addr == 127.0.9.12"),
    ],
}


@pytest.fixture
def wireshark() -> None:
    """What these options need."""
    program("tshark")
    module("pyshark")


@pytest.mark.usefixtures("wireshark")
@pytest.mark.parametrize("name", WITH_SECRETS)
def test_a_call_over_tls(name: str) -> None:
    """A call over TLS is read with its secrets, into the row that it must give."""
    done = sipcdr("replay", *WITH_SECRETS[name], "--to", "none", "--format", "json", "--quiet")
    assert done.status == 0
    assert done.err == ""
    [expected] = rows.read(tls.FOLDER / "call.json")
    [shown] = done.rows
    # The name of a view's column, which the output doesn't have.
    del expected["ReplacesDialogId"]
    assert {name: shown[name] for name in expected} == expected


def test_tls_without_secrets() -> None:
    """Without secrets no call is read, and the summary says with which option it would be."""
    done = sipcdr("replay", CALL, "--to", "none", "--reader", "python")
    assert done.status == 0
    assert re.search(r"TLS records: \d+ \(to be read with their secrets: --keylog FILE\)", done.err)


REFUSED = {
    "no key log": (["--keylog", "nowhere"], "key log nowhere: No such file or directory"),
    "no rule": (["--decode-as", "nonsense"], "nonsense"),
    "no filter": (["--display-filter", "sip and and"], "tshark: "),
}


@pytest.mark.usefixtures("wireshark")
@pytest.mark.parametrize("name", REFUSED)
def test_options_that_make_no_sense(name: str, tmp_path: Path) -> None:
    """They are one line on standard error and status 2, before anything is written."""
    options, reason = REFUSED[name]
    database = tmp_path / "cdr.db"
    done = sipcdr("replay", CALL, "--to", f"sqlite:///{database}", *options)
    assert done.status == 2
    assert reason in done.err
    assert done.err.count("\n") == 1
    assert not database.exists()


@pytest.mark.parametrize("option", ["--keylog", "--decode-as", "--display-filter"])
def test_the_own_reader_has_none_of_them(option: str) -> None:
    """Asking the own reader for what only Wireshark can do is a usage error."""
    done = sipcdr("replay", CALL, "--to", "none", "--reader", "python", option, "x")
    assert done.status == 2
    assert f"{option} is nothing that --reader python can do" in done.err


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pyshark or without tshark the line says what to install, and the status is 2."""
    module("pyshark")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        done = sipcdr("replay", CALL, "--to", "none", "--reader", "pyshark")
    assert (done.status, "apt-get install tshark" in done.err) == (2, True)
    monkeypatch.setitem(sys.modules, "pyshark.tshark.output_parser.tshark_json", None)
    done = sipcdr("replay", CALL, "--to", "none", "--reader", "pyshark")
    assert (done.status, "pip install 'sipcdr[pyshark]'" in done.err) == (2, True)


@pytest.mark.usefixtures("wireshark")
def test_a_link_type_that_nobody_knows(tmp_path: Path) -> None:
    """A capture in which neither reader finds SIP for its link type is named; the status is 1."""
    capture = tmp_path / "user.pcap"
    capture.write_bytes(pcap([(START, link(datagram(A, A, message())))], 147))
    done = sipcdr("replay", str(capture), "--to", "none")
    assert done.status == 1
    assert f"{capture}, frame 1: link type 147 (USER0) can't be read; Wireshark finds no SIP in it" in done.err


def test_without_wireshark_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only Wireshark could read a capture and isn't there, it is named once, and the summary says what to do."""
    capture = tmp_path / "user.pcap"
    capture.write_bytes(pcap([(START, link(datagram(A, A, message())))], 147))
    monkeypatch.setenv("PATH", os.devnull)
    done = sipcdr("replay", str(capture), "--to", "none")
    assert done.status == 1
    assert done.err.count("can't be read") == 1
    assert "noted     captures for Wireshark: " in done.err
