"""Takes HEP packets from the network: UDP, TCP, and TCP with TLS.

A thread of its own reads the sockets, so that what comes while a database is slow is kept in a buffer and not in the
kernel's, which is small and drops. The buffer is bounded: UDP packets beyond it are dropped and counted, as are those
that the kernel dropped, where it tells (Linux); TCP connections aren't read until there is room, which their senders
notice.
"""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import ssl
import sys
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from ._errors import SourceRefused, SourceUnavailable
from ._hep import LARGEST, MAGIC
from ._values import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

_log = logging.getLogger(__name__)

_CONNECTIONS: Final = 256
_RECEIVE: Final = 64 * 1024
_SOCKET_BUFFER: Final = 8 * 1024 * 1024
"""What the kernel is asked to hold of UDP; it gives less where its own limit is less."""
_SO_RXQ_OVFL: Final = 40 if sys.platform == "linux" else 0
"""Linux's option to learn how many datagrams were dropped, which Python has no name for; 0 elsewhere."""
_BURST: Final = 64
"""Datagrams read from a socket before others have their turn."""
_RECORD: Final = 200
"""Bytes that a packet costs beside its own."""
_PORT: Final = 9060


class ListenSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where to listen: `udp://host:port`, `tcp://host:port`, `tls://host:port`; IPv6 in brackets.

    tls_cert, tls_key: files in PEM format, for `tls`. tls_ca: senders must have a certificate that this file vouches
    for. buffer: bytes of packets that wait to be taken.
    """

    listen: Sequence[str] = ("udp://127.0.0.1:9060", "tcp://127.0.0.1:9060")
    tls_cert: str = ""
    tls_key: str = ""
    tls_ca: str = ""
    buffer: int = 16 * 1024 * 1024


class _Stream:
    """One sender's connection. seen: when it last sent something, on the monotonic clock."""

    __slots__ = ("buffer", "seen", "socket")

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.buffer = bytearray()
        self.seen = time.monotonic()

    def packets(self, data: bytes, counts: Counter[str]) -> list[bytes]:
        """The packets that are whole with `data`; what isn't a packet's beginning is passed over and counted."""
        found: list[bytes] = []
        buffer = self.buffer
        buffer += data
        at = 0
        while len(buffer) - at >= 6:
            length = int.from_bytes(buffer[at + 4 : at + 6])
            if bytes(buffer[at : at + 4]) not in MAGIC or length < 6:
                counts["HEP connections: framing lost"] += 1
                places = [place for place in (buffer.find(magic, at + 1) for magic in MAGIC) if place >= 0]
                # The last bytes may be a beginning.
                at = min(places, default=len(buffer) - 3)
            elif len(buffer) - at < length:
                break
            else:
                found.append(bytes(buffer[at : at + length]))
                at += length
        del buffer[:at]
        return found


class HepListener:
    """Listens from the time it is made until `close`.

    addresses: the URLs, with the ports that were taken where 0 was asked for. counts: what was dropped or ended, by
    reason in plain words. Raises SourceUnavailable for an address that can't be had now, SourceRefused for one that
    makes no sense and for certificates that can't be read.
    """

    def __init__(self, settings: ListenSettings) -> None:
        self.addresses: list[str] = []
        self.counts: Counter[str] = Counter()
        self._limit = settings.buffer
        self._packets: deque[Record] = deque()
        self._size = 0
        self._number = 0
        self._lock = threading.Lock()
        self._arrived = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._sockets: list[socket.socket] = []
        self._streams: set[_Stream] = set()
        self._holding = False
        self._stopped = False
        self._woken, self._wake = socket.socketpair()
        for end in (self._woken, self._wake):
            end.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, lambda: self._woken.recv(4096))
        try:
            for url in settings.listen:
                self._bind(url, settings)
        except BaseException:
            self._close_all()
            raise
        self._thread = threading.Thread(target=self._run, name="hep", daemon=True)
        self._thread.start()

    def poll(self, timeout: float, most: int) -> list[Record]:
        """Up to `most` packets as they came, numbered from 0; waits up to `timeout` seconds for one."""
        if not self._packets:
            self._arrived.wait(timeout)
        with self._lock:
            taken = [self._packets.popleft() for _ in range(min(most, len(self._packets)))]
            self._size -= sum(_RECORD + len(record.value or b"") for record in taken)
            if not self._packets:
                self._arrived.clear()
        if self._holding:
            self._stir()
        return taken

    def close(self) -> None:
        """Listen no more. What was received can still be polled."""
        self._stopped = True
        self._stir()
        self._thread.join()
        self._close_all()

    def _stir(self) -> None:
        """Make the thread look around."""
        with suppress(OSError):
            self._wake.send(b".")

    def _bind(self, url: str, settings: ListenSettings) -> None:
        try:
            parts = urlsplit(url)
            scheme, host, port = parts.scheme, parts.hostname, parts.port
        except ValueError as error:
            raise SourceRefused(f"{url!r} is no address to listen at: {error}") from error
        if scheme not in ("udp", "tcp", "tls") or not host or parts.path not in ("", "/"):
            raise SourceRefused(f"{url!r} is no address to listen at: write udp://, tcp:// or tls://127.0.0.1:{_PORT}")
        context = _tls(settings) if scheme == "tls" else None
        kind = socket.SOCK_DGRAM if scheme == "udp" else socket.SOCK_STREAM
        try:
            family, _, _, _, address = socket.getaddrinfo(host, _PORT if port is None else port, type=kind)[0]
            listener = socket.socket(family, kind)
            self._sockets.append(listener)
            listener.setblocking(False)
            if kind == socket.SOCK_DGRAM:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER)
                if _SO_RXQ_OVFL:
                    listener.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
            else:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            if kind == socket.SOCK_STREAM:
                listener.listen(_CONNECTIONS)
        except OSError as error:
            refused = SourceRefused if error.errno in (errno.EACCES, errno.EPERM) else SourceUnavailable
            raise refused(f"can't listen at {url}: {error.strerror}") from error
        shown = f"[{host}]" if ":" in host else host
        self.addresses.append(f"{scheme}://{shown}:{listener.getsockname()[1]}")
        reader = (
            _Datagrams(listener, self).read if kind == socket.SOCK_DGRAM else partial(self._accept, listener, context)
        )
        self._selector.register(listener, selectors.EVENT_READ, reader)

    def _run(self) -> None:
        while not self._stopped:
            for key, _ in self._selector.select():
                try:
                    key.data()
                except OSError as error:
                    self.counts["HEP listener: " + (error.strerror or "error")] += 1
                    _log.warning("HEP listener: %s", error)
            if self._holding and self._size < self._limit // 2:
                self._holding = False
                for stream in self._streams:
                    self._selector.register(stream.socket, selectors.EVENT_READ, partial(self._read, stream))

    def keep(self, packet: bytes, *, droppable: bool) -> None:
        """Put a packet into the buffer; called by the thread."""
        with self._lock:
            size = _RECORD + len(packet)
            if droppable and self._size + size > self._limit:
                self.counts["HEP datagrams dropped, as the buffer was full"] += 1
                return
            self._size += size
            self._packets.append(Record(self._number, time.time_ns() // 1000, None, packet))
            self._number += 1
            self._arrived.set()

    def _accept(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        with suppress(BlockingIOError):
            connection, _ = listener.accept()
            connection.setblocking(False)
            if context is not None:
                connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            if len(self._streams) >= _CONNECTIONS:
                self._end(min(self._streams, key=lambda stream: stream.seen), "ended for newer ones")
            stream = _Stream(connection)
            self._streams.add(stream)
            if not self._holding:
                self._selector.register(connection, selectors.EVENT_READ, partial(self._read, stream))

    def _read(self, stream: _Stream) -> None:
        if self._holding or stream not in self._streams:
            return
        try:
            data = stream.socket.recv(_RECEIVE)
            # What TLS has decrypted already wakes no selector.
            while isinstance(stream.socket, ssl.SSLSocket) and stream.socket.pending():
                data += stream.socket.recv(_RECEIVE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            self._end(stream, "TLS failed" if isinstance(error, ssl.SSLError) else "lost")
            return
        if not data:
            self._end(stream, "cut in a packet" if stream.buffer else "")
            return
        stream.seen = time.monotonic()
        for packet in stream.packets(data, self.counts):
            self.keep(packet, droppable=False)
        if self._size > self._limit:
            self._holding = True
            for each in self._streams:
                self._selector.unregister(each.socket)

    def _end(self, stream: _Stream, why: str) -> None:
        if why:
            self.counts[f"HEP connections: {why}"] += 1
        self._streams.discard(stream)
        if not self._holding:
            self._selector.unregister(stream.socket)
        stream.socket.close()

    def _close_all(self) -> None:
        self._selector.close()
        for each in (*self._sockets, *(stream.socket for stream in self._streams), self._woken, self._wake):
            each.close()
        self._streams.clear()


class _Datagrams:
    """Reads a UDP socket, and how much the kernel dropped of it."""

    def __init__(self, listener: socket.socket, into: HepListener) -> None:
        self._socket = listener
        self._into = into
        self._dropped = 0
        self._space = socket.CMSG_SPACE(4) if _SO_RXQ_OVFL else 0

    def read(self) -> None:
        for _ in range(_BURST):
            try:
                if self._space:
                    data, extra, _, _ = self._socket.recvmsg(LARGEST, self._space)
                    if extra:
                        self._count(extra)
                else:
                    data = self._socket.recv(LARGEST)
            except BlockingIOError:
                return
            self._into.keep(data, droppable=True)

    def _count(self, extra: list[tuple[int, int, bytes]]) -> None:
        for _, kind, value in extra:
            if kind == _SO_RXQ_OVFL:
                # A counter of 32 bits since the socket was made.
                dropped = int.from_bytes(value, sys.byteorder)
                self._into.counts["HEP datagrams dropped by the kernel"] += (dropped - self._dropped) & 0xFFFFFFFF
                self._dropped = dropped


def _tls(settings: ListenSettings) -> ssl.SSLContext:
    if not settings.tls_cert:
        raise SourceRefused("a tls:// address needs tls_cert, and tls_key where the certificate's file lacks the key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key or None)
        if settings.tls_ca:
            context.load_verify_locations(settings.tls_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        raise SourceRefused(f"can't read the TLS certificate: {error}") from error
    return context
