"""Spark for tests: a session in this process, and what every command is given so that a start is quick."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.tools import missing, module

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyspark.sql import SparkSession

CONF = {"spark.driver.memory": "512m", "spark.sql.shuffle.partitions": "2"}


def needed() -> None:
    """Skip, or fail with CI=true, where Spark can't be used."""
    for name in ("pyspark", "pyarrow", "pandas", "fsspec"):
        module(name)
    if shutil.which("java") is None:
        missing("Java is not installed")


def environment(folder: Path) -> dict[str, str]:
    """A process's environment: temporary files in a folder of the test's, a JVM that starts quickly."""
    return {
        **os.environ,
        "TMPDIR": str(folder),
        "SPARK_LOCAL_DIRS": str(folder),
        "JDK_JAVA_OPTIONS": f"-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Djava.io.tmpdir={folder}",
    }


@contextmanager
def local(folder: Path) -> Iterator[SparkSession]:
    """Spark on two cores, in this process and a JVM beside it."""
    from sipcdr.app.spark._engine import session

    before = dict(os.environ)
    os.environ.update(environment(folder))
    spark = session("tests", "local[2]", CONF | {"spark.sql.warehouse.dir": str(folder / "warehouse")})
    try:
        yield spark
    finally:
        gateway = spark.sparkContext._gateway
        spark.stop()
        os.environ.clear()
        os.environ.update(before)
        if gateway is not None:
            gateway.shutdown()
            gateway.proc.stdin.close()
            gateway.proc.wait(30)
