"""Types of options that several commands take."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import click

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Time(click.ParamType[int]):
    """A moment: ISO 8601 with or without a zone (then UTC), or seconds since 1970; microseconds UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            # Eight digits are a date of ISO 8601's basic format.
            if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", value) and not re.fullmatch("[0-9]{8}", value):
                return int(Decimal(value) * 1_000_000)
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            return (moment - _EPOCH) // timedelta(microseconds=1)
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time: write 2026-11-23T08:00:00, with Z or +01:00, or seconds since 1970", param, ctx
            )
