"""All bounds on what is read, in one place. What goes beyond is cut and counted; memory stays flat."""

from __future__ import annotations

from typing import Final

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Bounds on hostile or endless input. Sizes are bytes, times microseconds of capture time.

    What waits (streams, streams_held, fragments) is bounded for all captures that are open together.

    message: a SIP message, head and body (derivations.md section 4.2).
    headers: header fields of a message.
    header: a header's value, after unfolding.
    packet: what a record of a capture may claim to hold; more is damage.
    block: the same for a pcapng block.
    interfaces: interfaces that a section of a pcapng file describes.
    layers: headers around a payload, tunnels included.
    fragments: all IP fragments that wait for others, 512 a fragment included.
    parts: fragments of one datagram.
    fragmented: datagrams that wait for fragments; as many fragments of whole ones are known again.
    fragment_wait: how long they do (RFC 8200 section 4.5 says 60 s; RFC 791 15 s).
    stream: what one direction of a TCP connection holds back, 128 a segment included.
    streams: directions of TCP connections that are known at a time.
    streams_held: what they all hold back.
    stream_wait: how long a segment waits for one missing before it, and how long a connection whose beginning
        was not captured waits for segments out of order.
    stream_idle: after how long without a segment a direction is forgotten.
    line: a start line of SIP over TCP.
    foreign: what a connection may carry without SIP before it is taken for something else.
    files: captures open at a time.
    containers: archives and compressed files around a capture.
    unpacked, ratio: what a file may unpack to: so many bytes, and so many times what was read of it.
    value: a Kafka value that isn't raw SIP but has it inside.
    """

    message: int = 64 * 1024
    headers: int = 256
    header: int = 8 * 1024
    packet: int = 256 * 1024
    block: int = 16 * 1024 * 1024
    interfaces: int = 16_384
    layers: int = 32
    fragments: int = 16 * 1024 * 1024
    parts: int = 256
    fragmented: int = 4096
    fragment_wait: int = 30_000_000
    stream: int = 1024 * 1024
    streams: int = 50_000
    streams_held: int = 64 * 1024 * 1024
    stream_wait: int = 3_000_000
    stream_idle: int = 300_000_000
    line: int = 8 * 1024
    foreign: int = 64 * 1024
    files: int = 100
    containers: int = 4
    unpacked: int = 64 * 1024 * 1024
    ratio: int = 200
    value: int = 1024 * 1024


# Of logs, whose formats are the same whatever is read: sizes in bytes.
LOG_PREFIX: Final = 16 * 1024
"""Before a marker, what a format may look at."""
LOG_LINE: Final = 8 * 1024
"""An opening line."""
LOG_WHOLE_LINE: Final = 128 * 1024
"""A line that may hold a message."""
LOG_MESSAGE: Final = 64 * 1024
"""A message as a log lays it out."""
LOG_DOUBT: Final = 8 * 1024
"""Behind a line in a body that looks like the log's own, where the body's end is looked for."""
LOG_RECORD: Final = 512 * 1024
"""From a marker on, where its record is looked for."""
LOG_QUIET: Final = 2.0
"""Seconds without anything new after which the last record of a log that grows is taken, if it looks whole."""
LOG_TICK: Final = 10_000
"""Messages of one time that get microseconds of their own."""
LOG_CONNECTIONS: Final = 1000
"""Directions of connections whose bytes are joined, in logs that show what was read and written."""
