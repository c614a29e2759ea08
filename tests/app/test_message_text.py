"""The text of a message as it is shown: no secrets, nothing that a terminal or a page would act on."""

from __future__ import annotations

import pytest

from sipcdr.app._message_text import LONGEST, shown_text


def shown(head: str, body: str = "") -> str:
    """A message with this header and body, as it is shown."""
    raw = f"REGISTER sip:a SIP/2.0\n{head}\n\n".replace("\n", "\r\n").encode()
    return shown_text(raw + body.encode(), len(raw))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (
            'Authorization: Digest username="ann", realm="x", nonce="n", response="cafe", cnonce="beef"',
            'Authorization: Digest username="ann", realm="x", nonce="n", response=***, cnonce=***',
        ),
        (
            'Proxy-Authorization: Digest username="a",\n response="cafe"',
            'Proxy-Authorization: Digest username="a", response=***',
        ),
        ("Authorization: Basic YWJjOmRlZg==", "Authorization: Basic ***"),
        ("authorization: Bearer response=cafe", "authorization: Bearer ***"),
        (
            'Authorization: NTLM targetname="s", gssapi-data="TlRMTVNTUAAD"',
            'Authorization: NTLM targetname="s", gssapi-data=***',
        ),
        ("Authorization: cafe", "Authorization: ***"),
        ('WWW-Authenticate: Digest realm="x", nonce="n"', 'WWW-Authenticate: Digest realm="x", nonce="n"'),
        ('Proxy-Authenticate: Kerberos gssapi-data="YII", cafe="cafe"', "Proxy-Authenticate: Kerberos gssapi-data=***"),
        ('Authentication-Info: rspauth="cafe", nextnonce="beef"', "Authentication-Info: rspauth=***, nextnonce=***"),
        ("From: <sip:ann:hunter2@x>;tag=1", "From: <sip:ann:***@x>;tag=1"),
        ("Subject: \x1b[31m\u202e\x07", r"Subject: \x1b[31m\u202e\x07"),
    ],
)  # fmt: skip
def test_headers(given: str, wanted: str) -> None:
    """Of credentials there is who and where, but nothing that a password made."""
    assert shown(given).split("\n")[1] == wanted


def test_keys_of_media() -> None:
    """Keys in SDP are masked."""
    text = shown(
        "A: b",
        "v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^20\r\na=ice-pwd:secret\r\nk=clear:secret\r\n",
    )
    assert "secret" not in text
    assert "c2VjcmV0" not in text
    assert "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:***\na=ice-pwd:***\nk=clear:***" in text


def test_a_long_message() -> None:
    """What is beyond the limit is counted, not shown."""
    text = shown("A: b", "x" * 2 * LONGEST)
    assert len(text) < LONGEST + 100
    assert text.endswith("more bytes]")
