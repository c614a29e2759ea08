"""ClientVersions: the type that UserAgentDef gives a client (derivations.md 3.16)."""

from __future__ import annotations

import pytest

from sipcdr.builder._agents import client_of, client_type


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("UCCAPI/16.0.5100.1000 OC/16.0.5100.1000 (Skype for Business)", 4),
        ("RTCC/6.0.0.0 MediationServer", 1),
        ("RTCC/5.0.0.0 Response_Group_Service", 1024),
        ("RTCC/5.0.0.0 Conferencing_Attendant_1.0", 512),
        ("UCCAPI/4.0 OCPhone/4.0 (Microsoft Lync Phone Edition)", 8),
        ("UCWA/4.0 AndroidLync/6.0 (Android 9)", 16400),
        ("RTC/5.0 (Microsoft RTC Attendant)", 128),
        ("CPE/1.0 oc/1", 4),
        ("Asterisk PBX 20.9.1", None),
        ("UCCAPI/16.0", None),
        ("occ/1.0", None),
        ("", None),
    ],
)
def test_client_type(version: str, kind: int | None) -> None:
    """The first product name or comment word that the table lists; platform names are none."""
    assert client_type(version) == kind


def test_empty_client() -> None:
    """An empty value is no client."""
    assert client_of("  ", "x") is None
