"""A connection of PyMySQL that loads what it is given, and never a file.

PyMySQL answers a server's wish for a local file by sending whatever file the server names, also unasked. This one
sends the bytes in `upload` to LOAD DATA LOCAL, and nothing at any other time. Internal names of PyMySQL 1.2 are used.
"""

from __future__ import annotations

from typing import Any, Final

from pymysql.connections import Connection as _Connection
from pymysql.connections import MySQLResult

_PACKET: Final = 1 << 18


class Connection(_Connection):  # type: ignore[misc]
    """A connection whose `upload` the next LOAD DATA LOCAL takes; `loads` says whether the server allows that."""

    upload: bytes = b""
    loads: bool = False

    def connect(self, sock: Any = None) -> None:
        """Connect, and ask whether loading is allowed."""
        super().connect(sock)
        with self.cursor() as cursor:
            cursor.execute("SELECT @@local_infile")
            self.loads = bool(cursor.fetchone()[0])

    def _read_query_result(self, unbuffered: bool = False) -> int | None:
        self._result = None
        result = _Result(self)
        if unbuffered:
            result.init_unbuffered_query()
        else:
            result.read()
        self._result = result
        if result.server_status is not None:
            self.server_status = result.server_status
        found: int | None = result.affected_rows
        return found


class _Result(MySQLResult):  # type: ignore[misc]
    def _read_load_local_packet(self, _: Any) -> None:
        connection = self.connection
        data, connection.upload = connection.upload, b""
        try:
            for start in range(0, len(data), _PACKET):
                connection.write_packet(data[start : start + _PACKET])
        finally:
            # An empty packet ends what is sent.
            connection.write_packet(b"")
            answer = connection._read_packet()  # noqa: SLF001
        self._read_ok_packet(answer)
