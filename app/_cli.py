"""The command line. Libraries are imported by the command that needs them, so that `--version` is quick."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from . import _cli_calls, _cli_daemon, _cli_db, _cli_figures, _cli_spark
from ._log_options import logs_of, takes_logs
from ._params import Time
from ._status import ALL_READ, INTERRUPTED, USAGE, say
from ._version import show_version

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Commands(click.Group):
    """A group that reports errors in one line each."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        try:
            status = super().main(args, prog_name or "sipcdr", complete_var, standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            status = error.exit_code
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "sipcdr"
            say(f"{error.format_message().rstrip('.')} (see {command} --help)")
            status = error.exit_code
        except click.ClickException as error:
            say(error.format_message())
            status = error.exit_code
        except click.Abort:
            status = INTERRUPTED
        except ImportError as error:
            if error.name != "sipcdr.builder._native":
                raise
            say(str(error))  # SIPCDR_KERNEL asks for what there isn't
            status = USAGE
        if standalone_mode:
            sys.exit(status or ALL_READ)
        return status


@click.group(
    "sipcdr", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=show_version,
              help="Show the version, and whether the native kernel is in use.")  # fmt: skip
def main() -> None:
    """Turn SIP signalling into call detail records (Skype for Business CDR schema)."""


for _command in (*_cli_calls.COMMANDS, *_cli_figures.COMMANDS, *_cli_daemon.COMMANDS, _cli_db.db, _cli_spark.spark):
    main.add_command(_command)


@main.command(
    epilog="""\b
Examples:
  sipcdr replay call.pcap               into sqlite:///sipcdr.db, and show
  sipcdr replay call.pcap --to none     only show the sessions
  sipcdr replay captures/ --caller ann --since 2026-11-23T08:00
  sipcdr replay captures/ --report calls.html --anonymize
  sipcdr replay tls.pcap --keylog keys.log --decode-as tls.port==5071,sip
  tcpdump -i eth0 -w - udp | sipcdr replay - --to none --format json

Exit status: 0 all was read; 1 some input was damaged or could not be read; 2 usage;
3 the database refused; 130 interrupted."""
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--to", "url", metavar="URL|none", default="sqlite:///sipcdr.db", show_default=True,
              help="The database, an SQLAlchemy URL; none only shows sessions.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), metavar="FORM",
              help="Print sessions as table, json (one a line) or csv.")  # fmt: skip
@click.option("--reader", type=click.Choice(["auto", "native", "python", "pyshark"]), default="auto",
              metavar="READER",
              help="auto; our own: native, or python (the same, slower); or pyshark (Wireshark).")  # fmt: skip
@click.option("--keylog", metavar="FILE", help="TLS secrets (SSLKEYLOGFILE). Read by tshark.")
@click.option("--decode-as", metavar="RULE", multiple=True,
              help="A rule of tshark -d: tls.port==5071,sip. Read by tshark.")  # fmt: skip
@click.option("--display-filter", metavar="F", help="Only frames that this filter passes. Read by tshark.")
@click.option("--esp-null", is_flag=True, help="Look into ESP for packets that aren't encrypted.")
@click.option("--follow", is_flag=True, help="Read on as files grow, until Ctrl-C or they are gone.")
@takes_logs
@click.option("--since", type=Time(), metavar="T", help="Read messages from this time on (ISO 8601 or epoch).")
@click.option("--until", type=Time(), metavar="T", help="Read messages before this time.")
@click.option("--caller", metavar="U", help="Only calls of this caller: an address or its user part.")
@click.option("--callee", metavar="U", help="Only calls to this callee, reached or dialled.")
@click.option("--call-id", metavar="ID", help="Only the call with this Call-ID.")
@click.option("--report", metavar="FILE", help="Write a page of HTML: figures, sessions, flows, reasons.")
@click.option("--report-details", type=click.IntRange(0), metavar="N", default=2000,
              help="Sessions with messages in it, failed ones first: 2000.")  # fmt: skip
@click.option("--anonymize", is_flag=True,
              help="Other users, numbers, addresses in all that comes out.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1, 64), metavar="N", default=1,
              help="Share the work out to N processes.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="Print errors only, and sessions only with --format.")
@click.option("--no-ddl", is_flag=True, help="Don't make or upgrade the tables.")
@click.pass_context
def replay(
    ctx: click.Context,
    /,
    *,
    paths: tuple[str, ...],
    url: str,
    form: str | None,
    quiet: bool,
    no_ddl: bool,
    **chosen: Any,
) -> None:
    """Write the calls of captures to a database, and show the sessions.

    PATH is a capture or a log, a folder, a glob, or - for standard input; several are read as one, by time.
    Replaying a capture again changes nothing.
    """
    from ._command import run_replay

    since, until = chosen["since"], chosen["until"]
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be before --until", ctx)
    for option in ("keylog", "decode_as", "display_filter"):
        if chosen["reader"] in ("native", "python") and chosen[option]:
            raise click.UsageError(
                f"--{option.replace('_', '-')} is nothing that --reader {chosen['reader']} can do", ctx
            )
    tshark = chosen["reader"] == "pyshark" or chosen["keylog"] or chosen["decode_as"] or chosen["display_filter"]
    for option in ("esp_null", "follow"):
        if chosen[option] and tshark:
            raise click.UsageError(
                f"--{option.replace('_', '-')} is for our own reader, without options of tshark", ctx
            )
    for option in ("follow", "report"):
        if chosen["jobs"] > 1 and chosen[option]:
            raise click.UsageError(f"--{option} is for a single process, without --jobs", ctx)
    if chosen["anonymize"] and ctx.get_parameter_source("url") is click.core.ParameterSource.DEFAULT:
        url = "none"  # the usual database holds calls under their own names
    form = form or ("nothing" if quiet else "table")
    ctx.exit(run_replay(paths, logs=logs_of(ctx, chosen), url=url, form=form, quiet=quiet, ddl=not no_ddl, **chosen))
