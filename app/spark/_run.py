"""The command `spark run`: the daemon's work by Spark, with its signals, health, metrics and upkeep."""

from __future__ import annotations

import logging
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException, PySparkException

from sipcdr.sinks import SinkError

from .._config import ConfigError, database_url, rules_of, secret
from .._daemon import State
from .._http import served
from .._logging import configure
from .._metrics import Metrics
from .._notify import notify, watchdog_seconds
from .._replay import REFUSED_CALLS
from .._settings import KafkaSource
from .._spark_needs import SparkUnavailable, submitted
from .._status import ALL_READ, NOT_ALL_READ, REFUSED
from .._upkeep import keep_up, patient_letters, patiently_opened
from .._write import Retry
from ._engine import is_local, is_one_machines, reason, session
from ._records import Opener
from ._stream import Stream
from ._writer import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import SparkSession

    from .._settings import Settings

CONNECTOR: Final = "org.apache.spark:spark-sql-kafka-0-10_2.13"
"""What reads Kafka for Spark; of Spark's own version."""
_ONE_MACHINE: Final = "database.url: SQLite is a file of one machine; name a database server"
_RETRY: Final = Retry(patience=10.0)
_END_SECONDS: Final = 8.0
_TICK: Final = 1.0

_log = logging.getLogger(__name__)


class Run:
    """One run of a driver, until SIGTERM or SIGINT."""

    def __init__(self, settings: Settings, master: str | None, conf: Mapping[str, str]) -> None:
        self._settings = settings
        self._master = master
        self._conf = dict(conf)
        self._metrics = Metrics()
        self._streams: list[Stream] = []
        self._stop = threading.Event()

    def run(self) -> int:
        """Returns the exit status. Raises ConfigError, SparkUnavailable, and SinkError of a database of no use."""
        settings = self._settings
        sources = _sources(settings)
        url = database_url(settings)
        if is_one_machines(url) and is_local(self._master) is False:
            raise ConfigError([_ONE_MACHINE])
        configure(settings.log)
        # What ends a batch, and the JVM, is told once. py4j uses the root's name, too; we don't.
        logging.getLogger("py4j").setLevel(logging.CRITICAL)
        logging.getLogger().addFilter(lambda record: record.name != "root")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signal)
        server = served(settings.metrics.listen, self._metrics.registry, self.state)
        try:
            sink = patiently_opened(settings, self._metrics, self._stop)
            if sink is None:
                return ALL_READ
            sink.close()
            return self._with_spark(sources, url)
        finally:
            notify(STOPPING="1")
            if server is not None:
                server.close()

    def state(self) -> State:
        """How it is, for whoever asks."""
        streams = self._streams
        dead = [each.failed for each in streams if each.failed]
        unready = [] if streams else ["Spark is not started yet"]
        for each in streams:
            if not each.open:
                unready.append(f"{each.name}: is not open")
            elif each.stuck:
                unready.append(f"{each.name}: waits for the database")
        return State(dead, unready)

    def _signal(self, number: int, _: Any) -> None:
        del number
        self._stop.set()

    def _with_spark(self, sources: list[tuple[str, KafkaSource]], url: str) -> int:
        from pyspark import __version__

        if not submitted() and not {"spark.jars", "spark.jars.packages"} & set(self._conf):
            self._conf["spark.jars.packages"] = f"{CONNECTOR}:{__version__}"
        spark = session("sipcdr spark run", self._master, self._conf)
        if is_one_machines(url) and not is_local(spark.sparkContext.master):
            raise ConfigError([_ONE_MACHINE])
        # Spark takes SIGINT for itself.
        signal.signal(signal.SIGINT, self._signal)
        upkeep = threading.Thread(
            target=keep_up,
            args=(self._settings, self._metrics, self._stop, lambda: [each.watermark for each in self._streams]),
            name="upkeep",
            daemon=True,
        )
        try:
            for name, source in sources:
                stream = self._stream(spark, name, source, url)
                if stream is not None:
                    self._streams.append(stream)
            upkeep.start()
            return self._watch()
        except Py4JError:
            if not self._stop.is_set():
                raise
            # The JVM had the signal, too.
            return ALL_READ
        except AnalysisException as error:
            if "kafka" in str(error).lower():
                raise SparkUnavailable(
                    f"Spark has no Kafka source: give spark-submit --packages {CONNECTOR}:{__version__}"
                ) from error
            raise
        finally:
            self._stop.set()
            with suppress(PySparkException, Py4JError, OSError):
                spark.stop()

    def _stream(self, spark: SparkSession, name: str, source: KafkaSource, url: str) -> Stream | None:
        settings = self._settings
        rules = rules_of(settings)
        letters = patient_letters(settings, name, self._stop)
        if letters is None:
            return None
        key = secret(source.auth_key_file).encode() if source.auth_key_file else None
        return Stream(
            spark,
            source,
            name,
            settings,
            opener=Opener(source.value, source.json, source.headers, key, rules),
            writer=Writer(url, rules, _RETRY, whole=True, keep_damaged=True),
            letters=letters,
            refused=Path(settings.dead_letters.file or ".").parent / REFUSED_CALLS,
            metrics=self._metrics,
        )

    def _watch(self) -> int:
        """Look after the streams until a signal comes, or one of them fails."""
        seconds = watchdog_seconds()
        told = 0.0
        failed = None
        while not self._stop.is_set() and failed is None:
            for stream in self._streams:
                stream.look()
            failed = next((stream for stream in self._streams if stream.failed), None)
            if not told:
                notify(READY="1", STATUS=f"{len(self._streams)} sources")
            if seconds is not None and time.monotonic() - told >= min(seconds, 5.0):
                notify(WATCHDOG="1")
            told = told or time.monotonic()
            self._stop.wait(_TICK)
        notify(STOPPING="1")
        end = time.monotonic() + _END_SECONDS
        for stream in self._streams:
            stream.stop(end - time.monotonic())
        if failed is None:
            _log.info("ended in good order")
            return ALL_READ
        _log.error("%s", failed.failed)
        return failed.status


def run(settings: Settings, *, master: str | None, conf: Mapping[str, str]) -> int:
    """Run until a signal ends it. Returns the exit status. Raises ConfigError and SparkUnavailable."""
    try:
        return Run(settings, master, conf).run()
    except SinkError as error:
        _log.error("%s", error)
        return REFUSED
    except (PySparkException, Py4JError) as error:
        _log.error("Spark: %s", reason(str(error)))
        return NOT_ALL_READ


def _sources(settings: Settings) -> list[tuple[str, KafkaSource]]:
    """The sources by the names that metrics, logs and the checkpoint give them. Raises ConfigError."""
    if not settings.spark.checkpoint:
        raise ConfigError(["spark.checkpoint is missing: the folder where Spark keeps the offsets"])
    sources = [
        (f"kafka-{number}", each) for number, each in enumerate(settings.source) if isinstance(each, KafkaSource)
    ]
    if len(sources) < len(settings.source):
        raise ConfigError(["source: `sipcdr spark run` reads Kafka; other sources are for `sipcdr run`"])
    return sources
