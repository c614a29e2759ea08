"""`scan` as all but the Python reader use it: by the native kernel, or without it by `_sip.py`, which defines it."""

from __future__ import annotations

from sipcdr.builder import native

from . import _sip

scan = _sip.scan
if native is not None:
    scan = native.scan
