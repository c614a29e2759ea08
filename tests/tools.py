"""What tests need from the machine: programs and folders that may be missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest


def program(name: str) -> str:
    """The path of a program. Without it the test is skipped, or fails where CI=true says that all must be there."""
    return shutil.which(name) or missing(f"{name} is not installed")


def folder(variable: str) -> Path:
    """The folder that an environment variable names; without one the test is skipped."""
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} names no folder")
    return Path(value)


def missing(reason: str) -> NoReturn:
    """Skip the test for this reason, or fail it under CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI=true asks for it")
    pytest.skip(reason)
