"""The commands `spark replay` and `spark run`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._log_options import takes_logs, texts_of
from ._status import USAGE, say

if TYPE_CHECKING:
    from collections.abc import Callable

_MASTER = click.option("--master", metavar="M",
                       help="Where Spark runs: local[2], spark://HOST:7077, yarn; else local[*], or where spark-submit"
                       " says.")  # fmt: skip
_CONF = click.option("--conf", metavar="NAME=VALUE", multiple=True, help="A setting of Spark's; may be given again.")


def _pairs(ctx: click.Context, conf: tuple[str, ...]) -> dict[str, str]:
    pairs = [each.partition("=") for each in conf]
    if not all(name and sign for name, sign, _ in pairs):
        raise click.UsageError("write --conf NAME=VALUE", ctx)
    return {name: value for name, _, value in pairs}


def _run(ctx: click.Context, command: Callable[[], int]) -> None:
    """Run what needs Spark, or end with the line that says what is missing."""
    from ._spark_needs import SparkUnavailable, check

    try:
        check()
        ctx.exit(command())
    except SparkUnavailable as error:
        say(str(error))
        ctx.exit(USAGE)


@click.group()
def spark() -> None:
    """Do it on Apache Spark, for what outgrows one machine. Needs the extra `spark`, and Java."""


@spark.command(
    epilog="""\b
Examples:
  sipcdr spark replay captures/ --to postgresql+psycopg://cdr@db/lcscdr --master spark://head:7077
  sipcdr spark replay 's3://bucket/2026-*.pcap' --to parquet:s3a://bucket/sessions --master yarn
  sipcdr spark replay captures/ --to parquet:sessions --master 'local[2]'

Exit status: as of sipcdr replay."""
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--to", metavar="URL|parquet:DIR", required=True,
              help="The database, an SQLAlchemy URL; or a folder for Parquet files of sessions.")  # fmt: skip
@_MASTER
@_CONF
@takes_logs
@click.option("--quiet", is_flag=True, help="Print errors only.")
@click.option("--no-ddl", is_flag=True, help="Don't make or upgrade the tables.")
@click.pass_context
def replay(
    ctx: click.Context, /, *, paths: tuple[str, ...], conf: tuple[str, ...], no_ddl: bool, **chosen: Any
) -> None:
    """Write the calls of captures and logs to a database or to Parquet, a file a task.

    PATH is a file, a folder, a glob, or a URL that fsspec opens, which all workers can read.
    """
    pairs = _pairs(ctx, conf)
    form, zone, begins = texts_of(ctx, chosen)
    options = {"logformat": form, "timezone": zone} | ({"logdate": begins.isoformat()} if begins else {})

    def command() -> int:
        from .spark._replay import run_replay

        return run_replay(paths, conf=pairs, options=options, ddl=not no_ddl, **chosen)

    _run(ctx, command)


@spark.command(
    epilog="""\b
Examples:
  sipcdr spark run --config sipcdr.toml --master 'local[2]'
  spark-submit --master yarn --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0 \
    sipcdr.py spark run --config sipcdr.toml

Signals: SIGTERM ends it when the batch under way is written, within ten seconds.
Exit status: as of sipcdr run."""
)
@click.option("--config", "path", metavar="FILE", default="sipcdr.toml", show_default=True,
              help="The daemon's configuration, with a table [spark].")  # fmt: skip
@_MASTER
@_CONF
@click.pass_context
def run(ctx: click.Context, /, *, path: str, master: str | None, conf: tuple[str, ...]) -> None:
    """Read Kafka into the database, until a signal ends it: the daemon's work, also of topics not keyed by Call-ID."""
    pairs = _pairs(ctx, conf)

    def command() -> int:
        from ._config import ConfigError, load
        from .spark._run import run

        try:
            return run(load(Path(path), os.environ), master=master, conf=pairs)
        except ConfigError as error:
            for problem in error.problems:
                say(problem)
            return USAGE

    _run(ctx, command)
