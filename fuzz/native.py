"""Fuzzes the native kernel alone, by cargo fuzz (`cargo install cargo-fuzz`, and a nightly toolchain).

    python -m fuzz.native [TARGET...] [--seconds 60]

Each target of ingest/native-rs/fuzz runs for its share of the seconds, with address sanitizer and overflow checks. It
begins with the seeds of `fuzz.targets`, and what was reached before. An input that panics is written to
ingest/native-rs/fuzz/artifacts/, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Final

from fuzz.run import LONGEST, SLOWEST
from fuzz.seeds import seeds

CRATE: Final = Path("ingest/native-rs")
TARGETS: Final = {
    "scan": ("messages",),
    "capture": ("captures",),
    "streams": ("streams",),
    "calls": ("rows", "packed"),
}
"""What each begins with."""


def fuzz(target: str, seconds: int) -> int:
    """Fuzz one target, and give its exit status."""
    corpus = CRATE / "fuzz" / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    for kind in TARGETS[target]:
        for number, seed in enumerate(seeds(kind)):
            (corpus / f"seed-{kind}-{number}").write_bytes(seed)
    options = [f"-max_len={LONGEST}", f"-timeout={SLOWEST}", f"-max_total_time={seconds}", "-print_final_stats=1"]
    command = ["cargo", "+nightly", "fuzz", "run", target, "--", *options]
    return subprocess.run(command, cwd=CRATE, check=False).returncode


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Fuzz the native kernel alone.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all unless given")
    parser.add_argument("--seconds", type=int, default=60, help="for all of them together")
    given = parser.parse_args()
    targets = given.targets or list(TARGETS)
    if unknown := set(targets) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}")
    statuses = [fuzz(target, max(given.seconds // len(targets), 1)) for target in targets]
    return int(any(statuses))


if __name__ == "__main__":
    sys.exit(main())
