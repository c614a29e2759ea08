"""A consumer of Kafka topics in a group, as the daemon needs one, over either of two clients.

The database says where a partition goes on, not Kafka: a partition that is assigned waits until `begin` names an
offset, and an offset that is gone is told, never skipped. Records come in batches, and nothing is done for each but to
name its fields.

Both clients revoke all partitions when a group changes, and assign anew (the eager protocol; range or round robin), so
that workers of either kind may share a group.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import msgspec

from ._errors import SourceRefused

if TYPE_CHECKING:
    from ._values import Records


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int


class Lost(msgspec.Struct, frozen=True):
    """A partition has no record at the offset that was to be read next; it waits for `begin`.

    first, next: the oldest offset that is there, and the one that the next record gets. An offset below `first` was
    lost to retention; one above `next` says that the topic was cut or made anew.
    """

    partition: Partition
    offset: int
    first: int
    next: int


class Polled(msgspec.Struct, frozen=True):
    """What a poll brought: records by partition in the order of offsets, lost offsets, and what else went wrong."""

    records: dict[Partition, Records]
    lost: list[Lost] = []
    errors: list[str] = []


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a consumer reads from. topics, or pattern: a regular expression that a topic's whole name fits.

    options: passed to the client as they are, in its own spelling: `security_protocol` or `security.protocol`.
    """

    bootstrap: Sequence[str]
    group: str
    topics: Sequence[str] = ()
    pattern: str = ""
    client: Literal["kafka-python", "confluent"] = "kafka-python"
    options: dict[str, Any] = {}


Revoke = Callable[[set[Partition]], None]
"""Called before partitions go to others, inside `poll` or `close`, which wait for it and raise what it raises; with
kafka-python it runs on another thread meanwhile. It may write what was read of them, but not call the consumer, and
should be done in seconds: the group waits."""


class Consumer(Protocol):
    """A member of a consumer group. One thread calls it.

    cluster: the id of the Kafka cluster. joined: whether the group has given it its partitions, which may be none.
    assigned: those. waiting: those of them that wait for `begin`.

    Its methods raise SourceUnavailable where trying again may help: after it `close` and a new consumer are needed;
    and SourceRefused where it can't.
    """

    @property
    def cluster(self) -> str: ...

    @property
    def joined(self) -> bool: ...

    @property
    def assigned(self) -> Set[Partition]: ...

    @property
    def waiting(self) -> Set[Partition]: ...

    def poll(self, timeout: float, most: int) -> Polled:
        """Wait up to `timeout` seconds for records, and give up to `most`.

        It keeps the membership, so it is to be called every few seconds, also when all is paused.
        """

    def begin(self, offsets: Mapping[Partition, int]) -> None:
        """Read partitions from these offsets on. Those not assigned any more are left out."""

    def pause(self, partitions: Set[Partition]) -> None:
        """Give no more records of partitions until `resume`; the membership stays."""

    def resume(self, partitions: Set[Partition]) -> None:
        """Undo `pause`."""

    def lag(self) -> dict[Partition, int]:
        """Records of each partition between the next to be given and the end, as far as the brokers have told."""

    def bounds(self, partitions: Set[Partition]) -> dict[Partition, tuple[int, int]]:
        """The oldest offset of each partition, and the one that its next record gets."""

    def offsets_at(self, time: int, partitions: Set[Partition]) -> dict[Partition, int]:
        """The offset of the first record at or after a time in microseconds UTC; the end where there is none."""

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Tell Kafka where partitions go on, for tools that show lag; it isn't waited for, and may fail silently."""

    def close(self) -> None:
        """Revoke all partitions and leave the group."""


def open_consumer(settings: KafkaSettings, revoke: Revoke) -> Consumer:
    """Join a group. Raises SourceUnavailable, or SourceRefused for a setting or package that is missing or wrong."""
    try:
        if settings.client == "confluent":
            from ._confluent import ConfluentConsumer

            return ConfluentConsumer(settings, revoke)
        from ._kafka_python import KafkaPythonConsumer

        return KafkaPythonConsumer(settings, revoke)
    except ImportError as error:
        package = "'sipcdr[confluent]'" if settings.client == "confluent" else "kafka-python"
        raise SourceRefused(f"the Kafka client {settings.client} is not installed: pip install {package}") from error


def own_options(settings: KafkaSettings, defaults: Mapping[str, Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """The client's configuration: the operator's options over our defaults, where they aren't ours alone to set."""
    for name in settings.options.keys() & fixed.keys():
        raise SourceRefused(f"the Kafka option {name!r} is sipcdr's own to set")
    return {**defaults, **settings.options, **fixed}


def codec_error(codec: str) -> SourceRefused:
    """What to say when values are compressed with a codec whose package is missing."""
    return SourceRefused(
        f"records are compressed with {codec}, for which a package is missing: pip install 'sipcdr[codecs]'"
    )
