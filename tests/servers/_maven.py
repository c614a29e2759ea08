"""Jars that tests need, by Maven, once, into a folder that other users can read; what is there needs no network."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from typing import TYPE_CHECKING

from ._process import ServerError

if TYPE_CHECKING:
    from pathlib import Path


def fetch(pom: Path, folder: Path) -> Path:
    """The folder, with the jars that a pom names. Raises ServerError where they can't be had."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:  # tests in several processes fetch once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".complete").exists():
            maven = shutil.which("mvn")
            if maven is None:
                raise ServerError("no Maven to fetch jars: apt-get install maven")
            command = [maven, "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise ServerError(f"Maven can't fetch the jars:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
            for path in (folder, *folder.iterdir()):
                path.chmod(0o755 if path.is_dir() else 0o644)
            (folder / ".complete").touch()
    return folder
