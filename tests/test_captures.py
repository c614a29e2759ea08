"""Real captures by others, read in place: the messages and rows that they give.

The rows are reasoned from what tshark shows of each capture and the rules of derivation; the times below are tshark's
epoch times. The figures of MANIFEST.tsv, which lies beside the captures, were counted by tshark too.
"""

from __future__ import annotations

import csv
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from fixtures.rows import session
from sipcdr.ingest import Tally
from tests.road import messages, replayed
from tests.tools import folder

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.rows import Row


class _Epoch:
    """For `session`: a message stands here by its time, in front of it the status that it had."""

    def time(self, name: str, call_id: str) -> int:
        return int(Decimal(name.rsplit(maxsplit=1)[-1]) * 1_000_000)


_AT = _Epoch()
_NERO = "Nero SIPPS IP Phone Version 2.0.51.16"
_CIRPACK = "Cirpack/v4.38e (gw_sip)"
_CAMERA = "34010000001310000001@3401000000"
_PLATFORM = "34010000002000000001@3401000000"
_EXOSIP = "eXosip/4.1.0"
_YEASTAR = "Yeastar S20-65.16.0.183"
_YEALINK = "Yealink SIP-T31P 124.86.0.40"
_MANSCDP = "application/manscdp+xml"
_BEST = ("200.57.7.195", "francisco@bestel.com")


def _none_started(rest: Row) -> Row:
    """A BYE by itself doesn't tell who called."""
    return {"SessionStartedBy": None, "TargetUser": None, "ContentType": None} | rest


ROWS: dict[str, list[Row]] = {
    # A BYE of a call before the capture; a video call still up; a MESSAGE to the camera and two from it. XML is no
    # typing notice or receipt, so it counts as a message.
    "GB28181+GB28181.Solution__invite-live-catalog.pcapng": [
        session(_AT, "6faab165b691b30950a0fa03f398ff7e@0.0.0.0",
                ("04394098_53173353_795a6da7-a067-47fe-a731-1e271ec93285", "992362192"), users=(_PLATFORM, _CAMERA),
                clients=(None, _EXOSIP), invite="1521194502.128885", response="200 1521194502.128885",
                end="1521194502.128885", modified="1521194502.130687", also=_none_started({})),
        session(_AT, "c17d9a28ae451c777e68576eee627e8b@0.0.0.0",
                ("78291477_53173353_4feec9bb-7bb6-41e9-ba24-bcec624b00bf", "513105442"), users=(_PLATFORM, _CAMERA),
                clients=(None, _EXOSIP), invite="1521194502.134467", response="200 1521194502.144044",
                modified="1521194502.148481", media=("Video",)),
        session(_AT, "d4719bb370b7ab9fc40dbad5fff3b5ac@0.0.0.0",
                ("66798945_53173353_4feec9bb-7bb6-41e9-ba24-bcec624b00bf", ""), users=(_PLATFORM, _CAMERA),
                clients=(None, _EXOSIP), invite="1521194510.521684", response="200 1521194510.521684",
                end="1521194510.525232", modified="1521194510.525232", media=("IM",), kind=_MANSCDP,
                also={"User1MessageCount": 1}),
        session(_AT, "2091677733", ("782852303", ""), users=(_CAMERA, _PLATFORM), clients=(_EXOSIP, None),
                invite="1521194510.525669", response="200 1521194510.525669", end="1521194510.528868",
                modified="1521194510.528868", media=("IM",), kind=_MANSCDP, also={"User1MessageCount": 1}),
        session(_AT, "2113235039", ("164019317", ""), users=(_CAMERA, _PLATFORM), clients=(_EXOSIP, None),
                invite="1521194518.498407", response="200 1521194518.498407", end="1521194518.501506",
                modified="1521194518.501506", media=("IM",), kind=_MANSCDP, also={"User1MessageCount": 1}),
    ],
    # A call as in RFC 3665; its bodies are empty, so there is neither content type nor medium.
    "NormB+sipnab__sip_call.pcap": [
        session(_AT, "test-call-1@10.0.0.1", ("1928301774", "a6c85cf"), users=("1001@10.0.0.1", "1002@10.0.0.2"),
                clients=("sipnab-test/1.0", None), invite="1700000000", response="200 1700000002", end="1700000060",
                modified="1700000060.1", also={"ContentType": None}),
    ],
    # An INVITE of 65,793 bytes: cut at 65,536, before which its body has no m-line. Only a 100 came.
    "OISF+suricata-verify__sip-body-large.pcap": [
        session(_AT, "test123@attacker.com", ("abc123", ""), users=("alice@attacker.com", "bob@target.com"),
                clients=(None, None), invite="1782243452.935673", modified="1782243452.935965"),
    ],
    # REGISTER is no call.
    "OISF+suricata-verify__sip-tcp.pcap": [],
    # Content-Length says 272, where the m-lines of the body lie behind: what exceeds it isn't body.
    "OISF+suricata-verify__sip_compact_form.pcap": [
        session(_AT, "105090259-446faf7a@192.168.1.2", ("6433ef9", ""), clients=(_NERO, None),
                users=("816666@voip.brurjula.net", "97239287044@voip.brujula.net"), invite="1713446096.386450",
                modified="1713446096.386450"),
    ],
    # Both INVITEs offer video, which the 200 refuses (port 0); nobody answered the first offer.
    "eksalih+VoIP_SIP_Analyzer__mixed_cancel_then_answered.pcapng": [
        session(_AT, "7674a2cb-1987-4416-8c7b-08d23640d981", ("8d1c5301-ae5c-4e36-bc2c-293c9006c653", "2859612060"),
                users=("0555745771@192.168.56.254", "100@192.168.56.112"), clients=(_YEASTAR, _YEALINK),
                invite="1769497863.428236", response="487 1769497881.329811", end="1769497881.329811",
                modified="1769497881.331954", media=("Audio", "Video")),
        session(_AT, "609c953a-6192-4f7a-949f-4d938942d5a6", ("9714f642-024e-4204-9b54-ca6bade1dc4a", "2859985851"),
                users=("0555745771@192.168.56.254", "100@192.168.56.112"), clients=(_YEASTAR, _YEALINK),
                invite="1769497883.488508", response="200 1769497897.093221", end="1769497912.216480",
                modified="1769497912.219283", media=("Audio",)),
    ],
    # Lone requests of three calls. In PPPoE: a CANCEL, which gives an invitation's times as no INVITE was seen, and an
    # ACK of the side that was called. The BYE has no answer.
    "seladb+PcapPlusPlus__sip_reqs.pcap": [
        session(_AT, "12013223@200.57.7.195", ("GR52RWG346-34", ""), users=_BEST, clients=(None, None),
                invite="1105725482.965944", modified="1105725482.965944", media=("Audio",)),
        session(_AT, "2091060b-146f-e011-809a-0019cb53db77@admind-desktop",
                ("bc86060b-146f-e011-809a-0019cb53db77", "420976BC-4DB7D064000EE90C-B692BBB0"),
                users=("admind@178.45.73.241", "echo@iptel.org"), clients=(None, None), invite="1303892069.978849",
                response="- 1303892069.978849", end="1303892069.978849", modified="1303892130.817140",
                also={"ContentType": None}),
        session(_AT, "1-4247@10.0.2.20", ("j6QZcFDB22vSN", "1"), users=("test@10.0.2.15", "sipp@10.0.2.20"),
                clients=("FreeSWITCH-mod_sofia/1.6.12-20-b91a0a6~64bit", None), invite="1480255719.610514",
                response="- 1480255719.610514", end="1480255719.610514", modified="1480255719.610514",
                also=_none_started({})),
    ],
    # Lone responses: those to the INVITE stand for it, its priority is unknown; the others answer REGISTERs.
    "seladb+PcapPlusPlus__sip_resp.pcap": [
        session(_AT, "12013223@200.57.7.195", ("GR52RWG346-34", "298852044"), users=_BEST,
                clients=(None, "X-Lite release 1103m"), invite="1105725482.973833", response="200 1105725491.443869",
                modified="1105725491.443869", media=("Audio",), also={"CallPriority": 0}),
    ],
    # A Content-Length that is no number: there is no body either.
    "zeek+zeek__invalid-content-length.pcap": [
        session(_AT, "a84b4c76e66710@10.0.0.1", ("1928301774", "abc123"), clients=(None, None),
                users=("alice@10.0.0.1", "bob@10.0.0.2"), invite="1781520273.766727", response="200 1781520273.767557",
                modified="1781520273.767557", also={"ContentType": None}),
    ],
    # A call cancelled but answered 408 (a 408 to the CANCEL is the last new message); two refused (403) and one not
    # available (480), each after a challenge, with retries 17 to 51 s later. No client but servers' words.
    "zeek+zeek__wireshark.pcap": [
        session(_AT, "105090259-446faf7a@192.168.1.2", ("6433ef9", "a6a1c5f60faecf035a1ae5b6e96e979a-6167"),
                users=("816666@voip.brurjula.net", "97239287044@voip.brujula.net"), media=("Audio",),
                clients=(_NERO, "Sip EXpress router (0.8.12 (i386/linux))"), invite="1120470049.188993",
                response="408 1120470085.961798", end="1120470085.961798", modified="1120470116.279089"),
        session(_AT, "85216695-42dcdb1d@192.168.1.2", ("51449dc", "00-04071-1701b4ad-52a186e31"),
                users=("voi18062@sip.cybercity.dk", "0097239287044@sip.cybercity.dk"), clients=(_NERO, _CIRPACK),
                invite="1120470233.794463", response="403 1120470268.128176", end="1120470268.128176",
                modified="1120470268.180956", media=("Audio",)),
        session(_AT, "24487391-449bf2a0@192.168.1.2", ("175a1dd", "00-04083-1701ba17-57d493ef5"),
                users=("35104723@sip.cybercity.dk", "0097239287044@sip.cybercity.dk"), clients=(_NERO, _CIRPACK),
                invite="1120470848.528833", response="403 1120470900.056743", end="1120470900.056743",
                modified="1120470900.060556", media=("Audio",)),
        session(_AT, "11894297-4432a9f8@192.168.1.2", ("b56e6e", "00-04075-1701baa2-2dfdf7c21"),
                users=("35104723@sip.cybercity.dk", "35104724@sip.cybercity.dk"), clients=(_NERO, _CIRPACK),
                invite="1120470966.443914", response="480 1120470984.332623", end="1120470984.332623",
                modified="1120470984.353086", media=("Audio",)),
    ],
}  # fmt: skip
# What a reader may well say of a capture: an exit status of 1, with this reason.
PROBLEMS = {"OISF+suricata-verify__sip-body-large.pcap": ["message longer than 65536 bytes"]}


@pytest.fixture(scope="module")
def captures() -> Path:
    """The folder of the captures."""
    return folder("SIPCDR_CAPTURES")


@pytest.mark.parametrize("name", ROWS)
def test_rows(captures: Path, name: str, tmp_path: Path) -> None:
    """A capture gives the rows that its messages, as tshark shows them, mean."""
    tally = Tally()
    assert ROWS[name] == replayed(tmp_path / "cdr.db", messages(captures / name, tally=tally))
    assert PROBLEMS.get(name, []) == [problem.reason for problem in tally.problems]


@pytest.mark.parametrize("name", ROWS)
def test_messages(captures: Path, name: str) -> None:
    """A capture has the methods, statuses and Call-IDs that its manifest counts."""
    with (captures / "MANIFEST.tsv").open(newline="") as file:
        counted = next(row for row in csv.DictReader(file, delimiter="\t") if row["file"] == name)
    found = messages(captures / name)
    assert _figures(counted["methods"]) == Counter(one.method for one in found if not one.status)
    assert _figures(counted["statuses"]) == Counter(str(one.status) for one in found if one.status)
    assert int(counted["call_ids"]) == len({one.call_id for one in found})


def test_all_known(captures: Path) -> None:
    """Each capture of the folder has its rows here."""
    assert sorted(ROWS) == sorted(path.name for path in captures.glob("*.pcap*"))


def _figures(text: str) -> Counter[str]:
    """The counts of a manifest's cell, such as `INVITE:1 ACK:2`."""
    return Counter({name: int(count) for name, count in (pair.split(":") for pair in text.split())})
