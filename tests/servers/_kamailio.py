"""Kamailio as the SIP proxy of proxy.cfg, on one address over UDP, TCP and, where asked for, TLS."""

from __future__ import annotations

import functools
import shutil
import signal
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ._process import Process, ServerError, as_user, make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROMPT = ("chrt", "--fifo", "1")


class Tls(NamedTuple):
    """Where TLS is taken, with which PEM files."""

    port: int
    certificate: Path
    key: Path


class Logs(NamedTuple):
    """Where it logs messages: a folder for sipdump's files, the port of 127.0.0.1 that siptrace's copies go to."""

    folder: Path
    port: int


@functools.cache
def may_be_prompt() -> bool:
    """Whether it may run before all that isn't as urgent. Else, on a busy machine, its times are as late as it is."""
    try:
        return subprocess.run([*_PROMPT, "true"], check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@contextmanager
def kamailio(
    host: str,
    port: int,
    *,
    first: str,
    second: str,
    ring_ms: int = 30_000,
    tls: Tls | None = None,
    websocket: bool = False,
    logs: Logs | None = None,
    hep: str = "",
) -> Iterator[Process]:
    """Run the proxy at host and port; `first` and `second` (host:port) are where proxy.cfg's UAS1 and UAS2 ring.

    websocket: TCP may become a WebSocket. hep: host:port that siptrace sends each message to, in HEPv3 over UDP.
    """
    program = shutil.which("kamailio", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        raise ServerError("no kamailio: apt-get install kamailio")
    folder = make_folder("kamailio", "kamailio")
    # Copied, as the package's user may not be allowed to read the project's folder.
    configuration = str(shutil.copy(Path(__file__).with_name("proxy.cfg"), folder))
    command = [
        *(_PROMPT if may_be_prompt() else ()),
        *as_user("kamailio"),
        program,
        "-f",
        configuration,
        "-DD",
        "-E",
        "-m",
        "32",
        "-M",
        "4",
    ]
    command += ["-w", str(folder), "-Y", str(folder), "-P", str(folder / "pid")]
    command += ["-l", f"udp:{host}:{port}", "-l", f"tcp:{host}:{port}"]
    command += ["-A", f'UAS1="sip:{first}"', "-A", f'UAS2="sip:{second}"', "-A", f"RING={ring_ms}"]
    if logs:
        command += ["-A", f'DUMP="{logs.folder}"', "-A", f'TRACE="sip:127.0.0.1:{logs.port}"']
    if hep:
        command += ["-A", f'HEP="sip:{hep}"']
    if websocket:
        command += ["-A", "WEBSOCKET"]
    if tls:
        for name, file in (("TLS_CERTIFICATE", tls.certificate), ("TLS_KEY", tls.key)):
            copy = Path(shutil.copy(file, folder))
            copy.chmod(0o644)  # its own user reads it
            command += ["-A", f'{name}="{copy}"']
        command += ["-l", f"tls:{host}:{tls.port}"]
    process = None
    try:
        process = Process(command, folder / "log", cwd=folder)
        process.wait_ready(lambda: _answers(host, port))
        yield process
        process.stop(signal.SIGTERM)
    finally:
        if process is not None:
            process.kill()
        shutil.rmtree(folder)


def _answers(host: str, port: int) -> bool:
    """Whether an OPTIONS by TCP, which Kamailio opens last, gets its 200."""
    lines = (
        f"OPTIONS sip:{host}:{port} SIP/2.0",
        f"Via: SIP/2.0/TCP {host}:9;branch=z9hG4bKready",
        "Max-Forwards: 5",
        f"From: <sip:ready@{host}>;tag=1",
        f"To: <sip:ready@{host}>",
        f"Call-ID: ready@{host}",
        "CSeq: 1 OPTIONS",
        "Content-Length: 0",
        "\r\n",
    )
    try:
        with socket.create_connection((host, port), 2) as connection:
            connection.sendall("\r\n".join(lines).encode())
            return connection.recv(4096).startswith(b"SIP/2.0 200 ")
    except OSError:
        return False
