"""The program tshark: finds it, checks what it is asked, and runs it so that its errors are known and it never stays.

pyshark (0.6) has classes for this, which aren't used: they kill tshark at the end of its output, so that its exit
status and with it every error is lost; they take the program's path from a `config.ini` in the current folder; and
they need asyncio's child watchers, which Python 3.14 no longer has. What is used is its parser of tshark's output.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

from ._errors import NotACapture, ReaderUnavailable
from ._source import STANDARD_INPUT

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator, Iterator

    from ._tally import Tally

LEAST_VERSION: Final = (3, 0)
"""The first tshark that reads secrets inside a pcapng, and that puts TCP segments in order when asked."""

# What decides whether messages are found must not hang on the user's preferences.
_PREFERENCES: Final = (
    "ip.defragment:TRUE",
    "ipv6.defragment:TRUE",
    "tcp.desegment_tcp_streams:TRUE",
    "tls.desegment_ssl_records:TRUE",
    "tls.desegment_ssl_application_data:TRUE",
    "sip.desegment_headers:TRUE",
    "sip.desegment_body:TRUE",
)
_OWN_WORDS: Final = "tshark: "
_HARMLESS: Final = "Running as user "
_NO_PACKETS: Final = bytes.fromhex("d4c3b2a1 02000400 00000000 00000000 00000400 01000000")
_LONGEST: Final = 16 * 1024 * 1024
_BEHIND_A_FRAME: Final = f"{os.linesep}  }},{os.linesep}".encode()


class Tshark:
    """The program with its options. Raises ReaderUnavailable where program or parser is missing or too old.

    options: arguments of tshark, as they are. No shell sees them.
    """

    def __init__(self, options: list[str]) -> None:
        try:
            from packaging.version import Version
            from pyshark.tshark.output_parser.tshark_json import TsharkJsonParser
        except ImportError as error:
            raise ReaderUnavailable(
                f"reading by Wireshark needs pyshark ({error}): pip install 'sipcdr[pyshark]'"
            ) from error
        self._program, version = _program()
        self._parser: Any = TsharkJsonParser(Version(version))
        self._options = ["-n", *options]
        for preference in _PREFERENCES:
            self._options += ["-o", preference]

    def check(self, shown: str) -> None:
        """Let tshark look at options and filter, with a capture that holds nothing. Raises ReaderUnavailable."""
        status, _, errors = self._run(["-r", "-", *self._options, "-Y", shown], _NO_PACKETS)
        if status:
            raise ReaderUnavailable(complaint(errors))

    def knows(self, name: str) -> None:
        """See whether a file is a capture. Raises NotACapture.

        tshark also opens texts and pictures, as captures of one frame without a time.
        """
        fields = ["-c", "1", "-T", "fields", "-e", "frame.time_epoch", "-Y", "frame.time_epoch"]
        status, output, errors = self._run(["-r", _path(name), "-n", *fields], b"")
        if status:
            raise NotACapture(complaint(errors))
        if not output.strip():
            raise NotACapture("not a capture with packets that tshark knows")

    def frames(self, name: str, shown: str, tally: Tally, more: list[str]) -> Generator[Any]:
        """The frames of a capture that the display filter shows, as pyshark's packets: own fields, bytes of all layers.

        tshark ends with the iteration. What it complains of becomes a problem. more: further options. Raises OSError.
        """
        command = [self._program, *self._options, *more, "-T", "json", "-x", "--no-duplicate-keys", "-j", "frame"]
        with _Run([*command, "-Y", shown], name) as run:
            yield from run.frames(self._parser, tally)
            failure = run.failure()
        if failure:
            tally.problem(name, 0, -1, failure)

    def _run(self, arguments: list[str], data: bytes) -> tuple[int, bytes, list[str]]:
        done = subprocess.run([self._program, *arguments], input=data, capture_output=True, check=False)  # noqa: S603 (no shell)
        return done.returncode, done.stdout, done.stderr.decode(errors="replace").splitlines()


def complaint(lines: list[str]) -> str:
    """The line of tshark's errors that says what is wrong: the first of its own, or else the last of others'."""
    said = ""
    for line in lines:
        if line.startswith(_OWN_WORDS):
            return line
        if line.strip() and not line.startswith(_HARMLESS):
            said = line.strip()
    return said or "tshark failed and doesn't say why"


def _program() -> tuple[str, str]:
    """The program's path and version. Raises ReaderUnavailable."""
    path = shutil.which("tshark")
    if path is None:
        raise ReaderUnavailable("reading by Wireshark needs the program tshark: apt-get install tshark")
    done = subprocess.run([path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603 (no shell)
    found = re.match(rb"TShark[^\d\n]{0,64}(\d{1,4})\.(\d{1,4})", done.stdout)
    if found is None:
        raise ReaderUnavailable(f"{path} doesn't say which version of tshark it is")
    version = f"{int(found[1])}.{int(found[2])}"
    if (int(found[1]), int(found[2])) < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        raise ReaderUnavailable(f"{path} is tshark {version}, and {least} is the least: apt-get install tshark")
    return path, version


def _path(name: str) -> str:
    return str(Path(name).absolute())


class _Run:
    """A tshark at work on a capture. Leaving the block ends it, whatever has happened."""

    def __init__(self, command: list[str], name: str) -> None:
        self._name = name
        self._input: IO[bytes] | int | None = subprocess.DEVNULL
        file = _path(name)
        if name == STANDARD_INPUT:
            self._input, file = None, "-"
        elif not Path(name).is_file():  # a pipe, perhaps one that only we have open
            self._input, file = Path(name).open("rb"), "-"  # noqa: SIM115 (closed with the process)
        # A session of its own: a Ctrl-C is for us to handle, and then ends it.
        self._process = subprocess.Popen(  # noqa: S603 (no shell)
            [*command, "-r", file],
            stdin=self._input,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._said: list[str] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdout, self._process.stderr, self._input):
            if pipe is not None and not isinstance(pipe, int):
                pipe.close()

    def frames(self, parser: Any, tally: Tally) -> Iterator[Any]:
        """What tshark shows, as pyshark's packets."""
        stream = _Output(self._process.stdout)
        data = b""
        begun = False
        while True:
            try:
                frame, data = _result(parser.get_packets_from_stream(stream, data, got_first_packet=begun))
            except EOFError:
                return
            if frame is not None:
                begun = True
                yield frame
            elif len(data) > _LONGEST:
                number = re.search(rb'"frame\.number": "(\d{1,10})"', data)
                tally.limit(self._name, int(number[1]) if number else 0, "frame with more than 16 MiB to say")
                data = stream.skip()

    def failure(self) -> str:
        """What went wrong, once the output has ended; empty if nothing did."""
        status = self._process.wait()
        self._listener.join()
        if status < 0:
            return f"tshark was ended by signal {-status}"
        return complaint(self._said) if status else ""

    def _listen(self) -> None:
        """Read all that tshark says, so that it never waits; keep the first of its errors, or else the last line."""
        stderr: Any = self._process.stderr
        while line := stderr.readline(4096):
            text = line.decode(errors="replace").rstrip()
            if text:
                self._said = [complaint([*self._said, text])]


class _Output:
    """tshark's output, as pyshark's parser awaits it; nothing here waits for an event loop."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe

    async def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""
        return bytes(self._pipe.read1(size))

    def skip(self) -> bytes:
        """Go on to the next frame, and give what was read of it."""
        tail = b""
        while more := self._pipe.read1(1 << 16):
            before, found, behind = (tail + more).partition(_BEHIND_A_FRAME)
            if found:
                return bytes(behind)
            tail = before[-len(_BEHIND_A_FRAME) :]
        return b""


def _result(coroutine: Coroutine[Any, Any, tuple[Any, bytes]]) -> tuple[Any, bytes]:
    """What a coroutine returns that never has to wait."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        found: tuple[Any, bytes] = done.value
        return found
    raise RuntimeError("pyshark's parser waits for something else than tshark's output")
