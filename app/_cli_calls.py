"""The commands that look at single calls: `explain`, `ladder` and `extract`."""

from __future__ import annotations

from typing import Any

import click

from ._log_options import logs_of, takes_logs

_PATHS = click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(allow_dash=True))
_DATABASE = click.option("--to", "url", metavar="URL", help="Look into a database instead, an SQLAlchemy URL.")


def _one_of(ctx: click.Context, paths: tuple[str, ...], url: str | None) -> None:
    if bool(paths) == (url is not None):
        raise click.UsageError("give either PATHs or --to URL", ctx)


@click.command(
    epilog="""\b
Examples:
  sipcdr explain call.pcap                 why the row is so; of several calls, a line or two each
  sipcdr explain captures/ --caller ann    all sessions that Ann began
  sipcdr explain --to sqlite:///sipcdr.db --call-id 3f7c0a91@10.20.0.40
  sipcdr explain call.pcap --format json | jq .Sentence"""
)
@_PATHS
@_DATABASE
@click.option("--call-id", metavar="ID", help="Only the call with this Call-ID.")
@click.option("--caller", metavar="USER", help="Only calls of this caller: an address or its user part.")
@click.option("--callee", metavar="USER", help="Only calls to this callee, reached or dialled.")
@click.option("--session", metavar="TIME/SEQ", help="Only the session with this key (SessionIdTime/SessionIdSeq).")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="For people, or one JSON object a session and line.")  # fmt: skip
@takes_logs
@click.pass_context
def explain(ctx: click.Context, /, *, paths: tuple[str, ...], url: str | None, form: str, **given: Any) -> None:
    """Say how a call ended, and why each column of its row holds what it holds.

    First a sentence in plain words: how the session ended and who ended it. Then what is odd, its messages and the
    state after each, and each column: value, rule, message, and what lost against it and why.

    From a database only stored facts are known: no frames, no reason phrases, no REFER.
    """
    from ._explain import Chosen, explain_captures, explain_stored, session_key
    from ._select import Selection, address

    _one_of(ctx, paths, url)
    logs = logs_of(ctx, given)
    try:
        key = None if given["session"] is None else session_key(given["session"])
    except ValueError as error:
        raise click.UsageError(str(error), ctx) from error
    chosen = Chosen(
        Selection(
            caller=None if given["caller"] is None else address(given["caller"]),
            callee=None if given["callee"] is None else address(given["callee"]),
            call_id=given["call_id"],
        ),
        key,
    )
    if url is None:
        ctx.exit(explain_captures(paths, chosen, form, logs))
    if not chosen.some:
        raise click.UsageError("of a database, choose by --call-id, --caller, --callee or --session", ctx)
    ctx.exit(explain_stored(url, chosen, form))


@click.command(
    epilog="""\b
Examples:
  sipcdr ladder call.pcap --call-id 3f7c0a91@10.20.0.40
  sipcdr ladder captures/ --call-id 3f7c0a91@10.20.0.40 --hosts /etc/hosts
  sipcdr ladder captures/ --call-id 51de77aa --related-by X-Correlation-Id | less -S"""
)
@_PATHS
@_DATABASE
@click.option("--call-id", metavar="ID", required=True, help="The call's Call-ID.")
@click.option("--hosts", metavar="FILE", help="Names of hosts, as /etc/hosts has them; also for HOST:PORT.")
@click.option("--related-by", metavar="HEADER", default="", help="A header that calls which belong together share.")
@takes_logs
@click.pass_context
def ladder(ctx: click.Context, /, *, paths: tuple[str, ...], url: str | None, **chosen: Any) -> None:
    """Draw the call flow of a call, and of the calls that belong to it.

    Calls belong together by Replaces, by Referred-By and Refer-To, by Session-ID (RFC 7989), or by --related-by. A
    column is a host. Retransmissions are dimmed and say "again". Standard output that is a terminal is paged.

    From a database only stored facts are drawn: no REFER, no codecs; and of other calls those that it replaces.
    """
    from ._ladder_command import aliases_of, ladder_of_captures, ladder_of_stored

    _one_of(ctx, paths, url)
    logs = logs_of(ctx, chosen)
    try:
        aliases = {} if chosen["hosts"] is None else aliases_of(chosen["hosts"])
    except OSError as error:
        raise click.UsageError(f"--hosts {chosen['hosts']}: {error.strerror}", ctx) from error
    if url is None:
        ctx.exit(ladder_of_captures(paths, chosen["call_id"], aliases, chosen["related_by"], logs))
    ctx.exit(ladder_of_stored(url, chosen["call_id"], aliases))


@click.command(
    epilog="""\b
Examples:
  sipcdr extract captures/ --call-id 3f7c0a91@10.20.0.40 -o call.pcapng
  sipcdr extract big.pcap --call-id 3f7c0a91@10.20.0.40 --with-rtp -o - | wireshark -k -i -"""
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--call-id", metavar="ID", required=True, help="The call's Call-ID.")
@click.option("-o", "--output", metavar="FILE", required=True, help="The pcapng file to write; - is standard output.")
@click.option("--with-rtp", is_flag=True, help="Also the media that its SDP names (RTP and RTCP).")
@takes_logs
@click.pass_context
def extract(
    ctx: click.Context, /, *, paths: tuple[str, ...], call_id: str, output: str, with_rtp: bool, **given: Any
) -> None:
    """Copy the packets of one call into a capture for Wireshark or sngrep.

    All fragments of its datagrams, and all segments of its TCP messages, are among them. A connection that is
    encrypted or framed (TLS, WebSocket) is taken whole. Nothing is masked: a packet is copied as it is. Of a log
    packets are made up, over UDP, with addresses 0.0.0.0 where the log has none.
    """
    from ._extract_command import extract_call

    ctx.exit(extract_call(paths, call_id, output, with_rtp=with_rtp, logs=logs_of(ctx, given)))


COMMANDS: tuple[click.Command, ...] = (explain, ladder, extract)
