"""What `--caller`, `--callee`, `--since` and the others choose."""

from __future__ import annotations

import pytest

from sipcdr.app._select import Selection, address
from sipcdr.builder import Position, SipMessage
from tests.app.capture import record


@pytest.mark.parametrize(
    ("wanted", "stored"),
    [
        ("ann@example.com", "ann@example.com"),
        ("sip:ann@example.com", "ann@example.com"),
        ("<sip:Ann@Example.COM:5060;transport=tls>", "ann@example.com"),
        ("sips:ann:secret@[2001:db8::1]:5061", "ann@[2001:db8::1]"),
        ("ann", "ann@example.com"),
        (" ANN ", "ann@example.com"),
        ("+49301234", "+49301234@gw.example;user=phone"),
        ("+49301234@gw.example", "+49301234@gw.example;user=phone"),
        ("+49301234@gw.example;user=phone", "+49301234@gw.example;user=phone"),
        ("tel:+49-30-12.34", "+49301234"),
        ("0398", "0398;phone-context=ims.example@ims.example;user=phone"),
        ("sip:gw.example", "gw.example"),
        ("im:ann@example.com", "im:ann@example.com"),
    ],
)
def test_an_address_is_found_as_people_write_it(wanted: str, stored: str) -> None:
    """The whole address, with or without scheme, port and parameters, or its user part."""
    assert Selection(caller=address(wanted)).session(record(User1=stored))


@pytest.mark.parametrize("wanted", ["an", "annn", "example.com", "ben@example.com", "ann@example.org", ""])
def test_other_addresses_are_not_found(wanted: str) -> None:
    """A part of a user, a host, or another user is no match."""
    assert not Selection(caller=address(wanted)).session(record(User1="ann@example.com"))


def test_a_session_without_the_user_is_not_found() -> None:
    """An unknown caller is nobody's call."""
    assert not Selection(caller="ann").session(record())


@pytest.mark.parametrize(("user2", "target"), [("ben@x", "hunt@x"), ("hunt@x", "ben@x"), (None, "ben@x")])
def test_a_callee_is_who_was_reached_or_dialled(user2: str | None, target: str) -> None:
    """A forwarded call is found by either."""
    assert Selection(callee="ben").session(record(User2=user2, TargetUser=target))


def test_caller_and_callee_must_both_match() -> None:
    """Two conditions narrow each other down."""
    both = Selection(caller="ann", callee="ben")
    assert both.session(record(User1="ann@x", User2="ben@x"))
    assert not both.session(record(User1="ann@x", User2="cleo@x"))
    assert not both.session(record(User1="cleo@x", User2="ben@x"))


def message(time: int, call_id: bytes = b"c1") -> SipMessage:
    """A message at this time."""
    return SipMessage(time, "INVITE", 0, call_id, b"f", b"", 1, 1, {}, b"", 0, Position("x", 1))


def test_times_choose_messages_from_since_on_and_before_until() -> None:
    """Two ranges that meet share no message and miss none."""
    batch = [message(time) for time in (1, 2, 3, 4)]
    assert [m.time for m in Selection(since=2, until=4).messages(batch)] == [2, 3]
    assert [m.time for m in Selection(since=3).messages(batch)] == [3, 4]
    assert [m.time for m in Selection(until=3).messages(batch)] == [1, 2]
    assert Selection().messages(batch) == batch


def test_a_call_id_is_chosen_whole() -> None:
    """The Call-ID is compared as it is shown, also one that is no UTF-8."""
    batch = [message(1, b"c1"), message(2, b"C1"), message(3, b"c1x"), message(4, b"\xff")]
    assert [m.time for m in Selection(call_id="c1").messages(batch)] == [1]
    assert [m.time for m in Selection(call_id="\\xff").messages(batch)] == [4]
