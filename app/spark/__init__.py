"""The same correlator on Apache Spark, for what outgrows one machine. Needs the extra `spark`, and Java.

A row is a function of the set of its Call-ID's messages, `join` is commutative and idempotent, and every call written
is stored. So Spark only brings the facts of a Call-ID together: it keeps no state, and no order matters.

>>> from sipcdr.app.spark import Captures, sessions
>>> spark.dataSource.register(Captures)
>>> sessions(spark.read.format("sipcdr").load("captures/")).write.parquet("sessions/")
"""

from ._fold import sessions
from ._source import Captures

__all__ = ["Captures", "sessions"]
