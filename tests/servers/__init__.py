"""Real servers for tests: started on free loopback ports in temporary folders, ended by process id.

with postgres() as server:
    engine = create_engine(server.url)
    server.kill()       # as a crash would
    server.start()      # same port, same data
"""

from __future__ import annotations

from ._databases import Database, mariadb, postgres
from ._kafka import Kafka, Login, kafka
from ._kamailio import Logs, Tls, kamailio, may_be_prompt
from ._process import Process, ServerError, free_port, make_folder
from ._s3 import bucket
from ._spark import QUICK, Cluster, cluster, connector, connector_version, spark_program

__all__ = [
    "QUICK",
    "Cluster",
    "Database",
    "Kafka",
    "Login",
    "Logs",
    "Process",
    "ServerError",
    "Tls",
    "bucket",
    "cluster",
    "connector",
    "connector_version",
    "free_port",
    "kafka",
    "kamailio",
    "make_folder",
    "mariadb",
    "may_be_prompt",
    "postgres",
    "spark_program",
]
