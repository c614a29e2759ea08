"""Sends records to Kafka, over either client."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from sipcdr.ingest import SourceRefused, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from confluent_kafka import KafkaError, Message

_log = logging.getLogger(__name__)

_SECONDS: Final = 30.0
"""How long a broker may take to answer for a record."""
_UNFLUSHED: Final = 10_000
"""Records that may wait in memory."""

Headers = list[tuple[str, bytes]]


class TooLarge(Exception):
    """A record that the broker doesn't take because of its size."""


class Producer(Protocol):
    """Sends records; raises SourceUnavailable or SourceRefused where it can't, from `send` or from `flush`."""

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers, time: int | None) -> None:
        """Send a record; it arrives by the next `flush`. time: microseconds UTC, None for now."""

    def flush(self) -> None:
        """Return when all that was sent has arrived. Raises TooLarge, too, where a record was."""

    def close(self) -> None:
        """Close the connections. What wasn't flushed may be lost."""


def open_producer(client: str, bootstrap: Sequence[str], options: Mapping[str, Any]) -> Producer:
    """Connect to brokers. Raises SourceUnavailable, or SourceRefused."""
    if client == "confluent":
        return _ConfluentProducer(bootstrap, options)
    return _KafkaPythonProducer(bootstrap, options)


class _KafkaPythonProducer:
    def __init__(self, bootstrap: Sequence[str], options: Mapping[str, Any]) -> None:
        import kafka
        from kafka import errors

        self._errors = errors
        # Options of a consumer may be among them: those that a producer has, too, are taken.
        known = {name: value for name, value in options.items() if name in kafka.KafkaProducer.DEFAULT_CONFIG}
        self._sent: list[Any] = []
        try:
            self._producer = kafka.KafkaProducer(
                **{
                    "client_id": "sipcdr",
                    "metrics_enabled": False,
                    "bootstrap_timeout_ms": 10_000,
                    "max_request_size": 16 * 1024 * 1024,
                    "linger_ms": 5,
                    "max_block_ms": int(_SECONDS * 1000),
                    **known,
                    "bootstrap_servers": list(bootstrap),
                    "acks": "all",
                    "delivery_timeout_ms": int(_SECONDS * 1000),
                    "request_timeout_ms": int(_SECONDS * 1000) - 1000,
                }
            )
        except errors.KafkaError as error:
            raise self._translated(error) from error
        except Exception as error:
            raise SourceRefused(f"a Kafka setting is wrong: {error}") from error

    def _translated(self, error: Exception) -> Exception:
        errors = self._errors
        if isinstance(error, (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError)):
            return TooLarge(str(error))
        hopeless = (errors.AuthorizationError, errors.KafkaConfigurationError, errors.SaslAuthenticationFailedError)
        return SourceRefused(str(error)) if isinstance(error, hopeless) else SourceUnavailable(str(error))

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers, time: int | None) -> None:
        try:
            stamp = None if time is None else max(time // 1000, 0)
            self._sent.append(self._producer.send(topic, value, key=key, headers=headers, timestamp_ms=stamp))
        except self._errors.KafkaError as error:
            raise self._translated(error) from error
        if len(self._sent) >= _UNFLUSHED:
            self.flush()

    def flush(self) -> None:
        sent, self._sent = self._sent, []
        try:
            self._producer.flush(timeout=_SECONDS)
            for each in sent:
                each.get(timeout=_SECONDS)
        except self._errors.KafkaError as error:
            raise self._translated(error) from error

    def close(self) -> None:
        self._producer.close(timeout=5)


class _ConfluentProducer:
    def __init__(self, bootstrap: Sequence[str], options: Mapping[str, Any]) -> None:
        try:
            import confluent_kafka
        except ImportError as error:
            raise SourceRefused("confluent-kafka is not installed: pip install 'sipcdr[confluent]'") from error
        self._kafka = confluent_kafka
        self._failed: KafkaError | None = None
        self._unflushed = 0
        try:
            self._producer = confluent_kafka.Producer(
                {
                    "client.id": "sipcdr",
                    "message.max.bytes": 16 * 1024 * 1024,
                    **options,
                    "bootstrap.servers": ",".join(bootstrap),
                    "acks": "all",
                    "message.timeout.ms": int(_SECONDS * 1000),
                    "logger": _log,
                }
            )
        except (confluent_kafka.KafkaException, TypeError, ValueError) as error:
            raise SourceRefused(f"a Kafka setting is wrong: {error}") from error

    def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers, time: int | None) -> None:
        stamp = 0 if time is None else max(time // 1000, 0)  # 0 is now
        try:
            self._producer.produce(topic, value, key, headers=list(headers), on_delivery=self._told, timestamp=stamp)
        except self._kafka.KafkaException as error:
            raise self._translated(error.args[0]) from error
        self._unflushed += 1
        if self._unflushed >= _UNFLUSHED:
            self.flush()

    def _told(self, error: KafkaError | None, _: Message) -> None:
        if error is not None and self._failed is None:
            self._failed = error

    def _translated(self, error: KafkaError) -> Exception:
        codes = self._kafka.KafkaError
        if error.code() == codes.MSG_SIZE_TOO_LARGE:
            return TooLarge(error.str())
        hopeless = (codes._AUTHENTICATION, codes.TOPIC_AUTHORIZATION_FAILED, codes.CLUSTER_AUTHORIZATION_FAILED)  # noqa: SLF001
        return SourceRefused(error.str()) if error.code() in hopeless else SourceUnavailable(error.str())

    def flush(self) -> None:
        self._unflushed = 0
        left = self._producer.flush(_SECONDS)
        failed, self._failed = self._failed, None
        if failed is not None:
            raise self._translated(failed)
        if left:
            raise SourceUnavailable(f"{left} records were not answered for in {_SECONDS:.0f} s")

    def close(self) -> None:
        with suppress(self._kafka.KafkaException):
            self._producer.flush(5)
        # It goes on trying to connect for as long as it is there.
        del self._producer
