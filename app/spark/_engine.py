"""Spark itself: a session with what we want of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .._spark_needs import SparkUnavailable, submitted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import SparkSession

LOCAL: Final = "local[*]"
_LOOPBACK: Final = "127.0.0.1"


def is_local(master: str | None) -> bool | None:
    """Whether Spark runs in one process on this machine; None where spark-submit knows."""
    if master is None:
        return None if submitted() else True
    return master.startswith("local")


def is_one_machines(url: str) -> bool:
    """Whether a database is of no use to other machines."""
    return url.startswith("sqlite:")


def session(name: str, master: str | None, conf: Mapping[str, str]) -> SparkSession:
    """Start Spark, or take what spark-submit has started. master: where it runs; LOCAL, or what spark-submit says.

    A local one talks on the loopback address only, and has no web page. Raises SparkUnavailable.
    """
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName(name)
    wanted = {"spark.sql.session.timeZone": "UTC", "spark.ui.showConsoleProgress": "false"}
    if master is not None:
        wanted["spark.master"] = master
    elif not submitted():
        wanted["spark.master"] = LOCAL
    if is_local(master):
        os.environ.setdefault("SPARK_LOCAL_IP", _LOOPBACK)
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        logging = Path(__file__).with_name("log4j2.properties")
        wanted |= {
            "spark.driver.host": _LOOPBACK,
            "spark.driver.bindAddress": _LOOPBACK,
            "spark.ui.enabled": "false",
            "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={logging.as_uri()}",
        }
    for key, value in {**wanted, **conf}.items():
        builder = builder.config(key, value)
    try:
        return builder.getOrCreate()
    except (PySparkException, OSError) as error:
        raise SparkUnavailable(f"Spark doesn't start: {error}") from error
