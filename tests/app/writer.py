"""A process that writes the messages of all scenarios, or a part of them, in small transactions.

python -m tests.app.writer ADDRESS FOLDER PART PARTS BATCHES SEED

With PARTS above 1 it takes every PARTS-th message, and of the others each one with even chances; so all parts together
have all messages, and meet in the same calls. It prints a line when it begins to write, and one at the end.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sipcdr.app._write import Outcome, Refusals, write_calls
from sipcdr.sinks import Sink
from tests.scenarios.derivation import RULES, calls_of
from tests.scenarios.every import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipcdr.builder import SipMessage

KEYS = ("SessionIdTime", "SessionIdSeq")
REPLACED = ("ReplaceDialogIdTime", "ReplaceDialogIdSeq")


def all_messages() -> list[SipMessage]:
    """The messages of all scenarios, with Call-IDs that no other scenario has."""
    found = []
    for scenario in SCENARIOS:
        prefix = scenario.name.encode() + b" "
        for message in scenario.messages():
            headers = message.headers
            if b"replaces" in headers:
                headers = headers | {b"replaces": [prefix + value for value in headers[b"replaces"]]}
            found.append(msgspec.structs.replace(message.plain(), call_id=prefix + message.call_id, headers=headers))
    return found


def meaning(sink: Sink, messages: Iterable[SipMessage]) -> list[dict[str, Any]]:
    """The sessions of these messages, with every key read as what it stands for: keys depend on who wrote first."""
    sessions = list(sink.sessions({message.call_id for message in messages}))
    names = {tuple(each[key] for key in KEYS): (each["CallId"], each["FromTag"], each["ToTag"]) for each in sessions}
    assert len(names) == len(sessions), "two sessions have one key"
    return [
        {name: value for name, value in each.items() if name not in KEYS + REPLACED}
        | {"Replaced": None if each[REPLACED[0]] is None else names[tuple(each[key] for key in REPLACED)]}
        for each in sessions
    ]


def main(address: str, folder: str, *numbers: str) -> None:
    """Write, as the module says."""
    part, parts, batches, seed = map(int, numbers)
    chance = random.Random(seed)
    messages = [
        message
        for number, message in enumerate(all_messages())
        if number % parts == part or (parts > 1 and chance.random() < 0.5)
    ]
    chance.shuffle(messages)
    outcome = Outcome()
    with Sink.open(address) as sink:
        print("writing", flush=True)
        for batch in range(batches):
            calls = calls_of(messages[batch::batches])
            write_calls(sink, calls, RULES, outcome=outcome, refusals=Refusals(Path(folder) / f"refused{part}.jsonl"))
    assert not outcome.refused
    assert not outcome.damaged
    print("written", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
