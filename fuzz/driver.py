"""One target under atheris, in a process of its own: its arguments are the target and libFuzzer's."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["sipcdr"]):
    from fuzz.targets import TARGETS

if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()
