"""SIP over TLS with its secrets gives what the same call gives in the clear; the rest is named."""

from __future__ import annotations

import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

from fixtures import rows, tls
from fixtures.lab import tcpdump
from sipcdr.ingest import Inputs, SharkOptions, Tally
from tests.road import messages, replayed
from tests.servers import Tls, free_port, kamailio
from tests.tools import as_root, module, program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fixtures.rows import Row
    from sipcdr.builder import SipMessage

CALL = tls.FOLDER / "call.pcap"
KEYLOG = tls.FOLDER / "call.keylog"
NETWORK = "127.0.8"
TIMES = ("InviteTime", "ResponseTime", "SessionEndTime", "LastModifiedTime")


@pytest.fixture(autouse=True)
def _wireshark() -> None:
    program("tshark")
    module("pyshark")


def decrypted(capture: Path, keylog: Path | None = None, *, ports: Sequence[int] = ()) -> list[SipMessage]:
    """The messages that Wireshark finds in a capture, with TLS on these ports; it must find nothing to complain of."""
    tally = Tally()
    options = SharkOptions(keylog=str(keylog or ""), decode_as=tuple(f"tls.port=={port},sip" for port in ports))
    inputs = Inputs([str(capture)], tally=tally, reader="pyshark", shark=options)
    found = [message for batch in inputs for message in batch]
    assert tally.problems == []
    assert tally.refused == []
    return found


def without_times(found: list[Row]) -> list[Row]:
    """Rows but for what differs between two calls that are alike."""
    return [{name: value for name, value in row.items() if name not in TIMES} for row in found]


def test_with_a_key_log(tmp_path: Path) -> None:
    """A recorded call gives its row, and its messages have the addresses and the transport of the wire."""
    found = decrypted(CALL, KEYLOG)
    assert rows.read(tls.FOLDER / "call.json") == replayed(tmp_path / "cdr.db", found)
    assert {message.transport for message in found} == {"TLS"}
    assert {"127.0.9.12:5061"} == {message.destination for message in found if not message.status}
    assert {"127.0.9.12:5061"} == {message.source for message in found if message.status}


def test_with_secrets_inside() -> None:
    """The secrets may stand in the pcapng itself."""
    inside = decrypted(CALL.with_suffix(".pcapng"))
    assert [message.raw for message in decrypted(CALL, KEYLOG)] == [message.raw for message in inside]


def test_a_key_log_asks_for_wireshark(tmp_path: Path) -> None:
    """A key log is enough to have Wireshark read, and other captures beside it are read as well."""
    tally = Tally()
    clear = tls.FOLDER.parent / "answered.pcap"
    inputs = Inputs([str(CALL), str(clear)], tally=tally, shark=SharkOptions(keylog=str(KEYLOG)))
    found = [message for batch in inputs for message in batch]
    expected = rows.read(clear.with_suffix(".json")) + rows.read(tls.FOLDER / "call.json")
    assert expected == replayed(tmp_path / "cdr.db", found)
    assert sorted(message.time for message in found) == [message.time for message in found]


def test_without_secrets() -> None:
    """Without the secrets there is no message, and the own reader counts what it could not read."""
    assert decrypted(CALL) == []
    tally = Tally()
    assert messages(CALL, tally=tally) == []
    assert tally.counts["TLS records"] > 0


@pytest.fixture
def capturing() -> None:
    """What a live capture needs."""
    for name in ("tcpdump", "openssl"):
        program(name)
    as_root()


@pytest.mark.usefixtures("capturing")
@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_every_byte(version: str, tmp_path: Path) -> None:
    """What two user agents have sent each other over TLS, on any port, comes out to the byte; in the clear as well."""
    port = free_port()
    both = tls.security(tmp_path, ssl.TLSVersion[version])
    caller, called = f"{NETWORK}.11", f"{NETWORK}.12:{port}"
    capture, clear = tmp_path / "tls.pcap", tmp_path / "clear.pcap"
    with tcpdump(capture, f"host {NETWORK}.12"):
        sent = tls.call(caller, called, both)
    with tcpdump(clear, f"host {NETWORK}.12"):
        sent_clear = tls.call(caller, called)
    found = decrypted(capture, both.keylog, ports=[port])
    found_clear = messages(clear)
    for told, seen in ((sent, found), (sent_clear, found_clear)):
        assert told.caller == [message.raw for message in seen if message.destination == called]
        assert told.called == [message.raw for message in seen if message.source == called]
    assert without_times(replayed(tmp_path / "clear.db", found_clear)) == without_times(
        replayed(tmp_path / "tls.db", found)
    )
    inside = tmp_path / "inside.pcapng"
    subprocess.run([program("editcap"), "--inject-secrets", f"tls,{both.keylog}", capture, inside], check=True)
    assert [message.raw for message in found] == [message.raw for message in decrypted(inside, ports=[port])]


@pytest.mark.usefixtures("capturing")
def test_through_a_proxy(tmp_path: Path) -> None:
    """A call whose both hops are TLS gives the row of the same call through the same proxy in the clear."""
    program("kamailio")
    both = tls.security(tmp_path)
    host = f"{NETWORK}.10"
    port, secure, phone = (free_port() for _ in range(3))
    caller, called = f"{NETWORK}.11", f"{NETWORK}.12:{phone}"
    found = {}
    for transport, through in (("tls", f"{host}:{secure}"), ("tcp", f"{host}:{port}")):
        capture = tmp_path / f"{transport}.pcap"
        first = f"{called};transport={transport}"
        with (
            kamailio(host, port, first=first, second=called, tls=Tls(secure, both.certificate, both.key)),
            tcpdump(capture, f"net {NETWORK}.0/24"),
        ):
            tls.call(caller, called, both if transport == "tls" else None, through=through)
        ports = [secure, phone]
        found[transport] = decrypted(capture, both.keylog, ports=ports) if transport == "tls" else messages(capture)
    one, other = (without_times(replayed(tmp_path / f"{name}.db", some)) for name, some in found.items())
    assert len(found["tls"]) == len(found["tcp"]) == 13
    assert len(one) == 1
    assert one == other
    assert {message.transport for message in found["tls"]} == {"TLS"}
