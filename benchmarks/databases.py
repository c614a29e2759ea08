"""Measures writing into each database beside that database's own bulk path, in one run on one machine.

    python -m benchmarks.databases [--calls 20000] [--rounds 3] [sqlite] [postgresql] [mariadb]

Prints the table that stands in benchmarks/README.md, in calls a second. The bulk path (SQLite executemany, PostgreSQL
COPY, MariaDB LOAD DATA LOCAL) loads the rows that a call fills into the same tables, indexes and foreign keys included,
4,000 calls a transaction; beside it stands what it takes for SessionDetails alone. The sink writes the same rows, with
look-ups cached; `write_calls` does all from calls in memory to the commit, and once more, when there is nothing new.

Seconds are of processor time, the program's and the server's together, so that other work on the machine counts little;
servers are throwaway ones without fsync. Compare the ratios of one run.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from sipcdr.app._write import Outcome, Refusals, write_calls
from sipcdr.builder import Rules
from sipcdr.sinks import Transaction, _mysql, _postgresql, _sink
from sipcdr.sinks._address import engine_of
from sipcdr.sinks._dialect import cursor_of
from tests.places import NAMES, SERVERS, Place, fresh
from tests.scenarios.derivation import calls_of
from tests.scenarios.notation import messages
from tests.servers._process import descendants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import sqlalchemy as sa

    from sipcdr.builder import Call, SipMessage
    from sipcdr.sinks import Change, Sink
    from sipcdr.sinks._bulk import Bulk
    from tests.servers import Database

BATCH = 4000
CALL = """
0    a>-  INVITE 1
0.1  a>-  100 1
1    a>b  180 1
4    a>b  200 1
4.1  a>b  ACK 1
90   a>b  BYE 1
90.1 a>b  200/BYE 1
"""
Rows = list[tuple[Any, ...]]


class Clock:
    """Processor seconds of this process and of a server's processes."""

    server: Database | None = None

    def __call__(self) -> float:
        """Return the seconds so far."""
        ticks = 0
        if self.server is not None:
            for pid in (self.server.pid, *descendants(self.server.pid)):
                with suppress(OSError):
                    # utime, stime, and those of children that ended; after the name in parentheses.
                    words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                    ticks += sum(map(int, words[11:15]))
        return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


clock = Clock()


def calls(count: int) -> list[Call]:
    """Answered calls of seven messages, 10 ms apart."""
    pattern = messages(CALL)
    made: list[SipMessage] = []
    for number in range(count):
        made += [
            msgspec.structs.replace(
                message.plain(), time=message.time + number * 10_000, call_id=b"call%d@x.example" % number
            )
            for message in pattern
        ]
    return calls_of(made)


def batches(items: Sequence[Any]) -> Iterator[Any]:
    """Parts of a transaction's size."""
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def written(sink: Sink, some: Sequence[Call]) -> float:
    """The seconds that the program's own function takes."""
    outcome = Outcome()
    refusals = Refusals(Path("refused.jsonl"))
    began = clock()
    for batch in batches(some):
        write_calls(sink, batch, Rules(), outcome=outcome, refusals=refusals)
    return clock() - began


class Recorded(NamedTuple):
    """What a sink was given and what it sent in bulk, a list item a transaction."""

    changes: list[Sequence[Change]]
    sent: list[list[tuple[Bulk, Rows]]]


def recorded(place: Place, some: Sequence[Call]) -> Recorded:
    """Write calls once, and keep all that passes between the program, the sink and the driver."""
    found = Recorded([], [])

    class Keeping(Transaction):
        def write(self, changes: Sequence[Change], positions: Any = ()) -> None:
            if changes:
                found.changes.append(changes)
            found.sent.append([])
            super().write(changes, positions)

        def _run(self, bulk: Bulk, rows: Rows) -> int:  # type: ignore[override]
            if bulk.insert and rows:
                found.sent[-1].append((bulk, rows))
            return super()._run(bulk, rows)

    kept = Transaction
    setattr(_sink, "Transaction", Keeping)  # noqa: B010
    try:
        with place.open() as sink:
            prime(sink)
            found.changes.clear()
            found.sent.clear()
            written(sink, some)
    finally:
        setattr(_sink, "Transaction", kept)  # noqa: B010
    return found


def prime(sink: Sink) -> None:
    """Write a call that isn't measured, so that look-ups are there and cached."""
    (first,) = calls_of(messages(CALL))
    written(sink, [first])


def load(connection: sa.Connection, bulk: Bulk, rows: Rows) -> None:
    """The database's own bulk path, straight into the table."""
    name = connection.dialect.name
    if name == "sqlite":
        connection.exec_driver_sql(bulk.text, rows)
    elif name == "postgresql":
        with cursor_of(connection) as cursor:
            _postgresql.copy(cursor, bulk.target, rows)
    else:
        _mysql.load(connection, bulk.target, rows)


def loaded(place: Place, sent: list[list[tuple[Bulk, Rows]]], *, alone: bool) -> float:
    """The seconds that loading takes: of all tables, or of SessionDetails where the rows it refers to are there."""
    with place.open() as sink:
        prime(sink)
    _, engine = engine_of(place.url)

    def load_all(chosen: Callable[[str], bool]) -> None:
        for parts in sent:
            with engine.begin() as connection:
                for bulk, rows in parts:
                    if chosen(bulk.target.partition(" ")[0].lower()):
                        load(connection, bulk, rows)

    if alone:
        load_all(lambda table: table == "dialogs")
    began = clock()
    load_all(lambda table: table == "sessiondetails" or not alone)
    seconds = clock() - began
    engine.dispose()
    return seconds


def measured(empty: Callable[[], Place], some: Sequence[Call]) -> dict[str, float]:
    """Calls a second of each way."""
    kept = recorded(empty(), some)
    seconds: dict[str, float] = {
        "bulk": loaded(empty(), kept.sent, alone=False),
        "bulk, SessionDetails alone": loaded(empty(), kept.sent, alone=True),
    }
    with empty().open() as sink:
        prime(sink)
        began = clock()
        for changes in kept.changes:
            with sink.begin() as transaction:
                transaction.write(changes)
        seconds["sink"] = clock() - began
    with empty().open() as sink:
        prime(sink)
        seconds["first"] = written(sink, some)
        seconds["second"] = written(sink, some)
    return {name: len(some) / each for name, each in seconds.items()}


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="DATABASE", help=", ".join(NAMES))
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    some = calls(arguments.calls)
    print("| database | bulk | of these SessionDetails | sink | ratio | write_calls | again | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for name in arguments.names:
        with ExitStack() as stack:
            numbers = count()
            if name == "sqlite":
                folder = stack.enter_context(tempfile.TemporaryDirectory())

                def empty(folder: str = folder, numbers: Iterator[int] = numbers) -> Place:
                    return Place("sqlite", f"sqlite:///{folder}/{next(numbers)}.db")
            else:
                clock.server = server = stack.enter_context(SERVERS[name]())

                def empty(server: Database = server, numbers: Iterator[int] = numbers) -> Place:  # type: ignore[misc]
                    return fresh(server, f"b{next(numbers)}")

            rounds = [measured(empty, some) for _ in range(arguments.rounds)]
        best = sorted(rounds, key=lambda each: each["sink"] / each["bulk"])[len(rounds) // 2]
        print(
            f"| {name} | {best['bulk']:,.0f} | {best['bulk, SessionDetails alone']:,.0f} | {best['sink']:,.0f} |"
            f" {best['sink'] / best['bulk']:.2f} | {best['first']:,.0f} | {best['second']:,.0f} |"
            f" {best['second'] / best['first']:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
