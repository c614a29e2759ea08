"""`Jobs`: captures read by several processes, each of which takes the calls whose Call-ID falls to it.

All of them read all that there is: telling a message's Call-ID takes what reading it takes, and to send messages from
process to process would cost more. What they find in common is counted by the first alone. Where calls are stored they
derive the rows too, and who asks for the calls has little to do but to write; else that is left to who shows them.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from queue import Empty, Queue
from typing import IO, TYPE_CHECKING, Final, NamedTuple, Self

from sipcdr.builder import Call, Rules
from sipcdr.ingest import Inputs, Share, Tally

from ._collector import collect_seldom
from ._derived import Derived, pack, unpack
from ._reading import MEMORY, Reading, due_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sipcdr.ingest import LogOptions, Reader, SharkOptions

    from ._derived import Due
    from ._select import Selection

_PROGRAM: Final = (sys.executable, "-P", "-c", "from sipcdr.app._jobs import serve; serve()")
"""Not by `multiprocessing`, which imports the main program again, whatever that does, and lets it hear Ctrl-C."""
_SECONDS: Final = 0.1
"""Between two words on how far the reading is."""


class JobEnded(Exception):
    """A reading process has ended before its work: which one, and how."""


class Work(NamedTuple):
    """What all processes read, and choose.

    key: of the other names, where messages are anonymized. stored: whether calls will be stored.
    """

    paths: Sequence[str]
    reader: Reader
    shark: SharkOptions
    esp_null: bool
    logs: LogOptions
    selection: Selection
    key: bytes | None
    stored: bool


class _Progress(NamedTuple):
    """How far a process is."""

    packets: int
    messages: int
    bytes_done: int


_Found = bytes | list[bytes] | _Progress | Reading | None
"""What a process says: calls that are due, as rows and facts or as their bytes, how far it is, and at its end what it
has read. None: it has ended."""


class Jobs:
    """Reading processes; they end with the context.

    total_bytes, bytes_done: of what is read, as `Inputs` has them.
    """

    def __init__(self, work: Work, count: int, total_bytes: int | None) -> None:
        self.total_bytes = total_bytes
        self.bytes_done = 0
        self._work = work
        self._count = count
        self._processes: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []
        # One at hand and one under way from each are enough to keep the writer busy.
        self._found: Queue[tuple[int, _Found]] = Queue(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
        while any(thread.is_alive() for thread in self._threads):
            with suppress(Empty):
                self._found.get(timeout=_SECONDS)
        for process in self._processes:
            process.wait()

    def due_calls(self, reading: Reading, *, hold: int, tick: Callable[[], None]) -> Iterator[Sequence[Due]]:
        """Give the calls that are due in batches, as `due_calls` does; `reading` is what it would be in one process.

        Raises JobEnded where a process ends before it has read all.
        """
        for number in range(self._count):
            self._start(number, hold)
        at_work = self._count
        while at_work:
            number, found = self._found.get()
            if found is None:
                raise JobEnded(f"reading process {number + 1} of {self._count} {_how(self._processes[number].wait())}")
            if isinstance(found, bytes):
                yield unpack(found)
            elif isinstance(found, list):
                yield list(map(Call.from_bytes, found))
            elif isinstance(found, Reading):
                at_work -= 1
                reading.requests.update(found.requests)
                reading.responses.update(found.responses)
                reading.odd.update(found.odd)
                if number == 0:
                    reading.tally = found.tally
            elif number == 0:
                reading.tally.packets, reading.tally.messages, self.bytes_done = found
            tick()

    def _start(self, number: int, hold: int) -> None:
        process = subprocess.Popen(  # noqa: S603 - our own program
            _PROGRAM,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C is for this process, which ends the others.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self._processes.append(process)
        if process.stdin is None or process.stdout is None:
            raise TypeError("a process without pipes")
        with suppress(BrokenPipeError), process.stdin as pipe:  # how it ended is seen by who listens to it
            share = Share(number, self._count) if self._count > 1 else None
            pickle.dump((self._work, share, hold), pipe)
        thread = threading.Thread(target=self._listen, args=(number, process.stdout), daemon=True)
        thread.start()
        self._threads.append(thread)

    def _listen(self, number: int, pipe: IO[bytes]) -> None:
        with pipe:
            found: _Found = b""
            while found is not None and not isinstance(found, Reading):
                try:
                    found = pickle.load(pipe)  # noqa: S301 - from our own program
                except (EOFError, pickle.UnpicklingError):
                    found = None
                self._found.put((number, found))


def _how(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    return f"was ended by signal {-status} ({signal.strsignal(-status)})"


def serve() -> None:
    """What a reading process does: take its work from standard input, and give what it finds to standard output."""
    try:
        work, share, hold = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own program
    except (EOFError, pickle.UnpicklingError):
        return  # interrupted before it said what there is to do
    with suppress(BrokenPipeError), os.fdopen(os.dup(1), "wb") as pipe:  # broken where nobody listens any more
        os.dup2(2, 1)  # nothing else gets in between

        def send(found: _Found) -> None:
            pickle.dump(found, pipe, pickle.HIGHEST_PROTOCOL)
            pipe.flush()

        _read(work, share, hold, send)


def _read(work: Work, share: Share | None, hold: int, send: Callable[[_Found], None]) -> None:
    collect_seldom()
    reading = Reading(Tally())
    inputs = Inputs(
        work.paths,
        tally=reading.tally,
        reader=work.reader,
        shark=work.shark,
        esp_null=work.esp_null,
        logs=work.logs,
        share=share,
    )
    batches = iter(inputs)
    if work.key is not None:
        from ._anonymize import Anonymizer

        batches = map(Anonymizer(work.key).messages, batches)
    said = 0.0

    def tick() -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= _SECONDS:
            said = now
            send(_Progress(reading.tally.packets, reading.tally.messages, inputs.bytes_done))

    rules = Rules()
    memory = MEMORY // (share.of if share else 1)
    for calls in due_calls(batches, work.selection, reading, hold=hold, tick=tick, memory=memory):
        send(pack([Derived.of(call, rules) for call in calls]) if work.stored else list(map(bytes, calls)))
    send(reading)
