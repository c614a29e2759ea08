"""Servers as child processes: a free port, a user to run as, readiness, and an end by process id."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

START_SECONDS = 60.0
STOP_SECONDS = 30.0


class ServerError(Exception):
    """A server didn't start or end; the text has the end of its log."""


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP and UDP port of `host` that nobody uses, below the range of outgoing connections.

    So nothing takes it while a server that was killed is down.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(200):
        port = random.randint(20_000, 31_999)
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(family, kind) as probe:
                    probe.bind((host, port))
        except OSError:
            continue
        return port
    raise ServerError(f"no free port on {host}")


def as_user(name: str) -> list[str]:
    """A prefix that runs a command as `name`; empty unless we are root.

    setpriv replaces itself by the command (runuser forks), so the process id is the server's.
    """
    if os.geteuid() != 0:
        return []
    try:
        group = pwd.getpwnam(name).pw_gid
    except KeyError:
        raise ServerError(f"no user {name}: is the Debian package installed?") from None
    return ["setpriv", f"--reuid={name}", f"--regid={group}", "--clear-groups", "--"]


def make_folder(kind: str, user: str) -> Path:
    """A fresh folder that the server's user owns.

    Not pytest's tmp_path: as root that lies under a folder which other users may not enter.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"sipcdr-{kind}-"))
    if os.geteuid() == 0:
        shutil.chown(folder, user)
    return folder


def descendants(pid: int) -> list[int]:
    """The process's children, grandchildren and so on, as /proc shows them now."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in parentheses may hold blanks; the parent's id is the second field after it.
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


class Process:
    """A server that runs in the background, with a session of its own and its output in a file."""

    def __init__(
        self, command: Sequence[str], log: Path, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.command = list(command)
        self.log = log
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=cwd,
                env=env,
            )
        self.pid = self._child.pid

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    def wait_ready(self, ready: Callable[[], bool]) -> None:
        """Return when `ready` says so; a server that dies or takes too long is ended and raises."""
        end = time.monotonic() + START_SECONDS
        while self.running and time.monotonic() < end:
            if ready():
                return
            time.sleep(0.05)
        self.kill()
        raise ServerError(f"{self.command[0]} did not come up:\n{self.tail()}")

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def stop(self, how: signal.Signals) -> None:
        """End it with a signal that it obeys; kill -9 after STOP_SECONDS raises."""
        if not self.running:
            return
        os.kill(self.pid, how)
        try:
            self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerError(f"{self.command[0]} outlived {how.name}:\n{self.tail()}") from None

    def kill(self) -> None:
        """kill -9 of the process and all that it forked, and of nothing else.

        SIGSTOP comes first: a stopped parent forks no child that we would miss, and no stopped child says
        goodbye to its clients when it sees its parent die.
        """
        if not self.running:
            return
        os.kill(self.pid, signal.SIGSTOP)
        tree = [self.pid, *descendants(self.pid)]
        for how in (signal.SIGSTOP, signal.SIGKILL):
            for pid in tree:
                try:
                    os.kill(pid, how)
                except ProcessLookupError:
                    continue
        self._child.wait(STOP_SECONDS)
