"""Fuzzes the reader and the stored calls with atheris, guided by which code an input reaches.

    python -m fuzz.run [TARGET...] [--seconds 60] [--runs N]

Each target runs for its share of the seconds (or so many runs) in a process of its own. What was reached before is kept
in build/fuzz/ and gone on from. An input that raises is written there as crash-…, with the error on stderr, and the
exit status is 1; once mended, it goes into fuzz/found/TARGET-WHAT, which the tests run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from fuzz.targets import TARGETS

FOLDER = Path("build/fuzz")
LONGEST = 8192
MEMORY = 2048
SLOWEST = 20


def fuzz(target: str, seconds: int, runs: int) -> int:
    """Fuzz one target in another process, and give its exit status."""
    from fuzz.seeds import seeds

    corpus = FOLDER / target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [f"-max_len={LONGEST}", f"-rss_limit_mb={MEMORY}", f"-timeout={SLOWEST}", "-print_final_stats=1"]
    options += [f"-artifact_prefix={FOLDER}/", f"-max_total_time={seconds}" if not runs else f"-runs={runs}"]
    command = [sys.executable, "-m", "fuzz.driver", target, *options, str(corpus)]
    return subprocess.run(command, check=False).returncode


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Fuzz the reader and the stored calls.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all unless given")
    parser.add_argument("--seconds", type=int, default=60, help="for all of them together")
    parser.add_argument("--runs", type=int, default=0, help="of each target, instead of a time")
    given = parser.parse_args()
    targets = given.targets or list(TARGETS)
    if unknown := set(targets) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}")
    statuses = [fuzz(target, max(given.seconds // len(targets), 1), given.runs) for target in targets]
    return int(any(statuses))


if __name__ == "__main__":
    sys.exit(main())
