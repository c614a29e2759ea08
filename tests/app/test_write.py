"""Writing calls: the numbered steps, what two runs leave (P4), what a second run changes (P7), retries and refusals."""

from __future__ import annotations

import base64
import json
import random
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

import sipcdr.app._write as module
from sipcdr.app._write import CONFLICTS, Outcome, Refusals, Retry, match, write_calls
from sipcdr.builder import Call, Rules, SessionDetails, call_key, sessions
from sipcdr.sinks import (
    SessionKey,
    Sink,
    SinkConflict,
    SinkFull,
    SinkLocked,
    SinkRefused,
    SinkUnavailable,
    StoredKey,
    StoredPosition,
)
from tests.scenarios.derivation import calls_of
from tests.scenarios.every import NUMBERS, SCENARIOS
from tests.scenarios.notation import messages
from tests.sinks.rows import assert_whole, at, details, execute, url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from sipcdr.builder import SipMessage
    from sipcdr.sinks import Transaction

RULES = Rules()
CALL = """
0    a>-  INVITE 1
1    a>b  200 1
1.1  a>b  ACK 1
9    a>b  BYE 1
9.1  a>b  200/BYE 1
"""
ANSWERED = messages(CALL)


def call_of(*chosen: SipMessage) -> Call:
    """One call of these messages."""
    (call,) = calls_of(chosen)
    return call


def other(name: str) -> Call:
    """The usual call under another Call-ID."""
    return call_of(*messages("\n".join(f"{line} call={name}" for line in CALL.strip().splitlines())))


class Run:
    """A database and what a command would have beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sink = Sink.open(f"{url(path)}?timeout=0.05")
        # A program other than ours, which waits for no disk.
        self.direct = sqlite3.connect(path)
        self.direct.execute("PRAGMA synchronous = OFF")
        self.refused = path.with_name("refused.jsonl")
        self.waits: list[float] = []
        self.outcome = Outcome()

    def write(self, calls: Sequence[Call], sink: Any = None, patience: float = 60.0, **options: Any) -> Outcome:
        """Write calls, and return what came of all so far. Waits take no time, but the clock believes in them."""
        write_calls(
            sink or self.sink,
            calls,
            RULES,
            outcome=self.outcome,
            refusals=Refusals(self.refused),
            retry=Retry(patience=patience),
            sleep=self.waits.append,
            clock=lambda: sum(self.waits),
            **options,
        )
        return self.outcome

    def clear(self) -> None:
        """Delete all sessions and calls."""
        with self.direct:
            for table in ("SessionDetails", "Media", "Dialogs", "sipcdr_references", "sipcdr_calls"):
                self.direct.execute(f"DELETE FROM {table}")

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """What is in the file."""
        return self.direct.execute(text).fetchall()

    def close(self) -> None:
        """Close the file, which must be whole."""
        self.sink.close()
        self.direct.close()
        assert_whole(self.path)

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables."""
        names = self.query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        return {name: self.query(f"SELECT * FROM {name}") for (name,) in names}

    def meaning(self, call_ids: set[bytes]) -> list[Any]:
        """What the rows say, with every key read as the ExternalId that it stands for."""
        dialogs = {
            (time, seq): external_id
            for time, seq, external_id in self.query("SELECT SessionIdTime, SessionIdSeq, ExternalId FROM Dialogs")
        }
        replaced = {
            dialogs[time, seq]: None if other_time is None else dialogs[other_time, other_seq]
            for time, seq, other_time, other_seq in self.query(
                "SELECT SessionIdTime, SessionIdSeq, ReplaceDialogIdTime, ReplaceDialogIdSeq FROM SessionDetails",
            )
        }
        keys = {"SessionIdTime", "SessionIdSeq", "ReplaceDialogIdTime", "ReplaceDialogIdSeq"}
        shown = [
            {name: value for name, value in session.items() if name not in keys}
            for session in self.sink.sessions(call_ids)
        ]
        stored = [
            (key.tags, key.pairs, key.invite_time)
            for call in sorted(self.sink.read([call_key(each) for each in call_ids]).values(), key=lambda c: c.call_key)
            for key in call.keys or ()
        ]
        tables = [
            sorted((dialogs[time, seq], *rest) for time, seq, *rest in self.query(f"SELECT * FROM {table}"))
            for table in ("Media", "sipcdr_references")
        ]
        facts = self.query("SELECT CallKey, FirstTime, LastTime, Facts FROM sipcdr_calls ORDER BY 1")
        return [shown, sorted(dialogs.values()), sorted(replaced.items()), stored, tables, facts]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """An empty database; whatever a test did, it is whole afterwards."""
    made = Run(tmp_path / "cdr.db")
    yield made
    made.close()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, Run]]:
    """Two databases that tests clear themselves, as making them takes longer than using them."""
    made = tuple(Run(tmp_path_factory.mktemp("runs") / "cdr.db") for _ in range(2))
    yield (made[0], made[1])
    for each in made:
        each.close()


@pytest.mark.parametrize("number", NUMBERS)
def test_two_runs_in_either_order(runs: tuple[Run, Run], number: str) -> None:
    """P4: two runs, each with a part of the messages, leave the rows that the whole leaves, whichever comes first."""
    whole, parts = runs
    for scenario in SCENARIOS:
        if scenario.number != number:
            continue
        found = scenario.messages()
        call_ids = {message.call_id for message in found}
        whole.clear()
        whole.write(calls_of(found))
        expected = whole.meaning(call_ids)
        dice = random.Random(scenario.name)
        cut = dice.randrange(len(found) + 1)
        sides = [dice.choice(("first", "second", "both")) for _ in found]
        for one, two in (
            (found[:cut], found[cut:]),
            (
                [m for m, side in zip(found, sides, strict=True) if side != "second"],
                [m for m, side in zip(found, sides, strict=True) if side != "first"],
            ),
        ):
            for order in ((one, two), (two, one)):
                parts.clear()
                for part in order:
                    parts.write(calls_of(part))
                assert parts.meaning(call_ids) == expected, scenario.name


@pytest.mark.parametrize("number", NUMBERS)
def test_writing_again_writes_nothing(runs: tuple[Run, Run], number: str) -> None:
    """P7: the whole, or any part of it, written again changes no row of any table."""
    run, _ = runs
    for scenario in SCENARIOS:
        if scenario.number == number:
            found = scenario.messages()
            run.clear()
            run.write(calls_of(found))
            before = run.everything()
            run.write(calls_of(found))
            run.write(calls_of(random.Random(scenario.name).sample(found, len(found) // 2)))
            assert run.everything() == before, scenario.name


def test_step_1_leaves_out_what_brings_nothing_new(run: Run) -> None:
    """A call whose facts are all stored is counted as unchanged, and the lock isn't taken."""
    call = call_of(*ANSWERED)
    assert run.write([call]) == Outcome(calls=1, inserted=1)
    before = run.everything()
    assert run.write([call, call_of(ANSWERED[0])]) == Outcome(calls=1, inserted=1, unchanged=1)
    assert run.everything() == before


def test_step_1_joins_a_call_that_is_twice_in_a_batch(run: Run) -> None:
    """Both parts of a Call-ID in one batch are written as one."""
    assert run.write([call_of(*ANSWERED[3:]), other("2"), call_of(*ANSWERED[:3])]).inserted == 2
    (session,) = run.sink.sessions([ANSWERED[0].call_id])
    assert (session["InviteTime"], session["SessionEndTime"]) == (ANSWERED[0].time, ANSWERED[3].time)


def test_step_1_compresses_with_the_format_in_front(run: Run) -> None:
    """Facts are the call's bytes in a Zstandard frame behind a byte that says so."""
    call = call_of(*ANSWERED)
    run.write([call])
    ((facts,),) = run.query("SELECT Facts FROM sipcdr_calls")
    assert facts[0] == 1
    assert zstandard.decompress(facts[1:]) == bytes(call)


class Meddling:
    """A sink where another writer comes in between reading and the lock, a number of times."""

    def __init__(self, sink: Sink, meddle: Callable[[], None], times: int = 1) -> None:
        self._sink = sink
        self._meddle = meddle
        self._times = times

    def read(self, keys: Sequence[bytes]) -> Any:
        """Read, after which the other writer comes."""
        found = self._sink.read(keys)
        if self._times:
            self._times -= 1
            self._meddle()
        return found

    def begin(self) -> Any:
        """Begin as ever."""
        return self._sink.begin()


def test_step_3_joins_again_under_the_lock(run: Run) -> None:
    """A call that another writer stored or changed after it was read is joined with what is there by then."""
    late = Outcome()

    def meddle() -> None:
        write_calls(run.sink, [call_of(*ANSWERED[3:])], RULES, outcome=late, refusals=Refusals(run.refused))

    assert run.write([call_of(*ANSWERED[:2]), other("2")], Meddling(run.sink, meddle)).updated == 1
    assert run.write([call_of(ANSWERED[2]), other("3")], Meddling(run.sink, meddle)).calls == 4
    assert run.waits == []
    (session,) = run.sink.sessions([ANSWERED[0].call_id])
    assert (session["InviteTime"], session["SessionEndTime"]) == (ANSWERED[0].time, ANSWERED[3].time)


def stored(tags: str, second: int = 0) -> StoredKey:
    """A key of a session with these two tags."""
    caller, callee = (tag.strip("-").encode() for tag in tags.split(">"))
    time = at("23 08:00:00") + second * 1_000_000
    return StoredKey((caller, callee), (), time, SessionKey(time, 1))


def row(tags: str, second: int = 0) -> SessionDetails:
    """A row with these two tags."""
    caller, callee = (tag.strip("-").encode() for tag in tags.split(">"))
    return details(1, tags=(caller, callee), invite_time=at("23 08:00:00") + second * 1_000_000)


# Rows, keys, which key each row keeps (its place or None), which keys go.
MATCHES: dict[str, tuple[list[SessionDetails], list[StoredKey], list[int | None], list[int]]] = {
    "nothing stored": ([row("a>b"), row("a>c")], [], [None, None], []),
    "no rows any more": ([], [stored("a>b"), stored("a>c")], [], [0, 1]),
    "the same": ([row("a>b")], [stored("a>b")], [0], []),
    "turned round, as a BYE of the callee names it": ([row("a>b", 0)], [stored("b>a", 9)], [0], []),
    "InviteTime comes before order": ([row("a>b", 0), row("a>b", 60)], [stored("a>b", 60)], [None, 0], []),
    "the same two tags before one in common": ([row("a>c"), row("a>b")], [stored("a>b", 5)], [None, 0], []),
    "a tag in common": ([row("a>b")], [stored("a>-", 3)], [0], []),
    "an empty tag in common is none": ([row("a>-")], [stored("b>-")], [None], [0]),
    "no tag in common": ([row("a>b")], [stored("c>d")], [None], [0]),
    "each key once, the earliest first": (
        [row("a>b", 1), row("a>c", 2), row("a>d", 3)],
        [stored("a>x", 5), stored("a>y", 6)],
        [0, 1, None],
        [],
    ),
    "of two keys in common the earlier": ([row("a>b")], [stored("b>x", 7), stored("a>y", 8)], [0], [1]),
    "an orphan that joins a lineage": ([row("a>b")], [stored("a>b"), stored("b>x", 4)], [0], [1]),
    "empty tags on both sides are the same two tags": ([row("->-", 1)], [stored("->-", 2)], [0], []),
}


@pytest.mark.parametrize("name", MATCHES)
def test_step_4_matches_rows_with_keys(name: str) -> None:
    """Rows take the call's keys in three passes, each key once; what is left over is new, or goes."""
    rows, keys, kept, gone = MATCHES[name]
    expected = [(each, None if place is None else keys[place].key) for each, place in zip(rows, kept, strict=True)]
    assert match(rows, keys) == (expected, [keys[place].key for place in gone])


def test_step_4_is_quick_for_thousands_of_rows() -> None:
    """A hostile call with as many rows as its bounds allow is matched without comparing each with each."""
    rows = [row(f"a>b{number}", number) for number in range(4000)]
    keys = [stored(f"a>c{number}", number) for number in range(4000)]
    matched, gone = match(rows, keys)
    assert [key for _, key in matched] == [key.key for key in keys]
    assert gone == []


class Failing:
    """A sink whose transactions fail in turn with these errors, then no more."""

    def __init__(self, sink: Sink, *errors: Exception) -> None:
        self._sink = sink
        self._errors = list(errors)
        self.read = sink.read

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """Fail before the commit, as a database does."""
        with self._sink.begin() as transaction:
            yield transaction
            if self._errors:
                raise self._errors.pop(0)


def test_a_database_that_is_away_is_waited_for(run: Run) -> None:
    """A transaction that failed is begun again, with waits that grow up to a bound, and counts once."""
    errors = [SinkUnavailable("away"), SinkLocked("locked"), SinkConflict("met")] * 3
    outcome = run.write([call_of(*ANSWERED)], Failing(run.sink, *errors))
    assert outcome == Outcome(calls=1, inserted=1)
    assert len(run.waits) == 9
    assert all(0.025 * 2**n <= min(wait, 2.5) for n, wait in enumerate(run.waits[:6]))
    assert max(run.waits) <= 5.0


def test_a_replay_gives_up_after_its_patience(run: Run) -> None:
    """A database that stays locked ends the replay with what is committed whole."""
    run.write([other("2")])
    before = run.everything()
    with closing(sqlite3.connect(run.path)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(SinkLocked, match="another program holds the database"):
            run.write([call_of(*ANSWERED)], patience=3.0)
    assert 3.0 <= sum(run.waits) < 9.0
    assert run.everything() == before


def test_a_full_disk_ends_at_once(run: Run) -> None:
    """A disk that is full is no reason to wait."""
    with pytest.raises(SinkFull):
        run.write([call_of(*ANSWERED)], Failing(run.sink, SinkFull("no room is left")))
    assert run.waits == []
    assert run.outcome == Outcome()


def refuses(run: Run, monkeypatch: pytest.MonkeyPatch, call_id: bytes, **columns: Any) -> None:
    """Let the derivation give a row of this call that the database doesn't take."""

    def derived(call: Call, *arguments: Any) -> list[SessionDetails]:
        rows = sessions(call, *arguments)
        return [details(1, call.call_id.decode(), **columns)] if call.call_id == call_id else rows

    monkeypatch.setattr(module, "sessions", derived)


def test_data_that_the_database_refuses(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refused call goes to a file with its facts, all others are written, and positions with the last part."""
    calls = [other(str(number)) for number in range(2, 12)]
    bad = calls[3]
    refuses(run, monkeypatch, bad.call_id, is_user1_internal=7, server="=1+1\x1b")
    outcome = run.write(calls, positions=[StoredPosition("topic", "0", 99)])
    assert (outcome.calls, outcome.refused) == (9, 1)
    (line,) = run.refused.read_text().splitlines()
    record = json.loads(line)
    assert record["call_id"] == bad.call_id.decode()
    assert "CHECK constraint failed" in record["reason"]
    assert record["rows"][0]["IsUser1Internal"] == 7
    assert zstandard.decompress(base64.b64decode(record["facts"])[1:]) == bytes(bad)
    assert run.query("SELECT Position FROM sipcdr_positions WHERE Source = 'topic'") == [(99,)]
    assert list(run.sink.sessions([bad.call_id])) == []


@pytest.mark.parametrize("place", [0, 9])
def test_only_the_last_part_carries_positions(run: Run, monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    """Positions are written when all parts are, also where the last call is the refused one, and not before."""
    calls = [other(str(number)) for number in range(2, 12)]
    refuses(run, monkeypatch, calls[place].call_id, server="\ud800")
    with pytest.raises(SinkFull):
        run.write(calls, Part(run.sink, 3), positions=[StoredPosition("topic", "0", 99)])
    assert run.query("SELECT COUNT(*) FROM sipcdr_positions") == [(1,)]
    run.write(calls, positions=[StoredPosition("topic", "0", 99)])
    assert run.query("SELECT Position FROM sipcdr_positions WHERE Source = 'topic'") == [(99,)]
    assert run.query("SELECT COUNT(*) FROM SessionDetails") == [(9,)]


class Part:
    """A sink that is full after a number of transactions."""

    def __init__(self, sink: Sink, times: int) -> None:
        self._sink = sink
        self._times = times
        self.read = sink.read

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """Commit, or be full."""
        if not self._times:
            raise SinkFull("no room is left")
        self._times -= 1
        with self._sink.begin() as transaction:
            yield transaction


def test_the_eighth_conflict_is_taken_for_bad_data(run: Run) -> None:
    """A call that conflicts without end is refused after eight times; positions alone that do are an error."""
    forever = [SinkConflict("unique")] * 100
    outcome = run.write([call_of(*ANSWERED)], Failing(run.sink, *forever[:CONFLICTS]))
    assert (outcome.refused, outcome.calls, len(run.waits)) == (1, 0, CONFLICTS - 1)
    with pytest.raises(SinkRefused, match="too long"):
        run.write([], Failing(run.sink, SinkRefused("too long")), positions=[StoredPosition("topic", "0", 1)])


def test_a_frozen_call_is_left_alone(run: Run) -> None:
    """Where the facts were purged, later messages change nothing and are counted."""
    run.write([call_of(*ANSWERED[:3])])
    execute(run.path, "UPDATE sipcdr_calls SET Facts = x''")
    before = run.everything()
    assert run.write([call_of(*ANSWERED[3:]), call_of(*ANSWERED)]).frozen == 1
    assert run.everything() == before


DAMAGED = {
    "no frame": b"\x01no frame at all",
    "a newer compression": b"\x02" + bytes(20),
    "a frame that is cut": b"\x01" + zstandard.compress(bytes(call_of(*ANSWERED)))[:-9],
    "a frame that claims too much": b"\x01" + bytes.fromhex("28b52ffde0ffffffffffffff7f010000"),
    "a frame of something else": b"\x01" + zstandard.compress(b"something else"),
    "another call": b"\x01" + zstandard.compress(bytes(other("2"))),
    "a newer version's call": b"\x01" + zstandard.compress(b"\x95\x63" + bytes(call_of(*ANSWERED))[2:]),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_stored_facts_that_do_not_decode(run: Run, name: str) -> None:
    """They are named with their CallKey, the call's rows are left alone, and other calls are written."""
    run.write([call_of(*ANSWERED[:3])])
    with closing(sqlite3.connect(run.path)) as connection, connection:
        connection.execute("UPDATE sipcdr_calls SET Facts = ?", (DAMAGED[name],))
    key = call_key(ANSWERED[0].call_id)
    before = run.query("SELECT * FROM SessionDetails")
    outcome = run.write([call_of(*ANSWERED), other("2")])
    (damaged,) = outcome.damaged.values()
    assert damaged.call_key == key.hex()
    assert damaged.reason
    assert run.query("SELECT * FROM SessionDetails WHERE InviteTime < '2026-11-24' LIMIT 1") == before
    assert run.query("SELECT COUNT(*) FROM SessionDetails") == [(2,)]


def test_keys_that_do_not_decode(run: Run) -> None:
    """A call whose Keys are damaged is named and left alone as well, and a reference to it is empty."""
    run.write([call_of(*ANSWERED[:3])])
    execute(run.path, "UPDATE sipcdr_calls SET Keys = x'c1'")
    referring = messages("20 c>- INVITE 1 call=2 | Replaces: 1@x.example;from-tag=a;to-tag=b\n21 c>d 200 1 call=2")
    outcome = run.write([call_of(*ANSWERED), call_of(*referring)])
    assert [damaged.reason for damaged in outcome.damaged.values()] == ["the stored keys of its sessions don't decode"]
    assert run.query("SELECT COUNT(*), COUNT(ReplaceDialogIdSeq) FROM SessionDetails") == [(2, 0)]


def test_writers_take_turns(tmp_path: Path) -> None:
    """Four writers with parts of the same calls at once, the making of the tables included, leave the whole's rows."""
    calls = [messages(CALL.replace(" 1\n", f" 1 call={number}\n")) for number in range(40)]
    path = tmp_path / "cdr.db"

    def work(number: int) -> Outcome:
        outcome = Outcome()
        dice = random.Random(number)
        with Sink.open(url(path)) as sink:
            for _ in range(8):
                batch = [call_of(*dice.sample(each, 3)) for each in dice.sample(calls, 20)]
                write_calls(sink, batch, RULES, outcome=outcome, refusals=Refusals(tmp_path / "refused"))
            write_calls(
                sink,
                [call_of(*each[number::4]) for each in calls],
                RULES,
                outcome=outcome,
                refusals=Refusals(tmp_path / "r"),
            )
        return outcome

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(work, range(4)))
    assert [(outcome.refused, outcome.damaged) for outcome in outcomes] == [(0, {})] * 4
    found, whole = Run(path), Run(tmp_path / "whole.db")
    whole.write([call_of(*each) for each in calls])
    assert found.meaning({each[0].call_id for each in calls}) == whole.meaning({each[0].call_id for each in calls})
    found.close()
    whole.close()


def test_what_the_derivation_counts_is_counted_once(run: Run) -> None:
    """Counts of an attempt that failed are dropped with it."""
    odd = call_of(*messages("0 a>- INVITE 1\n1 a>b 200 1\n2 c>d BYE 1\n3 a>- MESSAGE 2 | Content-Type: x"))
    once = run.write([odd]).counts.copy()
    run.clear()
    run.outcome = Outcome()
    run.write([odd], Failing(run.sink, *[SinkLocked("locked")] * 4))
    assert run.outcome.counts == once
