"""What Apache Spark needs to read Kafka: the jars of its connector."""

from __future__ import annotations

import re
from pathlib import Path

from ._maven import fetch

_POM = Path(__file__).with_name("spark-pom.xml")


def connector_version() -> str:
    """The version of the connector, which has to be Spark's own."""
    found = re.search("<spark.version>(.*)</spark.version>", _POM.read_text())
    assert found is not None
    return found[1]


def connector() -> str:
    """The jars, as `spark.jars` takes them. Raises ServerError where they can't be had."""
    folder = fetch(_POM, Path(f"/var/tmp/spark-kafka-{connector_version()}"))
    return ",".join(str(path) for path in sorted(folder.glob("*.jar")))
