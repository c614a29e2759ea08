"""Spark itself: a session with what we want of it."""

from __future__ import annotations

import os
import re
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

    What fails is done again, up to four times in all, as on a cluster.

    A local one talks on the loopback address only, and has no web page. Raises SparkUnavailable.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName(name)
    wanted = {"spark.sql.session.timeZone": "UTC", "spark.ui.showConsoleProgress": "false"}
    if not submitted():
        master = master or LOCAL
        logging = Path(__file__).with_name("log4j2.properties")
        wanted["spark.driver.extraJavaOptions"] = f"-Dlog4j2.configurationFile={logging.as_uri()}"
        # Spark itself would take the first python3 of the PATH, and heeds its own setting in spark-submit only.
        os.environ.setdefault("PYSPARK_PYTHON", conf.get("spark.pyspark.python", sys.executable))
    if master is not None:
        # On one machine Spark would do nothing twice.
        wanted["spark.master"] = re.sub(r"^local(?:\[(\d+|\*)\])?$", lambda found: f"local[{found[1] or 1},4]", master)
        if is_local(master):
            os.environ.setdefault("SPARK_LOCAL_IP", _LOOPBACK)
            wanted |= {
                "spark.driver.host": _LOOPBACK,
                "spark.driver.bindAddress": _LOOPBACK,
                "spark.ui.enabled": "false",
            }
    for key, value in {**wanted, **conf}.items():
        builder = builder.config(key, value)
    try:
        return builder.getOrCreate()
    except (PySparkException, Py4JError, OSError) as error:
        if "JAVA_GATEWAY_EXITED" in str(error):
            # Java has said it: a wrong version, an unknown master, a connector that can't be fetched.
            raise SparkUnavailable("Spark doesn't start, as told above (it needs Java 17 or newer)") from error
        raise SparkUnavailable(f"Spark doesn't start: {reason(str(error))}") from error


def reason(text: str) -> str:
    """The line that says most of what Spark says, without the plans and stacks around it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # An error of Python's in a worker stands last; one of Java's behind the name of what was called.
    python = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Unavailable|Refused): ", line)]
    java = [line.removeprefix(": ") for line in lines if line.startswith(": ")]
    return (python[-1] if python else (java or lines or [text])[0])[:500]
