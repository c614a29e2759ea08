"""Finding stored calls by their users or by a session's key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sipcdr.builder import User, call_key
from sipcdr.sinks import SessionKey
from tests.sinks.rows import change, details, write

if TYPE_CHECKING:
    from sipcdr.sinks import Sink

ANN, BEN = User("ann@corp.example", 1), User("ben@corp.example", 1)
PHONE = User("+49301234@gw.example;user=phone", 0)
ODD = User("a%_[b@corp.example", 1)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"caller": "ann"}, {1, 2}),
        ({"caller": "ann@corp.example"}, {1, 2}),
        ({"caller": "an"}, set()),
        ({"caller": "ann", "callee": "ben"}, {1}),
        ({"callee": "+49301234"}, {2}),
        ({"callee": "+49301234@gw.example"}, {2}),
        ({"callee": "dialled"}, {2}),
        ({"caller": "a%_[b"}, {3}),
        ({"caller": "%"}, set()),
        ({"caller": "ann", "limit": 1}, {2}),
    ],
)
def test_by_users(sink: Sink, asked: dict[str, Any], found: set[int]) -> None:
    """A user is an address or its user part, without wildcards; a callee also who was dialled."""
    write(
        sink,
        change(details(1, user1=ANN, user2=BEN)),
        change(details(2, user1=ANN, user2=PHONE, target_user=User("dialled@corp.example", 1))),
        change(details(3, user1=ODD, user2=BEN)),
    )
    assert set(sink.find(**asked)) == {details(number).call_id for number in found}


def test_by_key(sink: Sink) -> None:
    """A key finds its session's call, also where the Call-ID holds semicolons."""
    row = details(1, call_id=b"a;b;c@x", external_id=b"a;b;c@x;f1;t1")
    write(sink, change(row), change(details(2)))
    stored = sink.read([call_key(row.call_id)])[call_key(row.call_id)]
    assert stored.keys is not None
    assert sink.find(key=stored.keys[0].key) == [row.call_id]
    assert sink.find(key=SessionKey(stored.keys[0].key.time, 99)) == []
