"""`text.fit`: values that every database can take (derivations.md section 4.3)."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcdr.builder._text import HEADER_LENGTH, fit, text

EMOJI = "\U0001f600"


@pytest.mark.parametrize(
    ("value", "length", "fitted"),
    [
        ("plain", 10, "plain"),
        ("  plain \t", 10, "plain \ufffd"),
        ("  plain  ", 10, "plain"),
        ("a\x00b\x1fc\x7fd\x85e", 20, "a\ufffdb\ufffdc\ufffdd\ufffde"),
        ("a\r\nb", 20, "a\ufffd\ufffdb"),
        ("a\ufffe\uffff\U0001fffe\U0010ffffb", 20, "a\ufffd\ufffd\ufffd\ufffdb"),
        ("a\ud800b", 20, "a\ufffdb"),
        ("a\u0301\u00e1", 20, "a\u0301\u00e1"),
        ("abcdef", 3, "abc"),
        ("ab  ef", 3, "ab"),
        (EMOJI * 3, 6, EMOJI * 3),
        (EMOJI * 3, 5, EMOJI * 2),
        ("a" + EMOJI, 2, "a"),
        ("\u00e4" * 5, 3, "\u00e4" * 3),
        ("", 5, None),
        (" \u3000 ", 5, None),
    ],
)
def test_fit(value: str, length: int, fitted: str | None) -> None:
    """What no database takes is replaced one for one, blanks around go, too long a value is cut by UTF-16 units."""
    assert fit(value, length, "x") == fitted


def test_counts() -> None:
    """What was replaced and what was cut is counted by column."""
    counts: Counter[str] = Counter()
    fit("a\x00", 5, "Users.UserUri", counts)
    fit("abcdef", 5, "Users.UserUri", counts)
    fit("plain", 5, "Users.UserUri", counts)
    fit(text(b"a\xff"), 5, "Users.UserUri", counts)
    assert counts == {"replaced Users.UserUri": 2, "truncated Users.UserUri": 1}


@pytest.mark.parametrize(
    ("value", "decoded"),
    [
        (b"plain", "plain"),
        ("h\u00f6rt".encode(), "h\u00f6rt"),
        (b"a\xffb", "a\ufffdb"),
        (b"\xf8\x88\x80\x80\x80", "\ufffd" * 5),
        (b"\xe2\x82", "\ufffd" * 2),
        (b"\xed\xa0\x80", "\ufffd" * 3),
        (b"x" * 5000, "x" * HEADER_LENGTH),
        ("\u00e4".encode() * 5000, "\u00e4" * HEADER_LENGTH),
    ],
)
def test_text(value: bytes, decoded: str) -> None:
    """Each bad byte becomes U+FFFD; a value is cut to what a fact keeps."""
    assert text(value) == decoded


@given(st.text(), st.integers(1, 40))
def test_fit_of_any_text(value: str, length: int) -> None:
    """The result fits, is clean, has no blanks around, and fits as it is."""
    fitted = fit(value, length, "x")
    if fitted is not None:
        assert 0 < len(fitted.encode("utf-16-le")) // 2 <= length
        assert fitted == fitted.strip()
        assert fit(fitted, length, "x") == fitted
