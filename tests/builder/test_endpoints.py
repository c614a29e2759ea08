"""Endpoint ids: epid, GUID and opaque belong together (derivations.md section 6)."""

from __future__ import annotations

import pytest

from sipcdr.builder._labels import epid_guid
from tests.builder.rows import invite, rows

VECTORS = [
    ("d2ff665153", "7901b724-cbf3-5299-bfd0-041827e50488", "JLcBefPLmVK_0AQYJ-UEiAAA"),
    ("b84a59c035", "11ec8985-494a-5186-9cd1-3fb177f23bbc", "hYnsEUpJhlGc0T-xd_I7vAAA"),
    ("48a4a25bb1", "950f16e0-967d-59bf-8241-2cb26295ec25", "4BYPlX2Wv1mCQSyyYpXsJQAA"),
    ("69eb994c65", "8c91b9ca-067e-5a41-89a2-bf8913d722a3", "yrmRjH4GQVqJor-JE9ciowAA"),
    ("451e9252b6", "e0de506b-a705-59cc-9bfa-d37593141231", "a1De4AWnzFmb-tN1kxQSMQAA"),
    ("c8ca638a15", "34d859db-6585-5f91-a3b4-de853c15347d", "21nYNIVlkV-jtN6FPBU0fQAA"),
    ("35cd761967", "7642168e-1776-580d-9060-3f8530e19e9a", "jhZCdnYXDViQYD-FMOGemgAA"),
    ("01010101", "4b1682a8-f968-5701-83fc-7c6741dc6697", "qIIWS2j5AVeD_HxnQdxmlwAA"),
    ("7c41d09ae2", "5311b51c-39a9-5887-b22c-da3eaf56e4ac", "HLURU6k5h1iyLNo-r1bkrAAA"),
    ("0b93f5e611", "4efe1927-ed22-58c5-bbb5-4d0f344148eb", "Jxn-TiLtxVi7tU0PNEFI6wAA"),
]


@pytest.mark.parametrize(("epid", "guid"), [(epid, guid) for epid, guid, _ in VECTORS])
def test_epid(epid: str, guid: str) -> None:
    """`endpoint.epid`: the GUID that a client computes from its epid."""
    assert epid_guid(epid) == guid
    (row,) = rows(invite(f"From: <sip:a@x.example>;tag=a;epid={epid}"))
    assert row.user1_endpoint_id == guid


def test_case_of_an_epid() -> None:
    """An epid's case matters."""
    assert epid_guid("8213020FD0F0CV") == "e8c7bf50-c217-51c8-a203-227ca4874333"
    assert epid_guid("8213020FD0F0CV".lower()) != epid_guid("8213020FD0F0CV")


@pytest.mark.parametrize(("guid", "opaque"), [(guid, opaque) for _, guid, opaque in VECTORS])
def test_gruu(guid: str, opaque: str) -> None:
    """`endpoint.gruu`: the registrar's GRUU holds the same GUID."""
    (row,) = rows(invite(f"Contact: <sip:a@x.example;opaque=user:epid:{opaque};gruu>"))
    assert row.user1_endpoint_id == guid
