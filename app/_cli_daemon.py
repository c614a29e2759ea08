"""The daemon and the commands around it: `run`, `top`, `config`, `dead-letters` and `publish`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._log_options import logs_of, takes_logs
from ._params import Time
from ._status import USAGE, say

if TYPE_CHECKING:
    from ._settings import Settings

_CONFIG = click.option("--config", "path", metavar="FILE", default="sipcdr.toml", show_default=True,
                       help="The daemon's configuration.")  # fmt: skip
_FILE = click.argument("file", metavar="[FILE]", required=False)


def _load(ctx: click.Context, path: str) -> Settings:
    """The configuration, or an end with its errors, one a line."""
    from ._config import ConfigError, load

    try:
        return load(Path(path), os.environ)
    except ConfigError as error:
        for problem in error.problems:
            say(problem)
        ctx.exit(USAGE)


@click.group()
def config() -> None:
    """Check, show or begin a configuration of the daemon."""


@config.command()
@_CONFIG
@click.pass_context
def check(ctx: click.Context, /, *, path: str) -> None:
    """Say what is wrong in a configuration, with the line; or that nothing is."""
    settings = _load(ctx, path)
    count = len(settings.source)
    click.echo(f"{path}: fine, with {count} source{'s' if count != 1 else ''}", err=True)


@config.command()
@_CONFIG
@click.pass_context
def show(ctx: click.Context, /, *, path: str) -> None:
    """Print all that is in force, with defaults and environment; secrets are masked."""
    from ._config_text import shown

    click.echo(shown(_load(ctx, path)), nl=False)


@config.command()
def example() -> None:
    """Print a configuration with every key, its default and what it is for."""
    from ._config_text import EXAMPLE

    click.echo(EXAMPLE, nl=False)


@click.group("dead-letters")
def dead_letters() -> None:
    """Look at records that held nothing of use, and try them again.

    They are in a file or topic, as the configuration says; FILE names another file.
    """


@dead_letters.command("list")
@_CONFIG
@_FILE
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="For people, or one JSON object a line.")  # fmt: skip
@click.pass_context
def list_(ctx: click.Context, /, *, path: str, file: str | None, form: str) -> None:
    """Print dead letters, one a line: when, where from, why, and how they begin."""
    from ._dead_letters_command import run_list

    ctx.exit(run_list(_load(ctx, path), file, form))


@dead_letters.command("replay")
@_CONFIG
@_FILE
@click.pass_context
def replay_(ctx: click.Context, /, *, path: str, file: str | None) -> None:
    """Read dead letters again, and write the calls of those that are understood now to the database.

    Nothing is removed, and what was written before is not doubled.
    """
    from ._dead_letters_command import run_retry

    ctx.exit(run_retry(_load(ctx, path), file))


@click.command(
    epilog="""\b
Examples:
  sipcdr publish call.pcap --topic sip
  sipcdr publish captures/ --topic sip --bootstrap kafka1:9092 --bootstrap kafka2:9092 --value hep
  sipcdr publish call.pcap --topic sip --option security_protocol=SSL --option ssl_cafile=ca.pem"""
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--topic", metavar="T", required=True, help="The topic; it has to be there.")
@click.option("--bootstrap", metavar="HOST:PORT", multiple=True, default=["127.0.0.1:9092"], show_default=True,
              help="A broker; may be given again.")  # fmt: skip
@click.option("--value", "form", type=click.Choice(["raw", "hep", "json"]), default="raw", show_default=True,
              help="What values are: raw SIP with headers that say the rest, HEP, or JSON envelopes.")  # fmt: skip
@click.option("--client", type=click.Choice(["kafka-python", "confluent"]), default="kafka-python", show_default=True,
              help="The Kafka client.")  # fmt: skip
@click.option("--option", "options", metavar="NAME=VALUE", multiple=True, help="Passed to the client as it is.")
@takes_logs
@click.option("--quiet", is_flag=True, help="No progress bar and no summary.")
@click.pass_context
def publish(ctx: click.Context, /, *, paths: tuple[str, ...], options: tuple[str, ...], **chosen: Any) -> None:
    """Put the SIP messages of captures and logs into a Kafka topic, keyed by Call-ID, for `sipcdr run` to read."""
    from ._publish_command import run_publish

    pairs = [option.partition("=") for option in options]
    if not all(name and sign for name, sign, _ in pairs):
        raise click.UsageError("write --option NAME=VALUE", ctx)
    numbers = {name: int(text) if text.isdigit() else text for name, _, text in pairs}
    given = {name: text == "true" if text in ("true", "false") else text for name, text in numbers.items()}
    ctx.exit(run_publish(paths, logs=logs_of(ctx, chosen), options=given, **chosen))


@click.command(
    epilog="""\b
Signals: SIGTERM writes what was read and ends, within ten seconds; SIGHUP reads the configuration again.
Exit status: 0 ended by a signal; 2 configuration, or a source that can't work as it is set up; 3 the database
refused; 1 anything else."""
)
@_CONFIG
@click.option("--from", "back", type=Time(), metavar="T",
              help="Read topics again from this time on (ISO 8601 or epoch); adds what was missed.")  # fmt: skip
@click.pass_context
def run(ctx: click.Context, /, *, path: str, back: int | None) -> None:
    """Read live sources into the database, until a signal ends it: the daemon."""
    from ._config import ConfigError, load
    from ._daemon import Daemon

    try:
        ctx.exit(Daemon(lambda: load(Path(path), os.environ), back=back).run())
    except ConfigError as error:
        for problem in error.problems:
            say(problem)
        ctx.exit(USAGE)


@click.command()
@_CONFIG
@click.option("--at", metavar="HOST:PORT", help="Where the daemon's metrics are; the configuration says it otherwise.")
@click.option("--once", is_flag=True, help="Show it once, and end.")
@click.pass_context
def top(ctx: click.Context, /, *, path: str, at: str | None, once: bool) -> None:
    """Show a daemon's state in the terminal, live, until Ctrl-C: rates, calls in memory, lag, what is odd."""
    from ._top import address, run_top

    listen = at or _load(ctx, path).metrics.listen
    if not listen:
        say("the configuration has no metrics.listen, so there is nothing to ask")
        ctx.exit(USAGE)
    ctx.exit(run_top(address(listen), once=once))


COMMANDS: tuple[click.Command, ...] = (run, top, config, dead_letters, publish)
