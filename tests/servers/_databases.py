"""PostgreSQL and MariaDB on 127.0.0.1, each in a folder of its own, as many side by side as wanted.

What was committed outlives `kill`: each commit is written to the kernel, though not to the disk, so only a crash of
the whole machine would lose it.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ._process import Process, ServerError, as_user, free_port, make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator


class Recipe(NamedTuple):
    """The commands of one kind of database server; `{folder}` and `{port}` stand for its own.

    make: fills the folder `data`, once. serve: runs the server. ask: prints the data folder of the server at the port.
    create: once, when it answers. end: the signal that ends it in good order.
    """

    kind: str
    user: str
    url: str
    make: list[str]
    serve: list[str]
    ask: list[str]
    create: list[str]
    end: signal.Signals


def _postgres() -> Recipe:
    """Debian's newest packaged PostgreSQL."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        raise ServerError("no PostgreSQL server: apt-get install postgresql")
    programs = found[-1]
    psql = [f"{programs}/psql", "-XwAtq", "-h", "127.0.0.1", "-p", "{port}", "-U", "postgres"]
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": "{port}",
        "unix_socket_directories": "",
        # synchronous_commit and full_page_writes stay on: what was committed must outlive kill -9.
        "fsync": "off",
        "shared_buffers": "16MB",
        "max_connections": "50",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "jit": "off",
        "logging_collector": "off",
        "timezone": "UTC",
    }
    return Recipe(
        kind="postgres",
        user="postgres",
        url="postgresql+psycopg://postgres@127.0.0.1:{port}/sipcdr",
        make=[
            f"{programs}/initdb",
            "-D",
            "{folder}/data",
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ],
        serve=[
            f"{programs}/postgres",
            "-D",
            "{folder}/data",
            *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
        ],
        ask=[*psql, "-c", "SHOW data_directory"],
        create=[*psql, "-c", "CREATE DATABASE sipcdr"],
        end=signal.SIGINT,
    )


def _mariadb() -> Recipe:
    """Debian's MariaDB, or one in PATH."""
    program = shutil.which("mariadbd", path="/usr/sbin:/usr/libexec:/usr/bin")
    if program is None:
        raise ServerError("no MariaDB server: apt-get install mariadb-server")
    client = ["mariadb", "--no-defaults", "--protocol=tcp", "-h", "127.0.0.1", "-P", "{port}", "-u", "root", "-NBe"]
    return Recipe(
        kind="mariadb",
        user="mysql",
        url="mysql+pymysql://root@127.0.0.1:{port}/sipcdr?charset=utf8mb4",
        make=[
            "mariadb-install-db",
            "--no-defaults",
            "--datadir={folder}/data",
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
            "--skip-name-resolve",
            "--innodb-log-file-size=16M",
        ],
        # The socket is named relative to data/, where the server works: a socket's path has 107 bytes at most.
        # flush-log-at-trx-commit=2: written at each commit, not synced; 0 would lose up to a second of commits.
        serve=[
            program,
            "--no-defaults",
            "--datadir={folder}/data",
            "--tmpdir={folder}",
            "--port={port}",
            "--bind-address=127.0.0.1",
            "--socket=sock",
            "--pid-file={folder}/pid",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--performance-schema=OFF",
            "--max-connections=50",
            "--default-time-zone=+00:00",
            "--character-set-server=utf8mb4",
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=16M",
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-flush-method=nosync",
        ],
        ask=[*client, "SELECT @@datadir"],
        create=[*client, "CREATE DATABASE sipcdr"],
        end=signal.SIGTERM,
    )


class Database:
    """A database server that can be killed as by a crash and started again on its data.

    url: of its empty database `sipcdr`, for SQLAlchemy. port: the same for its whole life.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.folder = make_folder(recipe.kind, recipe.user)
        self.port = free_port()
        self.url = recipe.url.format(port=self.port)
        self.log = self.folder / "log"
        self._recipe = recipe
        self._prefix = as_user(recipe.user)
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """The server's process."""
        if self._process is None:
            raise ServerError(f"{self._recipe.kind} was not started")
        return self._process.pid

    def start(self) -> None:
        """Return when it answers: the first time with an empty database, later with the data that is there."""
        fresh = not (self.folder / "data").exists()
        if fresh:
            self._run([*self._prefix, *self._recipe.make])
        # Left by kill -9; it would harm if its process id had been given to another process.
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
        self._process = Process([*self._prefix, *self._words(self._recipe.serve)], self.log, cwd=self.folder)
        self._process.wait_ready(self._answers)
        if fresh:
            self._run(self._recipe.create)

    def stop(self) -> None:
        """End it in good order."""
        if self._process is not None:
            self._process.stop(self._recipe.end)

    def kill(self) -> None:
        """kill -9 of the server and its workers."""
        if self._process is not None:
            self._process.kill()

    def _words(self, command: list[str]) -> list[str]:
        return [word.format(folder=self.folder, port=self.port) for word in command]

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(self._words(command), cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServerError(f"{self._recipe.kind}: {done.stdout}{done.stderr}")

    def _answers(self) -> bool:
        asked = subprocess.run(self._words(self._recipe.ask), capture_output=True, text=True, check=False, timeout=10)
        return asked.stdout.strip().rstrip("/") == str(self.folder / "data")


@contextmanager
def postgres() -> Iterator[Database]:
    """A PostgreSQL with an empty database `sipcdr`: user postgres, no password, UTF-8. Gone at the end."""
    with _running(_postgres()) as server:
        yield server


@contextmanager
def mariadb() -> Iterator[Database]:
    """A MariaDB with an empty database `sipcdr`: user root, no password, utf8mb4. Gone at the end."""
    with _running(_mariadb()) as server:
        yield server


@contextmanager
def _running(recipe: Recipe) -> Iterator[Database]:
    server = Database(recipe)
    try:
        server.start()
        yield server
        server.stop()
    finally:
        server.kill()
        shutil.rmtree(server.folder)
