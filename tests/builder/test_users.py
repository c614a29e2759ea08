"""Users.UserUri: what is stored of an address (derivations.md section 4.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcdr.builder import User
from sipcdr.builder._syntax import address, parameter, split_values
from sipcdr.builder._users import user_of, user_part

CASES = [
    ("<sip:ann@corp.example>", "ann@corp.example", 1),
    ("sip:ann@corp.example", "ann@corp.example", 1),
    ("sip:ann@corp.example;tag=1", "ann@corp.example", 1),
    ("SIP:Ann@Corp.Example:5061", "ann@corp.example", 1),
    ("<sips:ann:secret@corp.example:5061;transport=tls?subject=x>", "ann@corp.example", 1),
    ("<sip:corp.example>", "corp.example", 1),
    ("<sip:192.0.2.7:5062;user=phone>", "192.0.2.7", 1),
    ("<sip:u@[2001:DB8::1]:5060>", "u@[2001:db8::1]", 1),
    ('"Ann; <x>, \\"y\\"" <sip:ann@x>;tag=1', "ann@x", 1),
    ('\\"ann\\" <sip:ann@x>;tag=a', "ann@x", 1),
    ('"never closed <sip:ann@x>', "ann@x", 1),
    ("Ann Lee <sip:ann@x>", "ann@x", 1),
    ("Ann<sip:ann@x", "ann@x", 1),
    ("<sip:%41nn@x>", "ann@x", 1),
    ("<sip:a%40b@x>", "a%40b@x", 1),
    ("<sip:a%4@x>", "a%4@x", 1),
    ("<sip:a;x?y#z$w@x>", "a;x?y#z$w@x", 1),
    ("<sip:0398;phone-context=ims.x@ims.x;user=phone>", "0398;phone-context=ims.x@ims.x;user=phone", 0),
    ("<sip:+49301234@gw;user=phone>", "+49301234@gw;user=phone", 0),
    ("<sip:+49301234@gw;USER=Phone;x=y>", "+49301234@gw;user=phone", 0),
    ("<sip:+49301234@gw>", "+49301234@gw", 1),
    ("<tel:+1-(212)-555.0123>", "+12125550123", 0),
    ("<tel:+1-212-555-0123;phone-context=x.example>", "+12125550123", 0),
    ("<tel:555-0123;phone-context=X.example>", "5550123;phone-context=x.example", 0),
    ("tel:+49-30-1;ext=7", "+49301", 0),
    ("<tel:+49-30-1;ext=7>", "+49301;ext=7", 0),
    ("<urn:service:sos>", "urn:service:sos", 1),
    ("<im:ann@x>", "im:ann@x", 1),
    ("anonymous", "anonymous", 1),
    ("<sip:a\x00b@x>", "a\ufffdb@x", 1),
    ("<sip: ann @ x >", "ann@x", 1),
    ("<>", None, None),
    ("", None, None),
    ("<sip:>", None, None),
]


@pytest.mark.parametrize(("value", "uri", "uri_type"), CASES)
def test_user(value: str, uri: str | None, uri_type: int | None) -> None:
    """A header value gives the stored address and its type."""
    assert user_of(value, "x") == (None if uri is None or uri_type is None else User(uri, uri_type))


def test_escapes_of_unreserved_signs() -> None:
    """RFC 3261 section 19.1.4: two spellings of one user are one user."""
    assert user_of("<sip:%61%2Eb@x>", "x") == user_of("<sip:a.b@X>", "x")


@pytest.mark.parametrize(
    ("stored", "part"),
    [
        ("ann@x", "ann"),
        ("+4930551@gw;user=phone", "+4930551"),
        ("+4930551;ext=7", "+4930551"),
        ("corp.example", ""),
        ("192.0.2.7", ""),
    ],
)
def test_user_part(stored: str, part: str) -> None:
    """The user part of a stored address: of a number the number, of a host nothing."""
    assert user_part(stored) == part


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("a, b ,c", ["a", "b", "c"]),
        ("a,,b,", ["a", "b"]),
        ('"x, y" <sip:a@x>, <sip:b,c@x>', ['"x, y" <sip:a@x>', "<sip:b,c@x>"]),
        ('"x \\", y" <sip:a@x>', ['"x \\", y" <sip:a@x>']),
        ('"open, <sip:a@x>', ['"open', "<sip:a@x>"]),
        (" ", []),
    ],
)
def test_lists(value: str, parts: list[str]) -> None:
    """Commas in quotes or `<>` don't separate, empty elements are dropped (RFC 3261 section 7.3.1)."""
    assert split_values(value) == parts


@pytest.mark.parametrize(
    ("parameters", "value"),
    [
        (";epid=7", "7"),
        ('; x="a;epid=8" ; EPID = "7"', "7"),
        (";epid=7;epid=8", "7"),
        (";epid", ""),
        (";epidx=7", None),
        ("", None),
    ],
)
def test_parameters(parameters: str, value: str | None) -> None:
    """Names in any case, the first one wins, semicolons in quotes don't separate."""
    assert parameter(parameters, "epid") == value


@given(st.text(max_size=200))
def test_any_text(value: str) -> None:
    """No text raises, and what is stored fits its column."""
    address(value)
    parameter(value, "tag")
    split_values(value)
    found = user_of(value, "x")
    assert found is None or (found.uri == found.uri.strip() and 0 < len(found.uri.encode("utf-16-le")) <= 900)
