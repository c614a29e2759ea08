"""`Call` as all use it: the native kernel's, or without it that of `_call.py`, which defines it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._call import Call
from ._kernel import native

if native is not None and not TYPE_CHECKING:
    Call = native.Call

__all__ = ["Call"]
