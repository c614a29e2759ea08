"""What `sipcdr --version` says: the version, and whether the native kernel is in use."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

_CHOICE: Final = Path(__file__).parent.parent / "builder" / "_kernel.py"


def version_line() -> str:
    """`sipcdr 0.1.0 (native kernel 0.1.0)`, or `(Python: …)` and why the kernel isn't used.

    The module that chooses is run alone: its package takes longer to import than all else that is needed here.
    """
    import importlib.metadata
    import runpy

    try:
        reader = runpy.run_path(str(_CHOICE))["words"]
    except ImportError as error:
        reader = error
    return f"sipcdr {importlib.metadata.version('sipcdr')} ({reader})"


def show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print it and leave, where the option is given."""
    if wanted and not ctx.resilient_parsing:
        click.echo(version_line())
        ctx.exit()
