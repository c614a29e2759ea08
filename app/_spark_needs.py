"""Whether Spark can be used here. Imports nothing of it."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec


class SparkUnavailable(Exception):
    """Spark can't be used here; the text says what is missing."""


def check() -> None:
    """Raise SparkUnavailable where the extra or Java is missing."""
    missing = [name for name in ("pyspark", "pyarrow", "pandas", "fsspec") if find_spec(name) is None]
    if missing:
        raise SparkUnavailable(f"Spark needs the extra: pip install 'sipcdr[spark]' ({', '.join(missing)} not found)")
    home = os.environ.get("JAVA_HOME")
    if not submitted() and shutil.which("java", path=f"{home}/bin" if home else None) is None:
        where = f"in JAVA_HOME, {home}" if home else "on the PATH"
        raise SparkUnavailable(f"Spark needs Java 17 or newer, and there is none {where}")


def submitted() -> bool:
    """Whether spark-submit has started this program, and with it Spark."""
    return "PYSPARK_GATEWAY_PORT" in os.environ
