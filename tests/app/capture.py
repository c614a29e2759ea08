"""Small captures for tests of the whole road, and the command run on them."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, NamedTuple

from click.testing import CliRunner

from fixtures.calls import Call, Party, Sent, at, sdp, udp
from fixtures.writer import pcap
from sipcdr.app._cli import main
from sipcdr.app._records import Record, Value, record_of
from sipcdr.builder import SessionDetails
from sipcdr.sinks import session_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from fixtures.calls import Headers

MORNING = at("2026-11-23T08:00:00")
SECOND = 1_000_000

ANN = Party("Ann", "ann@example.com", "192.0.2.11:5060", "Softphone/2.1")
BEN = Party("Ben", "ben@example.com", "192.0.2.12:5060", "Deskphone/5.0")
CLEO = Party("Cleo", "+49301234@gw.example;user=phone", "192.0.2.13:5060", "Gateway/1.0")

# The contract of the machine output: SessionDetails' columns in the order of the schema, look-ups by the name of their
# text, and four more.
KEYS = [
    "SessionIdTime", "SessionIdSeq", "CorrelationId", "ReplaceDialogIdTime", "ReplaceDialogIdSeq", "User1", "User2",
    "User1EndpointId", "User2EndpointId", "TargetUser", "SessionStartedBy", "OnBehalfOf", "ReferredBy", "Server",
    "Pool", "ContentType", "User1ClientVer", "User2ClientVer", "User1EdgeServer", "User2EdgeServer",
    "IsUser1Internal", "IsUser2Internal", "InviteTime", "ResponseTime", "ResponseCode", "DiagnosticId", "CallPriority",
    "User1MessageCount", "User2MessageCount", "SessionEndTime", "MediaTypes", "User1Flag", "User2Flag", "CallFlag",
    "Processed", "LastModifiedTime", "CallId", "FromTag", "ToTag", "Media",
]  # fmt: skip


class Done(NamedTuple):
    """What a command left: its exit status, and its two outputs."""

    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[Record]:
        """The sessions of `--format json`."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def cells(self) -> list[dict[str, str]]:
        """The sessions of `--format csv`."""
        return list(csv.DictReader(io.StringIO(self.out)))

    @property
    def calls(self) -> list[Value]:
        """The Call-IDs of `--format json`, in order."""
        return [row["CallId"] for row in self.rows]


def sipcdr(*words: str, stdin: bytes | None = None, columns: int | None = None) -> Done:
    """Run a command in this process."""
    env = {"COLUMNS": str(columns) if columns else None}
    result = CliRunner().invoke(main, list(words), input=stdin, env=env)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def answered(
    call_id: str,
    caller: Party = ANN,
    callee: Party = BEN,
    *,
    start: int = MORNING,
    seconds: float = 60,
    headers: Headers = (),
) -> list[Sent]:
    """A call that was answered after two seconds and hung up `seconds` later: seven messages."""
    call = Call(call_id, caller, callee, start)
    call.request("INVITE", body=sdp("audio"), headers=headers)
    call.respond(180, after=0.5)
    call.respond(200, after=1.5, body=sdp("audio"))
    call.request("ACK")
    call.request("BYE", after=seconds)
    call.respond(200)
    return call.sent


def busy(call_id: str, caller: Party = ANN, callee: Party = BEN, *, start: int = MORNING) -> list[Sent]:
    """A call that met a busy callee."""
    call = Call(call_id, caller, callee, start)
    call.request("INVITE", body=sdp("audio"))
    call.respond(486, after=0.1)
    call.request("ACK")
    return call.sent


def write(path: Path, sent: Iterable[Sent]) -> Path:
    """A capture of these messages over UDP."""
    path.write_bytes(pcap(udp(sent)))
    return path


def record(**values: Value) -> Record:
    """A record of a session with nothing in it but these values."""
    row = SessionDetails(
        call_id=b"c1", caller_tag=b"f1", callee_tag=b"", external_id=b"c1;f1;", pairs=(),
        invite_time=MORNING, last_modified_time=MORNING,
    )  # fmt: skip
    return record_of(session_of(row)) | values
