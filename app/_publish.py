"""Puts the messages of captures into a Kafka topic, keyed by Call-ID, as `sipcdr run` wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from sipcdr.ingest import encode_hep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sipcdr.builder import SipMessage
    from sipcdr.ingest import Tally

    from ._producer import Headers, Producer

Form = Literal["raw", "hep", "json"]
FORMS: Final = ("raw", "hep", "json")


def publish(
    batches: Iterable[list[SipMessage]],
    producer: Producer,
    topic: str,
    form: Form,
    tally: Tally,
    *,
    tick: Callable[[], None],
) -> int:
    """Send all messages, in their order; returns how many. What doesn't fit its form becomes a problem in `tally`.

    Raises SourceUnavailable and SourceRefused.
    """
    sent = 0
    for messages in batches:
        for message in messages:
            try:
                value, headers = encoded(message, form)
            except ValueError as error:
                tally.problem(message.position.source, message.position.number, -1, str(error))
                continue
            producer.send(topic, message.call_id, value, headers, message.time)
            sent += 1
        tick()
    producer.flush()
    return sent


def encoded(message: SipMessage, form: Form) -> tuple[bytes, Headers]:
    """A message as a value and the headers of its record.

    Raw SIP says nothing of addresses, and a record's time has milliseconds only: its headers say both. Raises
    ValueError for what HEP can't hold.
    """
    if form == "hep":
        packet = encode_hep(
            message.raw,
            time=message.time,
            source=message.source,
            destination=message.destination,
            transport=message.transport,
        )
        return packet, []
    known = {"src": message.source, "dst": message.destination, "proto": message.transport}
    if form == "raw":
        headers = [("ts", b"%d" % message.time)]
        return message.raw, headers + [(name, text.encode()) for name, text in known.items() if text]
    envelope: dict[str, str | int] = {
        "time": message.time,
        "source": message.source,
        "destination": message.destination,
        "transport": message.transport,
    }
    try:
        envelope["message"] = message.raw.decode()
    except UnicodeDecodeError:
        return msgspec.json.encode({**envelope, "message_base64": message.raw}), []
    return msgspec.json.encode(envelope), []
