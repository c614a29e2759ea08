"""What systemd is told of a service of Type=notify (sd_notify(3)); nothing where there is no systemd."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(**state: str) -> None:
    """Send assignments such as READY=1 to the service manager."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.connect(address)
        channel.sendall("\n".join(f"{name}={value}" for name, value in state.items()).encode())


def watchdog_seconds() -> float | None:
    """How often the service manager wants to hear WATCHDOG=1, halved; None if it doesn't."""
    micros = os.environ.get("WATCHDOG_USEC", "")
    wanted = micros.isdigit() and os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(micros) / 2_000_000 if wanted else None
