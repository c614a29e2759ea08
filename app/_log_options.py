"""The options of commands that read logs: what a log doesn't say itself."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipcdr.ingest import LogOptions

    Command = TypeVar("Command", bound=Callable[..., Any])

_LARGEST = 10_000


class _Day(click.ParamType[date]):
    """A day, as ISO 8601 writes it."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return value if isinstance(value, date) else date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no day: write 2026-11-23", param, ctx)


def takes_logs(command: Command) -> Command:
    """Give a command the options; `logs_of` makes of them what `Inputs` takes."""
    for option in (
        click.option("--log-date", type=_Day(), metavar="DAY", help="The day on which a log without dates begins."),
        click.option("--timezone", metavar="Z", default="UTC",
                     help="The zone of a log's times: Europe/Berlin; else UTC."),
        click.option("--log-format", metavar="F", default="auto",
                     help="A log's format, or /EXPRESSION/, or @FILE with one."),
    ):  # fmt: skip
        command = option(command)
    return command


def logs_of(ctx: click.Context, given: dict[str, Any]) -> LogOptions:
    """What was given, taken out of a command's options. Raises click.UsageError."""
    from sipcdr.ingest import ReaderUnavailable, log_options

    form, zone, begins = (given.pop(name) for name in ("log_format", "timezone", "log_date"))
    try:
        return log_options(_expression(ctx, form), zone, begins)
    except ReaderUnavailable as error:
        raise click.UsageError(str(error), ctx) from error


def texts_of(ctx: click.Context, given: dict[str, Any]) -> tuple[str, str, date | None]:
    """The same as `log_options` takes it, for one who makes the options elsewhere."""
    form, zone, begins = given["log_format"], given["timezone"], given["log_date"]
    logs_of(ctx, given)
    return _expression(ctx, form), zone, begins


def _expression(ctx: click.Context, form: str) -> str:
    """A format as it was given, or the expression in the file that was."""
    if not form.startswith("@"):
        return form
    try:
        with Path(form[1:]).open(encoding="utf-8") as file:
            return f"/{file.read(_LARGEST).strip()}/"
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise click.UsageError(f"--log-format {form}: {reason}", ctx) from error
